"""Which rows a fit learns from, which labels it sees, and which it is tested on."""

import numpy as np
import pytest

from jobs.arena.splits import BUDGETS, FOLDS, TooFewLabels, split

ALL, TWENTY = BUDGETS["all"], BUDGETS["20"]


def labels(rare=60, regular=400, unlabeled=40):
    made = np.repeat([1, 0, -1], [rare, regular, unlabeled]).astype(np.int8)
    return np.random.default_rng(0).permutation(made)


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_training_and_test_rows_are_apart_and_labels_are_true_or_hidden(budget):
    truth = labels(rare=400, regular=2000)
    found = split(truth, None, rare=1, budget=budget, seed=3)
    assert not set(found.training) & set(found.test)
    assert len(found.training) + len(found.test) == len(truth)
    shown = found.labels != -1
    assert (found.labels[shown] == truth[found.training][shown]).all()
    assert (truth[found.test] != -1).all()


def test_five_seeds_test_each_labeled_row_once_and_five_more_do_so_otherwise():
    truth = labels()
    tests = [split(truth, None, rare=1, budget=ALL, seed=seed).test for seed in range(2 * FOLDS)]
    for partition in (tests[:FOLDS], tests[FOLDS:]):
        assert sorted(np.concatenate(partition)) == np.flatnonzero(truth != -1).tolist()
        assert all((truth[rows] == 1).sum() == 12 for rows in partition)
    assert any(set(one) != set(other) for one, other in zip(tests[:FOLDS], tests[FOLDS:], strict=True))


def test_a_budget_shows_that_many_rare_labels_and_a_twentieth_of_the_others():
    found = split(labels(), None, rare=1, budget=TWENTY, seed=0)
    assert (found.labels == 1).sum() == 20
    assert (found.labels == 0).sum() == 16  # of 320
    assert (found.labels == -1).sum() == len(found.training) - 36


def test_each_other_class_keeps_at_least_two_labels():
    truth = np.repeat([0, 1, 2], [400, 60, 10]).astype(np.int8)
    found = split(truth, None, rare=1, budget=TWENTY, seed=0)
    assert [(found.labels == code).sum() for code in (0, 1, 2)] == [16, 20, 2]


def test_seeds_and_budgets_draw_other_labels_from_the_same_test_rows():
    truth = labels(rare=300)
    one, again, other = (split(truth, None, rare=1, budget=TWENTY, seed=seed) for seed in (0, 0, 5))
    assert np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.labels, other.labels)
    fifty = split(truth, None, rare=1, budget=BUDGETS["50"], seed=0)
    assert np.array_equal(fifty.test, one.test)


def test_all_rows_of_an_entity_fall_on_one_side():
    truth = labels()
    groups = np.arange(len(truth)) // 4
    found = [split(truth, groups, rare=1, budget=ALL, seed=seed) for seed in range(FOLDS)]
    for each in found:
        assert not set(groups[each.training]) & set(groups[each.test])
    tested = np.concatenate([each.test for each in found])
    assert sorted(tested) == np.flatnonzero(truth != -1).tolist()


@pytest.mark.parametrize(("rare", "said"), [(20, "16 rare rows"), (1, "at least 2 are needed")])
def test_too_few_rare_rows_are_refused(rare, said):
    with pytest.raises(TooFewLabels, match=said):
        split(labels(rare=rare), None, rare=1, budget=TWENTY, seed=0)
