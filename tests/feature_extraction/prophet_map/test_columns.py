"""Regressors, holidays, conditional seasonalities and given changepoints against the library at equal parameters."""

import dataclasses
import logging

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from feature_extraction.prophet_map import certificate, solve
from feature_extraction.prophet_map.convert import to_prophet
from feature_extraction.prophet_map.holiday_columns import country_holidays, holiday_columns
from feature_extraction.prophet_map.intervals import Future, forecast
from feature_extraction.prophet_map.predict import curves, weekly_pattern
from feature_extraction.prophet_map.problem import (
    CONSTANT,
    CONVERGED,
    REJECTED,
    Histories,
    ModelSettings,
    Regressor,
    Seasonality,
)

ROWS, HORIZON, SERIES = 150, 20, 3
DAYS = np.datetime64("2022-11-07") + np.arange(ROWS)  # a Monday
AHEAD = DAYS[-1] + np.arange(1, HORIZON + 1)
REGRESSORS = (
    Regressor("weather", 2.0),
    Regressor("sale"),
    Regressor("always", 3.0),
    Regressor("raw", standardize=False),
    Regressor("binary", standardize=True),
)
MODEL = ModelSettings(
    changepoints=("2023-02-01", "2022-12-24", "2023-01-15T12:00"),
    seasonalities=(
        Seasonality("term", 7.0, 2, 5.0, condition="in_term"),
        Seasonality("monthly", 30.5, 2),
        Seasonality("break", 7.0, 1, condition="in_break"),
    ),
    weekly_seasonality=False,
    regressors=REGRESSORS,
)


def columns(generator, times):
    """Regressors (rows, 5) and conditions of some days: standardized ones are at odd levels and scales."""
    rows = len(times)
    weather, sale = generator.normal(40, 9, rows), (generator.random(rows) < 0.2).astype(float)
    binary = (generator.random(rows) < 0.4).astype(float)
    regressors = np.column_stack([weather, sale, np.full(rows, 2.5), generator.normal(0, 1, rows), binary])
    in_term = times.astype("datetime64[M]").astype(int) % 2 == 0
    return regressors, {"in_term": in_term, "in_break": ~in_term}


def series():
    """Histories of three series with rows, values and columns of their own, some rows missing, and their future."""
    generator = np.random.default_rng(12)
    past = [columns(generator, DAYS) for _ in range(SERIES)]
    wave = np.where(past[0][1]["in_term"], np.sin(2 * np.pi * np.arange(ROWS) / 7), 0.0)
    values = np.array([9 + wave + x @ [0.1, 2, 0, 0.3, -1] + generator.normal(0, 0.3, ROWS) for x, _ in past])
    values[1, [5, 6, 80]] = np.nan
    ahead = [columns(generator, AHEAD) for _ in range(SERIES)]
    rows = Histories.of(
        np.tile(DAYS, SERIES),
        values.ravel(),
        np.arange(SERIES + 1) * ROWS,
        np.concatenate([x for x, _ in past]),
        {name: np.concatenate([flags[name] for _, flags in past]) for name in past[0][1]},
    )
    future = Future(
        np.stack([x for x, _ in ahead]), {name: np.stack([flags[name] for _, flags in ahead]) for name in ahead[0][1]}
    )
    return rows, future


@pytest.fixture(scope="module")
def fitted():
    rows, future = series()
    return rows, future, solve.fit(rows, MODEL)


def frame_of(rows, series):
    """The rows of one series as the library takes them."""
    part = slice(*rows.offsets[series : series + 2])
    table = {"ds": pd.to_datetime(rows.times[part]), "y": rows.values[part]}
    table |= {one.name: rows.regressors[part, e] for e, one in enumerate(REGRESSORS)}
    return pd.DataFrame(table | {name: flags[part] for name, flags in rows.conditions.items()})


def test_fits_are_certified(fitted):
    rows, _, fits = fitted
    assert (fits.status == CONVERGED).all()
    assert certificate.kkt_violation(rows, fits).max() < 1e-4


@pytest.mark.parametrize("one", range(SERIES))
def test_predictions_are_prophets_at_equal_parameters(fitted, one):
    rows, future, fits = fitted
    ours = forecast(fits, rows, HORIZON, future=future)
    model = to_prophet(fits, rows, one)
    model.uncertainty_samples = 0
    theirs = model.predict(frame_of(ours.rows, one).drop(columns="y"))
    part = slice(*ours.rows.offsets[one : one + 2])
    assert len(theirs) == part.stop - part.start == ROWS + HORIZON - (3 if one == 1 else 0)
    assert np.abs(ours.yhat[part] - theirs["yhat"]).max() < 1e-10 * fits.y_scale[one]
    assert np.abs(ours.trend[part] - theirs["trend"]).max() < 1e-10 * fits.y_scale[one]


