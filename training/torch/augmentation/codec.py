"""Raw rows to what the networks see and make, and back: tables of mixed columns, and images, behind one interface.

Takes raw rows (n, d) float32 with NaN for missing; gives encoded rows (n, width): numbers first, then which of them
are missing (one column for those that always are together), then a one-hot block for each column of categories. A codec
is fitted on training rows alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from training.scaler import Scaler
from training.torch.augmentation.settings import AugmentationSettings
from training.torch.qast.columns import Categories
from training.trainer import Floats

Doubles = NDArray[np.float64]
SCALER = "scaler"


class Layout(NamedTuple):
    """What stands where in an encoded row.

    Attributes:
        numbers: numeric columns, the first ones.
        indicators: positions among the numbers of those that have a column saying they are missing; these follow.
        gaps: which of these columns each has; empty where each has its own.
        categories: sizes of the one-hot blocks after that, in order.
        image: channels, height and width if the numbers are pixels in [0, 1], else None.
    """

    numbers: int
    indicators: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()
    image: tuple[int, ...] | None = None
    gaps: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Columns of an encoded row."""
        return int(self.missing.stop + sum(self.categories))

    @property
    def missing(self) -> slice:
        """Where it says which numbers are missing."""
        return slice(self.numbers, self.numbers + (max(self.gaps) + 1 if self.gaps else len(self.indicators)))

    @property
    def said_by(self) -> tuple[int, ...]:
        """For each number of `indicators` the column of the encoded row that says it is missing."""
        return tuple(self.numbers + gap for gap in self.gaps or range(len(self.indicators)))

    @property
    def one_hot(self) -> slice:
        """Where the one-hot blocks stand, side by side."""
        return slice(self.missing.stop, self.width)

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The one-hot blocks."""
        ends = np.cumsum([self.missing.stop, *self.categories]).tolist()
        return tuple(slice(start, end) for start, end in zip(ends, ends[1:], strict=False))


class Codec(Protocol):
    """What encodes rows."""

    @property
    def layout(self) -> Layout:
        """What an encoded row holds."""
        ...

    @property
    def sources(self) -> NDArray[np.bool_]:
        """Which encoded columns each raw one is in, (d, width)."""
        ...

    def encode(self, features: Floats, /) -> Floats:
        """Encode raw rows (n, d) to (n, width)."""
        ...

    def decode(self, encoded: Floats, /) -> Floats:
        """Decode rows (n, width), indicators and one-hot blocks hard or soft, to raw rows (n, d)."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the codec as named arrays; `from_arrays` reads them back."""
        ...


