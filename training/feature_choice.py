"""Which features of a table are worth learning from, by labelled rows alone.

Takes raw rows (n, d) with NaN for missing; gives positions of features, ascending.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from training.trainer import Floats

TREES = 300


def present_features(features: Floats) -> tuple[int, ...]:
    """Return the positions of the features that are not missing throughout."""
    return tuple(np.flatnonzero(~np.isnan(features).all(axis=0)).tolist())


def telling_features(features: Floats) -> tuple[int, ...]:
    """Return the positions of the features that trees can tell rows by: of equal ones the first, and no constant.

    Of features that split rows alike the first is asked, so the trees are those of all features, in less time. A table
    of constants keeps one.
    """
    first = dict[bytes, int]()
    for position, column in enumerate(np.ascontiguousarray(features.T)):
        # A value that is always there, or never; one that is sometimes missing tells rows apart.
        if not ((column == column[0]).all() or np.isnan(column).all()):
            first.setdefault(hashlib.blake2b(column).digest(), position)
    return tuple(first.values()) or present_features(features)[:1]


def best_features(features: Floats, labels: NDArray[np.int64], most: int, *, seed: int) -> tuple[int, ...]:
    """Return the positions of at most `most` telling features, those that tell classes best.

    Best by how much they lessen the impurity of extremely randomized trees (Geurts, Ernst, Wehenkel 2006), in which
    every class weighs the same.

    Args:
        features: (n, d), finite or NaN.
        labels: (n,) class codes.
        most: features at most.
        seed: of the trees.
    """
    telling = np.array(telling_features(features), np.int64)
    if len(telling) <= most:
        return tuple(telling.tolist())
    trees = ExtraTreesClassifier(TREES, class_weight="balanced", random_state=seed).fit(features[:, telling], labels)
    best = np.argsort(-trees.feature_importances_, kind="stable")[:most]
    return tuple(np.sort(telling[best]).tolist())
