"""Multiplicative seasonality, y = g (1 + X beta) + noise, by steps that are additive problems solved exactly.

Linear about the present parameters the model is the additive one with weighted columns (Gauss-Newton; Nocedal and
Wright, "Numerical Optimization", section 10.3), slope changes, penalties and noise included: `variance.solve` gives its
optimum. A step there is taken as far as the log posterior rises; where it does not, the same with the noise held fixed,
whose direction is one of ascent. Where a combination of the columns is 1 on every row, as on business days, g / c and
c (1 + X beta) fit alike, and the best c is found beforehand. The model may have several modes: the best of those that
three starts lead to is taken.
"""

import math
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.active_set import ActiveSet, minimize
from feature_extraction.prophet_map.elimination import Reduced, eliminate, factorize, ridge_solution
from feature_extraction.prophet_map.gram import Gram, Moments, Rows
from feature_extraction.prophet_map.kernel import inlined, kernel
from feature_extraction.prophet_map.problem import CONVERGED, NOT_CONVERGED, SIGMA_FLOOR, Doubles, Integers
from feature_extraction.prophet_map.variance import SMALLEST_VARIANCE, solve, variance_of
from feature_extraction.prophet_map.weighted_gram import Point, sum_weighted_columns, sum_weighted_trend

_STARTS, _STEPS = 3, 500
# Violations of the optimality conditions, see `certificate.kkt_violation`: below the first the steps end, and where
# they cannot go on before, the fit is accepted below the second.
_TOLERANCE, _ACCEPTED = 1e-6, 9e-5
_LEAST_SHARE, _LEAST_SHARE_OF_ASCENT = 0.05, 1e-6
_SMALLEST_PIVOT, _ROUNDING = 1e-12, 1e-9


class Room(NamedTuple):
    """One series' problem and its present state.

    Attributes:
        gram: room for the products of the columns.
        moments: room for their sums.
        reduced: room for the eliminated problem.
        active: room for the lasso.
        packed: room for the products of the columns.
        knots: (S,) scaled times of the hinges.
        knot_rows: (S,) first row at or behind each.
        penalty: (q,) D, inverse prior variances.
        prior_scale: tau.
        point: the rows at the present parameters.
        delta: (S,) the present slope changes.
        goal: (q,) where a step would lead.
        trial: (q,) parameters that are tried.
        trial_delta: (S,) and their slope changes.
        best: (q,) the best parameters of the starts so far.
        best_delta: (S,) and their slope changes.
        ones: (K,) e with X e = 1 on all rows, where there is one.
    """

    gram: Gram
    moments: Moments
    reduced: Reduced
    active: ActiveSet
    packed: Doubles
    knots: Doubles
    knot_rows: Integers
    penalty: Doubles
    prior_scale: float
    point: Point
    delta: Doubles
    goal: Doubles
    trial: Doubles
    trial_delta: Doubles
    best: Doubles
    best_delta: Doubles
    ones: Doubles


@inlined
def _evaluate(rows: Rows, room: Room, theta: Doubles, delta: Doubles) -> float:
    """Write g and w at the parameters; return the residual sum of squares."""
    squares, offset, slope, passed = 0.0, theta[0], theta[1], 0
    for r in range(len(rows.t)):
        while passed < len(delta) and room.knot_rows[passed] <= r:
            slope += delta[passed]
            offset -= room.knots[passed] * delta[passed]
            passed += 1
        row, factor = rows.table[rows.at[r]], 1.0
        for k in range(len(row)):
            factor += row[k] * theta[2 + k]
        trend = offset + slope * rows.t[r]
        room.point.trend[r], room.point.factor[r] = trend, factor
        squares += (rows.y[r] - trend * factor) ** 2
    return squares


@inlined
def _variance(squares: float, rows: int) -> float:
    return max(variance_of(squares, float(rows), 0.0), SMALLEST_VARIANCE)


@kernel
def _density(rows: Rows, room: Room, theta: Doubles, delta: Doubles) -> float:
    """Return the log posterior at the parameters and the best noise for them; leave g and w there."""
    squares = _evaluate(rows, room, theta, delta)
    variance = _variance(squares, len(rows.t))
    total = -2.0 * variance - 0.5 * len(rows.t) * math.log(variance) - 0.5 * squares / variance
    for i in range(len(theta)):
        total -= 0.5 * room.penalty[i] * theta[i] * theta[i]
    for j in range(len(delta)):
        total -= abs(delta[j]) / room.prior_scale
    return total


