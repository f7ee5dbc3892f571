"""Series and their fitted components to one row of named features; numpy only, no loop over entities.

Takes `SeriesBatch` values (B, T) of one metric and the engine's `Components`; gives one float32 column a feature of
`definitions.py`. What cannot be computed is NaN; nothing is filled in.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from feature_extraction.active_values import active_value_columns, ratio
from feature_extraction.components import CONSTANT, REGULAR, Components, Doubles
from feature_extraction.definitions import metric_features
from feature_extraction.periods import dominant_periods
from feature_extraction.settings import FeaturesSettings

# Prophet's own rule for the changepoints worth drawing (add_changepoints_to_plot).
VISIBLE_CHANGE = 0.01


def feature_columns(
    values: Doubles, first: NDArray[np.int64], components: Components, settings: FeaturesSettings
) -> dict[str, NDArray[np.float32]]:
    """Return every feature of one metric as a column (B,), keyed by feature name in table order.

    Args:
        values: (B, T) the series; NaN before the entity's first event and where a measurement is missing.
        first: (B,) step index of the entity's first event, of any metric.
        components: the engine's fits of the same series.
        settings: lengths and widths the definitions refer to.
    """
    recent = min(settings.recent_steps, values.shape[1])
    level = _mean(values)
    scale = _deviation(values, level)
    found = (
        _levels(values, recent, level, scale)
        | _activity(values, first, recent)
        | dict(zip(("period_1", "period_2", "period_3"), dominant_periods(values).T, strict=True))
        | _growth(components)
        | _changepoints(components, values.shape[1])
        | _trend(scale, components, recent)
        | _weekly(components)
        | _residuals(values, components, recent, settings)
    )
    if settings.active_values:
        found |= active_value_columns(values, recent)
    features = metric_features(settings.last_residuals, active_values=settings.active_values)
    names = [feature.name for feature in features]
    return {name: found[name].astype(np.float32) for name in names}


def _mean(values: Doubles) -> Doubles:
    """Mean over the steps that are there; NaN, without a warning, where none is."""
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis=1)
    return ratio(total, there.sum(axis=1))


def _deviation(values: Doubles, mean: Doubles) -> Doubles:
    """Standard deviation over the steps that are there; exactly 0 for a constant, whose mean may be rounded."""
    highest = np.fmax.reduce(values, axis=1, initial=-np.inf)
    constant = highest == np.fmin.reduce(values, axis=1, initial=np.inf)
    return np.where(constant, 0.0, np.sqrt(_mean(np.square(values - mean[:, None]))))


def _levels(values: Doubles, recent: int, level: Doubles, scale: Doubles) -> dict[str, Doubles]:
    late, early = _mean(values[:, -recent:]), _mean(values[:, :-recent])
    peak = np.where(np.isfinite(values), np.abs(values), -1.0).max(axis=1)
    return {
        "level": level,
        "scale": scale,
        "peak": np.where(peak < 0, np.nan, peak),
        "level_recent": late,
        "level_change": ratio(late - early, scale),
    }


def _activity(values: Doubles, first: NDArray[np.int64], recent: int) -> dict[str, Doubles]:
    num_steps = values.shape[1]
    active = np.isfinite(values) & (values != 0)
    count = active.sum(axis=1).astype(np.float64)
    history = (num_steps - first).astype(np.float64)
    last = num_steps - 1 - active[:, ::-1].argmax(axis=1)
    recency = np.where(count > 0, num_steps - 1 - last, np.nan)
    mean, deviation, largest = _gaps(active)
    return {
        "history": history,
        "recency": recency,
        "active_steps": count,
        "active_share": ratio(count, history),
        "active_share_recent": ratio(active[:, -recent:].sum(axis=1), np.minimum(history, recent)),
        "gap_mean": mean,
        "gap_max": largest,
        "recency_in_gaps": ratio(recency, mean),
        "burstiness": ratio(deviation - mean, deviation + mean),
    }


def _gaps(active: NDArray[np.bool_]) -> tuple[Doubles, Doubles, Doubles]:
    """Mean, standard deviation and maximum (B,) of the distances between neighbouring active steps.

    Burstiness after Goh and Barabasi, "Burstiness and memory in complex systems", EPL 81, 2008.
    """
    num_series = len(active)
    rows, steps = np.nonzero(active)
    same = rows[1:] == rows[:-1]
    owner, gap = rows[1:][same], np.diff(steps)[same].astype(np.float64)
    number = np.bincount(owner, minlength=num_series)
    mean = ratio(np.bincount(owner, gap, num_series), number)
    variance = ratio(np.bincount(owner, (gap - mean[owner]) ** 2, num_series), number)
    largest = np.full(num_series, np.nan)
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    largest[owner[begins]] = np.maximum.reduceat(gap, begins) if len(gap) else np.nan
    return mean, np.sqrt(variance), largest


def _growth(components: Components) -> dict[str, Doubles]:
    growth = np.cumsum(components.delta, axis=1)
    mean = _mean(growth)
    return {
        "offset": components.m,
        "base_rate": components.k,
        "growth_mean": mean,
        "growth_std": _deviation(growth, mean),
        "delta_mean": _mean(components.delta),
    }


def _changepoints(components: Components, num_steps: int) -> dict[str, Doubles]:
    fitted = np.isfinite(components.k)
    size = np.abs(np.where(np.isfinite(components.delta), components.delta, 0.0))
    visible = size > VISIBLE_CHANGE
    gaps = _visible_gaps(np.where(visible, components.changepoint, np.nan))
    has_break = fitted & (size.max(axis=1, initial=0.0) > 0)
    strongest = size.argmax(axis=1) if size.shape[1] else np.zeros(len(size), dtype=int)
    picked = np.arange(len(size))
    delta = components.delta[picked, strongest] if size.shape[1] else np.zeros(len(size))
    where = components.changepoint[picked, strongest] if size.shape[1] else np.zeros(len(size))
    per_rate, gap = _slope_per_rate(components, where), _mean(gaps)
    return {
        "changepoint_count": np.where(fitted, visible.sum(axis=1), np.nan),
        "changepoint_gap_mean": gap,
        "changepoint_gap_std": _deviation(gaps, gap),
        "break_size": np.where(fitted, np.where(has_break, delta * per_rate, 0.0), np.nan),
        "break_age": np.where(has_break, num_steps - 1 - where, np.nan),
    }


def _slope_per_rate(components: Components, step: Doubles) -> Doubles:
    """Return the slope (B,) of the trend at a step of each series, in metric per step, that a rate of 1 gives.

    The rate of a linear trend is its slope in scaled units; a logistic trend g of rate r has the slope
    r g (1 - g / cap) per scaled time.
    """
    linear = ratio(components.y_scale, components.span)
    place = np.where(np.isfinite(step), step, 0.0).round().astype(int)
    trend = components.trend[np.arange(len(linear)), place]
    logistic = np.isfinite(components.cap)
    return np.where(logistic, ratio(trend * (1.0 - trend / components.cap), components.span), linear)


def _visible_gaps(place: Doubles) -> Doubles:
    """Distances (B, S - 1) between neighbouring visible changepoints; NaN elsewhere."""
    packed = np.sort(place, axis=1)  # NaN last
    return np.diff(packed, axis=1)


def _trend(scale: Doubles, components: Components, recent: int) -> dict[str, Doubles]:
    trend = components.trend
    last = trend.shape[1] - 1
    back = min(recent, last)
    delta = np.where(np.isfinite(components.delta), components.delta, 0.0)
    late = np.where(components.changepoint > last - back, delta, 0.0).sum(axis=1)
    rate = components.k + delta.sum(axis=1)
    now = _slope_per_rate(components, np.full(len(rate), float(last)))
    before = _slope_per_rate(components, np.full(len(rate), float(last - back)))
    # Equal to the second form where both rates count alike, but without its rounding.
    change = np.where(now == before, late * now, rate * now - (rate - late) * before)
    return {
        "trend_slope": rate * now,
        "trend_slope_change": np.where(np.isfinite(components.k), change, np.nan),
        "trend_last": trend[:, -1],
        "trend_change": ratio(trend[:, -1] - trend[:, -1 - back], scale),
    }


def _weekly(components: Components) -> dict[str, Doubles]:
    weekly = components.weekly
    there = np.isfinite(weekly).all(axis=1)
    peak = np.where(there, np.where(np.isfinite(weekly), weekly, 0.0).argmax(axis=1), np.nan)
    amplitude = weekly.max(axis=1) - weekly.min(axis=1)
    # A pattern without amplitude has no peak day.
    return {"weekly_amplitude": amplitude, "weekly_peak_day": np.where(amplitude > 0, peak, np.nan)}


def _residuals(values: Doubles, components: Components, recent: int, settings: FeaturesSettings) -> dict[str, Doubles]:
    fitted = np.isin(components.status, REGULAR)
    sigma = np.where(fitted, components.sigma, np.nan)
    residual = (values - components.yhat) / sigma[:, None]
    late = residual[:, -recent:]
    seen = np.isfinite(late).sum(axis=1)
    # In the history, Prophet's interval is the noise alone: the trend is known there.
    bound = NormalDist().inv_cdf(0.5 + settings.interval_width / 2)
    last = {f"residual_last_{i}": residual[:, -i] for i in range(1, settings.last_residuals + 1)}
    return last | {
        "residual_sigma": np.where(fitted, sigma, np.where(components.status == CONSTANT, 0.0, np.nan)),
        "residual_recent_mean": _mean(late),
        "outside_share": ratio((np.abs(late) > bound).sum(axis=1), seen),
        "below_share": ratio((late < -bound).sum(axis=1), seen),
    }
