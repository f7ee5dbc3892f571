"""A map from scores to probabilities: how an ensemble's or a model's score is to be read.

Takes scores as numpy; gives probabilities. It is fitted by `training/calibrating.py`, and needs numpy alone, as it is
applied on Spark workers.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Method = Literal["isotonic", "platt"]

SMALLEST = 1e-7  # nearer to 0 or 1 a float32 score is not told from it


@dataclass(frozen=True)
class Calibration:
    """A rising map from a score's log-odds to those of being rare: straight between knots, level beyond them.

    Attributes:
        method: how it was fitted.
        rows: held-out rows it was fitted to.
        rare: rare ones among them.
        knots: log-odds of scores, rising, (knots,).
        log_odds: log-odds of being rare at the knots where `labeled_share` of all are, (knots,).
        labeled_share: share of rare rows that the fit assumes.
        population_share: share of rare entities that probabilities are stated for.
    """

    method: Method
    rows: int
    rare: int
    knots: tuple[float, ...]
    log_odds: tuple[float, ...]
    labeled_share: float
    population_share: float

    def probability(self, scores: ArrayLike) -> Doubles:
        """Return the probability of being rare at each score; it never falls where the score rises."""
        return _chance(self.log_ratio(scores) + log_odds(self.population_share))

    def log_ratio(self, scores: ArrayLike) -> Doubles:
        """Return the log of how much likelier each score is among rare entities than among the others."""
        found: Doubles = np.interp(log_odds(scores), self.knots, self.log_odds)
        return found - log_odds(self.labeled_share)

    def of_population(self, share: float) -> "Calibration":
        """Return the calibration for a population with another share of rare entities, in (0, 1)."""
        return replace(self, population_share=share)


def log_odds(chance: ArrayLike) -> Doubles:
    """Return log p - log(1 - p); 0 and 1 stand for the nearest numbers a float32 score has."""
    inside = np.clip(np.asarray(chance, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _chance(found: Doubles) -> Doubles:
    return np.asarray(1 / (1 + np.exp(-found)))
