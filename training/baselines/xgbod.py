"""XGBOD: XGBoost on features and on what unsupervised detectors find. Zhao and Hryniewicki, IJCNN 2018.

It is PyOD's own class; the package is the `xgbod` extra, needed for training alone, as what it learned is kept as
arrays. Detectors are PyOD's by default: distance to near rows, local outlier factors, histograms, one-class support
vector machines and isolation forests, each with several settings.

The class takes labelled rows alone: its detectors see the rows that XGBoost learns from, and no other. Where labels
are few, its users give it rows without label as not rare ones, and so is done here, up to a number of them. A missing
value becomes the median of the labelled rows that have it; from a feature that none has nothing is learned.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.ocsvm import OCSVM
from pyod.models.xgbod import XGBOD as Published

from training.artifact import Manifest
from training.baseline_settings import XGBODSettings
from training.baselines.detectors import from_fitted
from training.baselines.fitting import Way, fitted, unlabeled_rows
from training.baselines.xgbod_artifact import XGBODArtifact, filled
from training.baselines.xgboost_trees import trees_of
from training.feature_choice import present_features
from training.occlusion import usual
from training.trainer import Batch, Floats, Reader
from training.trees import Trees
from training.two_classes import rare_and_others, rare_or_not


class XGBOD(XGBODSettings):
    """XGBoost on raw features and on the scores of unsupervised detectors."""

    def fit(self, reader: Reader) -> XGBODArtifact:
        """Learn from labelled and unlabelled rows; one class of labels, or a class of one row, raises `ValueError`.

        Returns:
            An artifact over two classes: the rare one and, by its name if there is but one, what is not rare.
        """
        unlabeled = unlabeled_rows(reader, self.unlabeled_rows, seed=self.seed)
        way = Way("xgbod", libraries=("pyod", "xgboost"))
        return fitted(way, self, reader, lambda *given: _learn(*given, unlabeled=unlabeled))


def _learn(settings: XGBODSettings, manifest: Manifest, rows: Batch, *, unlabeled: Floats) -> XGBODArtifact:
    code = manifest.schema.rare_code
    features, rare = rare_and_others(rows, unlabeled, code)
    medians, present = usual(rows.features), np.array(present_features(rows.features), np.int64)
    inputs = filled(features, medians, present)
    model = published(settings, rare)
    with warnings.catch_warnings():
        # The class hands its labels to a check that is meant for detectors without any.
        warnings.filterwarnings("ignore", "y should not be presented in unsupervised learning", UserWarning)
        model.fit(inputs, rare.astype(np.int64))
    classes = rare_or_not(manifest.schema)
    return XGBODArtifact(
        replace(manifest, classes=classes, rows=manifest.rows | {"unlabeled": len(unlabeled)}),
        from_fitted(inputs, model.estimator_list_),
        _trees(model, classes.index(manifest.rare)),
        medians,
        usual(rows.features[rows.labels != code]),
        present,
    )


def published(settings: XGBODSettings, rare: NDArray[np.bool_]) -> Published:
    """Return PyOD's model, not fitted, without detectors that look at more rows than there are."""
    neighbors = [num for num in settings.neighbors if num < len(rare)] or [len(rare) - 1]
    by_place = [*(KNN(n_neighbors=num) for num in neighbors), *(LOF(n_neighbors=num) for num in neighbors)]
    by_bins = [HBOS(n_bins=num) for num in settings.bins]
    by_boundary = [OCSVM(nu=share) for share in settings.outside_shares]
    by_trees = [IForest(n_estimators=num, random_state=settings.seed) for num in settings.forests]
    detectors = [*by_place, *by_bins, *by_boundary, *by_trees]
    return Published(
        estimator_list=detectors,
        standardization_flag_list=[detector not in (*by_bins, *by_trees) for detector in detectors],
        max_depth=settings.depth,
        n_estimators=settings.trees,
        learning_rate=settings.learning_rate,
        reg_lambda=settings.l2_regularization,
        scale_pos_weight=float((~rare).sum() / rare.sum()) if settings.balanced else 1.0,
        random_state=settings.seed,
        verbosity=0,  # the class passes a setting on that XGBoost has dropped, and warns of
    )


def _trees(model: Any, code: int) -> Trees:  # noqa: ANN401  (PyOD's model)
    """Return the boosted trees; their sum is the log-odds of class `code` of two."""
    trees = trees_of(model.clf_.get_booster(), 2)
    return trees if code else replace(trees, codes=np.array([0]), start=trees.start[::-1])
