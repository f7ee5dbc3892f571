"""Forecasts with intervals: noise in the history, and trend changes to come in the future, without sampling a series.

Prophet draws future slope changes with the chance p = S dt a step from Laplace(0, a), a = mean |delta| + 1e-8, and adds
them up twice: U_h a dt after h steps, where the law of U_h depends on p and h alone. So the quantiles of U_h + r z, z
standard normal, are tabulated once over p, h and r = sigma / (a dt), and every series of every batch reads them there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.kernel import entry
from feature_extraction.prophet_map.predict import Curves, curves
from feature_extraction.prophet_map.problem import SECOND, Doubles, Flags, Histories, Integers
from feature_extraction.prophet_map.summary import clean

# Chances are tabulated at 2^(i / 4), ratios at e^(i / 4): between them the quantiles are nearly straight.
_CHANCES_PER_LOG2 = 4
_LEAST_CHANCE = -40
_LOG_RATIOS = np.arange(-28, 37) / 4
_PATHS, _SEED = 20_000, 0


class Forecast(NamedTuple):
    """Rows of the histories, each series followed by its future; NaN for series that were not fitted.

    Attributes:
        rows: times and offsets; the values are NaN in the future.
        trend: (N,) trend.
        trend_half: (N,) half the width of the trend's interval; 0 in the history.
        yhat: (N,) fitted and forecast values.
        half: (N,) half the width of their interval.
    """

    rows: Histories
    trend: Doubles
    trend_half: Doubles
    yhat: Doubles
    half: Doubles

    @property
    def lower(self) -> Doubles:
        """Lower end of the interval (N,)."""
        return self.yhat - self.half

    @property
    def upper(self) -> Doubles:
        """Upper end of the interval (N,)."""
        return self.yhat + self.half


@dataclass(frozen=True)
class Future:
    """What is known of the H steps behind each of B histories; those of series without rows are not read.

    Attributes:
        regressors: (B, H, E) in units of their own; none where the model has none.
        conditions: by name, whether each step (B, H) meets it.
    """

    regressors: Doubles = field(default_factory=lambda: np.empty((0, 0, 0)))
    conditions: Mapping[str, Flags] = field(default_factory=dict)


class Quantiles(NamedTuple):
    """Tables over C chances, H steps and R ratios, of one upper level.

    Attributes:
        first: place of the first chance on the grid of `_CHANCES_PER_LOG2`.
        trend: (C, H) quantile of U_h.
        deviation: (C, H) its standard deviation.
        shape: (C, H, R) quantile of U_h + r z divided by its standard deviation.
        log_ratios: (R,) log r.
        normal: the standard normal quantile.
    """

    first: int
    trend: Doubles
    deviation: Doubles
    shape: Doubles
    log_ratios: Doubles
    normal: float


@cache
def _one_table(place: int, horizon: int, level: float) -> tuple[Doubles, Doubles, Doubles]:
    """Tabulate one chance from 20,000 paths and their mirror images; the same numbers in every process."""
    generator = np.random.default_rng(_SEED)
    chance = 2.0 ** (place / _CHANCES_PER_LOG2)
    changes = generator.laplace(0, 1, (horizon, _PATHS)) * (generator.random((horizon, _PATHS)) < chance)
    before = np.vstack([np.zeros(_PATHS), changes[:-1]])
    paths = ((changes + before) / 2).cumsum(axis=0).cumsum(axis=0)
    both = np.hstack([paths, -paths])
    deviation = np.sqrt((paths**2).mean(axis=1))
    noise = np.tile(generator.standard_normal(_PATHS), 2)
    rank = int(level * (both.shape[1] - 1))
    shape = np.empty((horizon, len(_LOG_RATIOS)))
    for r, ratio in enumerate(np.exp(_LOG_RATIOS)):
        shape[:, r] = np.partition(both + ratio * noise, rank, axis=1)[:, rank] / np.hypot(ratio, deviation)
    return np.partition(both, rank, axis=1)[:, rank], deviation, shape


def quantiles(chances: Doubles, horizon: int, width: float) -> Quantiles:
    """Return the tables that intervals of `width` need for series with these chances of a change."""
    level = 0.5 + width / 2
    places = np.floor(np.log2(np.clip(chances, 2.0 ** (_LEAST_CHANCE / _CHANCES_PER_LOG2), 1)) * _CHANCES_PER_LOG2)
    first, last = int(places.min()), min(int(places.max()) + 1, 0)  # place 0 is the chance 1
    tables = [_one_table(place, horizon, level) for place in range(first, last + 1)]
    trend, deviation, shape = (np.stack(part) for part in zip(*tables, strict=True))
    return Quantiles(first, trend, deviation, shape, _LOG_RATIOS, NormalDist().inv_cdf(level))


@entry
def _widths(
    tables: Quantiles, places: Doubles, steps: Doubles, sigma: Doubles, trend_half: Doubles, half: Doubles
) -> None:
    """Write the half widths (B, H) for B series with steps a dt, noise sigma, and chances at `places` of the grid."""
    spacing, count = tables.log_ratios[1] - tables.log_ratios[0], len(tables.log_ratios)
    for i in range(len(places)):
        low = min(max(int(math.floor(places[i])) - tables.first, 0), len(tables.trend) - 1)
        high = min(low + 1, len(tables.trend) - 1)
        share = places[i] - tables.first - low
        ratio = sigma[i] / steps[i]
        column = min(max((math.log(ratio) - tables.log_ratios[0]) / spacing, 0.0), count - 1.000001)
        left = int(column)
        right_share = column - left
        for h in range(half.shape[1]):
            trend_half[i, h] = steps[i] * ((1 - share) * tables.trend[low, h] + share * tables.trend[high, h])
            deviation = (1 - share) * tables.deviation[low, h] + share * tables.deviation[high, h]
            below = (1 - share) * tables.shape[low, h, left] + share * tables.shape[high, h, left]
            above = (1 - share) * tables.shape[low, h, left + 1] + share * tables.shape[high, h, left + 1]
            shape = (1 - right_share) * below + right_share * above
            half[i, h] = shape * steps[i] * math.sqrt(ratio * ratio + deviation * deviation)


def forecast(
    fits: Fits,
    histories: Histories,
    horizon: int,
    step: timedelta = timedelta(days=1),
    width: float = 0.8,
    future: Future | None = None,
) -> Forecast:
    """Return the curves over each history and `horizon` steps beyond it, with intervals of `width`.

    Args:
        fits: the fits of the histories.
        histories: what they were fitted to.
        horizon: H, number of steps.
        step: length of a step.
        width: share of the values to come that the intervals shall hold.
        future: regressors and conditions of the steps, where the model has any.

    Raises:
        ValueError: if the future does not hold what the model has for each step of each series.
    """
    rows, place = _extended(clean(histories), horizon, round(step.total_seconds() * SECOND), future or Future())
    found = curves(fits, rows)
    noise = NormalDist().inv_cdf(0.5 + width / 2) * fits.sigma * fits.y_scale
    half, trend_half = np.repeat(noise, np.diff(rows.offsets)), np.where(np.isnan(found.trend), np.nan, 0.0)
    fitted = np.flatnonzero(np.isfinite(fits.k))
    if horizon and fits.settings.growth == "linear" and len(fitted):
        chosen = place.reshape(-1, horizon)[np.searchsorted(_owners(rows, place, horizon), fitted)]
        trend_half[chosen], half[chosen] = _future_widths(fits, fitted, _factors(fits, found, chosen), step, width)
    return Forecast(rows, found.trend, trend_half, found.yhat, half)


def _factors(fits: Fits, found: Curves, chosen: Integers) -> Doubles:
    """Return what the trend of each future row (fitted, H) is multiplied by: 1 + X beta, or 1 in an additive model."""
    factors = np.ones(chosen.shape)
    if fits.settings.seasonality_mode == "multiplicative":
        trend = found.trend[chosen]
        np.divide(found.yhat[chosen], trend, out=factors, where=trend != 0)
    return factors


def _future_widths(
    fits: Fits, fitted: Integers, factors: Doubles, step: timedelta, width: float
) -> tuple[Doubles, Doubles]:
    """Return the half widths (fitted, H) of trend and y in the future, in units of y."""
    horizon = factors.shape[1]
    hinges = np.maximum(fits.num_changepoints[fitted], 1)
    scaled_step = step.total_seconds() * SECOND / fits.span[fitted]
    size = np.nansum(np.abs(fits.delta[fitted]), axis=1) / hinges + 1e-8
    chances = np.minimum(hinges * scaled_step, 1.0)
    tables = quantiles(chances, horizon, width)
    places = np.maximum(np.log2(chances) * _CHANCES_PER_LOG2, tables.first)
    trend_half, half = np.empty((2, len(fitted), horizon))
    _widths(tables, places, size * scaled_step, fits.sigma[fitted], trend_half, half)
    for h in np.flatnonzero((factors != 1).any(axis=0)):  # the noise of the trend is multiplied as the trend is
        scaled, wide = np.maximum(np.abs(factors[:, h]), 1e-12) * size * scaled_step, np.empty_like(half)
        _widths(tables, places, scaled, fits.sigma[fitted], np.empty_like(half), wide)
        half[:, h] = wide[:, h]
    scale = fits.y_scale[fitted, None]
    return trend_half * scale, half * scale


def _extended(rows: Histories, horizon: int, step: int, future: Future) -> tuple[Histories, Integers]:
    """Return the rows with `horizon` further times behind each series that has any, and where those are."""
    sizes = np.diff(rows.offsets)
    there = sizes > 0
    offsets = np.concatenate([[0], np.cumsum(sizes + np.where(there, horizon, 0))])
    last = offsets[1:][there]
    place = (last[:, None] - horizon + np.arange(horizon)).ravel()
    _check_future(rows, horizon, future)

    def joined(past: np.ndarray[Any, Any], behind: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        whole = np.empty((offsets[-1], *past.shape[1:]), past.dtype)
        known = np.ones(len(whole), bool)
        known[place] = False
        whole[known], whole[place] = past, behind
        return whole

    ends = rows.times[rows.offsets[1:][there] - 1]
    times = joined(rows.times, (ends[:, None] + step * np.arange(1, horizon + 1)).ravel())
    values = joined(rows.values, np.full(len(place), np.nan))
    columns = rows.regressors.shape[1]
    behind = future.regressors[there] if columns else np.empty((0, 0, 0))
    regressors = joined(rows.regressors, behind.reshape(len(place), columns))
    conditions = {name: joined(past, future.conditions[name][there].ravel()) for name, past in rows.conditions.items()}
    return Histories(times, values, offsets, regressors, conditions), place


def _check_future(rows: Histories, horizon: int, future: Future) -> None:
    wanted, found = (len(rows), horizon, rows.regressors.shape[1]), future.regressors.shape
    if wanted[2] and found != wanted:
        raise ValueError(
            f"the future of the regressors has shape {found}, {wanted} is needed: series, steps, regressors; "
            "give Future(regressors=...)"
        )
    for name in rows.conditions:
        shape = np.shape(future.conditions.get(name, ()))
        if shape != wanted[:2]:
            raise ValueError(
                f"the future of the condition {name!r} has shape {shape}, {wanted[:2]} is needed: series, steps; "
                "give Future(conditions=...)"
            )


def _owners(rows: Histories, place: Integers, horizon: int) -> Integers:
    """Return the series of each run of future rows."""
    return np.asarray(np.searchsorted(rows.offsets, place[::horizon], side="right") - 1)
