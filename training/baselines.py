"""Baselines every other trainer must beat: logistic regression and gradient boosting from scikit-learn.

Takes a reader's labelled rows and nothing else: the unlabelled ones are not read. Gives artifacts of the same
shape as any trainer's. The probabilities are those of balanced classes: each class weighs the same, however
few its rows.

Each `fit` is: 1 check the labels; 2 fit on all folds but one, in turn, and measure the scores of the fold
left out; 3 fit on all labelled rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble, linear_model
from threadpoolctl import threadpool_limits

from training import artifact, model_files
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.metrics import held_out_rows, held_out_summary
from training.occlusion import occlusion, usual
from training.scaler import Scaler
from training.settings import FOLDS, GradientBoostingSettings, LogisticRegressionSettings
from training.splits import check_labels, folds
from training.trainer import Batch, Floats, Reader

Doubles = NDArray[np.float64]

MODEL, SCALER, REFERENCE = "model.skops", "scaler.json", "reference.safetensors"
SMALL_TABLE = 10_000_000  # cells


class LogisticRegression(LogisticRegressionSettings):
    """Logistic regression on scaled features, classes weighted alike; multinomial over more than two."""

    def fit(self, reader: Reader) -> "LogisticRegressionArtifact":
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`.

        Its measures are those of the best penalty, on the rows it was chosen by: a little too good.
        """
        made = [self.model_copy(update={"C": (strength,)})._fit_one(reader) for strength in self.C]
        return max(made, key=lambda artifact: artifact.manifest.metrics["average_precision"]["value"])

    def _fit_one(self, reader: Reader) -> "LogisticRegressionArtifact":
        return _fitted("logistic_regression", self, reader, self._learn)

    def _learn(self, manifest: Manifest, rows: Batch) -> "LogisticRegressionArtifact":
        scaler = Scaler.fit(rows.features)
        inputs = scaler.transform(rows.features).astype(np.float64)
        model = linear_model.LogisticRegression(C=self.C[0], class_weight="balanced", max_iter=self.max_iter)
        model.fit(inputs, rows.labels)
        regular = rows.labels != manifest.schema.rare_code
        return LogisticRegressionArtifact(manifest, scaler, model, inputs[regular].mean(axis=0))


class GradientBoosting(GradientBoostingSettings):
    """Histogram gradient boosting on raw features, missing values as they are, classes weighted alike."""

    def fit(self, reader: Reader) -> "GradientBoostingArtifact":
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        return _fitted("gradient_boosting", self, reader, self._learn)

    def _learn(self, manifest: Manifest, rows: Batch) -> "GradientBoostingArtifact":
        model = ensemble.HistGradientBoostingClassifier(
            class_weight="balanced",
            early_stopping=False,
            l2_regularization=self.l2_regularization,
            learning_rate=self.learning_rate,
            max_bins=self.bins,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.rows_per_leaf,
            random_state=self.seed,
        )
        present = tuple(np.flatnonzero(~np.isnan(rows.features).all(axis=0)).tolist())
        model.fit(rows.features[:, present], rows.labels)  # scikit-learn cannot bin a feature that is all missing
        regular = rows.features[rows.labels != manifest.schema.rare_code]
        return GradientBoostingArtifact(manifest, model, usual(regular), present)


