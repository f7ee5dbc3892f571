"""What an epoch's steps see."""

import numpy as np
import pytest

from training.torch.qast import batches
from training.torch.qast.settings import QASTSettings

LABELS = np.repeat(np.arange(4), [40, 30, 8, 5])
SMALL = (2, 3)


def plan(seed=0, pools=None, **settings):
    pools = [np.repeat([2, 3], [50, 20]), np.repeat([2, 3], [9, 9])] if pools is None else pools
    given = QASTSettings(**settings)
    return batches.plan(LABELS, pools, num_classes=4, minority=SMALL, settings=given, seed=seed)


def test_an_epoch_sees_every_row_of_large_classes_once_and_small_ones_over_and_over():
    steps = plan(folds=(6, 2)).epoch(0, 0)
    assert len(steps) == 6
    seen = np.bincount(np.concatenate([step.real for step in steps]), minlength=len(LABELS))
    assert set(seen[LABELS < 2]) == {1}
    assert set(seen[LABELS >= 2]) == {3}


def test_folds_have_their_share_of_every_class():
    for step in plan(folds=(5, 2)).epoch(3, 0):
        assert np.bincount(LABELS[step.real], minlength=4)[:2].tolist() == [8, 6]
        assert np.bincount(LABELS[step.real], minlength=4)[2] == 4


def test_epochs_differ_and_each_depends_on_seed_and_number_alone():
    one, again, other, later = plan().epoch(4, 40), plan().epoch(4, 40), plan(1).epoch(4, 40), plan().epoch(5, 40)
    for step, same in zip(one, again, strict=True):
        for part, equal in zip(step, same, strict=True):
            np.testing.assert_array_equal(part, equal)
    assert any(not np.array_equal(step.real, strange.real) for step, strange in zip(one, other, strict=True))
    assert any(not np.array_equal(step.real, strange.real) for step, strange in zip(one, later, strict=True))


@pytest.mark.parametrize(("schedule", "part"), [(0, 4), (99.9, 4), (100, 8), (199, 8), (200, 0), (300, 0)])
def test_seed_rows_follow_the_schedule(schedule, part):
    for step in plan(folds=(5, 2)).epoch(0, schedule):
        expected = len(step.real) // part if part else 0
        assert len(step.mixup) == len(step.smote) == expected
        assert len(step.codes) == len(step.real)


def test_seed_rows_stand_last_under_their_own_class_and_are_drawn_equally():
    pools = [np.repeat([2, 3], [50, 20]), np.repeat([3, 2], [30, 30])]
    steps = plan(pools=pools, folds=(5, 2)).epoch(0, 0)
    for step in steps:
        seeds = len(step.mixup) + len(step.smote)
        expected = np.concatenate([pools[0][step.mixup], pools[1][step.smote]])
        np.testing.assert_array_equal(step.codes[-seeds:], expected)
    drawn = np.bincount(np.concatenate([pools[0][step.mixup] for step in steps]), minlength=4)
    assert abs(drawn[2] - drawn[3]) <= 1


def test_no_pool_leaves_noise_alone():
    empty = np.empty(0, np.int64)
    assert all(len(step.mixup) + len(step.smote) == 0 for step in plan(pools=[empty, empty]).epoch(0, 0))


@pytest.mark.parametrize(("noise_labels", "classes"), [("minority", {2, 3}), ("all", {0, 1, 2, 3})])
def test_classes_from_noise(noise_labels, classes):
    made = plan(noise_labels=noise_labels)
    codes = np.concatenate([step.codes for number in range(5) for step in made.epoch(number, 300)])
    assert set(codes) == classes


def test_published_noise_is_uniform_over_classes():
    made = plan(noise_labels="all", matching="batch")
    codes = np.concatenate([step.codes for number in range(60) for step in made.epoch(number, 300)])
    np.testing.assert_allclose(np.bincount(codes) / len(codes), 0.25, atol=0.02)


def test_partners_are_of_the_class_of_their_row():
    for step in plan(noise_labels="all").epoch(0, 0):
        np.testing.assert_array_equal(LABELS[step.partners], step.codes)


def test_a_walk_takes_every_row_before_any_again():
    rows = batches.ByClass.of(LABELS, 4).walk(np.repeat(3, 10), np.random.default_rng(0))
    assert sorted(rows[:5]) == sorted(rows[5:]) == np.flatnonzero(LABELS == 3).tolist()


def test_no_batch_has_a_single_row():
    labels = np.array([0, 0, 0, 1])
    settings = QASTSettings(folds=(30, 5))
    made = batches.plan(labels, [labels[:0]] * 2, num_classes=2, minority=(1,), settings=settings, seed=0)
    assert min(len(step.real) for step in made.epoch(0, 0)) >= 2


def test_classes_of_equal_size_are_all_made_from_noise():
    labels = np.repeat([0, 1], 10)
    made = batches.plan(labels, [labels[:0]] * 2, num_classes=2, minority=(), settings=QASTSettings(), seed=0)
    assert made.noise_classes == (0, 1)
    assert sum(len(step.real) for step in made.epoch(0, 0)) == 20
