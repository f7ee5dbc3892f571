"""XGBoost. Chen and Guestrin, KDD 2016; the package is the `xgboost` extra, and needed for training alone.

The trees are kept as arrays like those of any forest: whoever scores with them needs no XGBoost, and reads no model
file of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight

from training.artifact import Manifest
from training.baseline_settings import XGBoostSettings
from training.baselines.fitting import Way, fitted
from training.baselines.trees_artifact import TreesArtifact
from training.trainer import Batch, Reader
from training.trees import Trees

Doubles = NDArray[np.float64]


class XGBoost(XGBoostSettings):
    """Gradient boosting by XGBoost on raw features; a split sends missing values to the side that gains by them."""

    def fit(self, reader: Reader) -> TreesArtifact:
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        return fitted(Way("xgboost", ("depth",), ("xgboost",)), self, reader, _learn)


def _learn(settings: XGBoostSettings, manifest: Manifest, rows: Batch) -> TreesArtifact:
    model = xgboost.XGBClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth[0],
        learning_rate=settings.learning_rate,
        reg_lambda=settings.l2_regularization,
        subsample=settings.row_share,
        colsample_bytree=settings.feature_share,
        tree_method="hist",
        random_state=settings.seed,
    )
    weights = compute_sample_weight("balanced", rows.labels) if settings.balanced else None
    model.fit(rows.features, rows.labels, sample_weight=weights)
    return TreesArtifact.of(manifest, trees_of(model.get_booster(), len(manifest.classes)), rows)


def trees_of(booster: xgboost.Booster, classes: int) -> Trees:
    """Return a classifier's trees; two classes have one group of them, that of the second."""
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]
    groups = 1 if classes == 2 else classes
    group = np.array(model["tree_info"])
    ordered = [model["trees"][number] for number in np.argsort(group, kind="stable").tolist()]
    trees = _joined(ordered, groups, classes)
    # What XGBoost adds to the sums (`base_score`) is written differently from version to version: measured instead.
    row = np.zeros((1, booster.num_features()), np.float32)
    margin = np.atleast_2d(booster.predict(xgboost.DMatrix(row), output_margin=True)).reshape(groups)
    start = np.zeros(classes)
    start[trees.codes] = margin.astype(np.float64) - trees.sums(row)[0, :, 0]
    return replace(trees, start=start)


def _joined(trees: Sequence[Mapping[str, Any]], groups: int, classes: int) -> Trees:
    """Join trees, those of one group after those of another, whose leaves hold what they add to the log-odds."""
    sizes = np.array([len(tree["left_children"]) for tree in trees])
    starts = np.cumsum(sizes) - sizes
    left, right, feature, value, missing_left = (
        np.concatenate([np.asarray(tree[name]) for tree in trees])
        for name in ("left_children", "right_children", "split_indices", "split_conditions", "default_left")
    )
    leaf, own = left < 0, np.arange(sizes.sum())
    # Left goes what is less than the value here, and what is at most the threshold there.
    threshold = np.nextafter(value.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    children = np.column_stack([left, right]) + np.repeat(starts, sizes)[:, None]
    children = np.where(leaf[:, None], own[:, None], children).astype(np.int32)
    return Trees(
        feature=np.where(leaf, 0, feature).astype(np.int32),
        threshold=np.where(leaf, np.inf, threshold),
        children=children,
        values=np.where(leaf, value, 0.0)[:, None],
        roots=starts.reshape(groups, -1).astype(np.int32),
        start=np.zeros(classes),
        codes=np.arange(classes - groups if groups == 1 else 0, classes),
        link="classes",
        depth=_depth(starts, children, leaf),
        missing=(missing_left == 0) & ~leaf,
    )


def _depth(roots: NDArray[np.int64], children: NDArray[np.int32], leaf: NDArray[np.bool_]) -> int:
    """Return how many steps it takes to the deepest leaf."""
    depth, inner = 0, roots[~leaf[roots]]
    while len(inner):
        below = children[inner].ravel()
        depth, inner = depth + 1, below[~leaf[below]]
    return depth
