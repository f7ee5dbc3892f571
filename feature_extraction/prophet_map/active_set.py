"""The exact lasso min 1/2 d'Q d - c'd + w |d|_1 over the slope changes, by an active set with a warm start.

Osborne, Presnell and Turlach, "A new approach to variable selection in least squares problems", IMA Journal of
Numerical Analysis 20, 2000. Every step lowers the objective, so the method ends; the result has exact zeros.
"""

from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.elimination import Reduced, factorize
from feature_extraction.prophet_map.kernel import inlined, kernel
from feature_extraction.prophet_map.problem import Doubles, Integers

SIZE, FACTORED = 0, 1
_TOLERANCE = 1e-10
_SMALLEST_PIVOT = 1e-14


class ActiveSet(NamedTuple):
    """State of the method; its first `state[SIZE]` places are in use.

    Attributes:
        delta: (S,) the solution.
        member: (S,) which slope change each place holds.
        sign: (S,) its sign.
        factor: (S, S) Cholesky factor of Q on the active set, of which `state[FACTORED]` rows are valid.
        target: (S,) where the active slope changes would go.
        work: (S,) room for substitution.
        gradient: (S,) c - Q d.
        state: number of places in use, number of valid rows of the factor.
    """

    delta: Doubles
    member: Integers
    sign: Doubles
    factor: Doubles
    target: Doubles
    work: Doubles
    gradient: Doubles
    state: Integers


@kernel
def empty_active_set(knots: int) -> ActiveSet:
    """Return an empty active set for S = `knots` slope changes."""
    room = np.zeros((5, knots))
    member, state = np.zeros(knots, np.int64), np.zeros(2, np.int64)
    return ActiveSet(room[0], member, room[1], np.zeros((knots, knots)), room[2], room[3], room[4], state)


@inlined
def _factorize(quadratic: Doubles, active: ActiveSet, smallest: float) -> None:
    size, first = active.state[SIZE], active.state[FACTORED]
    for i in range(first, size):
        source = quadratic[active.member[i]]
        for j in range(i + 1):
            active.factor[i, j] = source[active.member[j]]
    factorize(active.factor, size, first, smallest)
    active.state[FACTORED] = size


@inlined
def _solve(linear: Doubles, active: ActiveSet, weight: float) -> None:
    """Solve target = Q_AA^-1 (c_A - w sign)."""
    size, factor, target = active.state[SIZE], active.factor, active.target
    for i in range(size):
        value = linear[active.member[i]] - weight * active.sign[i]
        for k in range(i):
            value -= factor[i, k] * target[k]
        target[i] = value / factor[i, i]
    for i in range(size - 1, -1, -1):
        target[i] /= factor[i, i]
        for k in range(i):
            target[k] -= factor[i, k] * target[i]


@inlined
def _advance(active: ActiveSet) -> tuple[int, float]:
    """Move towards the target until a slope change would turn its sign; return its place (or -1) and the share."""
    share, place = 1.0, -1
    for i in range(active.state[SIZE]):
        if active.target[i] * active.sign[i] <= 0.0:
            value = active.delta[active.member[i]]
            reach = value / (value - active.target[i]) if value != active.target[i] else 0.0
            if place < 0 or reach < share:
                share, place = reach, i
    for i in range(active.state[SIZE]):
        j = active.member[i]
        active.delta[j] = (
            active.target[i] if place < 0 else active.delta[j] + share * (active.target[i] - active.delta[j])
        )
    return place, share


@inlined
def _remove(active: ActiveSet, place: int) -> None:
    active.delta[active.member[place]] = 0.0
    active.state[SIZE] -= 1
    active.state[FACTORED] = min(active.state[FACTORED], place)
    for i in range(place, active.state[SIZE]):
        active.member[i], active.sign[i] = active.member[i + 1], active.sign[i + 1]


@inlined
def _worst(reduced: Reduced, active: ActiveSet, bound: float) -> int:
    """Return the inactive slope change whose gradient c - Q d exceeds `bound` by most, or -1."""
    gradient = active.gradient
    for j in range(len(gradient)):
        gradient[j] = reduced.linear[j]
    for i in range(active.state[SIZE]):
        value, row = active.delta[active.member[i]], reduced.quadratic[active.member[i]]
        for j in range(len(gradient)):
            gradient[j] -= value * row[j]
    for i in range(active.state[SIZE]):
        gradient[active.member[i]] = 0.0
    worst, largest = -1, bound
    for j in range(len(gradient)):
        if abs(gradient[j]) > largest:
            worst, largest = j, abs(gradient[j])
    return worst


@kernel
def minimize(reduced: Reduced, active: ActiveSet, weight: float, scale: float) -> bool:
    """Solve the lasso with the penalty `weight`; tell whether it ended.

    Starts from the slope changes and signs in `active`. A slope change that is dropped as soon as it is taken up,
    before it moved, was taken up for rounding noise: the solution stands.

    Args:
        reduced: Q and c.
        active: the state, changed in place.
        weight: w = v / tau.
        scale: largest h'h, against which pivots are judged.
    """
    for _ in range(40 * len(active.delta) + 40):
        if active.state[SIZE]:
            _factorize(reduced.quadratic, active, _SMALLEST_PIVOT * scale)
            _solve(reduced.linear, active, weight)
            place, share = _advance(active)
            if place >= 0:
                _remove(active, place)
                if share == 0.0:
                    return True
                continue
        worst = _worst(reduced, active, weight * (1.0 + _TOLERANCE))
        if worst < 0:
            return True
        size = active.state[SIZE]
        active.member[size], active.sign[size] = worst, np.sign(active.gradient[worst])
        active.state[SIZE] = size + 1
    return False


@kernel
def curvature(active: ActiveSet, prior_scale: float) -> float:
    """Return s = sign'Q_AA^-1 sign / tau^2: on a fixed active set, 2 J(v) grows as s v^2."""
    total = 0.0
    for i in range(active.state[SIZE]):
        value = active.sign[i] / prior_scale
        for k in range(i):
            value -= active.factor[i, k] * active.work[k]
        active.work[i] = value / active.factor[i, i]
        total += active.work[i] * active.work[i]
    return total
