"""Dominant periods of many series by the periodogram."""

import numpy as np
from scipy.signal import periodogram

from feature_extraction.components import Doubles


def dominant_periods(values: Doubles, count: int = 3) -> Doubles:
    """Return the `count` periods (B, count), in steps, with the most power in each series (B, T).

    Constant detrend, one sample a step, as in the original features. A series begins at its first observation; missing
    steps inside it hold its mean, which adds no power. Missing where there is no power, or under half is observed.
    """
    periods = np.full((len(values), count), np.nan)
    observed = np.isfinite(values)
    first = np.where(observed.any(axis=1), observed.argmax(axis=1), values.shape[1])
    # Series of one length share one transform: the loop is over lengths, never over entities.
    for start in np.unique(first[values.shape[1] - first >= 2 * count + 2]):
        rows = np.flatnonzero(first == start)
        periods[rows] = _strongest(values[rows, start:], count)
    return periods


def _strongest(values: Doubles, count: int) -> Doubles:
    observed = np.isfinite(values)
    centered = np.where(observed, values - np.nanmean(values, axis=1, keepdims=True), 0.0)
    frequencies, power = periodogram(centered, detrend=False, axis=1)
    frequencies, power = frequencies[1:], power[:, 1:]
    # Rounded to 12 digits of the strongest, so that rounding noise neither ranks nor counts as power.
    power = np.round(power / np.maximum(power.max(axis=1, keepdims=True), np.finfo(float).tiny), 12)
    order = np.argsort(-power, axis=1, kind="stable")[:, :count]
    # The mean of a constant may be rounded, and what is left of it is no wave.
    varies = np.nanmax(values, axis=1) > np.nanmin(values, axis=1)
    found = (np.take_along_axis(power, order, axis=1) > 0) & (varies & (observed.mean(axis=1) >= 0.5))[:, None]
    return np.where(found, 1.0 / frequencies[order], np.nan)
