"""Rows counted and drawn class by class, on class codes alone."""

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Rows = NDArray[np.intp]


def occurrence(codes: Codes) -> Codes:
    """Return how often each code stood before its place: [3, 5, 3] gives [0, 0, 1]."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    first = np.searchsorted(ordered, ordered)
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - first
    return places


def bounded(labels: Codes, most: int, *, seed: int) -> Rows:
    """Return the positions of at most about `most` rows, ascending: all of small classes, a draw of large ones."""
    if len(labels) <= most:
        return np.arange(len(labels))
    sizes = np.sort(np.bincount(labels))[::-1]
    sizes = sizes[sizes > 0]
    # The limit for one class is the largest that keeps the sum of all within bounds.
    smaller = np.append(np.cumsum(sizes[::-1])[::-1][1:], 0)
    limits = (most - smaller) / np.arange(1, len(sizes) + 1)
    limit = max(1, int(limits[limits >= np.append(sizes[1:], 0)][0]))
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(order[occurrence(labels[order]) < limit])
