"""Fourier columns: a table over a calendar for dense series, row by row for the others.

The rows of one time are the same bits either way, and which way a series goes is decided by that series alone, so its
fit does not depend on the batch it is in. Columns are Prophet's: sin and cos of 2 pi n t / period for n = 1..order, t
in days since 1970, block after block in the order of the pattern, 0 where the condition of a block is not met;
regressors follow.
"""

import math
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.kernel import entry, inlined, kernel
from feature_extraction.prophet_map.problem import SECOND, Doubles, Flags, Histories, Integers, Seasonality

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
        condition: (P,) which of the conditions each block has; -1 for none.
        conditions: (N, C) whether a row meets it.
    """

    periods: Doubles
    orders: Integers
    table: Doubles
    block_gram: Doubles
    base: Integers
    origin: Integers
    grid: Integers
    regressors: Doubles
    condition: Integers
    conditions: Flags


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
    step, row, before = design.grid[series], design.base[series], design.origin[series]
    for r in range(len(times)):
        if times[r] - before == step:  # as nearly always, and a division takes as long as twenty sums
            row += 1
        else:
            row = design.base[series] + (times[r] - design.origin[series]) // step
        rows[r], before = row, times[r]


@kernel
def _switch_off(design: Design, place: int, row: Doubles) -> None:
    """Set the blocks whose condition row `place` of the whole input does not meet to 0."""
    column = 0
    for block in range(len(design.orders)):
        condition, last = design.condition[block], column + 2 * design.orders[block]
        if condition >= 0 and not design.conditions[place, condition]:
            row[column:last] = 0.0
        column = last


@kernel
def fill_rows(design: Design, times: Integers, first: int, columns: Doubles) -> None:
    """Write the columns of rows `first` and on of the whole input into `columns`, one row a time."""
    fourier = 2 * design.orders.sum()
    for r in range(len(times)):
        fourier_row(times[r], design.periods, design.orders, columns[r])
        if design.conditions.shape[1]:
            _switch_off(design, first + r, columns[r])
        for e in range(design.regressors.shape[1]):
            columns[r, fourier + e] = design.regressors[first + r, e]


def make_design(
    pattern: tuple[Seasonality, ...], origin: Integers, span: Integers, grid: Integers, rows: Histories
) -> Design:
    """Return the design of B series of one pattern.

    Args:
        pattern: their seasonalities.
        origin: (B,) first time, nanoseconds.
        span: (B,) last less first, nanoseconds.
        grid: (B,) step of the calendar each series fills, 0 for none.
        rows: regressors and conditions of all rows; with any, nothing is taken from a table.

    Raises:
        ValueError: if the rows lack the condition of a seasonality.
    """
    periods = np.array([one.period for one in pattern], dtype=np.float64)
    orders = np.array([one.order for one in pattern], dtype=np.int64)
    condition, conditions = _conditions(pattern, rows)
    base = np.full(len(origin), -1)
    tables = [np.empty((0, 2 * int(orders.sum())))]
    used = 0
    plain = len(pattern) and not rows.regressors.shape[1] and not conditions.shape[1]
    for step in np.unique(grid[grid > 0]) if plain else ():
        chosen = grid == step
        cells, base[chosen] = _cells(origin[chosen] // step, span[chosen] // step)
        base[chosen] += used
        tables.append(fourier_rows(cells * step, periods, orders))
        used += len(cells)
    table = np.concatenate(tables)
    grams = _block_grams(table)
    return Design(periods, orders, table, grams, base, origin, grid, rows.regressors, condition, conditions)


def _conditions(pattern: tuple[Seasonality, ...], rows: Histories) -> tuple[Integers, Flags]:
    names = list(dict.fromkeys(one.condition for one in pattern if one.condition))
    absent = [name for name in names if name not in rows.conditions]
    if absent:
        raise ValueError(
            f"seasonalities have the conditions {absent}, the rows {sorted(rows.conditions)}; "
            "give Histories.of every condition by its name"
        )
    found = np.zeros((len(rows.times), len(names)), dtype=bool)
    for column, name in enumerate(names):
        found[:, column] = rows.conditions[name]
    return np.array([names.index(one.condition) if one.condition else -1 for one in pattern], dtype=np.int64), found


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