@dataclass(frozen=True, eq=False)
class ImageCodec:
    """Pixels, to [0, 1] and back.

    Attributes:
        shape: channels, height and width.
        brightest: value of the brightest pixel.
    """

    shape: tuple[int, ...]
    brightest: float

    @property
    def layout(self) -> Layout:
        """What an encoded row holds."""
        return Layout(int(np.prod(self.shape)), image=self.shape)

    @property
    def sources(self) -> NDArray[np.bool_]:
        """Which encoded columns each raw one is in, (d, width)."""
        return np.eye(self.layout.width, dtype=bool)

    def encode(self, features: Floats, /) -> Floats:
        """Scale pixels to [0, 1]; a missing one or another number of them is refused."""
        rows = np.asarray(features, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.layout.numbers or np.isnan(rows).any():
            raise ValueError(
                f"found rows of shape {rows.shape} with {int(np.isnan(rows).sum())} missing values; an image of "
                f"{self.shape} has {self.layout.numbers} pixels, none missing: correct `image`, or fill them in"
            )
        return np.clip(rows / np.float32(self.brightest), 0, 1)

    def decode(self, encoded: Floats, /) -> Floats:
        """Scale values to pixels, clipped to what a pixel can be."""
        return np.asarray(np.clip(encoded, 0, 1) * self.brightest, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {"shape": np.array(self.shape, np.int64), "brightest": np.array([self.brightest])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(tuple(arrays["shape"].tolist()), float(arrays["brightest"][0]))


@dataclass(frozen=True, eq=False)
class TableCodec:
    """Mixed columns: numbers through the program's scaler, which draws heavy tails in, and a few values as one-hot.

    Attributes:
        scaler: of the numeric columns.
        numeric: (p,) positions of those.
        whole: (p,) whether a numeric column holds whole numbers.
        bounds: (3, p) least, greatest and median value of each when fitted.
        columns: the columns of categories, by position.
    """

    scaler: Scaler
    numeric: NDArray[np.int64]
    whole: NDArray[np.bool_]
    bounds: Doubles
    columns: Mapping[int, Categories]

    @classmethod
    def fit(cls, features: Floats, *, settings: AugmentationSettings, names: Sequence[str]) -> Self:
        """Fit to raw rows; infinite values, no rows at all, or an unknown categorical name raise `ValueError`."""
        if strange := sorted(set(settings.categorical) - set(names)):
            raise ValueError(f"categorical names {strange}, the columns are {list(names)}; name some of these")
        rows = np.asarray(features, np.float64)
        few = np.array(
            [
                name in settings.categorical or _few(column, settings.categories)
                for name, column in zip(names, rows.T, strict=True)
            ]
        )
        numeric = np.flatnonzero(~few)
        present = rows[:, numeric]
        if len(numeric):
            bounds = np.stack([np.nanmin(present, 0), np.nanmax(present, 0), np.nanmedian(present, 0)])
        else:
            bounds = np.empty((3, 0))
        return cls(
            scaler=Scaler.fit(present.astype(np.float32)) if len(numeric) else Scaler.unchanged(0),
            numeric=numeric,
            whole=np.array([_whole(column) for column in present.T], bool),
            bounds=bounds,
            columns={int(place): Categories.fit(rows[:, place]) for place in np.flatnonzero(few)},
        )

    @cached_property
    def layout(self) -> Layout:
        """What an encoded row holds."""
        sizes = tuple(len(column.values) for column in self.columns.values())
        return Layout(len(self.numeric), self.scaler.indicators, sizes, gaps=self.scaler.gaps)

    @property
    def sources(self) -> NDArray[np.bool_]:
        """Which encoded columns each raw one is in, (d, width)."""
        layout, found = self.layout, np.zeros((len(self.numeric) + len(self.columns), self.layout.width), bool)
        found[self.numeric, np.arange(layout.numbers)] = True
        found[self.numeric[list(layout.indicators)], list(layout.said_by)] = True
        for place, block in zip(self.columns, layout.blocks, strict=True):
            found[place, block] = True
        return found

    def encode(self, features: Floats, /) -> Floats:
        """Encode raw rows (n, d) to (n, width); another number of columns is refused.

        What is missing in a column that lacked nothing when fitted counts as its mean, or its greatest category.
        """
        rows = np.asarray(features, np.float32)
        self._check(rows, len(self.numeric) + len(self.columns), "features")
        numbers = self.scaler.transform(rows[:, self.numeric])
        blocks = [_one_hot(column, rows[:, place]) for place, column in self.columns.items()]
        return np.hstack([numbers, *blocks]).astype(np.float32)

    def decode(self, encoded: Floats, /) -> Floats:
        """Decode rows (n, width) to raw rows (n, d), each number within the range of those seen when fitted."""
        rows = np.asarray(encoded, np.float64)
        self._check(rows, self.layout.width, "encoded columns")
        features = np.empty((len(rows), len(self.numeric) + len(self.columns)), np.float32)
        features[:, self.numeric] = self._numbers(rows)
        for (place, column), block in zip(self.columns.items(), self.layout.blocks, strict=True):
            features[:, place] = column.decode(rows[:, block])
        return features

    def _numbers(self, rows: Doubles) -> Doubles:
        bent = rows[:, : len(self.numeric)] * self.scaler.spread + np.asarray(self.scaler.mean)
        values = self.scaler.median + np.sign(bent) * np.asarray(self.scaler.unit) * np.expm1(np.abs(bent))
        low, high, median = self.bounds
        values = np.where(np.asarray(self.scaler.spread) > 0, np.clip(values, low, high), median)
        values = np.where(self.whole, np.round(values), values)
        absent = rows[:, list(self.layout.said_by)] >= 0.5
        places = list(self.layout.indicators)
        values[:, places] = np.where(absent, np.nan, values[:, places])
        return values

    def _check(self, rows: NDArray[np.floating[Any]], expected: int, what: str) -> None:
        if rows.ndim != 2 or rows.shape[1] != expected:
            raise ValueError(
                f"found rows of shape {rows.shape}, the codec was fitted for {expected} {what}; "
                "give the table it was fitted on, or fit it anew"
            )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the codec as named arrays for safetensors; `from_arrays` reads them back, bit for bit."""
        scaler = np.frombuffer(self.scaler.to_json().encode(), np.uint8)
        own: dict[str, NDArray[Any]] = {
            SCALER: scaler,
            "numeric": self.numeric,
            "whole": self.whole,
            "bounds": self.bounds,
        }
        return own | {f"column.{place}": column.values for place, column in self.columns.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        places = sorted(int(name.split(".")[1]) for name in arrays if name.startswith("column."))
        return cls(
            scaler=Scaler.from_json(arrays[SCALER].tobytes().decode()),
            numeric=arrays["numeric"],
            whole=arrays["whole"],
            bounds=arrays["bounds"],
            columns={place: Categories(arrays[f"column.{place}"]) for place in places},
        )


def fit(features: Floats, *, settings: AugmentationSettings, names: Sequence[str]) -> Codec:
    """Fit the codec that the settings ask for."""
    if not settings.image:
        return TableCodec.fit(features, settings=settings, names=names)
    codec = ImageCodec(tuple(settings.image), settings.brightest)
    codec.encode(features[:1])  # refuses an image of another size at once
    return codec


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Codec:
    """Read what a codec's `arrays` gave."""
    return TableCodec.from_arrays(arrays) if SCALER in arrays else ImageCodec.from_arrays(arrays)


def _one_hot(column: Categories, values: Floats) -> Doubles:
    if not column.missing:
        values = np.where(np.isnan(values), np.float32(column.values[-1]), values)
    return column.encode(values.astype(np.float64))


def _whole(column: Doubles) -> bool:
    present = column[~np.isnan(column)]
    return bool((present == np.round(present)).all())


def _few(column: Doubles, most: int) -> bool:
    distinct = np.unique(column[~np.isnan(column)])
    return len(distinct) < 2 or (_whole(column) and len(distinct) <= most)
