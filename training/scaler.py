"""Feature rows to network inputs: heavy tails drawn in, one spread for all, missing values said aloud.

Takes raw rows with NaN for missing; gives `Scaler`, whose inputs are one column a feature, in its order, and then one
indicator column for each gap: the features that lacked values in just the same rows of those it was fitted on. Features
of one window or one metric are missing together, often by the hundred, and one column says so as well as a hundred.
"""

import json
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.trainer import Floats

Doubles = NDArray[np.float64]

CLIP = 4.0
NORMAL_IQR = 1.349  # interquartile range of a standard normal
LINEAR_UNIT = 1e9  # against which an input of a few units is so small that the logarithm does not bend it
CONSTANT = 1e-6  # a spread below this share of the level is float32 rounding, not signal


@dataclass(frozen=True)
class Scaler:
    """A signed logarithm around the median, standardised and clipped, fitted on training rows only.

    Per feature, with t(x) = sign(x - median) log(1 + |x - median| / unit), an input is (t(x) - mean) /
    spread, clipped to +-4. A missing value becomes 0, the mean, and sets the indicator of its gap to 1; where only
    some features of a gap are missing, which no fitting row had, to their share. A feature that was constant, or never
    present, among the fitting rows gives 0 for every row: its spread is unknown, and dividing by rounding error would
    make noise of it.

    Attributes:
        median: centre of the logarithm, one per feature.
        unit: where the logarithm bends, one per feature, in the feature's own unit.
        mean: mean of t over the fitting rows.
        spread: standard deviation of t over the fitting rows; 0 for a feature that is to give 0.
        indicators: positions of the features that have an indicator, ascending.
        gaps: which one, for each of these; empty where each has its own.
    """

    median: tuple[float, ...]
    unit: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    indicators: tuple[int, ...]
    gaps: tuple[int, ...] = ()

    @classmethod
    def fit(cls, features: Floats) -> "Scaler":
        """Fit to rows (rows, features); infinite values or no rows at all raise `ValueError`."""
        if len(features) == 0:
            raise ValueError("there are no rows to fit the scaler on; check that the reader gives training rows")
        rows = _finite(features)
        missing = np.isnan(rows)
        with warnings.catch_warnings():  # a feature that is missing throughout is expected and handled below
            warnings.simplefilter("ignore", RuntimeWarning)
            median, low, high = np.nanpercentile(rows, [50, 25, 75], axis=0)
            deviation = np.nanstd(rows, axis=0)
            varies = deviation > CONSTANT * np.maximum(np.abs(median), np.finfo(np.float32).tiny)
            unit = np.where(high - low > CONSTANT * deviation, (high - low) / NORMAL_IQR, deviation)
            median, unit = np.where(varies, median, 0.0), np.where(varies, unit, 1.0)
            bent = _bend(rows, median, unit)
            mean, spread = np.nanmean(bent, axis=0), np.nanstd(bent, axis=0)
        indicators, gaps = gaps_of(missing)
        return cls(
            median=tuple(median.tolist()),
            unit=tuple(unit.tolist()),
            mean=tuple(np.where(varies, mean, 0.0).tolist()),
            spread=tuple(np.where(varies, spread, 0.0).tolist()),
            indicators=indicators,
            gaps=gaps,
        )

    @classmethod
    def unchanged(cls, num_features: int) -> "Scaler":
        """Leave features as they are, but for clipping to +-4 and 0 for a missing value: they were scaled before."""
        same = (0.0,) * num_features
        return cls(same, (LINEAR_UNIT,) * num_features, same, (1 / LINEAR_UNIT,) * num_features, ())

    @property
    def num_features(self) -> int:
        """Features of a raw row."""
        return len(self.median)

    @property
    def gap_of(self) -> NDArray[np.int64]:
        """Which indicator each feature of `indicators` has, counted from 0."""
        return np.array(self.gaps or range(len(self.indicators)), np.int64)

    @property
    def num_inputs(self) -> int:
        """Columns of a scaled row: the features and the indicators."""
        return len(self.median) + len(set(self.gap_of.tolist()))

    def transform(self, features: Floats) -> Floats:
        """Scale rows (rows, features) to (rows, inputs) float32; infinite values raise `ValueError`."""
        rows = _finite(features)
        if rows.ndim != 2 or rows.shape[1] != self.num_features:
            raise ValueError(
                f"found rows of shape {rows.shape}, the scaler was fitted on {self.num_features} features; "
                "give the table this model was trained on, or retrain"
            )
        spread = np.asarray(self.spread)
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        bent = _bend(rows, np.asarray(self.median), np.asarray(self.unit))
        scaled = np.clip((bent - np.asarray(self.mean)) * scale, -CLIP, CLIP)
        indicators = np.isnan(rows[:, list(self.indicators)]) @ self._shares()
        return np.hstack([np.nan_to_num(scaled, nan=0.0), indicators]).astype(np.float32)

    def fold(self, contributions: Floats) -> Floats:
        """Add each indicator's contribution (rows, inputs) to its features, in equal shares: (rows, features)."""
        folded = contributions[:, : self.num_features].copy()
        folded[:, list(self.indicators)] += contributions[:, self.num_features :] @ self._shares().T
        return folded

    def _shares(self) -> Floats:
        """Return the share of each feature of `indicators` in each indicator, (features, indicators)."""
        of = self.gap_of
        belongs = of[:, None] == np.arange(self.num_inputs - self.num_features)
        return np.asarray(belongs / np.bincount(of)[of][:, None], np.float32)

    def to_json(self) -> str:
        """Return the scaler as JSON text; `from_json` reads it back, bit for bit."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Scaler":
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{name: tuple(values) for name, values in fields.items()})


def gaps_of(missing: NDArray[np.bool_]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which columns lack a value somewhere, and for each of them its gap: those that lack the same share one.

    Gaps are counted in the order of their first columns.
    """
    columns = np.flatnonzero(missing.any(axis=0))
    if not len(columns):
        return (), ()
    _, first, gap = np.unique(np.packbits(missing[:, columns], axis=0), axis=1, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return tuple(columns.tolist()), tuple(rank[gap.reshape(-1)].tolist())


def _bend(rows: Doubles, median: Doubles, unit: Doubles) -> Doubles:
    distance: Doubles = rows - median
    bent: Doubles = np.sign(distance) * np.log1p(np.abs(distance) / unit)
    return bent


def _finite(features: Floats) -> Doubles:
    rows = np.asarray(features, dtype=np.float64)
    infinite = np.isinf(rows)
    if infinite.any():
        columns = np.flatnonzero(infinite.any(axis=0))[:10].tolist()
        raise ValueError(
            f"found {int(infinite.sum())} infinite values, in feature columns {columns}; features must be "
            "finite or NaN for missing: extract them again, or write NaN where a feature is undefined"
        )
    return rows