@dataclass(frozen=True)
class LogisticRegressionArtifact(Described):
    """A fitted logistic regression.

    Attributes:
        scaler: raw features to inputs.
        model: the scikit-learn model over the inputs.
        reference: mean inputs of the labelled rows that are not rare; contributions compare with it.
    """

    scaler: Scaler
    model: Any
    reference: Doubles

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        return _probabilities(self.model, self.scaler.transform(features).astype(np.float64))

    def contributions(self, features: Floats) -> Floats:
        """Return coefficient x (input - reference), (rows, features), in units of log-odds.

        With two classes a row sums exactly to its log-odds less those of the reference; with more, to the
        logit of the rare class less the mean logit of the others.
        """
        check_width(features, self.schema)
        change = self.scaler.transform(features) - self.reference
        return self.scaler.fold((change * self._coefficients()).astype(np.float32))

    def contribution_totals(self, features: Floats) -> Doubles:
        """Return what a row's contributions sum to, see `contributions`, (rows,)."""
        check_width(features, self.schema)
        reference = np.asarray(self.reference, dtype=np.float64)[None]
        return self._height(self.scaler.transform(features).astype(np.float64)) - self._height(reference)

    def _height(self, inputs: Doubles) -> Doubles:
        """Return the rare class's log-odds, or its logit less the mean logit of the others, (rows,)."""
        code, logits = self.schema.rare_code, np.asarray(self.model.decision_function(inputs), dtype=np.float64)
        if logits.ndim == 1:
            return logits if code == 1 else -logits
        return np.asarray(logits[:, code] - np.delete(logits, code, axis=1).mean(axis=1))

    def _coefficients(self) -> Doubles:
        code = self.schema.rare_code
        coefficients: Doubles = np.asarray(self.model.coef_, dtype=np.float64)
        if len(coefficients) == 1:  # scikit-learn keeps one row for two classes: that of the second
            return np.asarray(coefficients[0] if code == 1 else -coefficients[0])
        others: Doubles = np.delete(coefficients, code, axis=0).mean(axis=0)
        return np.asarray(coefficients[code] - others)

    def save(self, url: str) -> None:
        """Write model, scaler and, last, the manifest to a folder."""
        files = {
            MODEL: model_files.pack_model(self.model),
            SCALER: self.scaler.to_json().encode(),
            REFERENCE: artifact.pack_arrays({"reference": self.reference}),
        }
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files."""
        reference = artifact.unpack_arrays(files[REFERENCE])["reference"]
        scaler = Scaler.from_json(files[SCALER].decode())
        model = model_files.unpack_model(files[MODEL], linear_model.LogisticRegression)
        return cls(manifest, scaler, model, reference)


@dataclass(frozen=True)
class GradientBoostingArtifact(Described):
    """A fitted gradient boosting.

    Attributes:
        model: the scikit-learn model over the features in `present`.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
        present: positions of the features that were not missing throughout.
    """

    model: Any
    reference: Floats
    present: tuple[int, ...]

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        return _probabilities(self.model, np.asarray(features, np.float32)[:, self.present])

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


A = TypeVar("A", LogisticRegressionArtifact, GradientBoostingArtifact)


def _fitted(
    trainer: str,
    settings: LogisticRegressionSettings | GradientBoostingSettings,
    reader: Reader,
    learn: Callable[[Manifest, Batch], A],
) -> A:
    """Measure a way to learn by cross-validation, then learn from all labelled rows."""
    schema, rows = reader.schema, reader.labeled()
    check_labels(rows.labels, schema)
    manifest = Manifest(
        trainer=trainer,
        settings=settings.model_dump(),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows={name: int((rows.labels == code).sum()) for code, name in enumerate(schema.classes)},
        metrics={},
        seed=settings.seed,
        versions=artifact.package_versions("numpy", "scikit-learn", "skops"),
    )
    # On a small table threads wait for one another longer than they work, ten times so on a busy machine.
    with threadpool_limits(1 if rows.features.size < SMALL_TABLE else None):
        parts = []
        for training, held_out in folds(rows.labels, FOLDS, seed=settings.seed, names=schema.classes):
            model = learn(manifest, Batch(rows.features[training], rows.labels[training]))
            scores = model.predict(rows.features[held_out])[:, schema.rare_code]
            parts.append((held_out, scores.astype(np.float64)))
        metrics = held_out_summary(rows.labels == schema.rare_code, parts, seed=settings.seed)
        known = held_out_rows(rows.labels == schema.rare_code, parts)
        return learn(replace(manifest, metrics=metrics, held_out=known), rows)


def _probabilities(model: Any, inputs: NDArray[Any]) -> Floats:  # noqa: ANN401  (a scikit-learn model)
    if len(inputs) == 0:
        return np.empty((0, len(model.classes_)), dtype=np.float32)
    return np.asarray(model.predict_proba(inputs), dtype=np.float32)
