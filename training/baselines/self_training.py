"""Self-training: boosting learns from its own sure guesses of unlabelled rows. Yarowsky, ACL 1995; scikit-learn's.

Each round takes in the unlabelled rows whose class the model of the round before gives at least a set probability.
"""

from dataclasses import replace

import numpy as np
from sklearn.semi_supervised import SelfTrainingClassifier

from training.artifact import Manifest
from training.baseline_settings import SelfTrainingSettings
from training.baselines import boosting, weighted_bins
from training.baselines.boosting import GradientBoostingArtifact, artifact_of, model_of
from training.baselines.fitting import Way, fitted, unlabeled_rows
from training.feature_choice import present_features, telling_features
from training.trainer import Batch, Floats, Reader

UNKNOWN = -1  # scikit-learn's label of a row without one


class SelfTraining(SelfTrainingSettings):
    """Histogram gradient boosting on labelled rows and on unlabelled ones it is sure of."""

    def fit(self, reader: Reader) -> GradientBoostingArtifact:
        """Learn from labelled and unlabelled rows; without the latter it is boosting.

        Raises:
            ValueError: one class only, or a class of one row.
        """
        unlabeled = unlabeled_rows(reader, self.unlabeled_rows, seed=self.seed)
        way = Way("self_training", ("leaves", "confidences") if len(unlabeled) else ("leaves",))
        return fitted(way, self, reader, lambda *given: _learn(*given, unlabeled=unlabeled))


def _learn(
    settings: SelfTrainingSettings, manifest: Manifest, rows: Batch, *, unlabeled: Floats
) -> GradientBoostingArtifact:
    if not len(unlabeled):
        return boosting.learn(settings, manifest, rows)
    labeled = np.array(present_features(rows.features), np.int64)  # only labelled rows are learned from at first
    features = np.concatenate([rows.features, unlabeled])[:, labeled]
    telling = telling_features(features)
    features, present = features[:, telling], tuple(labeled[list(telling)].tolist())
    labels = np.concatenate([rows.labels, np.full(len(unlabeled), UNKNOWN)]).astype(np.int64)
    learner = SelfTrainingClassifier(model_of(settings), threshold=settings.confidences[0], max_iter=settings.rounds)
    with weighted_bins.quickly():
        model = learner.fit(features, labels)
    taken = {"unlabeled": len(unlabeled), "taken in": int((model.labeled_iter_ > 0).sum())}
    manifest = replace(manifest, rows=manifest.rows | {"unlabeled": len(unlabeled)}, history=manifest.history | taken)
    return artifact_of(manifest, model.estimator_, rows, present)
