"""The prophet engine: curves and parameters are the library's own, and one bad series harms no other."""

import logging
import os
import tempfile
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from feature_extraction import prophet_library
from feature_extraction.components import Calendar
from feature_extraction.settings import FeaturesSettings

CALENDAR = Calendar(datetime(2024, 1, 3), timedelta(days=1), 70)  # a Wednesday
SETTINGS = FeaturesSettings()
LATE = 15


def series():
    """Rows: whole, late with gaps, constant, too short, few active steps, exact line, bare noise."""
    generator = np.random.default_rng(4)
    steps = np.arange(70.0)
    wave = 20 + 0.1 * steps + 5 * (steps % 7 == 3) + generator.normal(0, 1, 70)
    late = np.where(steps < LATE, np.nan, wave + np.where(steps > 40, 0.8 * (steps - 40), 0))
    late[[20, 21, 50]] = np.nan
    constant, short = np.full(70, 4.0), np.where(steps < 50, np.nan, wave)
    idle = np.where(np.isin(steps, [3, 30, 60]), 1.0, 0.0)
    return np.array([wave, late, constant, short, idle, 2.0 + steps, generator.normal(0, 1, 70)])


@pytest.fixture(scope="module")
def components():
    return prophet_library.fit(series(), CALENDAR, SETTINGS)


@pytest.fixture(scope="module", params=[0, 1, 6], ids=["whole", "late", "noise"])
def predicted(request):
    """A row, the library's own model of it, and what that predicts for every step of the calendar."""
    y = series()[request.param]
    history = pd.DataFrame({"ds": CALENDAR.times, "y": y}).dropna()
    model = Prophet(uncertainty_samples=0).fit(history)
    return request.param, model, model.predict(pd.DataFrame({"ds": CALENDAR.times}))


def test_the_curves_are_what_the_library_predicts(components, predicted):
    row, _, forecast = predicted
    there = np.isfinite(components.trend[row])
    assert there.sum() == 70 - (LATE if row == 1 else 0)
    for found, expected in [
        (components.trend, "trend"),
        (components.yhat, "yhat"),
        (components.seasonal, "additive_terms"),
    ]:
        np.testing.assert_allclose(found[row][there], forecast[expected][there], rtol=1e-9, atol=1e-9)
        assert np.isnan(found[row][~there]).all()


def test_the_weekly_pattern_runs_from_monday(components, predicted):
    row, _, forecast = predicted
    by_day = forecast.groupby(forecast["ds"].dt.dayofweek)["weekly"].first()
    np.testing.assert_allclose(components.weekly[row], by_day, rtol=1e-9, atol=1e-9)


def test_changepoints_are_steps_of_the_calendar(components, predicted):
    row, model, _ = predicted
    expected = (model.changepoints - pd.Timestamp(CALENDAR.start)) / timedelta(days=1)
    own = np.isfinite(components.changepoint[row])
    np.testing.assert_allclose(components.changepoint[row][own], expected, atol=1e-9)
    np.testing.assert_array_equal(components.delta[row][own], model.params["delta"][0])
    assert np.isnan(components.delta[row][~own]).all()


def test_scales_are_the_librarys(components, predicted):
    row, model, _ = predicted
    assert components.y_scale[row] == model.y_scale
    assert components.sigma[row] == pytest.approx(model.params["sigma_obs"][0, 0] * model.y_scale)
    assert components.span[row] == (model.history["ds"].max() - model.history["ds"].min()).days
    assert (components.k[row], components.m[row]) == (model.params["k"][0, 0], model.params["m"][0, 0])


def test_the_trends_slope_is_that_of_its_parameters(components):
    slope = (components.k + np.nansum(components.delta, axis=1)) * components.y_scale / components.span
    last = components.trend[:, -1] - components.trend[:, -2]
    np.testing.assert_allclose(slope, last, rtol=1e-6, atol=1e-9)


def test_a_series_that_cannot_be_fitted_says_why(components):
    assert components.status.tolist()[2:5] == ["constant", "too_short", "too_short"]
    assert components.status.tolist()[:2] == ["fitted", "fitted"]
    for row in (3, 4):
        for name in ("k", "m", "delta", "changepoint", "sigma", "trend", "seasonal", "weekly"):
            assert np.isnan(getattr(components, name)[row]).all(), name


def test_a_fit_that_interpolates_the_series_says_so():
    weekly = np.tile([9.0, 1, 1, 1, 1, 1, 4], 10)
    nearly = weekly + np.random.default_rng(0).normal(0, 0.01, 70)
    found = prophet_library.fit(np.array([weekly, 2.0 + np.arange(70.0), nearly]), CALENDAR, SETTINGS)
    assert found.status.tolist() == ["sigma_floor", "sigma_floor", "fitted"]
    assert (found.sigma / found.y_scale < 1e-6).tolist() == [True, True, False]


def test_one_failure_leaves_its_neighbours_alone(monkeypatch, caplog, components):
    whole = Prophet.fit

    def fit(self, history, **options):
        if len(history) == 70 - LATE - 3:
            raise RuntimeError("Error during optimization!")
        return whole(self, history, **options)

    monkeypatch.setattr(Prophet, "fit", fit)
    with caplog.at_level(logging.WARNING):
        found = prophet_library.fit(series(), CALENDAR, SETTINGS)
    assert found.status.tolist() == ["fitted", "failed", *components.status[2:]]
    assert "could not fit a series of 52 rows: Error during optimization!" in caplog.text
    others = [0, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(found.yhat[others], components.yhat[others])
    assert np.isnan(found.yhat[1]).all()
    assert np.isnan(found.k[1])


def test_no_temporary_file_is_left_over(tmp_path, monkeypatch):
    import cmdstanpy

    (tmp_path / "system").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    places = [str(tmp_path / "system"), cmdstanpy._TMPDIR]
    before = [sorted(os.listdir(place)) for place in places]
    prophet_library.fit(series()[:2], CALENDAR, SETTINGS)
    assert [sorted(os.listdir(place)) for place in places] == before


def test_weekly_steps_have_no_weekly_pattern():
    calendar = Calendar(datetime(2023, 1, 2), timedelta(days=7), 70)
    found = prophet_library.fit(series()[:1], calendar, SETTINGS)
    assert found.status[0] == "fitted"
    assert found.span[0] == 69
    assert np.isnan(found.weekly).all()
    assert np.isfinite(found.yhat).all()
