"""Where to draw the line between alerts and the rest, and what precision and recall to expect above it.

Takes held-out rows and the share of rare entities among all; gives a score and the two expectations. Both rest on the
classes' rates above a score, which the share does not change (prior shift): of rare rows r(t) and of others f(t).
Recall is r, precision s r / (s r + (1 - s) f).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.held_out import HeldOut


@dataclass(frozen=True)
class Expected:
    """What is to be expected of all entities with a score of `line` or more.

    Attributes:
        line: the lowest score.
        precision: share of rare ones among them.
        recall: share of all rare entities that are among them.
    """

    line: float
    precision: float
    recall: float


def expected(held_out: HeldOut, share: float, line: float) -> Expected:
    """Say what to expect above a line.

    Args:
        held_out: rows of both classes.
        share: of rare entities among all.
        line: a score.
    """
    rare, scores = _arrays(held_out)
    return _expected(scores[rare], scores[~rare], share, line)


def for_precision(held_out: HeldOut, share: float, target: float) -> Expected | None:
    """Return the lowest line at which precision is to be expected to reach the target; None where there is none."""
    rare, scores = _arrays(held_out)
    for line in np.unique(scores[rare]).tolist():
        found = _expected(scores[rare], scores[~rare], share, line)
        if found.precision >= target:
            return found
    return None


def for_recall(held_out: HeldOut, share: float, target: float) -> Expected:
    """Return the highest line at which recall is to be expected to reach the target."""
    rare, scores = _arrays(held_out)
    falling = np.sort(scores[rare])[::-1]
    needed = max(1, math.ceil(target * len(falling) - 1e-9))
    return _expected(scores[rare], scores[~rare], share, float(falling[needed - 1]))


def _expected(rare: NDArray[np.float64], others: NDArray[np.float64], share: float, line: float) -> Expected:
    recall = float((rare >= line).mean())
    # Jeffreys' estimate, as none of forty is not a rate of 0, and precision would be 1 whatever the share.
    false_alarms = (float((others >= line).sum()) + 0.5) / (len(others) + 1)
    return Expected(line, share * recall / (share * recall + (1 - share) * false_alarms), recall)


def _arrays(held_out: HeldOut) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rare = np.array(held_out.is_rare, dtype=bool)
    if rare.all() or not rare.any():
        raise ValueError(
            f"{int(rare.sum())} of {len(rare)} held-out rows are rare; precision and recall need rare rows and others: "
            "label more, or set score.threshold = 'budget'"
        )
    return rare, np.array(held_out.scores, dtype=np.float64)
