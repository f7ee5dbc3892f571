"""Kernel logistic regression: logistic regression on how near a row lies to landmarks, under a Gaussian kernel.

Landmarks are rows of the table, labelled or not, by Nystroem's method (Williams and Seeger, NIPS 2001), so unlabelled
rows say where the data lie. Few labels draw a smoother line with it than trees do.

Shapes: B rows, F features, I inputs, L landmarks, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn import linear_model
from sklearn.metrics.pairwise import rbf_kernel

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.baseline_settings import KernelLogisticRegressionSettings
from training.baselines.fitting import Way, fitted, unlabeled_rows
from training.baselines.thinning import thinned
from training.integrated_gradients import integrated_gradients
from training.scaler import Scaler
from training.trainer import Batch, Floats, Reader

Doubles = NDArray[np.float64]

ARRAYS, SCALER = "kernel.safetensors", "scaler.json"
FLAT = 1e-6  # directions between landmarks whose share of the largest is below this are left out
ROWS_AT_ONCE = 8192


class KernelLogisticRegression(KernelLogisticRegressionSettings):
    """Kernel logistic regression on scaled features, classes weighted alike; multinomial over more than two."""

    def fit(self, reader: Reader) -> "KernelArtifact":
        """Learn from the labelled rows, with unlabelled ones among the landmarks.

        Raises:
            ValueError: one class only, or a class of one row.
        """
        unlabeled = unlabeled_rows(reader, self.unlabeled_rows, seed=self.seed)
        way = Way("kernel_logistic_regression", ("C", "width"))
        return fitted(way, self, reader, lambda *given: _learn(*given, unlabeled=unlabeled))


def _learn(
    settings: KernelLogisticRegressionSettings, manifest: Manifest, rows: Batch, *, unlabeled: Floats
) -> "KernelArtifact":
    manifest, rows = thinned(manifest, rows, settings.table_rows)
    scaler = Scaler.fit(np.concatenate([rows.features, unlabeled]))
    inputs, others = scaler.transform(rows.features), scaler.transform(unlabeled)
    rare = rows.labels == manifest.schema.rare_code
    landmarks = _landmarks(inputs, others, rare, settings)
    gamma = 1 / (settings.width[0] * scaler.num_inputs)
    root = _inverse_root(rbf_kernel(landmarks.astype(np.float64), gamma=gamma))
    near = rbf_kernel(inputs.astype(np.float64), landmarks.astype(np.float64), gamma=gamma) @ root
    model = linear_model.LogisticRegression(C=settings.C[0], class_weight="balanced", max_iter=settings.max_iter)
    model.fit(near, rows.labels)
    line = Line(landmarks, *_both(root @ model.coef_.T, model.intercept_), gamma)
    known = replace(manifest, rows=manifest.rows | {"unlabeled": len(unlabeled)})
    return KernelArtifact(known, scaler, line, np.median(inputs[~rare], axis=0).astype(np.float32))


def _landmarks(
    inputs: Floats, others: Floats, rare: NDArray[np.bool_], settings: KernelLogisticRegressionSettings
) -> Floats:
    """Draw landmarks: half of them from labelled rows, rare ones first, and the rest from all that is left."""
    random = np.random.default_rng(settings.seed)
    order = np.concatenate([random.permutation(np.flatnonzero(rare)), random.permutation(np.flatnonzero(~rare))])
    half = min(len(order), settings.landmarks // 2) if len(others) else min(len(order), settings.landmarks)
    left = np.concatenate([inputs[order[half:]], others])
    drawn = random.permutation(len(left))[: settings.landmarks - half]
    return np.concatenate([inputs[order[:half]], left[drawn]])


def _inverse_root(kernel: Doubles) -> Doubles:
    """Return what turns kernel values into coordinates whose inner products are the kernel's, (L, rank)."""
    values, vectors = np.linalg.eigh(kernel)
    kept = values > FLAT * values[-1]
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))


def _both(coefficients: Doubles, intercept: Doubles) -> tuple[Doubles, Doubles]:
    """Give the first of two classes, of which scikit-learn keeps the second alone, a logit of 0."""
    if coefficients.shape[1] > 1:
        return coefficients, intercept
    return np.hstack([np.zeros_like(coefficients), coefficients]), np.array([0.0, intercept[0]])


