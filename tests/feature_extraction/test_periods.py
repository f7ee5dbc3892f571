"""Dominant periods: known rhythms are found, and nothing is found where there is none."""

import numpy as np
import pytest

from feature_extraction.periods import dominant_periods

STEPS = np.arange(84.0)


@pytest.mark.parametrize("period", [2.0, 3.0, 7.0, 12.0, 28.0, 84.0])
def test_a_sine_has_its_period_and_no_other(period):
    wave = 5 + np.cos(2 * np.pi * STEPS / period)
    np.testing.assert_allclose(dominant_periods(wave[None])[0], [period, np.nan, np.nan])


def test_weekly_data_has_the_week_and_its_harmonics():
    weekly = np.tile([9.0, 1, 1, 1, 1, 1, 4], 12)
    assert sorted(dominant_periods(weekly[None])[0]) == pytest.approx([7 / 3, 3.5, 7])
    assert dominant_periods(weekly[None] + np.random.default_rng(0).normal(0, 0.3, 84))[0, 0] == pytest.approx(7)


def test_stronger_waves_come_first():
    wave = 3 * np.sin(2 * np.pi * STEPS / 7) + 2 * np.sin(2 * np.pi * STEPS / 12) + np.sin(2 * np.pi * STEPS / 4)
    np.testing.assert_allclose(dominant_periods(wave[None])[0], [7, 12, 4])


def test_neither_the_scale_nor_the_neighbours_in_the_batch_matter():
    wave = np.sin(2 * np.pi * STEPS / 7) + 0.5 * np.random.default_rng(1).normal(size=84)
    late = np.where(STEPS < 21, np.nan, wave)
    alone = [dominant_periods(row[None])[0] for row in (wave, 1e-9 * wave, 1e9 * wave, late)]
    together = dominant_periods(np.array([wave, 1e-9 * wave, 1e9 * wave, late]))
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(alone[1], alone[0])
    np.testing.assert_allclose(alone[2], alone[0])


def test_a_series_begins_at_its_first_observation():
    wave = np.sin(2 * np.pi * STEPS / 7)
    late = np.where(STEPS < 14, np.nan, wave)
    np.testing.assert_allclose(dominant_periods(late[None])[0, 0], 7)


def test_a_few_missing_steps_do_not_hide_a_rhythm():
    wave = np.sin(2 * np.pi * STEPS / 7)
    wave[[5, 30, 31, 60]] = np.nan
    np.testing.assert_allclose(dominant_periods(wave[None])[0, 0], 7)


@pytest.mark.parametrize(
    "series",
    [
        np.full(84, np.nan),
        np.full(84, 3.0),
        np.full(84, 0.1),  # its mean is not exactly itself
        np.where(STEPS < 78, np.nan, STEPS),  # six steps
        np.where(STEPS % 3, np.nan, np.sin(STEPS)),  # a third observed
    ],
    ids=["nothing", "constant", "constant-inexact", "short", "sparse"],
)
def test_without_power_or_observations_there_is_none(series):
    assert np.isnan(dominant_periods(series[None])).all()
