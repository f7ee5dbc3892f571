"""The noise variance v = sigma^2, and with it the whole fit of one series from its Gram matrix.

At the MAP, 4 v^2 + T v = RSS(v), where RSS(v) is the residual sum of squares of the convex problem at v. RSS rises with
v, so the map v -> V(RSS(v)), V(r) = 2 r / (T + sqrt(T^2 + 16 r)), is monotone, and from above it ends at the largest
fixed point: the first local mode below Prophet's own start. On a fixed active set RSS(v) = a + s v^2, whose fixed point
is known in closed form; stepping there never passes the largest fixed point while slope changes only enter as v falls,
and where it passes it, because one left, the root is bracketed.
"""

import math
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.active_set import FACTORED, SIZE, ActiveSet, curvature, minimize
from feature_extraction.prophet_map.elimination import Reduced, eliminate, ridge_solution
from feature_extraction.prophet_map.gram import Gram
from feature_extraction.prophet_map.kernel import inlined, kernel
from feature_extraction.prophet_map.problem import CONVERGED, NOT_CONVERGED, SIGMA_FLOOR, Doubles

# The posterior is unbounded where the columns can interpolate y; sigma stops at 1e-6 of scaled y.
SMALLEST_VARIANCE = 1e-12
_TOLERANCE = 1e-11
_ROUNDING = 4e-15
# The ridge may differ by this share from v D when the fit is accepted.
_RIDGE_TOLERANCE = 1e-5
_HARMLESS_PENALTY = 0.01
_ROUNDS, _ELIMINATIONS = 100, 60


class Normal(NamedTuple):
    """One series at a given ridge.

    Attributes:
        rows: T.
        squares: y'y.
        explained: w'w, what the ridge block explains of it.
        ridge: the variance v whose v D the ridge block was eliminated with.
        prior_scale: tau.
        scale: largest h'h.
    """

    rows: float
    squares: float
    explained: float
    ridge: float
    prior_scale: float
    scale: float


@inlined
def variance_of(residual: float, rows: float, curve: float) -> float:
    """Return the smallest positive root of (4 - s) v^2 + T v = r, without cancellation; 0 if there is none."""
    inner = rows * rows + 4.0 * (4.0 - curve) * residual
    if residual <= 0.0 or inner < 0.0:
        return 0.0
    return 2.0 * residual / (rows + math.sqrt(inner))


@inlined
def _penalty_of(theta: Doubles, penalty: Doubles) -> float:
    """Return theta'D theta."""
    total = 0.0
    for i in range(len(theta)):
        total += penalty[i] * theta[i] * theta[i]
    return total


@inlined
def _residual(normal: Normal, reduced: Reduced, active: ActiveSet, weight: float, shrunk: float) -> float:
    """RSS = y'y - w'w + d'Q d - 2 c'd - v theta'D theta, where Q d = c - w sign on the active set."""
    total = normal.squares - normal.explained - normal.ridge * shrunk
    for i in range(active.state[SIZE]):
        j = active.member[i]
        total -= active.delta[j] * (reduced.linear[j] + weight * active.sign[i])
    return max(total, 0.0)


@inlined
def _next(variance: float, closed: float, plain: float, low: float, high: float) -> float:
    """Return the next variance: the closed form where it lies in the bracket, the middle or the plain map otherwise."""
    inside = closed > low and closed < high and closed != variance
    if inside:
        following = closed
    elif low > 0.0 and high < np.inf:
        following = math.sqrt(low * high)
    else:
        following = plain
    return max(following, SMALLEST_VARIANCE)


