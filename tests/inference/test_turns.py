"""Turns of a fitted series: those that mattered, with their slopes, and the step that stands out."""

import numpy as np
import pytest

from feature_extraction.components import CONSTANT, FITTED, Calendar, Components
from feature_extraction.prophet_map.engine import fit as map_fit
from feature_extraction.settings import FeaturesSettings, WindowSettings
from inference.turns import breaks, outlier, weekly

DAYS, BREAK = 120, 60
WINDOW = WindowSettings(start="2024-01-01", end="2024-04-30")
CALENDAR = Calendar.of(WINDOW)
TIMES = [time.isoformat() for time in CALENDAR.times]
SETTINGS = FeaturesSettings(changepoints=11)


def series():
    """Rise by 1 a day to day 60, then fall by 2; a weekly pattern of 6 on Mondays, and noise of 0.5."""
    day = np.arange(DAYS)
    trend = 50.0 + np.where(day < BREAK, day, BREAK - 2 * (day - BREAK))
    return trend + 6 * (day % 7 == 0) + np.random.default_rng(0).normal(0, 0.5, DAYS)  # 1 Jan 2024 is a Monday


@pytest.fixture(scope="module")
def fitted():
    spiked = series()
    spiked[80] += 40
    values = np.stack([series(), spiked, np.full(DAYS, 3.0)])
    return values, map_fit(values, CALENDAR, SETTINGS)


def test_the_break_is_found_with_the_slopes_before_and_after(fitted):
    found = breaks(fitted[1], 0, TIMES)
    days = [TIMES.index(one.time) for one in found]
    assert all(abs(day - BREAK) <= 10 for day in days)
    assert found[0].before == pytest.approx(1, abs=0.1)
    assert found[-1].after == pytest.approx(-2, abs=0.1)


def by_hand(delta):
    """Return one series whose slope, in the units of the metric, changes by `delta` on days 10, 20, 30 and 40."""
    fit = Components.empty(1, CALENDAR, len(delta))
    fit.status[0], fit.delta[0], fit.changepoint[0] = FITTED, delta, 10.0 * np.arange(1, len(delta) + 1)
    slope = np.repeat(np.cumsum([1.0, *delta]), [10, 10, 10, 10, DAYS - 40])
    fit.trend[0] = np.concatenate([[0.0], np.cumsum(slope)])[:DAYS]
    return fit


def test_only_changes_that_are_not_small_against_the_largest_matter():
    found = breaks(by_hand([-0.8, 0.1, 0.3, -0.009]), 0, TIMES)
    assert [TIMES.index(one.time) for one in found] == [10, 30]
    assert [(one.before, one.after) for one in found] == [pytest.approx((1, 0.2)), pytest.approx((0.3, 0.6))]
    assert breaks(by_hand([0.009, -0.009, 0.0, 0.0]), 0, TIMES) == []


def test_what_was_not_fitted_has_no_turns():
    nothing = Components.empty(1, CALENDAR, 4)
    assert breaks(nothing, 0, TIMES) == []
    assert weekly(nothing, 0) == []
    assert outlier(nothing, 0, np.ones(DAYS)) is None
    assert breaks(Components.empty(1, CALENDAR, 0), 0, TIMES) == []


def test_the_weekly_pattern_begins_on_monday(fitted):
    pattern = weekly(fitted[1], 0)
    assert len(pattern) == 7
    assert pattern[0] - np.mean(pattern[1:]) == pytest.approx(6, abs=0.5)


def test_the_outlier_is_the_step_whose_residual_is_largest(fitted):
    values, fit = fitted
    step, sigmas = outlier(fit, 1, values[1])
    assert step == 80
    assert sigmas == pytest.approx((values[1, 80] - fit.yhat[1, 80]) / fit.sigma[1])
    assert sigmas > 3
    gone = values[1].copy()
    gone[80] = np.nan
    assert outlier(fit, 1, gone) is None


def test_without_noise_nothing_stands_out(fitted):
    values, fit = fitted
    assert fit.status[2] == CONSTANT
    assert outlier(fit, 2, values[2]) is None
