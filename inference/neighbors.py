"""The labelled entities that an alerted one is most like, as far as the model looks at it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from inference.labeled import LabeledRows
from inference.report_alerts import Neighbor
from training.scaler import Scaler
from training.trainer import Floats

Doubles = NDArray[np.float64]

PAIRS = 2_000  # pairs of labelled entities that tell how far apart a typical pair is


def nearest(
    entities: Sequence[str],
    features: Floats,
    contributions: Floats,
    labeled: LabeledRows,
    *,
    count: int,
    kinds: Sequence[NDArray[np.bool_]] | None = None,
) -> list[list[Neighbor]]:
    """Return each entity's `count` nearest labelled rare and `count` nearest labelled regular entities, nearest first.

    Two entities are alike where the model finds them alike: distances are Euclidean over the features drawn in and
    brought to one spread by `Scaler` (a missing value counts as the mean, and its indicator tells it apart), each
    squared difference weighted by the mean size of the feature's contribution over the entities asked about. A
    feature that the model does not look at does not count. The distances are in units of the median distance of
    random pairs of labelled entities.

    Args:
        entities: ids, (rows,).
        features: their raw rows, (rows, features).
        contributions: their contributions, (rows, features).
        labeled: whom to liken them to; an entity is not its own neighbour.
        count: how many of each kind.
        kinds: which labelled entities are of each kind, (n,) each; rare ones and regular ones if empty.
    """
    if not count or not len(labeled.entities) or not len(entities):
        return [[] for _ in entities]
    scaler = Scaler.fit(labeled.features)
    weights = _weights(contributions, scaler)
    space, own = weights * scaler.transform(labeled.features), weights * scaler.transform(features)
    unit = _typical_distance(space)
    asked = [np.flatnonzero(kind) for kind in kinds or (labeled.is_rare, ~labeled.is_rare)]
    found = [_of_kind(entities, own, space, labeled, rows, count) for rows in asked if len(rows)]
    return [
        sorted(
            (
                Neighbor(str(labeled.entities[row]), str(labeled.labels[row]), distance / unit)
                for kind in found
                for row, distance in kind[at]
            ),
            key=lambda neighbor: neighbor.distance,
        )
        for at in range(len(entities))
    ]


def _weights(contributions: Floats, scaler: Scaler) -> Doubles:
    """Return what each input is multiplied by, (inputs,); an indicator weighs as its features do together."""
    size = np.abs(contributions).mean(axis=0, dtype=np.float64)
    if not size.any():
        size = np.ones_like(size)
    gaps = np.bincount(scaler.gap_of, weights=size[list(scaler.indicators)])
    return np.asarray(np.sqrt(np.concatenate([size, gaps])))


def _typical_distance(space: Doubles) -> float:
    random = np.random.default_rng(0)
    first, second = random.integers(len(space), size=(2, PAIRS))
    apart = np.linalg.norm(space[first[first != second]] - space[second[first != second]], axis=1)
    middle = float(np.median(apart)) if len(apart) else 0.0
    return middle or 1.0


def _of_kind(
    entities: Sequence[str],
    own: Doubles,
    space: Doubles,
    labeled: LabeledRows,
    rows: NDArray[np.intp],
    count: int,
) -> list[list[tuple[int, float]]]:
    """Return each entity's nearest rows among some, as (row, distance)."""
    search = NearestNeighbors(n_neighbors=min(count + 1, len(rows))).fit(space[rows])
    distances, places = search.kneighbors(own)
    return [
        [(int(rows[at]), float(apart)) for apart, at in zip(*pair, strict=True) if labeled.entities[rows[at]] != one][
            :count
        ]
        for one, *pair in zip(entities, distances, places, strict=True)
    ]
