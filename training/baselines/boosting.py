"""Histogram gradient boosting on raw features, missing values as they are; with classes weighted alike, or rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble

from training import artifact, model_files
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.baseline_settings import BoostingSettings, GradientBoostingSettings, PlainGradientBoostingSettings
from training.baselines import weighted_bins
from training.baselines.fitting import Way, fitted, probabilities
from training.feature_choice import telling_features
from training.occlusion import occlusion, usual
from training.trainer import Batch, Floats, Reader

Doubles = NDArray[np.float64]

MODEL, REFERENCE = "model.skops", "reference.safetensors"


class GradientBoosting(GradientBoostingSettings):
    """Histogram gradient boosting on raw features, missing values as they are, classes weighted alike."""

    def fit(self, reader: Reader) -> "GradientBoostingArtifact":
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        return fitted(Way("gradient_boosting", ("leaves",)), self, reader, learn)


class PlainGradientBoosting(PlainGradientBoostingSettings):
    """The same with rows weighted alike: its probabilities are those of the labelled rows, of which few are rare."""

    def fit(self, reader: Reader) -> "GradientBoostingArtifact":
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        return fitted(Way("gradient_boosting_plain", ("leaves",)), self, reader, learn)


def model_of(settings: BoostingSettings) -> ensemble.HistGradientBoostingClassifier:
    """Return the scikit-learn model that settings with one number of leaves name, not fitted."""
    return ensemble.HistGradientBoostingClassifier(
        class_weight="balanced" if settings.balanced else None,
        early_stopping=False,
        l2_regularization=settings.l2_regularization,
        learning_rate=settings.learning_rate,
        max_bins=settings.bins,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves[0],
        min_samples_leaf=settings.rows_per_leaf,
        random_state=settings.seed,
    )


def learn(settings: BoostingSettings, manifest: Manifest, rows: Batch) -> "GradientBoostingArtifact":
    """Fit boosting to labelled rows."""
    present = telling_features(rows.features)
    with weighted_bins.quickly():
        model = model_of(settings).fit(rows.features[:, present], rows.labels)
    return artifact_of(manifest, model, rows, present)


def artifact_of(
    manifest: Manifest, model: ensemble.HistGradientBoostingClassifier, rows: Batch, present: tuple[int, ...]
) -> "GradientBoostingArtifact":
    """Return a fitted model over the features in `present` as an artifact, explained against `rows` of people."""
    regular = rows.features[rows.labels != manifest.schema.rare_code]
    return GradientBoostingArtifact(manifest, model, usual(regular), present)


@dataclass(frozen=True)
class GradientBoostingArtifact(Described):
    """A fitted gradient boosting.

    Attributes:
        model: the scikit-learn model over the features in `present`.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
        present: positions of the features that the model was given.
    """

    model: Any
    reference: Floats
    present: tuple[int, ...]

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        return probabilities(self.model, np.asarray(features, np.float32)[:, self.present])

    def contributions(self, features: Floats) -> Floats:
        """Return contributions by occlusion, (rows, features), in units of the rare class's log-odds.

        A feature's contribution is by how much the log-odds fall when it alone is set to the reference's
        median. The model's interactions are counted once for each feature that takes part, so a row need not
        sum to anything.
        """
        check_width(features, self.schema)
        return occlusion(features, self.reference, self._chance, self.present)

    def _chance(self, rows: Floats) -> Doubles:
        return np.asarray(self.model.predict_proba(rows[:, self.present])[:, self.schema.rare_code])

    def save(self, url: str) -> None:
        """Write model, reference and, last, the manifest to a folder."""
        arrays: dict[str, NDArray[Any]] = {
            "reference": self.reference,
            "present": np.asarray(self.present, dtype=np.int64),
        }
        files = {MODEL: model_files.pack_model(self.model), REFERENCE: artifact.pack_arrays(arrays)}
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; a reference of another width raises `ArtifactError`."""
        arrays = artifact.unpack_arrays(files[REFERENCE])
        if arrays["reference"].shape != (len(manifest.schema.names),):
            raise ArtifactError(f"{REFERENCE} holds a row of another table; train again")
        model = model_files.unpack_model(files[MODEL], ensemble.HistGradientBoostingClassifier)
        return cls(manifest, model, arrays["reference"], tuple(arrays["present"].tolist()))
