"""Random forest and extremely randomized trees, classes weighted alike.

Extremely randomized trees: Geurts, Ernst and Wehenkel, Machine Learning 2006.
"""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from threadpoolctl import threadpool_info

from training import trees
from training.artifact import Manifest
from training.baseline_settings import ExtraTreesSettings, ForestSettings, RandomForestSettings
from training.baselines.fitting import Way, fitted
from training.baselines.thinning import thinned
from training.baselines.trees_artifact import TreesArtifact
from training.trainer import Batch, Floats, Reader


class RandomForest(RandomForestSettings):
    """Random forest on raw features; a split sends missing values to the side that gains by them."""

    def fit(self, reader: Reader) -> TreesArtifact:
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        way = Way("random_forest", ("rows_per_leaf",))
        return fitted(way, self, reader, lambda *given: _learn(RandomForestClassifier, *given))


class ExtraTrees(ExtraTreesSettings):
    """Extremely randomized trees on raw features; a split sends missing values to one side by chance."""

    def fit(self, reader: Reader) -> TreesArtifact:
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        way = Way("extra_trees", ("rows_per_leaf",))
        return fitted(way, self, reader, lambda *given: _learn(ExtraTreesClassifier, *given))


def _learn(
    kind: type[RandomForestClassifier] | type[ExtraTreesClassifier],
    settings: ForestSettings,
    manifest: Manifest,
    rows: Batch,
) -> TreesArtifact:
    manifest, rows = thinned(manifest, rows, settings.table_rows)
    model = kind(
        n_estimators=settings.trees,
        min_samples_leaf=settings.rows_per_leaf[0],
        max_features=settings.features_per_split,
        class_weight="balanced",
        random_state=settings.seed,
        n_jobs=_threads(),
    )
    model.fit(without_empty(rows.features), rows.labels)
    return TreesArtifact.of(manifest, trees.from_forest(model, len(manifest.classes)), rows)


def _threads() -> int:
    """Return what boosting would take here: the processors, or what OMP_NUM_THREADS or `threadpool_limits` leaves."""
    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"), default=1)


def without_empty(features: Floats) -> Floats:
    """Return rows in which a feature that is missing throughout is 0 instead: a constant, which no split asks about."""
    return np.where(np.isnan(features).all(axis=0), np.float32(0), features)
