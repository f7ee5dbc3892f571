"""Codes near those of real rows, and what is refused."""

import numpy as np
import pytest

from tests.training.imsic import imsic_tables as imsic
from training.torch.augmentation.nearness import Band
from training.torch.imsic.cloud import Cloud

RANDOM = np.random.default_rng(0)
CODES = RANDOM.uniform(-1, 1, (60, 3)).astype(np.float32)
ROWS = RANDOM.normal(size=(60, 5)).astype(np.float32)
RANGES = np.array([[-1, 1], [-1, 1], [-0.25, 0.5]])
CLOUD = Cloud.fit(CODES, ROWS, imsic.tiny(least_distance=0.01, greatest_distance=0.99))


def drawn(rows=500, jitter=0.0, seed=0):
    return CLOUD.draw(rows, jitter=jitter, ranges=RANGES, random=np.random.default_rng(seed))


def test_codes_are_those_of_real_rows_within_the_ranges():
    inside = np.clip(CODES, RANGES[:, 0], RANGES[:, 1])
    assert {tuple(row) for row in drawn()} <= {tuple(row) for row in inside.astype(np.float32)}
    assert len({tuple(row) for row in drawn()}) > 50


def test_jitter_moves_codes_a_little_and_never_out_of_range():
    moved = drawn(jitter=0.05)
    apart = np.abs(moved[:, None, :2] - CODES[None, :, :2]).max(axis=2).min(axis=1)
    assert 0 < np.median(apart) < 0.15
    assert (moved >= RANGES[:, 0]).all()
    assert (moved <= RANGES[:, 1]).all()
    np.testing.assert_array_equal(moved, drawn(jitter=0.05))
    assert not np.array_equal(moved, drawn(jitter=0.05, seed=1))


def test_rows_are_refused_for_the_first_reason_that_holds():
    rows = np.concatenate([ROWS[:2], ROWS[:2] + 100, ROWS[:1] + np.float32(0.5)])
    found = CLOUD.judge(rows, np.array([0.9, 0.4, 0.9, 0.4, 0.9]), 0.5)
    assert {reason: np.flatnonzero(some).tolist() for reason, some in found.reasons.items()} == {
        "class": [1, 3],
        "copy": [0],
        "junk": [2],
    }
    assert found.kept.tolist() == [False, False, False, False, True]
    assert found.quality[2] < 0.05 < found.quality[4] <= 1
    assert found.quality[0] == 1


def test_most_real_rows_of_the_same_kind_would_pass():
    fresh = np.random.default_rng(5).normal(size=(200, 5)).astype(np.float32)
    assert CLOUD.judge(fresh, np.ones(200), 0.5).kept.mean() > 0.85


@pytest.mark.parametrize(
    ("quantiles", "bounded"), [((0.0, 1.0), (False, False)), ((0.01, 1.0), (True, False)), ((0.0, 0.99), (False, True))]
)
def test_the_outermost_quantiles_bound_nothing(quantiles, bounded):
    band = Band.of(ROWS, quantiles)
    assert (band.low > 0, np.isfinite(band.high)) == bounded


def test_a_single_row_bounds_nothing():
    alone = Cloud.fit(CODES[:1], ROWS[:1], imsic.tiny())
    found = alone.judge(np.concatenate([ROWS[:1], ROWS[:1] + 50]), np.ones(2), 0.5)
    assert found.kept.all()
    assert (found.quality == 1).all()


def test_a_cloud_is_read_as_it_was():
    again = Cloud.from_arrays(CLOUD.arrays())
    for part in ("codes", "rows", "band"):
        np.testing.assert_array_equal(getattr(again, part), getattr(CLOUD, part))
