"""How members' scores become one, and which members deserve it: nested validation on held-out rows.

Takes each member's scores of labelled rows that it did not learn from; no member is fitted again. A member's own
settings were chosen on these rows too, which flatters members with more to choose from, by little; what is compared
here, weights and members, is compared on halves of the rows that did not decide it.

`M` members, `n` labelled rows, `B` rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from training.artifact import ArtifactError

Doubles = NDArray[np.float64]
Truth = NDArray[np.bool_]

CERTAIN = 1e-4  # log-odds of a chance that is nearer to 0 or 1 are those of this one
LEAST_SPREAD = 1e-3  # of log-odds


@dataclass(frozen=True, eq=False)
class Blend:
    """A weighted sum of log-odds on one scale, and how it becomes log-odds of balanced classes.

    Attributes:
        weights: of the members, (M,), positive, of sum 1.
        center: mean of each member's log-odds over the held-out rows, (M,).
        spread: their standard deviation, (M,).
        slope: log-odds a unit of the sum, positive.
        offset: log-odds at a sum of 0.
    """

    weights: Doubles
    center: Doubles
    spread: Doubles
    slope: float
    offset: float

    @classmethod
    def fit(cls, chances: Doubles, truth: Truth, weights: Doubles) -> Self:
        """Fit scale, slope and offset to the members' chances (M, n) of held-out rows."""
        center, spread = _scale(_log_odds(chances))
        total = joined(chances, weights)
        model = LogisticRegression(class_weight="balanced").fit(total[:, None], truth)
        slope = max(float(model.coef_[0, 0]), LEAST_SPREAD)
        return cls(weights, center, spread, slope, float(model.intercept_[0]))

    def heights(self, chances: Doubles) -> Doubles:
        """Return the log-odds of the rare class, (B,), of the members' chances (M, B)."""
        return self.offset + self.steepness() @ (_log_odds(chances) - self.center[:, None])

    def steepness(self) -> Doubles:
        """Return how much the log-odds rise with those of each member, (M,)."""
        return self.slope * self.weights / self.spread

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        line = np.array([self.slope, self.offset])
        return {"weights": self.weights, "center": self.center, "spread": self.spread, "line": line}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave; numbers that blend nothing raise `ArtifactError`."""
        weights, center, spread = (np.asarray(arrays[name], np.float64) for name in ("weights", "center", "spread"))
        slope, offset = np.asarray(arrays["line"], np.float64).tolist()
        members = (len(weights),)
        whole = np.concatenate([weights, center, spread, [slope, offset]])
        if weights.ndim != 1 or center.shape != members or spread.shape != members or not np.isfinite(whole).all():
            raise ArtifactError("the blend's numbers are not finite, or not one for each member; train again")
        if (weights < 0).any() or (spread <= 0).any():
            raise ArtifactError("the blend has negative weights or no spread; train again")
        return cls(weights, center, spread, slope, offset)


def joined(chances: Doubles, weights: Doubles) -> Doubles:
    """Return the weighted sum, (n,), of the members' log-odds, each of mean 0 and spread 1 over these rows."""
    heights = _log_odds(chances)
    center, spread = _scale(heights)
    return np.asarray(weights @ ((heights - center[:, None]) / spread[:, None]))


def _scale(heights: Doubles) -> tuple[Doubles, Doubles]:
    return heights.mean(axis=1), np.maximum(heights.std(axis=1), LEAST_SPREAD)


def _log_odds(chances: Doubles) -> Doubles:
    return np.asarray(logit(np.clip(chances, CERTAIN, 1 - CERTAIN)), dtype=np.float64)