@inlined
def _symmetric(lower: Doubles, i: int, vector: Doubles) -> float:
    """Return row i of a symmetric matrix, given by its lower triangle, times a vector."""
    total = 0.0
    for j in range(len(vector)):
        total += (lower[i, j] if j <= i else lower[j, i]) * vector[j]
    return total


@kernel
def _violation(room: Room, theta: Doubles, variance: float) -> float:
    """Return by how much the parameters miss the conditions of a mode, from the products of the columns there."""
    gram, delta, worst = room.gram, room.delta, 0.0
    for i in range(len(theta)):
        score = gram.ridge_y[i] - _symmetric(gram.ridge, i, theta)
        for j in range(len(delta)):
            score -= gram.cross[i, j] * delta[j]
        score = score / variance - room.penalty[i] * theta[i]
        worst = max(worst, abs(score) / math.sqrt(gram.ridge[i, i] / variance + room.penalty[i]))
    for j in range(len(delta)):
        score = gram.hinge_y[j] - _symmetric(gram.hinge, j, delta)
        for i in range(len(theta)):
            score -= gram.cross[i, j] * theta[i]
        score *= room.prior_scale / variance
        worst = max(worst, abs(score - np.sign(delta[j])) if delta[j] != 0.0 else abs(score) - 1.0)
    return worst


@kernel
def _step(rows: Rows, room: Room, theta: Doubles, density: float, least: float) -> float:
    """Go towards the goal as far as the log posterior rises; return it, or -infinity if it does not."""
    share = 1.0
    while share >= least:
        for i in range(len(theta)):
            room.trial[i] = theta[i] + share * (room.goal[i] - theta[i])
        for j in range(len(room.delta)):
            room.trial_delta[j] = room.delta[j] + share * (room.active.delta[j] - room.delta[j])
        if share == 1.0:  # to the bit, so that zeros stay zeros
            room.trial[:] = room.goal
            room.trial_delta[:] = room.active.delta
        found = _density(rows, room, room.trial, room.trial_delta)
        if found > density:
            theta[:] = room.trial
            room.delta[:] = room.trial_delta
            return found
        share *= 0.25
    return -np.inf


@kernel
def _ascent(room: Room, variance: float) -> None:
    """Set the goal to the optimum of the linear problem with the noise held fixed."""
    room.active.state[:] = 0
    room.active.delta[:] = 0.0
    scale = 0.0
    for j in range(len(room.delta)):
        scale = max(scale, room.gram.hinge[j, j])
    eliminate(room.gram, room.reduced, room.penalty, variance)
    minimize(room.reduced, room.active, variance / room.prior_scale, scale)
    ridge_solution(room.reduced, room.active.delta, room.goal)


@kernel
def _least_squares(room: Room, target: Doubles) -> None:
    """Replace X'1 by e = (X'X)^-1 X'1; columns that depend on those before them take no part."""
    factor, size, largest = room.reduced.factor, len(target), 0.0
    for i in range(size):
        for j in range(i + 1):
            factor[i, j] = room.gram.ridge[2 + i, 2 + j]
        largest = max(largest, factor[i, i])
    factorize(factor, size, 0, _SMALLEST_PIVOT * largest)
    for i in range(size):
        for k in range(i):
            target[i] -= factor[i, k] * target[k]
        target[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        target[i] /= factor[i, i]
        for k in range(i):
            target[k] -= factor[i, k] * target[i]


@kernel
def _find_ones(rows: Rows, room: Room) -> bool:
    """Solve X e = 1 by least squares; tell whether it holds on every row, and leave e."""
    ones = room.ones
    room.point.trend[:] = 1.0
    sum_weighted_columns(room.gram, rows, room.point.trend, room.packed)
    ones[:] = 0.0
    for at in rows.at:
        for k in range(len(ones)):
            ones[k] += rows.table[at, k]
    _least_squares(room, ones)
    for at in rows.at:
        total = 0.0
        for k in range(len(ones)):
            total += rows.table[at, k] * ones[k]
        if abs(total - 1.0) > _ROUNDING:
            return False
    return True


@kernel
def _best_ratio(room: Room, theta: Doubles) -> float:
    """Return the c for which theta / c, delta / c and c beta + (c - 1) e have the highest prior density."""
    squares = room.penalty[0] * theta[0] ** 2 + room.penalty[1] * theta[1] ** 2
    sizes, curve, pull = np.abs(room.delta).sum() / room.prior_scale, 0.0, 0.0
    for k in range(len(room.ones)):
        whole = theta[2 + k] + room.ones[k]
        curve += room.penalty[2 + k] * whole * whole
        pull += room.penalty[2 + k] * whole * room.ones[k]
    low, high = -10.0, 10.0
    for _ in range(60):  # the slope squares / c^3 + sizes / c^2 + pull - c curve falls
        middle = 0.5 * (low + high)
        c = math.exp(middle)
        if squares / c**3 + sizes / c**2 + pull - c * curve > 0.0:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))


