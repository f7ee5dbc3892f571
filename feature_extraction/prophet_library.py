"""Prophet components by the prophet library, one series at a time: the reference engine.

Taylor and Letham, "Forecasting at scale", The American Statistician 72(1), 2018. A fit takes 20 to 200 ms, nearly all
of it outside the optimizer. The trend and the seasonal patterns are evaluated from the fitted parameters with the
library's own functions; `Prophet.predict` would add a quarter to the time and the same numbers.
"""

import logging
import tempfile
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from feature_extraction.components import (
    CONSTANT,
    FAILED,
    FITTED,
    SIGMA_FLOOR,
    SMALLEST_SIGMA,
    Calendar,
    Components,
    Doubles,
    long_enough,
)
from feature_extraction.settings import FeaturesSettings

logger = logging.getLogger(__name__)
_DAY = timedelta(days=1)


def fit(values: Doubles, calendar: Calendar, settings: FeaturesSettings) -> Components:
    """Fit every series of `values` (B, T) that is long enough; NaN steps are left out of the fit.

    Args:
        values: the series of one metric.
        calendar: the times of its steps.
        settings: those of the metric, as `FeaturesSettings.of_metric` gives them.
    """
    components = Components.empty(len(values), calendar, settings.changepoints)
    curves = _Curves(calendar)
    # CmdStan's files go to a folder of the batch: those in its own are removed at exit only, and a Spark worker that is
    # reused never exits.
    with tempfile.TemporaryDirectory(prefix="scarce-prophet-") as folder:
        for row in np.flatnonzero(long_enough(values, settings)):
            observed = np.isfinite(values[row])
            history = pd.DataFrame({"ds": curves.times[observed], "y": values[row, observed]})
            model = _fitted(history, settings, folder)
            if model is not None:
                _fill(components, row, model, curves)
            components.status[row] = _status(components, row, history["y"])
    if settings.growth == "logistic":
        components.cap[np.isfinite(components.k)] = settings.capacity
    return components


class _Curves:
    """Columns of the calendar and of one week, made once a batch."""

    def __init__(self, calendar: Calendar) -> None:
        self.times = calendar.times
        self.step_days = calendar.step / timedelta(days=1)
        fourier = _prophet().fourier_series
        self.dates = pd.Series(self.times)
        week = pd.Series(pd.date_range("2001-01-01", periods=7))  # a Monday first
        self.seasonal = cache(lambda period, order: fourier(self.dates, period, order))
        self.week = cache(lambda order: fourier(week, 7, order))

    def of(self, model: Any) -> Doubles:  # noqa: ANN401  (the library publishes no types)
        """Return the columns (T, K) of a fitted model: its patterns, then its holidays."""
        patterns = [self.seasonal(one["period"], one["fourier_order"]) for one in model.seasonalities.values()]
        if model.country_holidays is not None:
            holidays, _, _ = model.make_holiday_features(self.dates, model.construct_holiday_dataframe(self.dates))
            patterns.append(holidays.to_numpy())
        return np.hstack([np.empty((len(self.times), 0)), *patterns])


def _fitted(history: pd.DataFrame, settings: FeaturesSettings, folder: str) -> Any:  # noqa: ANN401
    """Fit one series; None where the optimizer gave up."""
    model = _model(settings)
    if settings.growth == "logistic":
        history["cap"] = settings.capacity
    try:
        return model.fit(history, output_dir=folder)
    except RuntimeError as error:  # cmdstanpy's word for it
        logger.warning("Prophet could not fit a series of %d rows: %s", len(history), error)
        return None


def _status(components: Components, row: int, y: "pd.Series[float]") -> str:
    if np.isnan(components.k[row]):
        return FAILED
    if y.min() == y.max():
        return CONSTANT
    return SIGMA_FLOOR if components.sigma[row] < SMALLEST_SIGMA * components.y_scale[row] else FITTED


@cache
def _prophet() -> Any:  # noqa: ANN401
    """Import the library with its loggers silenced: one speaks during the import, the others later."""
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    from prophet import Prophet

    logging.getLogger("prophet").setLevel(logging.ERROR)
    logging.getLogger("cmdstanpy").disabled = True  # it resets its own level at first use
    return Prophet


def _model(settings: FeaturesSettings) -> Any:  # noqa: ANN401
    model = _prophet()(
        growth=settings.growth,
        seasonality_mode=settings.seasonality_mode,
        n_changepoints=settings.changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
        interval_width=settings.interval_width,
        uncertainty_samples=0,
    )
    if settings.country_holidays:
        model.add_country_holidays(settings.country_holidays)
    return model


def _fill(components: Components, row: int, model: Any, curves: _Curves) -> None:  # noqa: ANN401
    """Write one fitted model into row `row` of the batch."""
    y_scale = float(model.y_scale)
    first = (model.start - curves.times[0]) / _DAY / curves.step_days
    span = model.t_scale / _DAY / curves.step_days
    _fill_trend_parameters(components, row, model, (first, span))
    scaled_time = (np.arange(len(curves.times)) - first) / span
    trend = _trend(model, scaled_time) * y_scale
    trend[: round(first)] = np.nan
    components.sigma[row] = float(model.params["sigma_obs"].item()) * y_scale
    components.y_scale[row], components.span[row] = y_scale, span
    components.trend[row] = trend
    # A multiplicative pattern is a share of the trend, an additive one of the largest value.
    multiplicative = model.seasonality_mode == "multiplicative"
    beta = model.params["beta"][0]
    columns = curves.of(model)
    pattern = columns @ beta[: columns.shape[1]]
    components.seasonal[row] = np.where(np.isnan(trend), np.nan, pattern * (trend if multiplicative else y_scale))
    components.weekly[row] = _week(model, beta, curves) * (trend[-1] if multiplicative else y_scale)


def _fill_trend_parameters(components: Components, row: int, model: Any, stretch: tuple[float, float]) -> None:  # noqa: ANN401
    """Write offset, rates and changepoints; of a flat trend the offset alone has a meaning."""
    first, span = stretch
    components.m[row] = model.params["m"].item()
    if model.growth == "flat":
        components.k[row] = 0.0
        return
    number = len(model.changepoints_t)
    components.k[row] = model.params["k"].item()
    components.delta[row, :number] = model.params["delta"][0, :number]
    components.changepoint[row, :number] = first + model.changepoints_t * span


def _trend(model: Any, scaled_time: Doubles) -> Doubles:  # noqa: ANN401
    """Return the scaled trend at scaled times, outside the history too."""
    k, m, delta = model.params["k"].item(), model.params["m"].item(), model.params["delta"][0]
    if model.growth == "flat":
        return np.asarray(model.flat_trend(scaled_time, m))
    if model.growth == "linear":
        return np.asarray(model.piecewise_linear(scaled_time, delta, k, m, model.changepoints_t))
    cap = np.full(len(scaled_time), model.history["cap_scaled"].iloc[0])
    with np.errstate(over="ignore"):  # far below the cap, before the history
        return np.asarray(model.piecewise_logistic(scaled_time, cap, delta, k, m, model.changepoints_t))


def _week(model: Any, beta: Doubles, curves: _Curves) -> Doubles:  # noqa: ANN401
    """Return the weekly pattern (7,) in shares or in scaled y; NaN without one."""
    start = 0
    for name, pattern in model.seasonalities.items():
        stop = start + 2 * pattern["fourier_order"]
        if name == "weekly":
            return np.asarray(curves.week(pattern["fourier_order"]) @ beta[start:stop])
        start = stop
    return np.full(7, np.nan)
