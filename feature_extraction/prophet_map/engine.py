"""The solver as an engine of feature extraction: a panel on a calendar in, Prophet's components out.

What the solver does not cover is left to the library, series by series, and the status says so: logistic growth, and
series that the solver gave up.
"""

import logging
from dataclasses import fields, replace

import numpy as np

from feature_extraction import components as parts
from feature_extraction import prophet_library
from feature_extraction.components import Calendar, Components, Doubles, long_enough
from feature_extraction.prophet_map import problem, solve
from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.holiday_columns import country_holidays, holiday_columns
from feature_extraction.prophet_map.predict import Curves, curves, weekly_pattern
from feature_extraction.prophet_map.problem import Histories, ModelSettings
from feature_extraction.settings import FeaturesSettings

logger = logging.getLogger(__name__)
_STATUS = {
    problem.CONVERGED: parts.FITTED,
    problem.CONSTANT: parts.CONSTANT,
    problem.SIGMA_FLOOR: parts.SIGMA_FLOOR,
    problem.TOO_SHORT: parts.TOO_SHORT,
    problem.REJECTED: parts.FAILED,
    problem.NOT_CONVERGED: parts.FAILED,
}


def fit(values: Doubles, calendar: Calendar, settings: FeaturesSettings) -> Components:
    """Fit every series of `values` (B, T) that is long enough; NaN steps are left out of the fit.

    Args:
        values: the series of one metric.
        calendar: the times of its steps.
        settings: those of the metric, as `FeaturesSettings.of_metric` gives them.
    """
    components = Components.empty(len(values), calendar, settings.changepoints)
    chosen = np.flatnonzero(long_enough(values, settings))
    beyond = _beyond_the_solver(settings)
    if beyond and len(chosen):
        logger.info("%d series are fitted by the prophet library: %s", len(chosen), beyond)
        _fit_by_library(components, chosen, values, calendar, settings)
    elif len(chosen):
        given_up = _fit_by_solver(components, chosen, values, calendar, settings)
        if len(given_up):
            logger.warning("%d series are fitted by the prophet library: the solver did not converge", len(given_up))
            _fit_by_library(components, given_up, values, calendar, settings)
    return components


def _beyond_the_solver(settings: FeaturesSettings) -> str:
    """Say what of the settings the solver does not cover; empty if it covers all."""
    return "growth is logistic" if settings.growth == "logistic" else ""


def _fit_by_library(
    components: Components, chosen: problem.Integers, values: Doubles, calendar: Calendar, settings: FeaturesSettings
) -> None:
    found = prophet_library.fit(values[chosen], calendar, settings)
    for field in fields(Components):
        getattr(components, field.name)[chosen] = getattr(found, field.name)
    components.status[chosen[found.status == parts.FITTED]] = parts.FITTED_BY_PROPHET


def _fit_by_solver(
    components: Components, chosen: problem.Integers, values: Doubles, calendar: Calendar, settings: FeaturesSettings
) -> problem.Integers:
    """Fill the series `chosen`; return those on which the solver did not converge."""
    times = calendar.times.to_numpy().astype("datetime64[ns]")
    model, columns = model_settings(settings), None
    if settings.country_holidays:
        model, columns = _with_holidays(model, settings.country_holidays, calendar)
    fits = solve.fit(Histories.of_panel(values[chosen], times, columns), model)
    _fill(components, chosen, fits, calendar)
    lived = np.arange(len(times)) >= np.isfinite(values[chosen]).argmax(axis=1)[:, None]
    rows = Histories.of_panel(np.where(lived, 0.0, np.nan), times, columns)
    trend, components.seasonal[chosen] = _on_panel(curves(fits, rows), lived)
    components.trend[chosen], week = trend, weekly_pattern(fits)
    components.weekly[chosen] = week * trend[:, -1:] if settings.seasonality_mode == "multiplicative" else week
    given_up: problem.Integers = chosen[fits.status == problem.NOT_CONVERGED]
    return given_up


def model_settings(settings: FeaturesSettings) -> ModelSettings:
    """Return the solver's settings for the run file's."""
    return ModelSettings(
        growth="flat" if settings.growth == "flat" else "linear",
        seasonality_mode=settings.seasonality_mode,
        n_changepoints=settings.changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
    )


def _with_holidays(model: ModelSettings, country: str, calendar: Calendar) -> tuple[ModelSettings, Doubles]:
    """Return the settings with the country's holidays as regressors, and their columns (T, E) on the calendar."""
    table = country_holidays(country, sorted(set(calendar.times.year)))
    regressors, columns = holiday_columns(calendar.times.to_numpy(), table)
    met = np.flatnonzero(columns.any(axis=0))  # a holiday on no step has the coefficient 0
    return replace(model, regressors=tuple(regressors[e] for e in met)), columns[:, met]


def _fill(components: Components, chosen: problem.Integers, fits: Fits, calendar: Calendar) -> None:
    """Write the parameters; changepoints as steps of the calendar."""
    step = calendar.step.total_seconds() * problem.SECOND
    begin = np.datetime64(calendar.start, "ns").astype(np.int64)
    first, span = (fits.start - begin) / step, fits.span / step
    components.status[chosen] = np.array([_STATUS[code] for code in sorted(_STATUS)])[fits.status]
    components.k[chosen], components.m[chosen] = fits.k, fits.m
    components.delta[chosen, : fits.delta.shape[1]] = fits.delta
    components.changepoint[chosen, : fits.delta.shape[1]] = first[:, None] + fits.changepoint * span[:, None]
    components.sigma[chosen] = fits.sigma * fits.y_scale
    components.y_scale[chosen], components.span[chosen] = fits.y_scale, span


def _on_panel(found: Curves, there: problem.Flags) -> Doubles:
    """Lay curves of consecutive rows out on the panel (B, T) whose cells `there` they are."""
    panels = np.full((2, *there.shape), np.nan)
    for panel, curve in zip(panels, found, strict=True):
        panel[there] = curve
    return panels
