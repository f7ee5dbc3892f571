"""Whether a generated row looks of its class, and lies as near to real rows of it as these do to one another.

Takes encoded rows; gives probabilities, votes and nearness. Not of the paper, which keeps every row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from training.torch.augmentation.nearness import Band, nearest
from training.trainer import Floats

Doubles = NDArray[np.float64]

BAND = (0.05, 0.95)  # quantiles of real rows' distances to the nearest other one
WIDER = (0.5, 1.5)  # factors by which a generated row may lie nearer or farther
STRENGTH = 0.1  # inverse, of the discriminator's penalty: rare rows are few
MAJORITY_ROWS = 5000  # that it learns from at most


class Judgement(NamedTuple):
    """What is thought of rows, each (n,): `confidence` in [0, 1], `votes` 0 to 2, `quality` in [0, 1]."""

    confidence: Doubles
    votes: Doubles
    quality: Doubles


@dataclass(frozen=True, eq=False)
class Judge:
    """A discriminator of a rare class and the majority, and real rows to compare with.

    Attributes:
        rows: (n, width) encoded real rows of the class.
        weights: (width,) of the discriminator.
        bias: (1,) of it.
        band: (3,) of real rows' distances, as `Band`.
    """

    rows: Floats
    weights: Doubles
    bias: Doubles
    band: Doubles

    @classmethod
    def fit(cls, rare: Floats, majority: Floats, *, seed: int) -> Self:
        """Learn from encoded rows, at least one of either kind; a class of one row gives a band without bounds."""
        if len(majority) > MAJORITY_ROWS:
            majority = majority[np.random.default_rng(seed).choice(len(majority), MAJORITY_ROWS, replace=False)]
        model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
        model.fit(np.concatenate([majority, rare]), np.repeat([0, 1], [len(majority), len(rare)]))
        return cls(rare, model.coef_[0].astype(np.float64), model.intercept_.astype(np.float64), _band(rare))

    def judge(self, encoded: Floats) -> Judgement:
        """Return what is thought of encoded rows (n, width)."""
        if not len(encoded):
            return Judgement(np.empty(0), np.empty(0), np.empty(0))
        confidence = 1 / (1 + np.exp(-np.clip(encoded @ self.weights + self.bias, -50, 50)))
        distance = nearest(encoded, self.rows)
        band = Band(*self.band)
        votes = (confidence > 0.5).astype(np.float64) + band.holds(distance)
        return Judgement(confidence, votes, band.quality(distance))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {"rows": self.rows, "weights": self.weights, "bias": self.bias, "band": self.band}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(arrays["rows"], arrays["weights"], arrays["bias"], arrays["band"])


def _band(rare: Floats) -> Doubles:
    band = Band.of(rare, BAND)
    return np.array([band.low * WIDER[0], band.high * WIDER[1], band.typical])
