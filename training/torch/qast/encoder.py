"""A table to and from the rows that QAST's generator makes: mode-specific normalization, column by column (B.1).

Takes raw rows (n, d) float32 with NaN for missing; gives encoded rows (n, width): for a column of numbers its value
within a mode and the mode as one-hot, for one of categories the one-hot alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from training.torch.qast.columns import Categories, Doubles, Mixture, Rounding
from training.torch.qast.settings import QASTSettings
from training.trainer import Floats

Column = Categories | Mixture
KINDS: tuple[type[Categories] | type[Mixture], ...] = (Categories, Mixture)


class Block(NamedTuple):
    """Neighboring encoded columns that a generator activates together.

    Attributes:
        start: the first one.
        size: how many.
        kind: 'value' in [-1, 1]; 'modes' and 'categories' are one-hot.
    """

    start: int
    size: int
    kind: Literal["value", "modes", "categories"]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Fitted columns, in the table's order."""

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, features: Floats, *, settings: QASTSettings, seed: int, names: Sequence[str] = ()) -> Self:
        """Fit every column.

        Args:
            features: (n, d) raw rows, finite or NaN.
            settings: the encoder's fields are read.
            seed: of the mixtures' starts.
            names: of the columns; only needed where `settings.categorical` names some.

        Raises:
            ValueError: there are no rows, a value is infinite, or `categorical` names no column.
        """
        rows = np.asarray(features, np.float64)
        _check(rows, settings.categorical, names)
        whole = np.array([_whole(column) for column in rows.T])
        named = np.isin(names, settings.categorical) if len(names) else np.zeros(len(whole), bool)
        rounding = [_rounding(settings, bool(one), bool(whole.all())) for one in whole]
        return cls(
            tuple(
                Categories.fit(column)
                if categorical or _few(column, integer, settings)
                else Mixture.fit(column, settings=settings, rounding=rounding[place], seed=seed)
                for place, (column, integer, categorical) in enumerate(zip(rows.T, whole, named, strict=True))
            )
        )

    @property
    def width(self) -> int:
        """Columns of an encoded row."""
        return sum(sum(column.sizes) for column in self.columns)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of an encoded row, in order."""
        blocks: list[Block] = []
        start = 0
        for column in self.columns:
            values, choices = column.sizes
            if values:
                blocks.append(Block(start, values, "value"))
            blocks.append(Block(start + values, choices, "modes" if values else "categories"))
            start += values + choices
        return tuple(blocks)

    def encode(self, features: Floats) -> Floats:
        """Encode raw rows (n, d) to (n, width).

        Raises:
            ValueError: rows have another width, or a value is missing in a column that lacked none when fitted.
        """
        rows = np.asarray(features, np.float64)
        self._check_width(rows, len(self.columns), "features")
        self._check_missing(rows)
        encoded = np.empty((len(rows), self.width), np.float32)
        for column, values, place in zip(self.columns, rows.T, self._places(), strict=True):
            encoded[:, place] = column.encode(values)
        return encoded

    def decode(self, encoded: NDArray[np.floating[Any]]) -> Floats:
        """Decode rows (n, width), one-hot blocks hard or soft, to raw rows (n, d); another width is refused."""
        rows = np.asarray(encoded, np.float64)
        self._check_width(rows, self.width, "encoded columns")
        features = np.empty((len(rows), len(self.columns)), np.float32)
        for number, (column, place) in enumerate(zip(self.columns, self._places(), strict=True)):
            features[:, number] = column.decode(rows[:, place])
        return features

    def _places(self) -> list[slice]:
        ends = np.cumsum([sum(column.sizes) for column in self.columns]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def _check_width(self, rows: Doubles, expected: int, what: str) -> None:
        if rows.ndim != 2 or rows.shape[1] != expected:
            raise ValueError(
                f"found rows of shape {rows.shape}, the encoder was fitted for {expected} {what}; "
                "give the table it was fitted on, or fit it anew"
            )

    def _check_missing(self, rows: Doubles) -> None:
        allowed = np.array([column.missing for column in self.columns])
        strange = np.flatnonzero(np.isnan(rows).any(axis=0) & ~allowed)
        if len(strange):
            raise ValueError(
                f"values are missing in columns {strange[:10].tolist()}, where none were when the encoder was fitted; "
                "fit it on rows that lack some, or fill them in"
            )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the encoder as named arrays for safetensors; `from_arrays` reads them back, bit for bit."""
        kinds = np.array([KINDS.index(type(column)) for column in self.columns], np.int64)
        named = {
            f"{number}.{name}": array
            for number, column in enumerate(self.columns)
            for name, array in column.arrays().items()
        }
        return {"kinds": kinds, **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        own: list[dict[str, NDArray[Any]]] = [{} for _ in arrays["kinds"]]
        for name, array in arrays.items():
            if name != "kinds":
                number, field = name.split(".")
                own[int(number)][field] = array
        return cls(tuple(KINDS[kind].from_arrays(mine) for kind, mine in zip(arrays["kinds"], own, strict=True)))


def _check(rows: Doubles, categorical: Sequence[str], names: Sequence[str]) -> None:
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"found rows of shape {rows.shape}; the encoder needs at least one row and one column")
    if np.isinf(rows).any():
        columns = np.flatnonzero(np.isinf(rows).any(axis=0))[:10].tolist()
        raise ValueError(f"found infinite values in columns {columns}; write NaN where a feature is undefined")
    check_named(categorical, names)


def check_named(categorical: Sequence[str], names: Sequence[str]) -> None:
    """Refuse columns of categories that a table does not have."""
    strange = sorted(set(categorical) - set(names))
    if strange:
        raise ValueError(f"categorical names {strange}, the columns are {list(names)}; name some of these")


def _whole(column: Doubles) -> bool:
    present = column[~np.isnan(column)]
    return bool((present == np.round(present)).all())


def _few(column: Doubles, whole: bool, settings: QASTSettings) -> bool:
    # Without a number there is no mixture; a constant is one category, unless columns are taken as published.
    distinct = np.unique(column[~np.isnan(column)])
    return len(distinct) < min(2, settings.categories + 1) or (whole and len(distinct) <= settings.categories)


def _rounding(settings: QASTSettings, whole: bool, all_whole: bool) -> Rounding:
    # The published code casts the whole table to its type: floats, as soon as one column holds some.
    applies = whole if settings.integers == "round" else all_whole
    return settings.integers if applies else "none"
