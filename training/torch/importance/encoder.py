"""A table as inputs of networks and of k-means: scaled numbers, one-hot categories, nothing that only names a row.

Takes raw rows (n, d) float32 with NaN for missing; gives inputs (n, i) float32: the scaled numbers, an indicator for
the numbers that were missing in the same rows, then a block for each column of categories.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.scaler import LINEAR_UNIT, Scaler, gaps_of
from training.torch.embedded import Embedded
from training.torch.importance.settings import ImportanceVectorSettings, Scaling
from training.trainer import Floats

Doubles = NDArray[np.float64]

ONE_HOT_LEVELS = 8  # more of them are embedded
LARGEST_EMBEDDING = 50


@dataclass(frozen=True)
class Encoder:
    """Fitted columns.

    Attributes:
        features: columns of a raw row.
        numbers: positions of the columns of numbers, ascending.
        scaler: of the columns of numbers.
        categorical: positions of the columns of categories, ascending.
        levels: the categories of each, ascending; one NaN, last, if missing is one of them.
    """

    features: int
    numbers: tuple[int, ...]
    scaler: Scaler
    categorical: tuple[int, ...]
    levels: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, features: Floats, *, settings: ImportanceVectorSettings, names: Sequence[str] = ()) -> Self:
        """Find out what each column is, and fit it.

        Args:
            features: (n, d) raw rows, finite or NaN.
            settings: the encoder's fields are read.
            names: of the columns; only needed where `settings.categorical` names some.

        Raises:
            ValueError: there are no rows, a value is infinite, `categorical` names no column, or no column is left.
        """
        rows = np.asarray(features, np.float64)
        _check(rows, settings.categorical, names)
        named = [name in settings.categorical for name in names] or [False] * rows.shape[1]
        kinds = ["category" if one else _kind(column, settings) for one, column in zip(named, rows.T, strict=True)]
        numbers = tuple(place for place, kind in enumerate(kinds) if kind == "number")
        categorical = tuple(place for place, kind in enumerate(kinds) if kind == "category")
        if not numbers and not categorical:
            raise ValueError(
                f"none of the {len(kinds)} columns tells rows apart: each is constant, missing, or names the row; "
                "extract other features, or raise id_share if whole numbers that differ in every row are meant"
            )
        scaler = _scaler(rows[:, numbers].astype(np.float32), settings.scaling, settings.mode == "repaired")
        levels = tuple(tuple(np.unique(rows[:, place]).tolist()) for place in categorical)
        return cls(rows.shape[1], numbers, scaler, categorical, levels)

    @property
    def width(self) -> int:
        """Columns of the inputs."""
        return self.scaler.num_inputs + sum(len(levels) for levels in self.levels)

    @property
    def embedded(self) -> tuple[Embedded, ...]:
        """Blocks of so many levels that a network learns an embedding of them (F.1): min(50, 1.6 n^0.56) numbers."""
        blocks, start = [], self.scaler.num_inputs
        for levels in self.levels:
            if len(levels) > ONE_HOT_LEVELS:
                size = min(LARGEST_EMBEDDING, math.ceil(1.6 * len(levels) ** 0.56))
                blocks.append(Embedded(start, start + len(levels), size))
            start += len(levels)
        return tuple(blocks)

    def encode(self, features: Floats) -> Floats:
        """Encode raw rows (n, d) to (n, width); a level that was not seen when fitting gives a block of 0."""
        rows = np.asarray(features, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(
                f"found rows of shape {rows.shape}, the encoder was fitted on {self.features} features; "
                "give the table it was fitted on, or fit it anew"
            )
        blocks = [self.scaler.transform(rows[:, self.numbers].astype(np.float32))]
        for place, levels in zip(self.categorical, self.levels, strict=True):
            blocks.append(_one_hot(rows[:, place], np.array(levels)))
        return np.hstack(blocks)

    def fold(self, contributions: Floats) -> Floats:
        """Add up the contributions of each feature's inputs: (n, width) to (n, d), 0 for a feature left out."""
        folded = np.zeros((len(contributions), self.features), np.float32)
        at = self.scaler.num_inputs
        folded[:, self.numbers] = self.scaler.fold(contributions[:, :at])
        for place, levels in zip(self.categorical, self.levels, strict=True):
            folded[:, place] = contributions[:, at : at + len(levels)].sum(axis=1)
            at += len(levels)
        return folded

    def to_json(self) -> str:
        """Return the encoder as JSON text; `from_json` reads it back."""
        levels = [[None if math.isnan(level) else level for level in column] for column in self.levels]
        fields = {"features": self.features, "numbers": self.numbers, "categorical": self.categorical}
        return json.dumps(fields | {"levels": levels, "scaler": json.loads(self.scaler.to_json())}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        levels = (tuple(math.nan if level is None else level for level in column) for column in fields["levels"])
        scaler = Scaler.from_json(json.dumps(fields["scaler"]))
        numbers, categorical = tuple(fields["numbers"]), tuple(fields["categorical"])
        return cls(fields["features"], numbers, scaler, categorical, tuple(levels))


def _check(rows: Doubles, categorical: Sequence[str], names: Sequence[str]) -> None:
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"found rows of shape {rows.shape}; the encoder needs at least one row and one column")
    if np.isinf(rows).any():
        columns = np.flatnonzero(np.isinf(rows).any(axis=0))[:10].tolist()
        raise ValueError(f"found infinite values in feature columns {columns}; write NaN where a feature is undefined")
    if strange := sorted(set(categorical) - set(names)):
        raise ValueError(f"categorical names {strange}, the columns are {list(names)}; name some of these")


def _kind(column: Doubles, settings: ImportanceVectorSettings) -> str:
    present = column[~np.isnan(column)]
    distinct = len(np.unique(present))
    if distinct < 2 and (distinct == 0 or len(present) == len(column)):
        return "none"
    if not (present == np.round(present)).all():
        return "number"
    if distinct <= settings.categories:
        return "category"
    return "none" if distinct > settings.id_share * len(column) else "number"


def _scaler(rows: Floats, scaling: Scaling, indicators: bool) -> Scaler:
    if not rows.shape[1]:
        return Scaler((), (), (), (), ())
    if scaling == "robust":
        return Scaler.fit(rows)
    if scaling == "standard":
        center, unit = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    elif scaling == "minmax":
        center, unit = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0) - np.nanmin(rows, axis=0)
    else:
        center, unit = np.zeros(rows.shape[1]), np.nanmax(np.abs(rows), axis=0)
    columns, gaps = gaps_of(np.isnan(rows)) if indicators else ((), ())
    far, count = LINEAR_UNIT * max(1.0, float(np.nanmax(np.abs(rows)))), rows.shape[1]
    return Scaler(  # so far from its bend the logarithm is a straight line
        median=tuple(np.asarray(center, np.float64).tolist()),
        unit=(far,) * count,
        mean=(0.0,) * count,
        spread=tuple((np.asarray(unit, np.float64) / far).tolist()),
        indicators=columns,
        gaps=gaps,
    )


def _one_hot(column: Doubles, levels: Doubles) -> Floats:
    same = column[:, None] == levels
    same |= np.isnan(column)[:, None] & np.isnan(levels)
    return np.asarray(same, np.float32)