@pytest.mark.parametrize("one", range(SERIES))
def test_scaling_and_changepoints_are_prophets(fitted, one):
    rows, _, fits = fitted
    model = to_prophet(fits, rows, one)
    for e, regressor in enumerate(REGRESSORS):
        theirs = model.extra_regressors[regressor.name]
        assert fits.scaling.mean[one, e] == pytest.approx(theirs["mu"], rel=1e-13)
        assert fits.scaling.scale[one, e] == pytest.approx(theirs["std"], rel=1e-13)
    assert (fits.scaling.scale[one] != 1).tolist() == [True, False, False, False, True]
    assert np.abs(fits.changepoint[one] - model.changepoints_t).max() < 1e-15
    assert fits.num_changepoints[one] == 3


@pytest.mark.slow
@pytest.mark.parametrize("one", range(SERIES))
def test_prophet_finds_nothing_better(fitted, one):
    logging.getLogger("cmdstanpy").disabled = True
    rows, _, fits = fitted
    model = Prophet(weekly_seasonality=False, changepoints=pd.to_datetime(list(MODEL.changepoints), format="ISO8601"))
    for pattern in MODEL.seasonalities:
        condition = pattern.condition or None
        model.add_seasonality(
            pattern.name, pattern.period, pattern.order, pattern.prior_scale, condition_name=condition
        )
    for regressor in REGRESSORS:
        model.add_regressor(regressor.name, regressor.prior_scale, regressor.standardize)
    model.fit(frame_of(rows, one), sig_figs=17)
    theirs = dataclasses.replace(
        fits,
        **{name: np.repeat(model.params[name], SERIES, axis=0) for name in ("delta", "beta")},
        **{ours: np.repeat(model.params[name][0], SERIES) for ours, name in
           (("k", "k"), ("m", "m"), ("sigma", "sigma_obs"))},
    )  # fmt: skip
    density = float(model.stan_fit.optimized_params_dict["lp__"])
    assert abs(certificate.log_posterior(rows, theirs)[one] - density) < 1e-6
    assert certificate.log_posterior(rows, fits)[one] > density - 1e-6


def test_a_series_keeps_its_bits_in_any_batch(fitted):
    rows, _, fits = fitted
    for one in range(SERIES):
        part = slice(*rows.offsets[one : one + 2])
        alone = Histories.of(
            DAYS, rows.values[part], [0, ROWS], rows.regressors[part], {n: f[part] for n, f in rows.conditions.items()}
        )
        again = solve.fit(alone, MODEL)
        for name in ("k", "m", "sigma", "delta", "beta"):
            assert np.array_equal(getattr(again, name)[0], getattr(fits, name)[one]), name


def test_changepoints_between_rows_are_where_they_were_given():
    """A kink at noon, rows at midnight: the fitted trend bends at noon."""
    t = np.arange(90.0)
    kink = 40.5
    values = 5 + 0.1 * t + 0.4 * np.maximum(t - kink, 0) + np.random.default_rng(1).normal(0, 0.01, 90)
    rows = Histories.of(DAYS[:90], values, [0, 90])
    given = (DAYS[0].astype("M8[h]") + 972,)
    fits = solve.fit(rows, ModelSettings(changepoints=given, weekly_seasonality=False))
    assert fits.changepoint[0].tolist() == [pytest.approx(kink / 89)]
    assert fits.delta[0, 0] * fits.y_scale[0] / 89 == pytest.approx(0.4, abs=2e-3)
    assert certificate.kkt_violation(rows, fits)[0] < 1e-4


def test_changepoints_outside_a_history_reject_that_series_alone():
    values = np.random.default_rng(1).normal(9, 1, (4, 90))
    values[1, 30:] = np.nan  # ends before the changepoint
    values[2] = 3.0
    rows = Histories.of_panel(values, DAYS[:90])
    given = ModelSettings(changepoints=(DAYS[60], DAYS[20]), yearly_seasonality=2)
    fits = solve.fit(rows, given)
    assert fits.status.tolist() == [CONVERGED, REJECTED, CONSTANT, CONVERGED]
    assert np.isnan(fits.k[1])
    assert np.abs(fits.changepoint[[0, 2, 3]] - np.array([20, 60]) / 89).max() < 1e-15
    one = Histories.of_panel(values[3:], DAYS[:90])
    assert np.array_equal(solve.fit(one, given).delta[0], fits.delta[3])


