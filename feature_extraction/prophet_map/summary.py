"""One pass over every series: is it clean, how long, how dense, which seasonalities, which scale."""

from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.kernel import entry, kernel
from feature_extraction.prophet_map.problem import (
    CONSTANT,
    CONVERGED,
    DAY,
    HOUR,
    REJECTED,
    TOO_SHORT,
    Doubles,
    Histories,
    Integers,
)

YEARLY, WEEKLY, DAILY = 1, 2, 4
_NEVER = np.iinfo(np.int64).max


class Summaries(NamedTuple):
    """What is known of B series before they are fitted.

    Attributes:
        status: CONVERGED where a fit is needed, else CONSTANT, TOO_SHORT or REJECTED.
        flags: bits of the seasonalities that "auto" turns on.
        grid: step in nanoseconds of the calendar that the rows fill at least half of; 0 if none.
        lowest: smallest y.
        highest: largest y.
        start: first time, nanoseconds.
        span: last time less first, nanoseconds.
    """

    status: Integers
    flags: Integers
    grid: Integers
    lowest: Doubles
    highest: Doubles
    start: Integers
    span: Integers

    @classmethod
    def empty(cls, number: int) -> "Summaries":
        """Return summaries to be filled in."""
        whole, real = np.zeros((5, number), np.int64), np.zeros((2, number))
        return cls(whole[0], whole[1], whole[2], real[0], real[1], whole[3], whole[4])


@entry
def is_clean(times: Integers, values: Doubles, offsets: Integers) -> bool:
    """Tell whether no value is NaN and each series is in order of time."""
    for i in range(len(offsets) - 1):
        before = times[offsets[i]] if offsets[i] < offsets[i + 1] else 0
        for row in range(offsets[i], offsets[i + 1]):
            if np.isnan(values[row]) or times[row] < before:
                return False
            before = times[row]
    return True


@kernel
def _steps(times: Integers) -> tuple[int, bool, bool]:
    """Return the smallest step above 0, and whether all times are whole days, whole hours."""
    smallest, days, hours = _NEVER, True, True
    for row in range(len(times)):
        hours = hours and times[row] % HOUR == 0
        days = days and times[row] % DAY == 0
        if row and times[row] > times[row - 1]:
            smallest = min(smallest, times[row] - times[row - 1])
    return smallest, days, hours


@kernel
def _auto_flags(span: int, step: int) -> int:
    """Prophet's rule: yearly from 730 days; weekly from 14 and steps under 7 days; daily from 2 and under 1."""
    flags = 0
    if span >= 730 * DAY:
        flags |= YEARLY
    if span >= 14 * DAY and step < 7 * DAY:
        flags |= WEEKLY
    if span >= 2 * DAY and step < DAY:
        flags |= DAILY
    return flags


@kernel
def _grid(rows: int, span: int, days: bool, hours: bool) -> int:
    """Return the calendar step whose cells the rows fill by half or more, decided by the series alone."""
    if days and 2 * rows > span // DAY:
        return DAY
    if hours and 2 * rows > span // HOUR:
        return HOUR
    return 0


@kernel
def _status(rows: int, span: int, lowest: float, highest: float) -> int:
    if rows < 2:
        return TOO_SHORT
    if span <= 0 or not np.isfinite(lowest) or not np.isfinite(highest):
        return REJECTED
    return CONSTANT if lowest == highest else CONVERGED


@entry
def _summarize(times: Integers, values: Doubles, offsets: Integers, found: Summaries) -> None:
    for i in range(len(offsets) - 1):
        first, last = offsets[i], offsets[i + 1]
        if first == last:
            found.status[i] = TOO_SHORT
            continue
        step, days, hours = _steps(times[first:last])
        span = times[last - 1] - times[first]
        lowest, highest = values[first], values[first]
        for row in range(first, last):
            lowest, highest = min(lowest, values[row]), max(highest, values[row])
        found.start[i], found.span[i] = times[first], span
        found.lowest[i], found.highest[i] = lowest, highest
        found.flags[i] = _auto_flags(span, step)
        found.grid[i] = _grid(last - first, span, days, hours)
        found.status[i] = _status(last - first, span, lowest, highest)


def summarize(histories: Histories) -> Summaries:
    """Summarize clean histories."""
    found = Summaries.empty(len(histories))
    _summarize(histories.times, histories.values, histories.offsets, found)
    return found


def clean(histories: Histories) -> Histories:
    """Return the histories as Prophet would use them, without a copy if they are in order already."""
    if is_clean(histories.times, histories.values, histories.offsets):
        return histories
    return histories.cleaned()


@kernel
def changepoint_rows(num_rows: int, wanted: int, share: float, rows: Integers) -> int:
    """Write the row index of each potential changepoint; return their number.

    Prophet's rule: with h = floor(share n) rows, round(linspace(0, h - 1, wanted + 1)) without the first, rounding
    halves to even; at most h - 1 of them. If none is left, one dummy at row 0 stands in and 0 is returned.
    """
    history = int(np.floor(num_rows * share))
    number = min(wanted, history - 1)
    if number <= 0:
        rows[0] = 0
        return 0
    step = (history - 1) / number
    for j in range(1, number + 1):
        rows[j - 1] = int(np.rint(j * step)) if j < number else history - 1
    return number
