"""Plain numbers of a series' active steps, which need neither a regular series nor a fit: two measurements are enough.

Takes `SeriesBatch` values (B, T) of one metric; gives the columns of `definitions.ACTIVE_VALUES`, NaN where there is no
active step, or too few. All work is on the active steps alone, in one list over all series.
"""

import numpy as np
from numpy.typing import NDArray

from feature_extraction.components import Doubles

Places = NDArray[np.int64]


def active_value_columns(values: Doubles, recent: int) -> dict[str, Doubles]:
    """Return the features (B,) by name; `recent` is the number of steps that count as recent."""
    rows, steps = np.nonzero(np.isfinite(values) & (values != 0))
    whole = _Runs(len(values), rows, steps, values[rows, steps])
    is_late = steps >= values.shape[1] - recent
    late = _Runs(len(values), rows[is_late], steps[is_late], whole.y[is_late])
    mean, highest, lowest = whole.mean(whole.y), whole.reduced(np.maximum), whole.reduced(np.minimum)
    deviation = np.where(highest == lowest, 0.0, np.sqrt(whole.mean(np.square(whole.y - mean[rows]))))
    first, last = whole.first(), whole.last()
    total = whole.reduced(np.add)
    return {
        "total": total,
        "active_mean": mean,
        "active_sd": deviation,
        "active_lowest": lowest,
        "active_highest": highest,
        "first_value": first,
        "last_value": last,
        "last_value_in_sd": ratio(last - mean, deviation),
        "total_recent_share": ratio(np.where(np.isnan(total), np.nan, np.nan_to_num(late.reduced(np.add))), total),
        "recent_mean": late.mean(late.y),
        "recent_lowest": late.reduced(np.minimum),
        "recent_highest": late.reduced(np.maximum),
        "slope": whole.slope(mean),
    } | _jumps(whole)


class _Runs:
    """Active steps of all series in a row: `rows` the series of each, ascending, `steps` its step, `y` its value."""

    def __init__(self, num_series: int, rows: Places, steps: Places, y: Doubles) -> None:
        self.num_series, self.rows, self.steps, self.y = num_series, rows, steps, y
        self.begins = np.flatnonzero(np.diff(rows, prepend=-1))
        self.count = np.bincount(rows, minlength=num_series)

    def of_series(self, found: Doubles) -> Doubles:
        """Lay what was found for the series with active steps out over all series."""
        column = np.full(self.num_series, np.nan)
        column[self.rows[self.begins]] = found
        return column

    def reduced(self, ufunc: np.ufunc) -> Doubles:
        return self.of_series(ufunc.reduceat(self.y, self.begins) if len(self.begins) else np.empty(0))

    def mean(self, numbers: Doubles) -> Doubles:
        return ratio(np.bincount(self.rows, numbers, self.num_series), self.count)

    def first(self) -> Doubles:
        return self.of_series(self.y[self.begins])

    def last(self) -> Doubles:
        return self.of_series(self.y[np.append(self.begins, len(self.y))[1:] - 1])

    def slope(self, mean: Doubles) -> Doubles:
        """Least-squares slope of y over the steps; NaN for fewer than two of them."""
        away = self.steps - self.mean(self.steps.astype(np.float64))[self.rows]
        above = np.bincount(self.rows, away * (self.y - mean[self.rows]), self.num_series)
        return ratio(above, np.bincount(self.rows, np.square(away), self.num_series))


def _jumps(whole: _Runs) -> dict[str, Doubles]:
    """Changes of y from each active step to the next."""
    same = np.diff(whole.rows) == 0
    jumps = _Runs(whole.num_series, whole.rows[1:][same], whole.steps[1:][same], np.diff(whole.y)[same])
    return {
        "jump_last": jumps.last(),
        "jump_mean": jumps.mean(np.abs(jumps.y)),
        "jump_highest": jumps.reduced(np.maximum),
        "jump_lowest": jumps.reduced(np.minimum),
    }


def ratio(above: NDArray[np.generic], below: NDArray[np.generic]) -> Doubles:
    """Divide; NaN where the divisor is 0."""
    result = np.full(len(above), np.nan)
    np.divide(above, below, out=result, where=np.asarray(below != 0))
    return result
