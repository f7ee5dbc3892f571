"""What is thought of generated rows."""

import numpy as np
import pytest

from training.torch.augmentation.nearness import nearest
from training.torch.mgvae.judge import Judge

RANDOM = np.random.default_rng(0)
RARE = RANDOM.normal(size=(40, 3)).astype(np.float32) + np.array([4, 0, 0], np.float32)
MAJORITY = RANDOM.normal(size=(300, 3)).astype(np.float32)
JUDGE = Judge.fit(RARE, MAJORITY, seed=0)


def test_rows_of_the_class_pass_both_judgements_and_the_majority_not_the_first():
    fresh = RANDOM.normal(size=(100, 3)).astype(np.float32) + np.array([4, 0, 0], np.float32)
    rare, majority = JUDGE.judge(fresh), JUDGE.judge(MAJORITY)
    assert (rare.confidence > 0.5).mean() > 0.9
    assert (majority.confidence > 0.5).mean() < 0.1
    assert rare.votes.mean() > 1.7 > majority.votes.mean()


def test_copies_and_far_rows_lose_the_vote_for_nearness():
    far = RARE[:5] + 30
    for rows in (RARE[:5], far):
        found = JUDGE.judge(rows)
        np.testing.assert_array_equal(found.votes, found.confidence > 0.5)
    assert JUDGE.judge(far).quality.max() < 0.1
    assert (JUDGE.judge(RARE[:5]).quality == 1).all()


def test_a_class_of_one_row_has_no_band():
    alone = Judge.fit(RARE[:1], MAJORITY, seed=0).judge(np.concatenate([RARE[:1] + 9, MAJORITY[:1] - 9]))
    assert alone.votes.tolist() == [2, 1]
    assert (alone.quality == 1).all()


def test_no_rows_are_judged_as_none():
    assert all(part.shape == (0,) for part in JUDGE.judge(RARE[:0]))


def test_a_judge_is_read_as_it_was():
    again = Judge.from_arrays(JUDGE.arrays())
    for part, same in zip(JUDGE.judge(MAJORITY), again.judge(MAJORITY), strict=True):
        np.testing.assert_array_equal(part, same)


def test_nearest_is_the_least_distance():
    expected = np.sqrt(((MAJORITY[:20, None] - RARE[None]) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(nearest(MAJORITY[:20], RARE), expected, rtol=1e-4)
    distances = np.sqrt(((RARE[:, None].astype(float) - RARE[None]) ** 2).sum(axis=2)) + np.diag([np.inf] * 40)
    assert nearest(RARE, RARE, skip=1) == pytest.approx(distances.min(axis=1), rel=1e-3)
