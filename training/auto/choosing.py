"""Which members are taken, with what weights: nested validation with a preference for what is simpler.

Takes each member's chances (M, n) of labelled rows that it did not learn from. Halves of the rows, stratified, are
drawn again and again; what is to be decided by data is decided on one half and measured on the other. The candidates
are the best three members alike, all alike, all by merit, and each alone. The first of these is taken unless another
one beats it by more than a standard error: with few rare rows hardly anything does, and an average of good members is
never far from the best of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from training.auto.blend import Doubles, Truth, joined
from training.auto.settings import AutoSettings

ALIKE, BEST_ALIKE, BY_MERIT = "all alike", "the best three alike", "all by merit"
BEST = 3
MERIT = 4  # power of the average precision that weights go by

Rows = NDArray[np.intp]
Decide = Callable[[Doubles, Truth], Doubles]


@dataclass(frozen=True)
class Choice:
    """What was taken.

    Attributes:
        weights: of the members, (M,), 0 for those that were not taken, of sum 1.
        why: one sentence.
        compared: mean average precision of each candidate on halves that did not decide it.
    """

    weights: Doubles
    why: str
    compared: dict[str, float]


def choose(names: Sequence[str], chances: Doubles, truth: Truth, settings: AutoSettings) -> Choice:
    """Decide which members to take.

    Args:
        names: of the members.
        chances: of the labelled rows, each by models that did not learn from it, (M, n).
        truth: whether each row is rare, (n,), with two rare ones and two others at least.
        settings: of `auto`.
    """
    if len(names) == 1:
        return Choice(np.ones(1), f"{names[0]} is the only member", {})
    candidates = _candidates(names)
    found = np.array([_measured(candidates, chances, truth, half) for half in _halves(truth, settings)])
    compared = dict(zip(candidates, found.mean(axis=0).tolist(), strict=True))
    taken, why = _decided(list(candidates), found, settings.take)
    return Choice(candidates[taken](chances, truth), why, compared)


def _candidates(names: Sequence[str]) -> dict[str, Decide]:
    """Return what weights each candidate gives members by their scores and the truth of some rows."""
    alone: dict[str, Decide] = {name: partial(_alone, place=place) for place, name in enumerate(names)}
    blends: dict[str, Decide] = {ALIKE: _alike, BY_MERIT: by_merit}
    return ({BEST_ALIKE: best_alike} if len(names) > BEST else {}) | blends | alone


def _alone(chances: Doubles, truth: Truth, *, place: int) -> Doubles:
    return np.asarray(np.arange(len(chances)) == place, np.float64)


def _alike(chances: Doubles, truth: Truth) -> Doubles:
    return np.full(len(chances), 1 / len(chances))


def best_alike(chances: Doubles, truth: Truth) -> Doubles:
    """Return equal weights of the members with the highest average precision on these rows, 0 for the others."""
    best = np.argsort(-_merits(chances, truth), kind="stable")[:BEST]
    return np.asarray(np.isin(np.arange(len(chances)), best) / len(best), np.float64)


def by_merit(chances: Doubles, truth: Truth) -> Doubles:
    """Return weights that go by a power of each member's average precision on these rows."""
    merit = _merits(chances, truth) ** MERIT
    return np.asarray(merit / merit.sum())


def _merits(chances: Doubles, truth: Truth) -> Doubles:
    return np.array([average_precision_score(truth, row) for row in chances])


def _halves(truth: Truth, settings: AutoSettings) -> Iterator[tuple[Rows, Rows]]:
    """Halve the rare rows and the others at random, again and again; each half decides once and measures once."""
    random = np.random.default_rng(settings.seed)
    for _ in range(settings.repeats):
        first: list[Rows] = []
        second: list[Rows] = []
        for rows in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            drawn = random.permutation(rows)
            first.append(drawn[: len(drawn) // 2])
            second.append(drawn[len(drawn) // 2 :])
        one, other = np.concatenate(first), np.concatenate(second)
        yield one, other
        yield other, one


def _measured(candidates: Mapping[str, Decide], chances: Doubles, truth: Truth, half: tuple[Rows, Rows]) -> list[float]:
    """Return each candidate's average precision on the second half, its weights decided on the first."""
    (one, other), values = half, []
    for decide in candidates.values():
        weights = decide(chances[:, one], truth[one])
        values.append(float(average_precision_score(truth[other], joined(chances[:, other], weights))))
    return values


def _decided(candidates: Sequence[str], found: Doubles, take: str) -> tuple[str, str]:
    """Return the candidate to take and why, of average precisions (halves, candidates)."""
    means = found.mean(axis=0)
    if take == "blend":
        return ALIKE, "the settings take all members alike"
    if take == "best":
        alone = 1 + max(place for place, name in enumerate(candidates) if name in (ALIKE, BY_MERIT))
        return candidates[alone + int(np.argmax(means[alone:]))], "the settings take the best member alone"
    best = int(np.argmax(means))
    if best == 0:
        return candidates[0], f"{candidates[0]} have the best average precision on halves held out, {means[0]:.3f}"
    error = standard_error(found[:, best] - found[:, 0])
    more = means[best] - means[0] > error
    why = (
        f"average precision on halves held out is {means[best]:.3f} for {candidates[best]} and {means[0]:.3f} for "
        f"{candidates[0]}: {'more' if more else 'no more'} than the standard error of the difference apart, {error:.3f}"
    )
    return candidates[best if more else 0], why


def standard_error(differences: Doubles) -> float:
    """Return the standard error of the mean of differences that were measured on halves of the same rows.

    Halves overlap, so their differences are not independent: Nadeau and Bengio, Machine Learning 2003, for as many
    rows to decide by as to measure on.
    """
    return float(np.sqrt(differences.var(ddof=1) * (1 / len(differences) + 1)))
