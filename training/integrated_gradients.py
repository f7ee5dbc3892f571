"""Integrated gradients (Sundararajan, Taly and Yan, ICML 2017), refined until every row adds up.

Takes any function with its gradient; gives each input's share in the difference of the function between a row and a
reference row. By the completeness axiom a row's shares sum to that difference. Where the sum is off by more than
`TOLERANCE` of it, the steps of the path on which gradient and function disagree are halved, again and again: the
bends of a network are found where they are, which finer steps all along the path would take thousands of times.

Shapes: B rows, I inputs, S steps of a path that are looked at together.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.trainer import Floats

Doubles = NDArray[np.float64]
Numbers = NDArray[np.floating[Any]]
Function = Callable[[Floats], Numbers]

STEPS = 64
HALVINGS = 12
TOLERANCE = 0.01
SMALLEST = 0.1  # a difference below this, in log-odds, is hardly one: shares may be off by TOLERANCE of this instead
ROWS_REFINED = 64  # bounds the memory of refining


def integrated_gradients(
    inputs: Floats, reference: Floats, gradient: Function, function: Function, *, halvings: int = HALVINGS
) -> Doubles:
    """Share out the difference of a function between rows and a reference row.

    The gradient is integrated along the straight line from the reference by the midpoint rule, as
    share_i = (x_i - r_i) mean_s df/dx_i at r + (s + 1/2) / STEPS (x - r).

    Args:
        inputs: rows (B, I).
        reference: the row to compare with, (I,).
        gradient: gradient (B, I) of the function at rows.
        function: its value (B,) at rows.
        halvings: how often a step is halved at most; 0 leaves the midpoint rule as it is.

    Returns:
        Shares (B, I); each row sums to f(x) - f(r) within the tolerance, see `incompleteness`.
    """
    change = inputs - reference
    difference = np.asarray(function(inputs), np.float64) - np.asarray(function(reference[None]), np.float64)
    shares = np.zeros(inputs.shape, dtype=np.float64)
    for step in range(STEPS):
        shares += gradient(reference + np.float32((step + 0.5) / STEPS) * change)
    shares *= change / np.float64(STEPS)
    missed = np.flatnonzero(incompleteness(shares, difference) > TOLERANCE) if halvings else np.empty(0, np.intp)
    for first in range(0, len(missed), ROWS_REFINED):
        some = missed[first : first + ROWS_REFINED]
        shares[some] = _refined(change[some], reference, gradient, function, difference[some], halvings)
    return shares


def incompleteness(shares: Numbers, difference: Numbers) -> Doubles:
    """Return how far each row's shares (B, I) are from the difference (B,) they share out, as a share of it, (B,)."""
    error = np.abs(shares.sum(axis=1, dtype=np.float64) - difference)
    return np.asarray(error / np.maximum(np.abs(difference), SMALLEST), np.float64)


def _refined(
    change: Floats, reference: Floats, gradient: Function, function: Function, difference: Doubles, halvings: int
) -> Doubles:
    """Return the shares (B, I), halving the steps whose shares do not sum to the function's rise."""
    rows = np.repeat(np.arange(len(change)), STEPS)
    begin, width = np.tile(np.arange(STEPS) / STEPS, len(change)), 1 / STEPS
    allowed = TOLERANCE * np.maximum(np.abs(difference), SMALLEST) / (2 * STEPS)
    shares = np.zeros(change.shape, dtype=np.float64)
    for left in range(halvings, -1, -1):

        def place(offset: float, rows: NDArray[np.intp] = rows, begin: Doubles = begin) -> Floats:
            return np.asarray(reference + (begin + offset)[:, None] * change[rows], np.float32)

        step = np.asarray(gradient(place(width / 2)) * change[rows] * width, np.float64)
        rise = function(place(width)) - function(place(0.0))
        whole = shares.copy()
        np.add.at(whole, rows, step)
        settled = np.abs(step.sum(axis=1) - rise) <= allowed[rows]
        settled |= (incompleteness(whole, difference) <= TOLERANCE / 2)[rows]
        if left == 0 or settled.all():
            return whole
        np.add.at(shares, rows[settled], step[settled])
        rows, width = np.repeat(rows[~settled], 2), width / 2
        begin = np.repeat(begin[~settled], 2)
        begin[1::2] += width
    return shares
