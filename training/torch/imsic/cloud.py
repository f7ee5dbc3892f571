"""Where the codes of a class lie, and which of its generated rows are kept (F).

Takes codes and encoded rows of real rows of one class; gives codes to make rows from, and refusals: of a row that the
class head does not take for its class, a copy of a real row, or one farther from real rows than these are apart.

Shapes: N real rows, B generated ones, K codes, W columns of an encoded row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from training.torch.augmentation.nearness import Band, nearest
from training.torch.imsic.settings import IMSICSettings
from training.trainer import Floats

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

REASONS = ("class", "copy", "junk")


class Refusals(NamedTuple):
    """Why each of B rows is refused, the first reason that holds alone; and how near it is to a real one, in [0, 1]."""

    reasons: Mapping[str, Flags]
    quality: Doubles

    @property
    def kept(self) -> Flags:
        """Which rows are not refused, (B,)."""
        return np.asarray(~np.any(list(self.reasons.values()), axis=0))


@dataclass(frozen=True, eq=False)
class Cloud:
    """Real rows of a class.

    Attributes:
        codes: what would make them, (N, K), within the graph's ranges.
        rows: (N, W) encoded.
        band: (3,) distances between them, as `Band`.
    """

    codes: Floats
    rows: Floats
    band: Doubles

    @classmethod
    def fit(cls, codes: Floats, rows: Floats, settings: IMSICSettings) -> Self:
        """Take codes and rows as they are, and the distances that pass from the settings' quantiles."""
        band = Band.of(rows, (settings.least_distance, settings.greatest_distance))
        return cls(codes, rows, np.array(band))

    def draw(self, rows: int, *, jitter: float, ranges: Doubles, random: np.random.Generator) -> Floats:
        """Draw codes of real rows, shift each a little, and keep them within the ranges (K, 2): (B, K)."""
        drawn = self.codes[random.integers(0, len(self.codes), rows)]
        shifted = drawn + jitter * random.standard_normal(drawn.shape)
        return np.asarray(np.clip(shifted, ranges[:, 0], ranges[:, 1]), np.float32)

    def judge(self, encoded: Floats, confidence: Doubles, least: float) -> Refusals:
        """Say which rows are refused, and why.

        Args:
            encoded: generated rows (B, W).
            confidence: the class head's probability of this class, (B,).
            least: that below which a row is refused.
        """
        band, distance = Band(*self.band), nearest(encoded, self.rows)
        strange = confidence < least
        copy = ~strange & (distance < band.low)
        junk = ~strange & (distance > band.high)
        return Refusals(dict(zip(REASONS, (strange, copy, junk), strict=True)), band.quality(distance))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {"codes": self.codes, "rows": self.rows, "band": self.band}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(arrays["codes"], arrays["rows"], arrays["band"])
