"""Rarity of clusters and of rows, and how many rows each class lacks (F.2, F.4). Plain numpy."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.torch.importance.settings import Threshold

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

BINS = 128  # of Otsu's histogram


def cluster_importance(shares: Doubles) -> Doubles:
    """Return I(k) = 1 / (K pbar_k) of clusters with the given shares of rows, (K,): 1 for one of average size."""
    return np.asarray(1 / (len(shares) * np.maximum(shares, 1e-12)))


def row_importance(chances: Doubles, shares: Doubles) -> Doubles:
    """Return m_i = sum_k p_ik I(k), (rows,), from membership (rows, K): defined for new rows as for known ones."""
    return np.asarray(chances @ cluster_importance(shares))


def small_clusters(shares: Doubles) -> tuple[int, ...]:
    """Return the clusters with less than an equal share of the rows, ascending."""
    return tuple(np.flatnonzero(shares < 1 / len(shares) - 1e-9).tolist())


def targets(counts: Codes, growth: float) -> dict[int, int]:
    """Return how many rows each class that is smaller than the largest should have, at most `growth` times its own."""
    most = int(counts.max(initial=0))
    wanted = {code: min(most, int(growth * rows)) for code, rows in enumerate(counts.tolist()) if rows}
    return {code: rows for code, rows in wanted.items() if rows > counts[code]}


def cut(importance: Doubles, rule: Threshold) -> float:
    """Return the importance above which a row counts as rare, by one of the rules for a scalar importance.

    'third' is the report's (max + min) / 3, 'midpoint' (max + min) / 2, 'kmeans' halves the way between two means,
    'otsu' maximizes the variance between both sides, 'mixture' is where two Gaussians are equally likely (F.5).
    """
    low, high = float(importance.min()), float(importance.max())
    if rule == "third":
        return (low + high) / 3
    if rule == "midpoint" or high - low < 1e-12:
        return (low + high) / 2
    if rule == "otsu":
        return _otsu(importance)
    return _two_means(importance) if rule == "kmeans" else _two_gaussians(importance)


def _otsu(importance: Doubles) -> float:
    counts, edges = np.histogram(importance, BINS)
    middles, below = (edges[1:] + edges[:-1]) / 2, counts.cumsum()
    above, total = len(importance) - below, (counts * middles).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    best = between[:-1] >= np.nanmax(between[:-1]) * (1 - 1e-9)
    return float(edges[1:-1][best].mean())  # the middle of a gap, where any cut is as good


def _two_means(importance: Doubles) -> float:
    from sklearn.cluster import KMeans

    found = KMeans(2, n_init=10, random_state=0).fit(importance[:, None])
    return float(found.cluster_centers_.mean())


def _two_gaussians(importance: Doubles) -> float:
    from sklearn.mixture import GaussianMixture

    found = GaussianMixture(2, random_state=0, n_init=3).fit(importance[:, None])
    low, high = sorted(found.means_[:, 0].tolist())
    grid = np.linspace(low, high, 1001)
    odds = found.predict_proba(grid[:, None])[:, int(found.means_[:, 0].argmax())]
    return float(grid[int(np.argmax(odds >= 0.5))])


def sizes(labels: Codes, classes: int) -> Codes:
    """Return the rows of each class, (classes,)."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def named(counts: Mapping[int, int], classes: tuple[str, ...]) -> dict[str, int]:
    """Return counts by class name instead of code."""
    return {classes[code]: int(rows) for code, rows in counts.items()}
