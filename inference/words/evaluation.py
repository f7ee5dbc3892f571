"""What is said of a ranking measured on held-out labels."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from inference.report_data import Curve, Estimate, Evaluation, Method
from inference.report_numbers import number, percent, score, shorten, tenths

RANKINGS = {"average_precision": "average precision", "auroc": "AUROC"}
SHARES = {"recall_at_budget": "recall", "precision_at_budget": "precision"}
FEW = 100  # rare rows below which the page warns of noise
MILESTONES = {"half": 0.5, "nine in ten": 0.9}  # of the rare ones found


class Bounded(NamedTuple):
    """An average precision that has an interval."""

    value: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The value, and the interval in parentheses."""
        return f"{score(self.value)} ({score(self.low)} to {score(self.high)})"


def worth(evaluation: Evaluation | None, rare: str) -> str:
    """Say in a sentence what the list is worth, or why that is not known."""
    if evaluation is None:
        return f"No labels were held out, so how many of them are truly {rare} has not been measured."
    measures = evaluation.methods[0].measures
    recall, precision = measures.get("recall_at_budget"), measures.get("precision_at_budget")
    if recall is None or recall.value is None or precision is None or precision.value is None:
        reason = recall.reason if recall and recall.reason else "recall and precision are undefined"
        return f"Held-out labels could not tell what the list is worth: {reason}."
    length, found = min(evaluation.budget, evaluation.rows), round(recall.value * evaluation.rare)
    return (
        f"Among {number(evaluation.rows)} entities whose labels training never saw, a list of {number(length)} "
        f"holds {number(found)} of the {number(evaluation.rare)} that are {rare} "
        f"(recall {percent(recall.value)}, precision {percent(precision.value)})."
    )


def measure_names(evaluation: Evaluation) -> list[str]:
    """List the measures of all methods, known ones first, each once."""
    known = [*RANKINGS, *SHARES]
    given = dict.fromkeys(name for method in evaluation.methods for name in method.measures)
    return [name for name in known if name in given] + [name for name in given if name not in known]


def measure_label(name: str, budget: int) -> str:
    """Name a measure as a column heading."""
    if name in SHARES:
        return f"{SHARES[name]} in the first {number(budget)}"
    if name.startswith("recall_"):
        return f"recall of {shorten(name.removeprefix('recall_'))}"
    return RANKINGS.get(name, shorten(name.replace("_", " ")))


def measured(name: str, value: float) -> str:
    """Write a measure: recall and precision as a percentage with one decimal, others with three decimals."""
    return tenths(value) if name.startswith(("recall", "precision")) else score(value)


def interval(name: str, estimate: Estimate) -> str:
    """Write a measure's interval; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{measured(name, estimate.low)} to {measured(name, estimate.high)}"


def readings(evaluation: Evaluation) -> Iterator[str]:
    """Say what the figures allow one to conclude, from average precision and its intervals."""
    main, *others = evaluation.methods
    own = _bounded(main)
    if own is None:
        reason = getattr(main.measures.get("average_precision"), "reason", "")
        yield f"{shorten(main.name)} has no average precision with an interval{': ' if reason else ''}{reason}."
    else:
        yield _against_chance(shorten(main.name), own, evaluation.base_rate)
        yield from (_against(shorten(main.name), own, other) for other in others)
    if 0 < evaluation.rare < FEW:
        yield (
            f"Only {number(evaluation.rare)} held-out entities are rare: one more or one fewer found moves "
            f"recall by {percent(1 / evaluation.rare)}. Small differences are noise."
        )


def beats_chance(evaluation: Evaluation) -> bool | None:
    """Tell whether the list is shown to rank better than a random order; None where that was not measured."""
    own = _bounded(evaluation.methods[0])
    return None if own is None else own.low > evaluation.base_rate


def _bounded(method: Method) -> Bounded | None:
    found = method.measures.get("average_precision")
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    return Bounded(found.value, found.low, found.high)


def _against_chance(name: str, own: Bounded, base_rate: float) -> str:
    verdict = "ranks better than" if own.low > base_rate else "is not shown to beat"
    return (
        f"{name} {verdict} a random order: its average precision is {own.words}, "
        f"that of a random order {score(base_rate)}."
    )


def _against(name: str, own: Bounded, other: Method) -> str:
    rival, theirs = shorten(other.name), _bounded(other)
    if theirs is None:
        return f"{rival} has no average precision with an interval to compare with."
    if own.low > theirs.high:
        return f"{name} ranks better than {rival}, {theirs.words}: the intervals do not overlap."
    if own.high < theirs.low:
        return f"{name} ranks worse than {rival}, {theirs.words}: the intervals do not overlap. Prefer {rival}."
    order = "above" if own.value > theirs.value else "below" if own.value < theirs.value else "level with"
    return f"{name} is {order} {rival}, {theirs.words}, but the intervals overlap: no difference is shown."


def found_by(curve: Curve, length: int) -> int:
    """Count the rare ones among the first entities of a ranking; of equal scores the earlier row is first."""
    order = np.argsort(-np.asarray(curve.score, dtype=np.float64), kind="stable")[:length]
    return int(np.asarray(curve.truth)[order].sum())


def length_for(curve: Curve, share: float) -> int | None:
    """Return how many reviews find a share of the rare ones; None where none is rare."""
    order = np.argsort(-np.asarray(curve.score, dtype=np.float64), kind="stable")
    found = np.cumsum(np.asarray(curve.truth)[order])
    if not found.size or not found[-1]:
        return None
    return int(np.searchsorted(found, share * found[-1])) + 1


def effort(curves: Sequence[Curve]) -> str:
    """Say how many reviews find half, and nine in ten, of the rare ones; empty where none is rare."""
    if not curves:
        return ""
    main, rows = curves[0], len(curves[0].truth)
    lengths = {words: length_for(main, share) for words, share in MILESTONES.items()}
    if None in lengths.values():
        return ""
    own = " and ".join(f"{words} in the first {number(length)}" for words, length in lengths.items())
    chance = " and ".join(number(round(share * rows)) for share in MILESTONES.values())
    return (
        f"Of those who are rare, {shorten(main.name)} finds {own} of {number(rows)}; "
        f"a random order needs about {chance}."
    )


def lengths(evaluation: Evaluation) -> list[int]:
    """List lengths of the list around the budget, for a table."""
    tried = {round(evaluation.budget * factor) for factor in (0.25, 0.5, 1, 2, 4)}
    return sorted(length for length in tried if 0 < length <= evaluation.rows)
