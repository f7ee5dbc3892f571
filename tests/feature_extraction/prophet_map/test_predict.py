"""Curves and intervals against `Prophet.predict` at equal parameters."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from feature_extraction.prophet_map import solve
from feature_extraction.prophet_map.convert import to_prophet
from feature_extraction.prophet_map.intervals import forecast
from feature_extraction.prophet_map.predict import curves, weekly_pattern
from feature_extraction.prophet_map.problem import Histories, ModelSettings, Regressor, Seasonality

HORIZON = 30
CUSTOM = ModelSettings(seasonalities=(Seasonality("monthly", 30.5, 4, 2.0),), weekly_seasonality=2)


def panel(rows):
    generator, t = np.random.default_rng(4), np.arange(rows)
    breaks = np.where(generator.random((6, rows)) < 0.03, generator.normal(0, 0.2, (6, rows)), 0)
    noise = generator.normal(0, [[0.2], [0.5], [1], [2], [4], [8]], (6, rows))
    return 50 + breaks.cumsum(axis=1).cumsum(axis=1) + np.sin(2 * np.pi * t / 7) + noise


def fitted(rows, settings=None):
    histories = Histories.of_panel(panel(rows), np.datetime64("2021-03-01") + np.arange(rows))
    return histories, solve.fit(histories, settings)


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (180, None),
        (760, None),
        (180, ModelSettings(growth="flat")),
        (180, ModelSettings(scaling="minmax", n_changepoints=0)),
        (180, CUSTOM),
    ],
    ids=["weekly", "yearly", "flat", "no_changepoints", "custom"],
)
def test_predictions_are_prophets_at_equal_parameters(rows, settings):
    histories, fits = fitted(rows, settings)
    ours = forecast(fits, histories, HORIZON)
    for series in range(len(fits.k)):
        model = to_prophet(fits, histories, series)
        model.uncertainty_samples = 0
        part = slice(ours.rows.offsets[series], ours.rows.offsets[series + 1])
        theirs = model.predict(pd.DataFrame({"ds": pd.to_datetime(ours.rows.times[part])}))
        assert np.abs(ours.yhat[part] - theirs["yhat"]).max() < 1e-10 * fits.y_scale[series]
        assert np.abs(ours.trend[part] - theirs["trend"]).max() < 1e-10 * fits.y_scale[series]


def test_future_intervals_are_prophets_up_to_its_sampling_noise():
    histories, fits = fitted(180)
    ours = forecast(fits, histories, HORIZON)
    np.random.seed(0)  # Prophet draws from the global generator
    for series in range(len(fits.k)):
        model = to_prophet(fits, histories, series)
        model.uncertainty_samples = 20_000
        future = slice(ours.rows.offsets[series + 1] - HORIZON, ours.rows.offsets[series + 1])
        theirs = model.predict(pd.DataFrame({"ds": pd.to_datetime(ours.rows.times[future])}))
        half = (theirs["yhat_upper"] - theirs["yhat_lower"]) / 2
        assert np.abs(ours.half[future] / half - 1).max() < 0.05
        trend = (theirs["trend_upper"] - theirs["trend_lower"]) / 2
        wide = trend > 0.05 * trend.max()
        assert np.abs(ours.trend_half[future][wide] / trend[wide] - 1).max() < 0.1


def test_history_has_noise_alone():
    histories, fits = fitted(180)
    ours = forecast(fits, histories, 0, width=0.9)
    assert (ours.trend_half == 0).all()
    assert np.allclose(ours.half, np.repeat(1.6448536 * fits.sigma * fits.y_scale, 180))


def test_curves_may_be_asked_for_in_any_order():
    histories, fits = fitted(180)
    order = np.random.default_rng(8).permutation(180)
    mixed = Histories.of_panel(np.zeros((6, 180)), (np.datetime64("2021-03-01") + np.arange(180))[order])
    ordered = curves(fits, histories).yhat.reshape(6, 180)
    assert np.array_equal(curves(fits, mixed).yhat.reshape(6, 180), ordered[:, order])


def test_intervals_of_unfitted_series_are_missing():
    rows = Histories.of([0, 0, 86_400, 172_800], [1.0, 1.0, 2.0, 4.0], [0, 0, 1, 4])
    ours = forecast(solve.fit(rows), rows, 2, timedelta(days=1))
    assert ours.rows.offsets.tolist() == [0, 0, 3, 8]
    assert np.isnan(ours.half[:3]).all()
    assert np.isfinite(ours.half[3:]).all()


def test_the_weekly_pattern_is_the_seasonal_curve():
    histories, fits = fitted(180)  # the first day is a Monday
    assert np.abs(weekly_pattern(fits) - curves(fits, histories).seasonal.reshape(6, 180)[:, :7]).max() < 1e-10


def test_a_regressor_is_one_more_column():
    generator = np.random.default_rng(6)
    values, holiday = panel(180)[:1], (np.arange(180) % 31 == 0).astype(float)
    values[0] += 9 * holiday
    days = np.datetime64("2021-03-01") + np.arange(180)
    extra = np.column_stack([holiday, generator.normal(size=180)])
    rows = Histories.of(days, values[0], [0, 180], extra)
    fits = solve.fit(rows, ModelSettings(regressors=(Regressor("holiday"), Regressor("noise", standardize=False))))
    assert abs(fits.beta[0, 6] * fits.y_scale[0] - 9) < 0.2
    assert abs(fits.beta[0, 7] * fits.y_scale[0]) < 0.1
    with pytest.raises(ValueError, match="future of the regressors has shape"):
        forecast(fits, rows, 3)
    with pytest.raises(ValueError, match="give one for each"):
        solve.fit(rows)
