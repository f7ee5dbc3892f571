"""Sums of products of the columns of one series: all that the solver needs to know of it.

Columns: the ridge block u = [1, t, x_1..x_K] and the hinges h_j = (t - s_j)+ of the changepoints. Hinges are summed
from the last segment to the first by moments about the segment's own changepoint, so every sum is of terms of one sign
and nothing cancels: O(T K + S K + S^2) in place of O(T (K + S)^2).
"""

from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.design import BLOCK, Design, add_outer
from feature_extraction.prophet_map.kernel import inlined, kernel
from feature_extraction.prophet_map.problem import Doubles, Integers


class Gram(NamedTuple):
    """Products of the columns, q = K + 2 ridge columns and S hinges.

    Attributes:
        ridge: (q, q) u'u, lower triangle.
        cross: (q, S) u'h.
        hinge: (S, S) h'h, lower triangle.
        ridge_y: (q,) u'y.
        hinge_y: (S,) h'y.
    """

    ridge: Doubles
    cross: Doubles
    hinge: Doubles
    ridge_y: Doubles
    hinge_y: Doubles


class Rows(NamedTuple):
    """The rows of one series, scaled.

    Attributes:
        t: (T,) time in [0, 1].
        y: (T,) scaled values.
        table: (R, K) columns, of which row `at[r]` belongs to row r.
        at: (T,) rows of the table.
    """

    t: Doubles
    y: Doubles
    table: Doubles
    at: Integers


class Moments(NamedTuple):
    """Moments of all rows behind a changepoint s.

    Attributes:
        sums: number of rows, sum (t - s), sum (t - s)^2, sum y, sum (t - s) y, and sum y^2.
        x: (K,) sum x.
        zx: (K,) sum (t - s) x.
        xy: (K,) sum x y.
    """

    sums: Doubles
    x: Doubles
    zx: Doubles
    xy: Doubles


@inlined
def move_origin(moments: Moments, distance: float) -> None:
    """Refer the moments to a changepoint that lies `distance` earlier: z -> z + d."""
    sums, x, zx = moments.sums, moments.x, moments.zx
    sums[2] += distance * (2.0 * sums[1] + distance * sums[0])
    sums[1] += distance * sums[0]
    sums[4] += distance * sums[3]
    for k in range(len(x)):
        zx[k] += distance * x[k]


@inlined
def _add_rows(moments: Moments, rows: Rows, first: int, last: int, origin: float) -> None:
    """Add rows first..last - 1 to the moments about `origin`."""
    number, z1, z2, y0, y1, y2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    x, zx, xy = moments.x, moments.zx, moments.xy
    for r in range(first, last):
        z, y = rows.t[r] - origin, rows.y[r]
        number += 1.0
        z1 += z
        z2 += z * z
        y0 += y
        y1 += z * y
        y2 += y * y
        row = rows.table[rows.at[r]]
        for k in range(len(x)):
            x[k] += row[k]
            zx[k] += z * row[k]
            xy[k] += y * row[k]
    sums = moments.sums
    sums[0] += number
    sums[1] += z1
    sums[2] += z2
    sums[3] += y0
    sums[4] += y1
    sums[5] += y2


@inlined
def write_hinge(gram: Gram, moments: Moments, knots: Doubles, j: int) -> None:
    """h_j'[1, t, x], h_j'y, and h_l'h_j = sum z^2 + (s_j - s_l) sum z for l <= j, with z = t - s_j."""
    z1, z2 = moments.sums[1], moments.sums[2]
    gram.cross[0, j] = z1
    gram.cross[1, j] = z2 + knots[j] * z1
    for k in range(len(moments.zx)):
        gram.cross[2 + k, j] = moments.zx[k]
    gram.hinge_y[j] = moments.sums[4]
    for other in range(j + 1):
        gram.hinge[j, other] = z2 + (knots[j] - knots[other]) * z1


@inlined
def write_trend(gram: Gram, moments: Moments) -> None:
    """[1, t]'[1, t, x] and u'y, from the moments of all rows about t = 0."""
    sums = moments.sums
    gram.ridge[0, 0], gram.ridge[1, 0], gram.ridge[1, 1] = sums[0], sums[1], sums[2]
    gram.ridge_y[0], gram.ridge_y[1] = sums[3], sums[4]
    for k in range(len(moments.x)):
        gram.ridge[2 + k, 0], gram.ridge[2 + k, 1] = moments.x[k], moments.zx[k]
        gram.ridge_y[2 + k] = moments.xy[k]


@kernel
def sum_trend(gram: Gram, moments: Moments, rows: Rows, knots: Doubles, knot_rows: Integers) -> float:
    """Fill the Gram matrix but for x'x; return y'y."""
    moments.sums[:] = 0.0
    moments.x[:] = 0.0
    moments.zx[:] = 0.0
    moments.xy[:] = 0.0
    last, origin = len(rows.t), 0.0
    for j in range(len(knots) - 1, -1, -1):
        if last < len(rows.t):
            move_origin(moments, origin - knots[j])
        _add_rows(moments, rows, knot_rows[j], last, knots[j])
        write_hinge(gram, moments, knots, j)
        last, origin = knot_rows[j], knots[j]
    move_origin(moments, origin)
    _add_rows(moments, rows, 0, last, 0.0)
    write_trend(gram, moments)
    return float(moments.sums[5])


@inlined
def _add_block(design: Design, index: Integers, packed: Doubles) -> None:
    """Add x'x of rows of one calendar block: the block's sum less the missing rows if at least half are there."""
    block = index[0] // BLOCK
    once = True
    for r in range(1, len(index)):
        once = once and index[r] > index[r - 1]
    if not once or 2 * len(index) < BLOCK:
        for row in index:
            add_outer(design.table[row], 1.0, packed)
        return
    for p in range(len(packed)):
        packed[p] += design.block_gram[block, p]
    place = 0
    for row in range(block * BLOCK, (block + 1) * BLOCK):
        if place < len(index) and index[place] == row:
            place += 1
        else:
            add_outer(design.table[row], -1.0, packed)


@kernel
def sum_columns(gram: Gram, design: Design, rows: Rows, on_table: bool, packed: Doubles) -> None:
    """Fill x'x, by calendar blocks for rows of the design's table, row by row otherwise."""
    packed[:] = 0.0
    first = 0
    for r in range(1, len(rows.at) + 1):
        if not on_table:
            add_outer(rows.table[rows.at[r - 1]], 1.0, packed)
        elif r == len(rows.at) or rows.at[r] // BLOCK != rows.at[first] // BLOCK:
            _add_block(design, rows.at[first:r], packed)
            first = r
    start = 0
    for a in range(rows.table.shape[1]):
        for b in range(a + 1):
            gram.ridge[2 + a, 2 + b] = packed[start + b]
        start += a + 1


@kernel
def empty_gram(columns: int, knots: int) -> Gram:
    """Return room for the products of `columns` ridge columns and `knots` hinges."""
    return Gram(
        np.zeros((columns, columns)),
        np.zeros((columns, knots)),
        np.zeros((knots, knots)),
        np.zeros(columns),
        np.zeros(knots),
    )


@kernel
def empty_moments(columns: int) -> Moments:
    """Return room for the moments of K = `columns` columns."""
    return Moments(np.zeros(6), np.zeros(columns), np.zeros(columns), np.zeros(columns))
