"""Multiplicative seasonality: certified modes, Prophet's curves and intervals, and input that has no answer."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_extraction.prophet_map import certificate, solve
from feature_extraction.prophet_map.convert import to_prophet
from feature_extraction.prophet_map.intervals import Future, forecast
from feature_extraction.prophet_map.predict import curves, weekly_pattern
from feature_extraction.prophet_map.problem import (
    CONSTANT,
    CONVERGED,
    NOT_CONVERGED,
    REJECTED,
    SIGMA_FLOOR,
    TOO_SHORT,
    Histories,
    ModelSettings,
    Regressor,
)

reference = runpy.run_path(str(Path(__file__).with_name("make_reference.py")))
degenerate = runpy.run_path(str(Path(__file__).with_name("test_degenerate.py")))
MODELS = [
    dataclasses.replace(model, seasonality_mode="multiplicative", scaling="absmax") for model in reference["MODELS"]
]
DAYS = np.datetime64("2021-03-01") + np.arange(240)  # a Monday


def joined(cases):
    offsets = np.cumsum([0, *(len(case.values) for case in cases)])
    seconds, values = (np.concatenate([getattr(case, name) for case in cases]) for name in ("seconds", "values"))
    return Histories.of(seconds, values, offsets)


def panel():
    """Rising, falling, breaking and flat trends with weeks of 10 to 60 % of them."""
    generator, t = np.random.default_rng(4), np.arange(len(DAYS))
    trend = np.array([20 + 0.05 * t, 30 - 0.08 * t, 10 + 0.2 * np.maximum(t - 90, 0), np.full(len(t), 7.0)])
    week = np.array([[0.1], [0.3], [0.6], [0.2]]) * np.sin(2 * np.pi * t / 7 + generator.uniform(0, 6, (4, 1)))
    return trend * (1 + week) + generator.normal(0, 0.5, trend.shape)


@pytest.fixture(scope="module")
def fitted():
    rows = Histories.of_panel(panel(), DAYS)
    return rows, solve.fit(rows, MODELS[0])


@pytest.mark.parametrize("model", range(len(MODELS)))
def test_varied_series_end_in_certified_modes(model):
    """Counts, breaks, random walks through 0, and business days, on which trend and factor can trade their scale."""
    cases = [case for case in reference["varied"](120, seed=21) if case.model == model]
    fits = solve.fit(joined(cases), MODELS[model])
    assert (fits.status == CONVERGED).all()
    assert certificate.kkt_violation(joined(cases), fits).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("model", range(len(MODELS)))
def test_prophet_finds_nothing_better(model):
    """Nor does our density differ from Stan's."""
    cases = [case for case in reference["varied"](84, seed=33) if case.model == model]
    for case in cases:
        rows = joined([case])
        fits = solve.fit(rows, MODELS[model])
        theirs, density = reference["prophet_fit"](case, settings=MODELS[model], sig_figs=17)
        number = fits.num_changepoints[0]
        found = {name: theirs.params[name][0] for name in ("k", "m")} | {"sigma": theirs.params["sigma_obs"][0]}
        found |= {"delta": theirs.params["delta"][:, :number], "beta": theirs.params["beta"][:, : fits.beta.shape[1]]}
        known = certificate.log_posterior(rows, dataclasses.replace(fits, **found))[0]
        if MODELS[model].growth == "flat":  # Stan still counts the slope changes it has no use for
            density += np.abs(theirs.params["delta"]).sum() / MODELS[model].changepoint_prior_scale
        assert abs(known - density) < 1e-6
        assert certificate.log_posterior(rows, fits)[0] > known - 1e-6


@pytest.mark.parametrize("number", range(4))
def test_predictions_are_prophets_at_equal_parameters(fitted, number):
    rows, fits = fitted
    ours = forecast(fits, rows, 30)
    model = to_prophet(fits, rows, number)
    model.uncertainty_samples = 0
    part = slice(*ours.rows.offsets[number : number + 2])
    theirs = model.predict(pd.DataFrame({"ds": pd.to_datetime(ours.rows.times[part])}))
    assert np.abs(ours.yhat[part] - theirs["yhat"]).max() < 1e-10 * fits.y_scale[number]
    assert np.abs(ours.trend[part] - theirs["trend"]).max() < 1e-10 * fits.y_scale[number]
    week = theirs.groupby(theirs["ds"].dt.dayofweek)["weekly"].first()
    assert np.abs(weekly_pattern(fits)[number] - week).max() < 1e-10


