"""Fourier columns: a table over a calendar for dense series, row by row for the others.

The rows of one time are the same bits either way, and which way a series goes is decided by that series alone, so its
fit does not depend on the batch it is in. Columns are Prophet's: sin and cos of 2 pi n t / period for n = 1..order, t
in days since 1970, block after block in the order of the pattern; regressors follow.
"""

import math
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.kernel import entry, inlined, kernel
from feature_extraction.prophet_map.problem import SECOND, Doubles, Integers, Seasonality

BLOCK = 32


class Design(NamedTuple):
    """How the K columns of a group of series are made.

    Attributes:
        periods: (P,) period of each block, days.
        orders: (P,) its Fourier order.
        table: (R, K) columns of the calendar's rows, in whole blocks of 32 rows.
        block_gram: (R / 32, K (K + 1) / 2) lower triangle of X'X of every block.
        base: (B,) row of the table that is at time `origin`; -1 for series outside the table.
        origin: (B,) first time of each series, nanoseconds.
        grid: (B,) step of the calendar, nanoseconds.
        regressors: (N, E) further columns of each row.
    """

    periods: Doubles
    orders: Integers
    table: Doubles
    block_gram: Doubles
    base: Integers
    origin: Integers
    grid: Integers
    regressors: Doubles


@inlined
def fourier_row(time: int, periods: Doubles, orders: Integers, row: Doubles) -> None:
    """Write sin, cos of n w for n = 1..order, w = 2 pi frac(t / period), by angle addition from n = 1."""
    days = time / SECOND / 86_400.0
    column = 0
    for block in range(len(periods)):
        turns = days / periods[block]
        angle = 2.0 * math.pi * (turns - math.floor(turns))
        sine, cosine = math.sin(angle), math.cos(angle)
        high, low = sine, cosine
        for _ in range(orders[block]):
            row[column], row[column + 1] = high, low
            high, low = high * cosine + low * sine, low * cosine - high * sine
            column += 2


@entry
def fourier_rows(times: Integers, periods: Doubles, orders: Integers) -> Doubles:
    """Return the Fourier columns (N, K) at `times`."""
    rows = np.empty((len(times), 2 * orders.sum()))
    for i in range(len(times)):
        fourier_row(times[i], periods, orders, rows[i])
    return rows


@inlined
def add_outer(row: Doubles, sign: float, packed: Doubles) -> None:
    """Add sign x x' to a lower triangle packed by rows."""
    start = 0
    for a in range(len(row)):
        weight = sign * row[a]
        for b in range(a + 1):
            packed[start + b] += weight * row[b]
        start += a + 1


@entry
def _block_grams(table: Doubles) -> Doubles:
    columns = table.shape[1]
    packed = np.zeros((len(table) // BLOCK, columns * (columns + 1) // 2))
    for row in range(len(packed) * BLOCK):
        add_outer(table[row], 1.0, packed[row // BLOCK])
    return packed


@inlined
def use_table(design: Design, series: int, times: Integers, rows: Integers) -> None:
    """Write the table row of each time of a series that is on the calendar."""
    for r in range(len(times)):
        rows[r] = design.base[series] + (times[r] - design.origin[series]) // design.grid[series]


@kernel
def fill_rows(design: Design, times: Integers, first: int, columns: Doubles) -> None:
    """Write the columns of rows `first` and on of the whole input into `columns`, one row a time."""
    fourier = 2 * design.orders.sum()
    for r in range(len(times)):
        fourier_row(times[r], design.periods, design.orders, columns[r])
        for e in range(design.regressors.shape[1]):
            columns[r, fourier + e] = design.regressors[first + r, e]


def make_design(
    pattern: tuple[Seasonality, ...], origin: Integers, span: Integers, grid: Integers, regressors: Doubles
) -> Design:
    """Return the design of B series of one pattern.

    Args:
        pattern: their seasonalities.
        origin: (B,) first time, nanoseconds.
        span: (B,) last less first, nanoseconds.
        grid: (B,) step of the calendar each series fills, 0 for none.
        regressors: (N, E) further columns; with any, nothing is taken from a table.
    """
    periods = np.array([one.period for one in pattern], dtype=np.float64)
    orders = np.array([one.order for one in pattern], dtype=np.int64)
    base = np.full(len(origin), -1)
    tables = [np.empty((0, 2 * int(orders.sum())))]
    used = 0
    for step in np.unique(grid[grid > 0]) if not regressors.shape[1] and len(pattern) else ():
        chosen = grid == step
        cells, base[chosen] = _cells(origin[chosen] // step, span[chosen] // step)
        base[chosen] += used
        tables.append(fourier_rows(cells * step, periods, orders))
        used += len(cells)
    table = np.concatenate(tables)
    return Design(periods, orders, table, _block_grams(table), base, origin, grid, regressors)


def _cells(first: Integers, length: Integers) -> tuple[Integers, Integers]:
    """Return the calendar cells of all blocks that series touch, and where in them each series begins."""
    blocks = np.unique(np.stack([first // BLOCK, (first + length) // BLOCK], axis=1), axis=0)
    reach = np.maximum.accumulate(blocks[:, 1])  # blocks are ordered by their start
    fresh = np.concatenate([[True], blocks[1:, 0] > reach[:-1]])
    starts = blocks[fresh, 0]
    ends = reach[np.concatenate([np.flatnonzero(fresh)[1:] - 1, [len(reach) - 1]])] + 1
    sizes = (ends - starts) * BLOCK
    before = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    cells = np.arange(sizes.sum()) + np.repeat(starts * BLOCK - before, sizes)
    stretch = np.searchsorted(starts, first // BLOCK, side="right") - 1
    return cells, first - starts[stretch] * BLOCK + before[stretch]
