"""Rare groups of a table without any label: clusters, importance, pseudo-labels and a balanced table (F.1 to F.5).

Takes raw rows; gives `Discovery`. Nothing here has seen a label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.oversampling import oversample
from training.torch.importance import clusters, rarity
from training.torch.importance.clusters import Clusters
from training.torch.importance.encoder import Encoder
from training.torch.importance.settings import ImportanceVectorSettings
from training.trainer import Floats

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

MOST_CLUSTERS = 8


@dataclass(frozen=True)
class Discovery:
    """What was found in a table.

    Attributes:
        settings: under which.
        encoder: raw rows to inputs.
        clusters: of the inputs.
        chances: membership of each row of the table, (n, K).
    """

    settings: ImportanceVectorSettings
    encoder: Encoder
    clusters: Clusters
    chances: Doubles

    @property
    def labels(self) -> Codes:
        """Cluster of each row, (n,): its pseudo-label."""
        return np.asarray(self.chances.argmax(axis=1), np.int64)

    @property
    def confidence(self) -> Doubles:
        """Membership in that cluster, (n,)."""
        return np.asarray(self.chances.max(axis=1))

    @property
    def importance(self) -> Doubles:
        """Importance of each row, (n,): 1 in a cluster of average size, more in a smaller one."""
        return rarity.row_importance(self.chances, self.clusters.shares)

    @property
    def small(self) -> tuple[int, ...]:
        """Clusters with less than an equal share of the rows."""
        return rarity.small_clusters(self.clusters.shares)

    def importance_of(self, features: Floats) -> Doubles:
        """Return the importance of any raw rows, (rows,)."""
        return rarity.row_importance(self.clusters.chances(self.encoder.encode(features)), self.clusters.shares)

    def balanced(self, features: Floats) -> tuple[Floats, Codes]:
        """Return the rows that have a pseudo-label, then those SMOTE adds to the small clusters, and their labels.

        Args:
            features: the table's raw rows, (n, d).
        """
        sure = self.confidence >= self.settings.confidence
        rows, labels = features[sure], self.labels[sure]
        counts = rarity.sizes(labels, self.chances.shape[1])
        small = {
            code: rows for code, rows in rarity.targets(counts, self.settings.growth).items() if code in self.small
        }
        made, codes = oversample(
            rows,
            labels,
            small,
            categorical=self.encoder.categorical,
            neighbors=self.settings.neighbors,
            seed=self.settings.seed,
        )
        return np.concatenate([rows, made]), np.concatenate([labels, codes])


def discover(
    features: Floats, *, settings: ImportanceVectorSettings, num_clusters: int = 2, names: Sequence[str] = ()
) -> Discovery:
    """Find clusters and their rarity.

    Args:
        features: (n, d) raw rows, finite or NaN.
        settings: of encoder, clusters and balance.
        num_clusters: how many; 0 for the number, up to 8, with the least BIC of a Gaussian mixture.
        names: of the columns; only needed where `settings.categorical` names some.

    Raises:
        ValueError: no column tells rows apart, a value is infinite, or there are fewer rows than clusters.
    """
    encoder = Encoder.fit(features, settings=settings, names=names)
    inputs = encoder.encode(features)
    num = num_clusters or clusters.choose_number(inputs, MOST_CLUSTERS, seed=settings.seed)
    found = clusters.fit(inputs, num, settings=settings, embedded=encoder.embedded)
    return Discovery(settings, encoder, found, found.chances(inputs))
