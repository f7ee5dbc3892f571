"""What mattered in one fitted series: the changepoints at which its trend turned, its weekly pattern, its outlier."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feature_extraction.components import REGULAR, Components, Doubles
from feature_extraction.features import VISIBLE_CHANGE
from inference.report_alerts import Break

SMALL = 0.25  # a slope change below this share of the largest is small against the rest
OUTLYING = 3.0  # standard deviations of the noise


def breaks(fit: Components, row: int, times: Sequence[str]) -> list[Break]:
    """Return the changepoints of one series that mattered, by time.

    Prophet places its changepoints evenly and gives most of them next to no slope change. One mattered if its own is
    over 0.01 in scaled units, the library's rule for those worth plotting, and at least a quarter of the largest.

    Args:
        fit: fits of several series.
        row: which of them.
        times: start of each step of the calendar.
    """
    size = np.abs(np.where(np.isfinite(fit.delta[row]), fit.delta[row], 0.0))
    matters = np.flatnonzero((size > VISIBLE_CHANGE) & (size >= SMALL * size.max(initial=0.0)))
    slopes = np.diff(fit.trend[row])
    found = []
    for step in np.unique(fit.changepoint[row, matters].round().astype(int)):
        before, after = slopes[step - 1 : step + 1] if 0 < step < len(slopes) else (np.nan, np.nan)
        if np.isfinite(before) and np.isfinite(after):
            found.append(Break(times[step], float(before), float(after)))
    return found


def weekly(fit: Components, row: int) -> list[float]:
    """Return one series' weekly pattern, Monday first, in units of the metric; empty where none was fitted."""
    pattern: NDArray[np.float64] = fit.weekly[row]
    return pattern.tolist() if np.isfinite(pattern).all() else []


def outlier(fit: Components, row: int, values: Doubles) -> tuple[int, float] | None:
    """Return the step of one series (T,) whose residual is largest and that residual, in sigmas; None if none is.

    Without noise to measure it by, as in a constant series, no residual stands out.
    """
    if fit.status[row] not in REGULAR:
        return None
    residual = (values - fit.yhat[row]) / fit.sigma[row]
    size = np.where(np.isfinite(residual), np.abs(residual), 0.0)
    step = int(size.argmax())
    return (step, float(residual[step])) if size[step] > OUTLYING else None
