"""Logistic and flat growth, multiplicative seasonality and holidays from the run file, by both engines."""

import logging
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from feature_extraction import prophet_library
from feature_extraction.components import STATUSES, Calendar, Components
from feature_extraction.features import feature_columns
from feature_extraction.prophet_map import engine, solve
from feature_extraction.prophet_map.problem import NOT_CONVERGED
from feature_extraction.settings import FeaturesSettings

STEPS, LATE, CAP = 150, 20, 40.0
CALENDAR = Calendar(datetime(2024, 1, 1), timedelta(days=1), STEPS)
MODES = {
    "logistic": FeaturesSettings(growth="logistic", cap=CAP),
    "multiplicative": FeaturesSettings(seasonality_mode="multiplicative"),
    "both": FeaturesSettings(growth="logistic", cap=CAP, seasonality_mode="multiplicative", country_holidays="US"),
    "flat": FeaturesSettings(growth="flat"),
    "flat_multiplicative": FeaturesSettings(growth="flat", seasonality_mode="multiplicative", country_holidays="US"),
    "holidays": FeaturesSettings(country_holidays="US"),
}


def values():
    """Rows: rising to a limit, the same late and with gaps, constant, too short."""
    generator, t = np.random.default_rng(7), np.arange(STEPS)
    level = 35 / (1 + np.exp(-(t - 60) / 15)) + 2
    whole = level * (1 + 0.2 * np.sin(2 * np.pi * t / 7)) + generator.normal(0, 0.5, STEPS)
    whole[[14, 49]] += 8  # 15 January and 19 February, holidays of the United States in 2024
    late = np.where(t < LATE, np.nan, whole + generator.normal(0, 0.5, STEPS))
    late[[30, 31, 90]] = np.nan
    return np.array([whole, late, np.full(STEPS, 4.0), np.where(t < STEPS - 9, np.nan, whole)])


def prophets(y, settings):
    """What the library itself predicts for every step, from a model of its own."""
    model = Prophet(growth=settings.growth, seasonality_mode=settings.seasonality_mode, uncertainty_samples=0)
    if settings.country_holidays:
        model.add_country_holidays(settings.country_holidays)
    frame = pd.DataFrame({"ds": CALENDAR.times, "y": y})
    if settings.growth == "logistic":
        frame["cap"] = settings.cap
    return model.fit(frame.dropna()).predict(frame.drop(columns="y"))


@pytest.fixture(scope="module", params=MODES)
def fitted(request):
    settings = MODES[request.param]
    return settings, prophet_library.fit(values(), CALENDAR, settings), engine.fit(values(), CALENDAR, settings)


@pytest.mark.parametrize("row", [0, 1], ids=["whole", "late"])
def test_the_librarys_curves_are_what_it_predicts(fitted, row):
    settings, found, _ = fitted
    expected = prophets(values()[row], settings)
    there = np.isfinite(found.trend[row])
    assert there.sum() == STEPS - (LATE if row else 0)
    for curve, name in ((found.trend, "trend"), (found.yhat, "yhat")):
        assert np.abs(curve[row] - expected[name])[there].max() < 1e-9, name
    week = expected.groupby(expected["ds"].dt.dayofweek)["weekly"].first().to_numpy()
    unit = found.trend[row, -1] if settings.seasonality_mode == "multiplicative" else 1.0
    assert np.abs(found.weekly[row] - week * unit).max() < 1e-9


def test_what_the_solver_covers_it_fits_and_the_rest_the_library(fitted):
    settings, theirs, ours = fitted
    left = settings.growth == "logistic"
    first = "fitted_by_prophet" if left else "fitted"
    assert theirs.status.tolist() == ["fitted", "fitted", "constant", "too_short"]
    assert ours.status.tolist() == [first, first, "constant", "too_short"]
    assert set(ours.status) <= set(STATUSES)
    for name in vars(ours):
        one, other = getattr(ours, name), getattr(theirs, name)
        if name != "status" and left:
            assert np.array_equal(one, other, equal_nan=True), name
        elif name != "status":
            assert np.array_equal(np.isnan(one), np.isnan(other)), name
    apart = np.abs(ours.yhat - theirs.yhat)[:2] / theirs.sigma[:2, None]
    assert np.nanmax(apart) < 0.5


