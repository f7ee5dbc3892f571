"""Which rows of which source a small class gets, by what inner validation finds."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tests.training.qast import qast_tables as tables
from training.torch.course import Place
from training.torch.qast import augment


def validated(monkeypatch, f1_by_sources, fallback="none", error=0.0):
    """Validate with made-up figures: F1 of the three classes by which of the small ones have generated rows.

    `error` is the standard error of a difference of mean F1.
    """
    task = tables.task()
    truth, asked = task.labels, []

    def predicted(trained, sources, settings):
        asked.append(tuple(sources.values()))
        return [next(f1 for names, f1 in f1_by_sources if names == [sources[1], sources[2]])]

    fold = augment._Fold(task, None, {1: 46, 2: 53}, np.arange(len(truth)), task.features)
    monkeypatch.setattr(augment, "folds", lambda *arguments, **named: [((), ())])
    monkeypatch.setattr(augment, "_fold", lambda *arguments: fold)
    monkeypatch.setattr(augment, "_predicted", predicted)
    monkeypatch.setattr(augment, "_f1", lambda truth, found: np.array(found[0][0]))
    monkeypatch.setattr(augment, "_error", lambda *arguments: error)
    found = augment.validate(task, rare_code=2, settings=tables.tiny(fallback=fallback), place=Place("qast"))
    assert len(asked) == len(set(asked))  # no classifier is fitted twice to the same rows
    return found


GIVEN = np.zeros((81, 3))


def figures(*f1):
    rows = GIVEN.copy()
    rows[0] = f1
    return rows


@pytest.mark.parametrize("fallback", ["none", "smote"])
def test_a_class_that_gains_nothing_gets_no_generated_rows(monkeypatch, fallback):
    found = validated(
        monkeypatch,
        [
            ([fallback, fallback], figures(0.9, 0.5, 0.5)),
            (["generator", "generator"], figures(0.9, 0.5, 0.6)),
            ([fallback, "generator"], figures(0.9, 0.55, 0.6)),
        ],
        fallback,
    )
    assert (found.arm, found.sources) == ("by_class", {1: fallback, 2: "generator"})


def test_a_choice_by_class_that_harms_is_not_taken(monkeypatch):
    found = validated(
        monkeypatch,
        [
            (["none", "none"], figures(0.9, 0.5, 0.5)),
            (["generator", "generator"], figures(0.9, 0.5, 0.6)),
            (["none", "generator"], figures(0.9, 0.3, 0.6)),
        ],
    )
    assert (found.arm, found.sources) == ("generator", {1: "generator", 2: "generator"})


def test_no_gain_at_all_is_no_rows_at_all(monkeypatch):
    found = validated(
        monkeypatch,
        [(["none", "none"], figures(0.9, 0.5, 0.5)), (["generator", "generator"], figures(0.9, 0.5, 0.5))],
    )
    assert (found.arm, set(found.sources.values())) == ("none", {"none"})


@pytest.mark.parametrize(("error", "arm"), [(0.011, "generator"), (0.009, "none")])
def test_rows_are_left_out_where_that_is_better_by_more_than_a_standard_error(monkeypatch, error, arm):
    found = validated(
        monkeypatch,
        [(["none", "none"], figures(0.9, 0.5, 0.53)), (["generator", "generator"], figures(0.9, 0.5, 0.5))],
        error=error,
    )
    assert (found.arm, set(found.sources.values())) == (arm, {arm})


def test_the_error_of_a_difference_of_mean_f1_is_the_bootstraps():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 90)
    arms = [[random.random((90, 3)) + share * np.eye(3)[truth]] for share in (0.5, 0.6)]
    draws = []
    for _ in range(400):
        rows = random.integers(0, 90, 90)
        one, other = (f1_score(truth[rows], arm[0].argmax(axis=1)[rows], average="macro") for arm in arms)
        draws.append(one - other)
    assert augment._error(truth, *arms, seed=0) == pytest.approx(np.std(draws), rel=0.15)
    assert augment._error(truth, arms[0], arms[0], seed=0) == 0