@dataclass(frozen=True, eq=False)
class Line:
    """Logits of the classes: sums of kernel values.

    Attributes:
        landmarks: (L, I).
        coefficients: (L, K).
        intercept: (K,).
        gamma: the kernel is exp(-gamma |x - z|^2).
    """

    landmarks: Floats
    coefficients: Doubles
    intercept: Doubles
    gamma: float

    def logits(self, inputs: Floats) -> Doubles:
        """Return (B, K)."""
        return np.asarray(self._near(inputs) @ self.coefficients + self.intercept)

    def log_odds(self, inputs: Floats, code: int) -> Doubles:
        """Return the log-odds of a class, (B,)."""
        logits = self.logits(inputs)
        return np.asarray(logits[:, code] - logsumexp(np.delete(logits, code, axis=1), axis=1))

    def gradient(self, inputs: Floats, code: int) -> Doubles:
        """Return the gradient of the log-odds of a class, (B, I)."""
        near = self._near(inputs)
        logits = near @ self.coefficients + self.intercept
        logits[:, code] = -np.inf
        weights = -softmax(logits, axis=1)
        weights[:, code] = 1.0
        pulls = near * (weights @ self.coefficients.T)
        return np.asarray(2 * self.gamma * (pulls @ self.landmarks - inputs * pulls.sum(axis=1, keepdims=True)))

    def _near(self, inputs: Floats) -> Doubles:
        given, landmarks = inputs.astype(np.float64), self.landmarks.astype(np.float64)
        return np.asarray(rbf_kernel(given, landmarks, gamma=self.gamma))


@dataclass(frozen=True)
class KernelArtifact(Described):
    """A fitted kernel logistic regression.

    Attributes:
        scaler: raw features to inputs.
        line: inputs to logits.
        reference: medians of the inputs of the labelled rows that are not rare; contributions compare with it.
    """

    scaler: Scaler
    line: Line
    reference: Floats

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        parts = [np.empty((0, len(self.classes)))]
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.scaler.transform(features[first : first + ROWS_AT_ONCE])
            parts.append(softmax(self.line.logits(inputs), axis=1))
        return np.concatenate(parts).astype(np.float32)

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the rare class's log-odds, (rows, features).

        They are integrated gradients; a row sums to its `contribution_totals`.
        """
        check_width(features, self.schema)
        if not len(features):
            return np.empty(features.shape, np.float32)
        code, inputs = self.schema.rare_code, self.scaler.transform(features)
        shares = integrated_gradients(
            inputs,
            self.reference,
            lambda rows: self.line.gradient(rows, code),
            lambda rows: self.line.log_odds(rows, code),
        )
        return self.scaler.fold(shares.astype(np.float32))

    def contribution_totals(self, features: Floats) -> Doubles:
        """Return the rare class's log-odds less those of the reference, (rows,)."""
        check_width(features, self.schema)
        code, inputs = self.schema.rare_code, self.scaler.transform(features)
        return self.line.log_odds(inputs, code) - self.line.log_odds(self.reference[None], code)

    def save(self, url: str) -> None:
        """Write arrays, scaler and, last, the manifest to a folder."""
        arrays: dict[str, NDArray[Any]] = {
            "landmarks": self.line.landmarks,
            "coefficients": self.line.coefficients,
            "intercept": self.line.intercept,
            "gamma": np.array([self.line.gamma]),
            "reference": self.reference,
        }
        files = {ARRAYS: artifact.pack_arrays(arrays), SCALER: self.scaler.to_json().encode()}
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; arrays that do not fit together raise `ArtifactError`."""
        arrays = artifact.unpack_arrays(files[ARRAYS])
        scaler = Scaler.from_json(files[SCALER].decode())
        landmarks, coefficients = arrays["landmarks"], arrays["coefficients"]
        if (
            landmarks.shape != (len(coefficients), scaler.num_inputs)
            or arrays["reference"].shape != landmarks.shape[1:]
        ):
            raise ArtifactError(f"{ARRAYS} holds landmarks of another table; train again")
        line = Line(landmarks, coefficients, arrays["intercept"], float(arrays["gamma"][0]))
        return cls(manifest, scaler, line, arrays["reference"])
