"""Dominant periods of many series by the periodogram."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

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
    number = observed.sum(axis=1)
    filled = np.where(observed, values, 0.0)
    mean = filled.sum(axis=1) / np.maximum(number, 1)
    centered = np.where(observed, values - mean[:, None], 0.0)
    length = values.shape[1]
    spectrum = scipy.fft.rfft(centered, axis=1)[:, 1:]  # on prime lengths half the time of numpy's
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    if length % 2 == 0:
        power[:, -1] /= 2  # the periodogram is one-sided: only this frequency has no mirror image
    # Rounded to 12 digits of the strongest, so that rounding noise neither ranks nor counts as power.
    power = np.round(power / np.maximum(power.max(axis=1, keepdims=True), np.finfo(float).tiny), 12)
    order = _largest(power, count)
    # The mean of a constant may be rounded, and what is left of it is no wave.
    varies = np.where(observed, values, -np.inf).max(axis=1) > np.where(observed, values, np.inf).min(axis=1)
    found = (np.take_along_axis(power, order, axis=1) > 0) & (varies & (2 * number >= length))[:, None]
    return np.where(found, length / (order + 1.0), np.nan)


def _largest(power: Doubles, count: int) -> NDArray[np.int64]:
    """Places (B, count) of the largest numbers of each row, of equal ones the first."""
    left, places = power.copy(), np.arange(len(power))
    found = np.empty((len(power), count), dtype=np.int64)
    for rank in range(count):
        found[:, rank] = left.argmax(axis=1)
        left[places, found[:, rank]] = -1.0
    return found
