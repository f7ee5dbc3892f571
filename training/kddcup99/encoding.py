"""Connections as feature rows: categories one column a value, numbers drawn to [0, 1] where that is asked for.

Takes `Connections`; gives features (rows, features) float32 and their names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FEATURE_SEPARATOR
from training.kddcup99.files import CATEGORIES, Connections
from training.trainer import Floats

Doubles = NDArray[np.float64]


def feature_names(connections: Connections, columns: Sequence[str]) -> tuple[str, ...]:
    """Name the features of `encode`: a number by its column, a category's value as `<column>__<value>`."""
    names: list[str] = []
    for column in columns:
        if column in CATEGORIES:
            values = connections.columns[column].cat.categories
            names += [f"{column}{FEATURE_SEPARATOR}{value}" for value in values]
        else:
            names.append(column)
    return tuple(names)


def encode(connections: Connections, columns: Sequence[str], *, logarithm: Sequence[str] = ()) -> Floats:
    """Return feature rows, (rows, features) float32, in the order of `feature_names`.

    Args:
        connections: the rows, with a category's vocabulary that is the same for training and test.
        columns: the columns to take, in order.
        logarithm: those of them to give as log(1 + x).
    """
    parts = []
    for column in columns:
        values = connections.columns[column]
        if column in CATEGORIES:
            codes = values.cat.codes.to_numpy()
            parts.append((codes[:, None] == np.arange(len(values.cat.categories))).astype(np.float32))
        else:
            numbers = values.to_numpy(np.float64)
            parts.append((np.log1p(numbers) if column in logarithm else numbers).astype(np.float32)[:, None])
    return np.hstack(parts)


@dataclass(frozen=True)
class MinMax:
    """Features drawn to [0, 1] by the smallest and largest value among the rows it was fitted on, and clipped.

    Attributes:
        low: smallest value, one per feature.
        high: largest value; a feature with one value alone becomes 0.
    """

    low: Doubles
    high: Doubles

    @classmethod
    def fit(cls, features: Floats) -> "MinMax":
        """Fit to rows (rows, features)."""
        return cls(features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64))

    def transform(self, features: Floats) -> Floats:
        """Scale rows (rows, features); what lies outside the fitted range becomes 0 or 1."""
        width = self.high - self.low
        scale = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
        return np.asarray(np.clip((features - self.low) * scale, 0.0, 1.0), dtype=np.float32)
