"""Metrics: point estimates against scikit-learn and by hand, intervals against a plain bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.metrics import at_budget, class_recall, held_out_scores, held_out_summary, summary
from training.splits import folds


@pytest.fixture
def ranking():
    random = np.random.default_rng(0)
    truth = np.arange(400) < 40
    score = np.round(random.normal(size=400) + 1.5 * truth, 1)  # rounding makes ties
    return truth, score


def test_values_are_those_of_scikit_learn(ranking):
    truth, score = ranking
    found = summary(truth, score, 40)
    assert found["average_precision"]["value"] == pytest.approx(average_precision_score(truth, score))
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(truth, score))


def test_intervals_are_those_of_a_plain_stratified_bootstrap(ranking):
    truth, score = ranking
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(500):
        rows = np.concatenate([random.choice(np.flatnonzero(truth == kind), (truth == kind).sum()) for kind in (1, 0)])
        best = rows[np.argsort(-score[rows], kind="stable")[:40]]
        drawn.append(
            [
                average_precision_score(truth[rows], score[rows]),
                roc_auc_score(truth[rows], score[rows]),
                truth[best].sum() / 40,
                truth[best].mean(),
            ]
        )
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    found = summary(truth, score, 40, resamples=2000)
    names = ("average_precision", "auroc", "recall_at_budget", "precision_at_budget")
    np.testing.assert_allclose([found[name]["low"] for name in names], low, atol=0.03)
    np.testing.assert_allclose([found[name]["high"] for name in names], high, atol=0.03)


def test_intervals_hold_the_value_and_depend_on_the_seed_alone(ranking):
    found = summary(*ranking, 40)
    assert all(estimate["low"] < estimate["value"] < estimate["high"] for estimate in found.values())
    assert summary(*ranking, 40) == found
    assert summary(*ranking, 40, seed=1) != found


def test_many_rows_are_resampled_in_blocks(ranking, monkeypatch):
    whole = summary(*ranking, 40, resamples=100)
    monkeypatch.setattr("training.metrics.BLOCK", 4000)
    blocks = summary(*ranking, 40, resamples=100)
    assert blocks["auroc"]["value"] == whole["auroc"]["value"]
    assert blocks["auroc"]["low"] == pytest.approx(whole["auroc"]["low"], abs=0.05)


def test_alerts_among_ties_go_to_the_earlier_rows():
    truth = np.array([False, True, True, False])
    score = np.array([0.5, 0.5, 0.5, 0.9])
    assert at_budget(truth, score, 2) == (0.0, 0.0)
    assert at_budget(truth, score, 3) == (0.5, pytest.approx(1 / 3))
    assert at_budget(truth, score, 100) == (1.0, 0.5)


@pytest.mark.parametrize(("rare", "words"), [(False, "no row is rare"), (True, "every row is rare")])
def test_one_class_gives_no_value_but_a_reason(rare, words):
    found = summary(np.full(5, rare), np.arange(5.0), 2)
    assert all(estimate["value"] is estimate["low"] is estimate["high"] is None for estimate in found.values())
    assert all(words in estimate["reason"] for estimate in found.values())


@pytest.mark.parametrize(
    ("score", "budget", "words"),
    [(np.zeros(3), 1, "shape"), (np.array([1, np.nan]), 1, "not finite"), (np.zeros(2), 0, "budget is 0")],
)
def test_unusable_scores_are_refused(score, budget, words):
    with pytest.raises(ValueError, match=words):
        summary([True, False], score, budget)


def test_class_recall_counts_each_class_by_itself():
    found = class_recall([0, 0, 1, 1], [0, 1, 1, 1], ["a", "b", "c"])
    assert found == {"a": 0.5, "b": 1.0, "c": None}


def test_held_out_scores_average_the_models_that_did_not_see_a_row():
    parts = [(np.array([0, 1]), np.array([0.2, 0.4])), (np.array([1]), np.array([0.8]))]
    np.testing.assert_allclose(held_out_scores(3, parts), [0.2, 0.6, np.nan])
    found = held_out_summary([True, False, False], parts, seed=0)
    assert (found["rows"], found["rare_rows"], found["budget"]) == (2, 1, 1)
    assert found["auroc"]["value"] == 0


def test_folds_hold_out_every_row_once_and_every_class_each_time():
    labels = np.repeat([0, 1], [93, 7])
    parts = folds(labels, 5, seed=3, names=("a", "b"))
    np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in parts])), np.arange(100))
    for training, held in parts:
        np.testing.assert_array_equal(np.sort(np.concatenate([training, held])), np.arange(100))
        assert set(labels[held]) == set(labels[training]) == {0, 1}


def test_a_class_of_two_rows_stands_on_both_sides_of_every_fold():
    labels = np.repeat([0, 1], [20, 2])
    for training, held in folds(labels, 5, seed=0, names=("a", "b")):
        assert (labels[training] == 1).sum() == (labels[held] == 1).sum() == 1


def test_folds_depend_on_the_seed():
    labels = np.repeat([0, 1], [50, 10])
    first, second, third = (folds(labels, 5, seed=seed, names=("a", "b"))[0][1] for seed in (0, 0, 1))
    assert first.tolist() == second.tolist() != third.tolist()
