"""What rows made in some of a table's features have in the others: those of a real row of their class near them.

The encoder gives each feature several columns and the networks' attention compares all pairs of them, so rows of a
table of hundreds of features are made in those that tell its classes best. Hot-deck imputation gives them the rest
(Andridge, Little 2010, "A review of hot deck imputation for survey non-response"): the second stage sees whole rows.

Takes labelled raw rows with NaN for missing; gives `Donors`, and their file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from training.artifact import ArtifactError
from training.rows_by_class import Codes, bounded
from training.scaler import Scaler
from training.trainer import Floats

NEAREST = 5  # donors that one is drawn from
MOST = 10_000  # donors of all classes that are kept
STREAM = 4


@dataclass(frozen=True, eq=False)
class Donors:
    """Real rows and what made ones share with them.

    Attributes:
        rows: raw rows, (m, d).
        labels: (m,) class codes.
        chosen: (c,) positions of the features that rows are made in, ascending.
    """

    rows: Floats
    labels: Codes
    chosen: Codes

    def __post_init__(self) -> None:
        """Refuse parts of different tables."""
        if len(self.rows) != len(self.labels) or not np.isin(self.chosen, np.arange(self.rows.shape[1])).all():
            raise ArtifactError(
                f"{self.rows.shape} donors with {len(self.labels)} labels and features {self.chosen.tolist()}, which "
                "are of different tables; train again"
            )

    @classmethod
    def of(cls, features: Floats, labels: Codes, *, chosen: Sequence[int], classes: Sequence[int], seed: int) -> Self:
        """Keep rows of some classes.

        Args:
            features: raw labelled rows, (n, d).
            labels: (n,) class codes.
            chosen: positions of the features that rows are made in.
            classes: codes of those that rows are made of.
            seed: of the draw, where there are more than `MOST`.
        """
        own = np.flatnonzero(np.isin(labels, classes))
        kept = own[bounded(labels[own], MOST, seed=seed)]
        return cls(features[kept], labels[kept], np.array(chosen, np.int64))

    def whole(self, made: Floats, labels: Codes, *, seed: int) -> Floats:
        """Return made rows (n, c) with all features, (n, d): a donor is one of the nearest of a row's class.

        Near is by scaled values of the chosen features, a missing one being the mean and a sign that it is missing.
        """
        random = np.random.default_rng([seed, STREAM])
        whole = np.empty((len(made), self.rows.shape[1]), np.float32)
        for code in np.unique(labels):
            own, donors = np.flatnonzero(labels == code), np.flatnonzero(self.labels == code)
            near = NearestNeighbors(n_neighbors=min(NEAREST, len(donors))).fit(self._scaled[donors])
            nearest = near.kneighbors(self._scaler.transform(made[own]), return_distance=False)
            drawn = nearest[np.arange(len(own)), random.integers(0, nearest.shape[1], len(own))]
            whole[own] = self.rows[donors[drawn]]
        whole[:, self.chosen] = made
        return whole

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the donors as named arrays for safetensors; `from_arrays` reads them back."""
        return {"rows": self.rows, "labels": self.labels, "chosen": self.chosen}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(arrays["rows"], arrays["labels"], arrays["chosen"])

    @cached_property
    def _scaler(self) -> Scaler:
        return Scaler.fit(self.rows[:, self.chosen])

    @cached_property
    def _scaled(self) -> Floats:
        return self._scaler.transform(self.rows[:, self.chosen])