@kernel
def _settle(
    normal: Normal, reduced: Reduced, active: ActiveSet, penalty: Doubles, theta: Doubles, start: float
) -> tuple[float, int]:
    """Find the largest fixed point at or below `start` with the ridge held; return it and the status."""
    variance, low, high = start, 0.0, np.inf
    for _ in range(_ROUNDS):
        weight = variance / normal.prior_scale
        ended = minimize(reduced, active, weight, normal.scale)
        ridge_solution(reduced, active.delta, theta)
        residual = _residual(normal, reduced, active, weight, _penalty_of(theta, penalty))
        excess = (4.0 * variance + normal.rows) * variance - residual
        if variance <= SMALLEST_VARIANCE and excess >= 0.0:
            return SMALLEST_VARIANCE, SIGMA_FLOOR
        if abs(excess) <= _TOLERANCE * normal.rows * variance + _ROUNDING * normal.squares:
            return variance, CONVERGED if ended else NOT_CONVERGED
        if excess > 0.0:
            high = variance
        else:
            low = variance
        if high <= low * (1.0 + 1e-13):
            return variance, CONVERGED if ended else NOT_CONVERGED
        curve = curvature(active, normal.prior_scale)
        closed = variance_of(residual - curve * variance * variance, normal.rows, curve)
        variance = _next(variance, closed, variance_of(residual, normal.rows, 0.0), low, high)
    return variance, NOT_CONVERGED


@kernel
def _start(normal: Normal, reduced: Reduced, active: ActiveSet, penalty: Doubles, theta: Doubles) -> float:
    """Return an upper bound of every fixed point from the fit without slope changes, or 0 if the ridge matters.

    With J concave in v and theta_0 the solution at the ridge v_0, RSS(v) <= 2 J(v) <= RSS(v_0) + v theta_0'D theta_0,
    so every fixed point lies below the root of 4 v^2 + (T - theta_0'D theta_0) v = RSS(v_0).
    """
    active.state[:] = 0
    active.delta[:] = 0.0
    ridge_solution(reduced, active.delta, theta)
    shrunk = _penalty_of(theta, penalty)
    if shrunk > _HARMLESS_PENALTY * normal.rows:
        return 0.0
    residual = max(normal.squares - normal.explained - normal.ridge * shrunk, 0.0)
    bound = variance_of(residual + _ROUNDING * normal.squares, normal.rows - shrunk, 0.0)
    return max(bound, SMALLEST_VARIANCE)


@kernel
def solve(
    gram: Gram, reduced: Reduced, active: ActiveSet, theta: Doubles, penalty: Doubles, fixed: tuple[float, float, float]
) -> tuple[float, int]:
    """Fit one series; return v and the status, and leave theta = [m, k, beta] and `active.delta`.

    The ridge v D is about 1e-7 of the Gram matrix: it is held while v settles and then renewed until it agrees.

    Args:
        gram: products of the columns.
        reduced: room for the eliminated problem.
        active: room for the lasso.
        theta: (q,) the ridge block's solution.
        penalty: (q,) D, inverse prior variances.
        fixed: number of rows T, y'y, tau.
    """
    rows, squares, prior_scale = fixed
    scale = 0.0
    for j in range(len(active.delta)):
        scale = max(scale, gram.hinge[j, j])
    most = max(variance_of(squares, rows, 0.0), SMALLEST_VARIANCE)
    ridge = max(1e-6 * most, SMALLEST_VARIANCE)
    explained = eliminate(gram, reduced, penalty, ridge)
    normal = Normal(rows, squares, explained, ridge, prior_scale, scale)
    start = min(_start(normal, reduced, active, penalty, theta), most)
    if start == 0.0:
        start, ridge = most, most
        normal = Normal(rows, squares, eliminate(gram, reduced, penalty, ridge), ridge, prior_scale, scale)
    variance, status = _settle(normal, reduced, active, penalty, theta, start)
    for _ in range(_ELIMINATIONS):
        if abs(variance - ridge) <= _RIDGE_TOLERANCE * variance:
            return variance, status
        ridge = variance
        active.state[FACTORED] = 0
        normal = Normal(rows, squares, eliminate(gram, reduced, penalty, ridge), ridge, prior_scale, scale)
        variance, status = _settle(normal, reduced, active, penalty, theta, variance)
    return variance, NOT_CONVERGED
