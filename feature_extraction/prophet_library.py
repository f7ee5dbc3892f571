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
    """Fit every series of `values` (B, T) that is long enough; NaN steps are left out of the fit."""
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
    return components


class _Curves:
    """Fourier columns of the calendar and of one week, made once a batch."""

    def __init__(self, calendar: Calendar) -> None:
        self.times = calendar.times
        self.step_days = calendar.step / timedelta(days=1)
        fourier = _prophet().fourier_series
        week = pd.Series(pd.date_range("2001-01-01", periods=7))  # a Monday first
        self.seasonal = cache(lambda period, order: fourier(pd.Series(self.times), period, order))
        self.week = cache(lambda order: fourier(week, 7, order))


def _fitted(history: pd.DataFrame, settings: FeaturesSettings, folder: str) -> Any:  # noqa: ANN401
    """Fit one series; None where the optimizer gave up."""
    model = _model(settings)
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
def _prophet() -> Any:  # noqa: ANN401  (the library publishes no types)
    """Import the library with its loggers silenced: one speaks during the import, the others later."""
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    from prophet import Prophet

    logging.getLogger("prophet").setLevel(logging.ERROR)
    logging.getLogger("cmdstanpy").disabled = True  # it resets its own level at first use
    return Prophet


def _model(settings: FeaturesSettings) -> Any:  # noqa: ANN401
    return _prophet()(
        n_changepoints=settings.changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
        interval_width=settings.interval_width,
        uncertainty_samples=0,
    )


def _fill(components: Components, row: int, model: Any, curves: _Curves) -> None:  # noqa: ANN401
    """Write one fitted model into row `row` of the batch."""
    parameters = {name: np.asarray(value)[0] for name, value in model.params.items()}
    y_scale = float(model.y_scale)
    first = (model.start - curves.times[0]) / _DAY / curves.step_days
    span = model.t_scale / _DAY / curves.step_days
    scaled_time = (np.arange(len(curves.times)) - first) / span
    k, m = float(parameters["k"][0]), float(parameters["m"][0])
    delta = parameters["delta"]
    trend = model.piecewise_linear(scaled_time, delta, k, m, model.changepoints_t)
    trend[: round(first)] = np.nan
    number = len(model.changepoints_t)
    components.k[row], components.m[row] = k, m
    components.delta[row, :number] = delta[:number]
    components.changepoint[row, :number] = first + model.changepoints_t * span
    components.sigma[row] = float(parameters["sigma_obs"][0]) * y_scale
    components.y_scale[row], components.span[row] = y_scale, span
    components.trend[row] = trend * y_scale
    components.seasonal[row] = np.where(np.isnan(trend), np.nan, 0.0)
    _fill_seasonal(components, row, model, parameters["beta"] * y_scale, curves)


def _fill_seasonal(
    components: Components,
    row: int,
    model: Any,  # noqa: ANN401
    beta: Doubles,
    curves: _Curves,
) -> None:
    start = 0
    for name, pattern in model.seasonalities.items():
        columns = slice(start, start + 2 * pattern["fourier_order"])
        start = columns.stop
        components.seasonal[row] += curves.seasonal(pattern["period"], pattern["fourier_order"]) @ beta[columns]
        if name == "weekly":
            components.weekly[row] = curves.week(pattern["fourier_order"]) @ beta[columns]
