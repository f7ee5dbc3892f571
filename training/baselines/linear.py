"""Logistic regression on scaled features, classes weighted alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import linear_model

from training import artifact, model_files
from training.artifact import Described, Manifest, check_width
from training.baseline_settings import LogisticRegressionSettings
from training.baselines.fitting import Way, fitted, probabilities
from training.scaler import Scaler
from training.trainer import Batch, Floats, Reader

Doubles = NDArray[np.float64]

MODEL, SCALER, REFERENCE = "model.skops", "scaler.json", "reference.safetensors"


class LogisticRegression(LogisticRegressionSettings):
    """Logistic regression on scaled features, classes weighted alike; multinomial over more than two."""

    def fit(self, reader: Reader) -> "LogisticRegressionArtifact":
        """Learn from the labelled rows; one class only, or a class of one row, raises `ValueError`."""
        return fitted(Way("logistic_regression", ("C",)), self, reader, _learn)


def _learn(settings: LogisticRegressionSettings, manifest: Manifest, rows: Batch) -> "LogisticRegressionArtifact":
    scaler = Scaler.fit(rows.features)
    inputs = scaler.transform(rows.features).astype(np.float64)
    model = linear_model.LogisticRegression(C=settings.C[0], class_weight="balanced", max_iter=settings.max_iter)
    model.fit(inputs, rows.labels)
    regular = rows.labels != manifest.schema.rare_code
    return LogisticRegressionArtifact(manifest, scaler, model, inputs[regular].mean(axis=0))


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
        return probabilities(self.model, self.scaler.transform(features).astype(np.float64))

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