@pytest.mark.parametrize("number", [0, 2])
def test_future_intervals_are_prophets_up_to_its_sampling_noise(fitted, number):
    rows, fits = fitted
    ours = forecast(fits, rows, 20)
    np.random.seed(0)  # Prophet draws from the global generator
    model = to_prophet(fits, rows, number)
    model.uncertainty_samples = 20_000
    future = slice(ours.rows.offsets[number + 1] - 20, ours.rows.offsets[number + 1])
    theirs = model.predict(pd.DataFrame({"ds": pd.to_datetime(ours.rows.times[future])}))
    half = (theirs["yhat_upper"] - theirs["yhat_lower"]) / 2
    assert np.abs(ours.half[future] / half - 1).max() < 0.05


def test_the_shares_that_made_the_series_are_found(fitted):
    _, fits = fitted
    week = weekly_pattern(fits)
    found = (week.max(axis=1) - week.min(axis=1)) / 2
    assert np.abs(found - [0.1, 0.3, 0.6, 0.2]).max() < 0.03


def test_a_regressor_is_a_share_of_the_trend_too():
    generator = np.random.default_rng(6)
    sale = (generator.random(240) < 0.2).astype(float)
    values = panel()[0] * (1 + 0.4 * sale)
    rows = Histories.of(DAYS, values, [0, 240], sale[:, None])
    fits = solve.fit(rows, dataclasses.replace(MODELS[0], regressors=(Regressor("sale"),)))
    assert abs(fits.beta[0, 6] - 0.4) < 0.02
    assert certificate.kkt_violation(rows, fits)[0] < 1e-4
    ours = forecast(fits, rows, 2, future=Future(np.array([[[0.0], [1.0]]])))
    model = to_prophet(fits, rows, 0)
    model.uncertainty_samples = 0
    frame = pd.DataFrame({"ds": pd.to_datetime(ours.rows.times), "sale": ours.rows.regressors[:, 0]})
    assert np.abs(ours.yhat - model.predict(frame)["yhat"]).max() < 1e-10 * fits.y_scale[0]


def test_a_series_keeps_its_bits_in_any_batch_and_in_any_thread(fitted):
    rows, fits = fitted
    threaded = solve.fit(rows, MODELS[0], num_threads=3)
    for number in range(4):
        alone = solve.fit(Histories.of_panel(panel()[number : number + 1], DAYS), MODELS[0])
        for name in ("k", "m", "sigma", "delta", "beta"):
            one = getattr(alone, name)[0]
            assert np.array_equal(one, getattr(fits, name)[number]), name
            assert np.array_equal(one, getattr(threaded, name)[number]), name


def test_without_a_season_it_is_the_additive_model():
    rows = Histories.of_panel(panel()[:, :60], DAYS[:60])
    none = dataclasses.replace(MODELS[0], weekly_seasonality=False)
    ours, plain = solve.fit(rows, none), solve.fit(rows, dataclasses.replace(none, seasonality_mode="additive"))
    assert np.allclose(curves(ours, rows).yhat, curves(plain, rows).yhat, rtol=1e-9, atol=0)
    assert np.allclose(ours.sigma, plain.sigma, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", degenerate["CASES"])
def test_input_without_an_answer_gets_a_status(name):
    series, additive = degenerate["CASES"][name]
    rows = degenerate["joined"](series)
    fits = solve.fit(rows, MODELS[0])
    if additive in (TOO_SHORT, REJECTED, CONSTANT):
        assert fits.status.tolist() == [additive]
    else:
        # A spike on a trend of 0 is a share of it without bounds: nothing to converge to.
        assert fits.status[0] in ((NOT_CONVERGED,) if name == "one_spike" else (CONVERGED, SIGMA_FLOOR))
        assert np.isfinite(curves(fits, rows).yhat).all()
    if fits.status[0] == CONVERGED:
        assert certificate.kkt_violation(rows, fits)[0] < 1e-4


def test_minmax_is_refused():
    with pytest.raises(ValueError, match="take the scaling absmax"):
        ModelSettings(seasonality_mode="multiplicative", scaling="minmax")
