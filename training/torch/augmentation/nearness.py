"""Whether a generated row lies as near to real rows of its class as these lie to one another.

Takes encoded rows; gives distances, and what to think of them.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from training.trainer import Floats

Doubles = NDArray[np.float64]


class Band(NamedTuple):
    """Distances to the nearest real row of which one passes from `low` to `high`; `typical` is real rows' median."""

    low: float
    high: float
    typical: float

    @classmethod
    def of(cls, rows: Floats, quantiles: tuple[float, float]) -> Self:
        """Return the band between two quantiles of rows' distances to the nearest other one.

        Quantile 0 and quantile 1 are without bound, and so is the band of a single row.
        """
        if len(rows) < 2:
            return cls(0.0, np.inf, np.inf)
        distances = nearest(rows, rows, skip=1)
        low, high = np.quantile(distances, quantiles)
        least = float(low) if quantiles[0] > 0 else 0.0
        return cls(least, float(high) if quantiles[1] < 1 else np.inf, float(np.median(distances)))

    def holds(self, distance: Doubles) -> NDArray[np.bool_]:
        """Return which distances pass."""
        return np.asarray((distance >= self.low) & (distance <= self.high))

    def quality(self, distance: Doubles) -> Doubles:
        """Return 1 for the typical distance or less, and less the farther it is, (n,) in [0, 1]."""
        if not np.isfinite(self.typical):
            return np.ones(len(distance))
        return np.asarray(np.minimum(1.0, self.typical / np.maximum(distance, 1e-12)))


def nearest(rows: Floats, others: Floats, *, skip: int = 0) -> Doubles:
    """Return each row's distance to the nearest of others, (n,), or to the one after the `skip` nearest."""
    found = NearestNeighbors(n_neighbors=skip + 1, algorithm="brute").fit(others)
    return np.asarray(found.kneighbors(rows)[0][:, skip], np.float64)