def test_no_given_changepoints_is_prophets_no_changepoints():
    rows = Histories.of_panel(np.random.default_rng(1).normal(9, 1, (2, 90)), DAYS[:90])
    none, zero = (solve.fit(rows, ModelSettings(**one)) for one in ({"changepoints": ()}, {"n_changepoints": 0}))
    assert none.k.tolist() == zero.k.tolist()
    assert none.delta.shape == (2, 0)


def test_a_conditional_week_is_drawn_where_it_holds(fitted):
    week = ModelSettings(seasonalities=(Seasonality("weekly", 7.0, 3, condition="in_term"),))
    rows, _, _ = fitted
    plain = dataclasses.replace(rows, regressors=np.empty((len(rows.times), 0)))
    fits = solve.fit(plain, week)
    seasonal = curves(fits, plain).seasonal[:ROWS]
    met = plain.conditions["in_term"][:ROWS]
    assert (seasonal[~met] == 0).all()
    assert np.abs(seasonal - np.tile(weekly_pattern(fits)[0], 22)[:ROWS])[met].max() < 1e-10


HOLIDAYS = pd.DataFrame(
    {
        "holiday": ["fair", "fair", "match", "rest", "fair"],
        "ds": pd.to_datetime(["2022-11-20", "2023-01-31", "2023-02-02", "2030-05-01", "2023-03-26"]),
        "lower_window": [-1, -1, 0, 0, None],
        "upper_window": [2, 2, 11, 0, 1],
        "prior_scale": [4.0, 4.0, None, 1.0, 4.0],
    }
)


@pytest.mark.parametrize("step", ["D", "6h"])
@pytest.mark.parametrize("table", ["full", "bare", "country"])
def test_holiday_columns_are_prophets(step, table):
    times = pd.date_range("2022-11-07", periods=160, freq=step)
    full = {
        "full": HOLIDAYS,
        "bare": HOLIDAYS[["holiday", "ds"]].copy(),
        "country": country_holidays("US", [2022, 2023]),
    }
    holidays = full[table]
    if table == "country":
        model = Prophet()
        model.add_country_holidays("US")
        dates = pd.Series(pd.date_range("2022-11-07", "2023-11-07"))  # of both years
        theirs = model.construct_holiday_dataframe(dates)
    else:
        model = Prophet(holidays=holidays)
        theirs = model.construct_holiday_dataframe(pd.Series(times))
    expected, scales, _ = model.make_holiday_features(pd.Series(times), theirs)
    regressors, found = holiday_columns(times.to_numpy(), holidays)
    assert np.array_equal(found, expected.to_numpy())
    assert [one.prior_scale for one in regressors] == scales
    assert [one.name for one in regressors] == [name.replace("_delim_", "_") for name in expected]
    assert not any(one.standardize for one in regressors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower_window": 1}, "lower_window above 0"),
        ({"upper_window": -1}, "upper_window below 0"),
        ({"prior_scale": [1.0, 2.0, 1.0, 1.0, 1.0]}, r"\['fair'\] have two prior scales"),
    ],
)
def test_holidays_that_prophet_refuses_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        holiday_columns(DAYS, HOLIDAYS.assign(**change))


def test_what_is_not_given_is_asked_for_by_name(fitted):
    rows, future, fits = fitted
    with pytest.raises(ValueError, match=r"conditions \['in_term', 'in_break'\], the rows \[\]"):
        solve.fit(dataclasses.replace(rows, conditions={}), MODEL)
    with pytest.raises(ValueError, match="the settings 2: .* give one for each"):
        solve.fit(rows, dataclasses.replace(MODEL, regressors=REGRESSORS[:2]))
    with pytest.raises(ValueError, match=r"regressors \['sale'\] have missing"):
        solve.fit(dataclasses.replace(rows, regressors=np.where(np.arange(5) == 1, np.nan, rows.regressors)), MODEL)
    with pytest.raises(ValueError, match=r"future of the regressors has shape \(0, 0, 0\), \(3, 20, 5\)"):
        forecast(fits, rows, HORIZON)
    with pytest.raises(ValueError, match=r"condition 'in_term' has shape \(0,\), \(3, 20\)"):
        forecast(fits, rows, HORIZON, future=Future(future.regressors))
    with pytest.raises(ValueError, match="give each a name of its own"):
        ModelSettings(regressors=(Regressor("a"), Regressor("a")))
    with pytest.raises(ValueError, match=r"condition 'odd' .* true or false"):
        Histories.of([0, 1], [1.0, 2.0], [0, 2], conditions={"odd": [0, 2]})
    with pytest.raises(ValueError, match="need 'holiday' and 'ds'"):
        holiday_columns(DAYS, pd.DataFrame({"date": ["2023-01-01"]}))
    with pytest.raises(ValueError, match="'XX' is no country"):
        country_holidays("XX", [2024])
