"""Boosting on a table in which SMOTE has filled the smaller classes up. Chawla et al., JAIR 2002.

SMOTE is imbalanced-learn's, over standardized features; that a number is missing counts as a category, and a new row
lacks it where most of its neighbors do. Held-out rows are never among those it starts from.
"""

import numpy as np
from numpy.typing import NDArray

from training.artifact import Manifest
from training.baseline_settings import SmoteBoostingSettings
from training.baselines import weighted_bins
from training.baselines.boosting import GradientBoostingArtifact, artifact_of, model_of
from training.baselines.fitting import Way, fitted
from training.feature_choice import present_features
from training.oversampling import oversample
from training.trainer import Batch, Reader


class SmoteBoosting(SmoteBoostingSettings):
    """Histogram gradient boosting on labelled rows and rows that SMOTE made of them."""

    def fit(self, reader: Reader) -> GradientBoostingArtifact:
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        way = Way("smote_boosting", ("leaves", "shares"), ("imbalanced-learn",))
        return fitted(way, self, reader, _learn)


def _learn(settings: SmoteBoostingSettings, manifest: Manifest, rows: Batch) -> GradientBoostingArtifact:
    present = present_features(rows.features)
    features, labels = rows.features[:, present], rows.labels.astype(np.int64)
    made, codes = oversample(
        features, labels, _targets(labels, settings.shares[0]), neighbors=settings.neighbors, seed=settings.seed
    )
    with weighted_bins.quickly():
        model = model_of(settings).fit(np.concatenate([features, made]), np.concatenate([labels, codes]))
    return artifact_of(manifest, model, rows, present)


def _targets(labels: NDArray[np.int64], share: float) -> dict[int, int]:
    counts = np.bincount(labels)
    wanted = np.maximum(counts, np.round(share * counts.max()).astype(np.int64))
    return {code: int(wanted[code]) for code in np.flatnonzero(wanted > counts).tolist()}
