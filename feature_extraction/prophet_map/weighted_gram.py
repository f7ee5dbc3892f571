"""Sums of products of the columns of a multiplicative model, linear at a given point.

With the trend g and the factor w = 1 + X beta of each row at that point, the columns are w [1, t], g x_1..g x_K and
w h_j, and the target is y + g (w - 1): then target less columns times parameters is y - g w there. The moments are
those of `gram`, with weights.
"""

from typing import NamedTuple

from feature_extraction.prophet_map.design import add_outer
from feature_extraction.prophet_map.gram import Gram, Moments, Rows, move_origin, write_hinge, write_trend
from feature_extraction.prophet_map.kernel import inlined, kernel
from feature_extraction.prophet_map.problem import Doubles, Integers


class Point(NamedTuple):
    """The rows at the parameters about which the model is linear.

    Attributes:
        trend: (T,) g.
        factor: (T,) w = 1 + X beta.
    """

    trend: Doubles
    factor: Doubles


@inlined
def _add_rows(moments: Moments, rows: Rows, point: Point, stretch: tuple[int, int], origin: float) -> None:
    """Add a stretch of rows to the moments about `origin`."""
    sums, x, zx, xy = moments.sums, moments.x, moments.zx, moments.xy
    for r in range(stretch[0], stretch[1]):
        z, g, w = rows.t[r] - origin, point.trend[r], point.factor[r]
        y = rows.y[r] + g * (w - 1.0)
        sums[0] += w * w
        sums[1] += w * w * z
        sums[2] += w * w * z * z
        sums[3] += w * y
        sums[4] += w * z * y
        sums[5] += y * y
        row = rows.table[rows.at[r]]
        for k in range(len(x)):
            column = g * row[k]
            x[k] += w * column
            zx[k] += w * z * column
            xy[k] += y * column


@kernel
def sum_weighted_trend(
    gram: Gram, moments: Moments, rows: Rows, point: Point, knots: Doubles, knot_rows: Integers
) -> float:
    """Fill the Gram matrix but for the products of the columns g x; return the sum of the squared targets."""
    moments.sums[:] = 0.0
    moments.x[:] = 0.0
    moments.zx[:] = 0.0
    moments.xy[:] = 0.0
    last, origin = len(rows.t), 0.0
    for j in range(len(knots) - 1, -1, -1):
        if last < len(rows.t):
            move_origin(moments, origin - knots[j])
        _add_rows(moments, rows, point, (knot_rows[j], last), knots[j])
        write_hinge(gram, moments, knots, j)
        last, origin = knot_rows[j], knots[j]
    move_origin(moments, origin)
    _add_rows(moments, rows, point, (0, last), 0.0)
    write_trend(gram, moments)
    return float(moments.sums[5])


@kernel
def sum_weighted_columns(gram: Gram, rows: Rows, trend: Doubles, packed: Doubles) -> None:
    """Fill the products of the columns g x."""
    packed[:] = 0.0
    for r in range(len(rows.t)):
        add_outer(rows.table[rows.at[r]], trend[r] * trend[r], packed)
    start = 0
    for a in range(rows.table.shape[1]):
        for b in range(a + 1):
            gram.ridge[2 + a, 2 + b] = packed[start + b]
        start += a + 1
