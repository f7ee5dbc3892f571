"""Eliminate the ridge block: what is left is a lasso in the slope changes alone.

With v = sigma^2 and D the inverse prior variances, (u'u + v D) = L L', Z = L^-1 u'h and w = L^-1 u'y, the problem
becomes min 1/2 d'Q d - c'd + (v / tau) |d|_1 with Q = h'h - Z'Z and c = h'y - Z'w.
"""

import math
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.gram import Gram
from feature_extraction.prophet_map.kernel import inlined, kernel
from feature_extraction.prophet_map.problem import Doubles

# A pivot below this share of the largest diagonal element is rounding noise.
_SMALLEST_PIVOT = 1e-15
# What it is replaced with: the column then takes no part, as it depends on those before it.
_NO_PART = 1e100


class Reduced(NamedTuple):
    """The eliminated problem; see the module.

    Attributes:
        factor: (q, q) L, lower.
        cross: (q, S) Z.
        target: (q,) w.
        quadratic: (S, S) Q, full.
        linear: (S,) c.
    """

    factor: Doubles
    cross: Doubles
    target: Doubles
    quadratic: Doubles
    linear: Doubles


@inlined
def factorize(matrix: Doubles, size: int, first: int, smallest: float) -> None:
    """Replace rows first..size - 1 of the lower triangle of A by its Cholesky factor; drop pivots under `smallest`."""
    for i in range(first, size):
        row = matrix[i]
        for j in range(i):
            value, other = row[j], matrix[j]
            for k in range(j):
                value -= row[k] * other[k]
            row[j] = value / other[j]
        pivot = row[i]
        for k in range(i):
            pivot -= row[k] * row[k]
        row[i] = math.sqrt(pivot) if pivot > smallest else _NO_PART


@inlined
def _substitute(gram: Gram, reduced: Reduced) -> float:
    """Solve L Z = u'h and L w = u'y; return w'w."""
    factor, cross, target = reduced.factor, reduced.cross, reduced.target
    total = 0.0
    for i in range(len(target)):
        value, row = gram.ridge_y[i], cross[i]
        for j in range(len(row)):
            row[j] = gram.cross[i, j]
        for k in range(i):
            weight, other = factor[i, k], cross[k]
            value -= weight * target[k]
            for j in range(len(row)):
                row[j] -= weight * other[j]
        inverse = 1.0 / factor[i, i]
        target[i] = value * inverse
        total += target[i] * target[i]
        for j in range(len(row)):
            row[j] *= inverse
    return total


@inlined
def _complement(gram: Gram, reduced: Reduced) -> None:
    """Q = h'h - Z'Z and c = h'y - Z'w."""
    quadratic, linear, size = reduced.quadratic, reduced.linear, len(reduced.linear)
    for j in range(size):
        linear[j] = gram.hinge_y[j]
        for k in range(j + 1):
            quadratic[j, k] = gram.hinge[j, k]
    for i in range(len(reduced.target)):
        row, weight = reduced.cross[i], reduced.target[i]
        for j in range(size):
            value, into = row[j], quadratic[j]
            linear[j] -= weight * value
            for k in range(j + 1):
                into[k] -= value * row[k]
    for j in range(size):
        for k in range(j):
            quadratic[k, j] = quadratic[j, k]


@kernel
def eliminate(gram: Gram, reduced: Reduced, penalty: Doubles, variance: float) -> float:
    """Fill `reduced` for the ridge penalties v D; return w'w."""
    factor, size, largest = reduced.factor, len(penalty), 0.0
    for i in range(size):
        for j in range(i):
            factor[i, j] = gram.ridge[i, j]
        factor[i, i] = gram.ridge[i, i] + variance * penalty[i]
        largest = max(largest, factor[i, i])
    factorize(factor, size, 0, _SMALLEST_PIVOT * largest)
    total = _substitute(gram, reduced)
    _complement(gram, reduced)
    return total


@kernel
def ridge_solution(reduced: Reduced, delta: Doubles, theta: Doubles) -> None:
    """Solve theta = L'^-1 (w - Z delta): the ridge block that goes with the slope changes."""
    factor, size = reduced.factor, len(theta)
    for i in range(size):
        value, row = reduced.target[i], reduced.cross[i]
        for j in range(len(delta)):
            value -= row[j] * delta[j]
        theta[i] = value
    for i in range(size - 1, -1, -1):
        theta[i] /= factor[i, i]
        for k in range(i):
            theta[k] -= factor[i, k] * theta[i]


@kernel
def empty_reduced(columns: int, knots: int) -> Reduced:
    """Return room for an eliminated problem."""
    return Reduced(
        np.zeros((columns, columns)),
        np.zeros((columns, knots)),
        np.zeros(columns),
        np.zeros((knots, knots)),
        np.zeros(knots),
    )