def test_every_feature_of_a_fit_is_there(fitted):
    settings, theirs, ours = fitted
    first = np.array([0, LATE, 0, STEPS - 9])
    for components in (theirs, ours):
        found = feature_columns(values(), first, components, settings)
        missing = [name for name, column in found.items() if np.isnan(column[0])]
        assert set(missing) <= {"growth_mean", "growth_std", "delta_mean", "changepoint_gap_mean",
                                "changepoint_gap_std", "break_age"}  # fmt: skip
        assert settings.growth == "flat" or not {"growth_mean", "delta_mean"} & set(missing)
        assert np.isnan(found["residual_sigma"][3])


def drawn_slope(trend, step):
    """Slope at a step, by the parabola through it and the two steps before: exact for lines, near for the rest."""
    return (3 * trend[:, step] - 4 * trend[:, step - 1] + trend[:, step - 2]) / 2


def test_slopes_are_those_of_the_drawn_trend(fitted):
    settings, theirs, ours = fitted
    for components in (theirs, ours):
        found = feature_columns(values(), np.array([0, LATE, 0, STEPS - 9]), components, settings)
        now, before = (drawn_slope(components.trend[:2], step) for step in (-1, -29))
        np.testing.assert_allclose(found["trend_slope"][:2], now, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(found["trend_slope_change"][:2], now - before, rtol=1e-3, atol=2e-5)


def test_holidays_take_up_the_extra_days():
    plain, with_holidays = (engine.fit(values(), CALENDAR, MODES[name] if name else FeaturesSettings())
                            for name in ("", "holidays"))  # fmt: skip
    for row in (0, 1):
        left = [np.abs(values()[row] - components.yhat[row])[49] for components in (plain, with_holidays)]
        assert left[1] < 0.2 * left[0]
    assert (with_holidays.sigma[:2] < plain.sigma[:2]).all()


@pytest.mark.parametrize("mode", ["logistic", "both"])
def test_the_log_says_once_what_was_left_to_the_library(mode, caplog):
    with caplog.at_level(logging.INFO, "feature_extraction"):
        engine.fit(values(), CALENDAR, MODES[mode])
        engine.fit(values()[3:], CALENDAR, MODES[mode])
    assert caplog.messages == ["3 series are fitted by the prophet library: growth is logistic"]


def test_a_series_the_solver_gives_up_goes_to_the_library(monkeypatch, caplog):
    whole = solve.fit

    def fit(*arguments):
        found = whole(*arguments)
        found.status[1] = NOT_CONVERGED
        return found

    expected = engine.fit(values(), CALENDAR, FeaturesSettings())
    monkeypatch.setattr(solve, "fit", fit)
    with caplog.at_level(logging.WARNING):
        found = engine.fit(values(), CALENDAR, FeaturesSettings())
    assert found.status.tolist() == ["fitted", "fitted_by_prophet", "constant", "too_short"]
    assert caplog.messages == ["1 series are fitted by the prophet library: the solver did not converge"]
    library = prophet_library.fit(values()[1:2], CALENDAR, FeaturesSettings())
    assert np.array_equal(found.yhat[1], library.yhat[0], equal_nan=True)
    assert np.array_equal(found.yhat[0], expected.yhat[0])


def test_a_table_of_caps_gives_each_metric_its_own():
    settings = FeaturesSettings(growth="logistic", cap={"spend": 10, "visits": 3})
    assert settings.of_metric("visits").capacity == 3.0
    assert FeaturesSettings().of_metric("visits") == FeaturesSettings()
    with pytest.raises(ValueError, match=r"no number for the metric 'age', only for \['spend', 'visits'\]"):
        settings.of_metric("age")
    with pytest.raises(ValueError, match=r"one number is needed; take the settings from of_metric"):
        engine.fit(values(), CALENDAR, settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"growth": "logistic"}, "needs features.cap"),
        ({"growth": "logistic", "cap": {}}, "needs features.cap"),
        ({"growth": "logistic", "cap": 0}, "greater than 0"),
        ({"growth": "logistic", "cap": {"spend": float("inf")}}, "finite number"),
        ({"growth": "linear", "cap": 5}, "read by logistic growth alone"),
        ({"growth": "steep"}, "'linear', 'flat' or 'logistic'"),
        ({"country_holidays": "Utopia"}, "'Utopia' is no country"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        FeaturesSettings(**given)


def test_every_status_fits_the_column():
    components = Components.empty(len(STATUSES), CALENDAR, 3)
    components.status[:] = STATUSES
    assert components.status.tolist() == list(STATUSES)