@kernel
def _rescale(rows: Rows, room: Room, theta: Doubles, density: float) -> float:
    """Move to the best ratio of trend and factor if the log posterior rises; return it."""
    c = _best_ratio(room, theta)
    room.goal[0], room.goal[1] = theta[0] / c, theta[1] / c
    for k in range(len(room.ones)):
        room.goal[2 + k] = c * theta[2 + k] + (c - 1.0) * room.ones[k]
    for j in range(len(room.delta)):
        room.active.delta[j] = room.delta[j] / c
    return max(_step(rows, room, theta, density, 1.0), density)


@inlined
def _start(rows: Rows, room: Room, theta: Doubles, number: int) -> None:
    """Begin with nothing, which leads to the fit of the trend alone; with the mean; or with Prophet's own line."""
    theta[:] = 0.0
    room.delta[:] = 0.0
    if number == 1:
        theta[0] = rows.y.mean()
    elif number == 2:
        last = len(rows.y) - 1
        theta[0], theta[1] = rows.y[0], (rows.y[last] - rows.y[0]) * rows.t[last]


@kernel
def _climb(rows: Rows, room: Room, theta: Doubles, scalable: bool) -> tuple[float, float, float]:
    """Take steps from the present parameters to a mode; return log posterior, v and the violation there."""
    density, violation, variance = -np.inf, np.inf, np.inf
    for _ in range(_STEPS):
        variance = _variance(_evaluate(rows, room, theta, room.delta), len(rows.t))
        squares = sum_weighted_trend(room.gram, room.moments, rows, room.point, room.knots, room.knot_rows)
        sum_weighted_columns(room.gram, rows, room.point.trend, room.packed)
        violation = _violation(room, theta, variance)
        if violation < _TOLERANCE or variance <= SMALLEST_VARIANCE:
            break
        fixed = (float(len(rows.t)), squares, room.prior_scale)
        solve(room.gram, room.reduced, room.active, room.goal, room.penalty, fixed)
        found = _step(rows, room, theta, density, _LEAST_SHARE)
        if found == -np.inf:
            _ascent(room, variance)
            found = _step(rows, room, theta, density, _LEAST_SHARE_OF_ASCENT)
        if found == -np.inf:
            break
        density = _rescale(rows, room, theta, found) if scalable else found
    return density, variance, violation


@kernel
def solve_multiplicative(rows: Rows, room: Room, theta: Doubles) -> tuple[float, int]:
    """Fit one series; return v and the status, and leave theta = [m, k, beta] and `room.delta`."""
    scalable = _find_ones(rows, room)
    best, variance, violation = -np.inf, 0.0, np.inf
    for number in range(_STARTS):
        _start(rows, room, theta, number)
        found, reached, missed = _climb(rows, room, theta, scalable)
        if missed >= _ACCEPTED:  # of two ways to one mode, the one that got there
            found -= _TOLERANCE
        regular = reached > SMALLEST_VARIANCE  # the posterior has no maximum at the floor
        if number == 0 or (regular and (found > best or variance <= SMALLEST_VARIANCE)):
            best, variance, violation = found, reached, missed
            room.best[:] = theta
            room.best_delta[:] = room.delta
    theta[:] = room.best
    room.delta[:] = room.best_delta
    if variance <= SMALLEST_VARIANCE:
        return SMALLEST_VARIANCE, SIGMA_FLOOR
    return variance, CONVERGED if violation < _ACCEPTED else NOT_CONVERGED
