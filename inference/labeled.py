"""The labelled rows of a feature table, which are few: what is usual, and whom an entity can be likened to."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from feature_extraction.schema import ENTITY, LABEL, UNLABELED
from inference import table
from training.trainer import Floats


@dataclass(frozen=True)
class LabeledRows:
    """The entities whose label training saw; hidden labels are not among them.

    Attributes:
        names: feature columns.
        entities: (n,) entity ids, ascending.
        labels: (n,) class names.
        is_rare: (n,) whether the class is the rare one.
        features: (n, features) raw rows, NaN for missing.
    """

    names: tuple[str, ...]
    entities: NDArray[np.object_]
    labels: NDArray[np.object_]
    is_rare: NDArray[np.bool_]
    features: Floats

    @classmethod
    def read(cls, url: str, names: tuple[str, ...]) -> Self:
        """Read the labelled rows of the feature table at `url`."""
        schema = table.schema(url)
        frame = table.select(url, [LABEL, *names], ds.field(LABEL) != UNLABELED).sort_values(ENTITY)
        labels = np.array(schema.classes, dtype=object)[frame[LABEL].to_numpy()]
        features = np.ascontiguousarray(frame[list(names)].to_numpy(dtype=np.float32))
        return cls(names, frame[ENTITY].to_numpy(dtype=object), labels, labels == schema.rare, features)

    @property
    def regular(self) -> Floats:
        """Rows that are not rare, (rows, features)."""
        return self.features[~self.is_rare]

    def typical(self) -> NDArray[np.float64]:
        """Return the median of each feature over the rows that are not rare and have it, (features,); else NaN."""
        medians = np.full(len(self.names), np.nan)
        there = np.isfinite(self.regular).any(axis=0)
        medians[there] = np.nanmedian(self.regular[:, there].astype(np.float64), axis=0)
        return medians

    def whole(self) -> NDArray[np.bool_]:
        """Tell of which features all values, of all labelled rows, are whole numbers, (features,)."""
        there = np.isfinite(self.features)
        rounded = np.where(there, self.features == np.round(self.features), True)
        return np.asarray(rounded.all(axis=0) & there.any(axis=0))
