"""The solver as an engine of feature extraction: a panel on a calendar in, Prophet's components out."""

from typing import Any

import numpy as np

from feature_extraction import components as parts
from feature_extraction.components import Calendar, Components, Doubles, long_enough
from feature_extraction.prophet_map import problem, solve
from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.predict import curves, weekly_pattern
from feature_extraction.prophet_map.problem import Histories, ModelSettings
from feature_extraction.settings import FeaturesSettings

_STATUS = {
    problem.CONVERGED: parts.FITTED,
    problem.CONSTANT: parts.CONSTANT,
    problem.SIGMA_FLOOR: parts.SIGMA_FLOOR,
    problem.TOO_SHORT: parts.TOO_SHORT,
    problem.REJECTED: parts.FAILED,
    problem.NOT_CONVERGED: parts.FAILED,
}


def fit(values: Doubles, calendar: Calendar, settings: FeaturesSettings) -> Components:
    """Fit every series of `values` (B, T) that is long enough; NaN steps are left out of the fit."""
    components = Components.empty(len(values), calendar, settings.changepoints)
    chosen = np.flatnonzero(long_enough(values, settings))
    if len(chosen):
        times = calendar.times.to_numpy().astype("datetime64[ns]")
        fits = solve.fit(Histories.of_panel(values[chosen], times), model_settings(settings))
        _fill(components, chosen, fits, calendar)
        _fill_curves(components, chosen, fits, np.isfinite(values[chosen]).argmax(axis=1), times)
    return components


def model_settings(settings: FeaturesSettings) -> ModelSettings:
    """Return the solver's settings for the run file's."""
    return ModelSettings(
        n_changepoints=settings.changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
    )


def _fill(components: Components, chosen: problem.Integers, fits: Fits, calendar: Calendar) -> None:
    """Write the parameters; changepoints as steps of the calendar."""
    step = calendar.step.total_seconds() * problem.SECOND
    begin = np.datetime64(calendar.start, "ns").astype(np.int64)
    first, span = (fits.start - begin) / step, fits.span / step
    components.status[chosen] = np.array([_STATUS[code] for code in sorted(_STATUS)])[fits.status]
    components.k[chosen], components.m[chosen] = fits.k, fits.m
    components.delta[chosen] = fits.delta
    components.changepoint[chosen] = first[:, None] + fits.changepoint * span[:, None]
    components.sigma[chosen] = fits.sigma * fits.y_scale
    components.y_scale[chosen], components.span[chosen] = fits.y_scale, span
    components.weekly[chosen] = weekly_pattern(fits)


def _fill_curves(
    components: Components, chosen: problem.Integers, fits: Fits, first: problem.Integers, times: np.ndarray[Any, Any]
) -> None:
    """Write the curves from each series' first observation to the end of the calendar."""
    lived = np.arange(len(times)) >= first[:, None]
    found = curves(fits, Histories.of_panel(np.where(lived, 0.0, np.nan), times))
    trend, seasonal = np.full((2, *lived.shape), np.nan)
    trend[lived], seasonal[lived] = found
    components.trend[chosen], components.seasonal[chosen] = trend, seasonal
