"""Trained dense networks in plain numpy: scores and reasons without the framework they were trained in.

Takes weights from safetensors; gives probabilities and integrated gradients (Sundararajan, Taly and Yan, ICML
2017). A Spark executor that scores thus needs no TensorFlow.

Shapes: B rows, F features, I inputs, C classes, H units of a hidden layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.artifact import ArtifactError, Described, Manifest, check_width, pack_arrays, save_files, unpack_arrays
from training.integrated_gradients import integrated_gradients
from training.scaler import Scaler
from training.trainer import Floats

Doubles = NDArray[np.float64]

SLOPE = 0.2  # of LeakyReLU below zero
ROWS_AT_ONCE = 8192  # bounds the memory of one pass
WEIGHTS, SCALER = "weights.safetensors", "scaler.json"


@dataclass(frozen=True)
class DenseNetwork:
    """Dense layers with LeakyReLU between them and logits at the end.

    Attributes:
        kernels: one (inputs, outputs) float32 array a layer.
        biases: one (outputs,) float32 array a layer.
    """

    kernels: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def logits(self, inputs: Floats) -> Floats:
        """Return logits (rows, classes)."""
        return self.forward(inputs)[-1]

    def log_odds(self, inputs: Floats, code: int) -> Floats:
        """Return log p - log(1 - p) of one class, (rows,)."""
        logits = self.logits(inputs)
        return np.asarray(logits[:, code] - _log_sum_exp(np.delete(logits, code, axis=1)))

    def gradient(self, inputs: Floats, code: int) -> Floats:
        """Return the gradient of that class's log-odds with respect to the inputs, (rows, inputs)."""
        layers = self.forward(inputs)
        others = layers[-1].copy()
        others[:, code] = -np.inf
        upstream = -np.exp(others - _log_sum_exp(others)[:, None])
        upstream[:, code] = 1.0
        return self.pull_back(layers, upstream)

    def pull_back(self, layers: list[Floats], upstream: Floats) -> Floats:
        """Bring a gradient with respect to the logits back to the inputs, (rows, inputs).

        Args:
            layers: what `forward` gave for these rows.
            upstream: gradient of something with respect to the logits, (rows, classes).
        """
        for depth in range(len(self.kernels) - 1, -1, -1):
            upstream = _product(upstream, self.kernels[depth].T).astype(np.float32)
            if depth:
                upstream *= np.where(layers[depth] > 0, np.float32(1), np.float32(SLOPE))
        return np.asarray(upstream)

    def arrays(self, prefix: str) -> dict[str, Floats]:
        """Name the arrays, each name beginning with `prefix`."""
        kernels = {f"{prefix}kernel{depth}": kernel for depth, kernel in enumerate(self.kernels)}
        return kernels | {f"{prefix}bias{depth}": bias for depth, bias in enumerate(self.biases)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats], prefix: str) -> "DenseNetwork":
        """Find the arrays that `arrays` named."""
        depths = range(sum(name.startswith(f"{prefix}kernel") for name in arrays))
        kernels = tuple(arrays[f"{prefix}kernel{depth}"] for depth in depths)
        return cls(kernels, tuple(arrays[f"{prefix}bias{depth}"] for depth in depths))

    def forward(self, inputs: Floats) -> list[Floats]:
        """Return the inputs, each hidden layer after its LeakyReLU, and the logits."""
        layers = [np.asarray(inputs, dtype=np.float32)]
        for depth, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            units = (_product(layers[-1], kernel) + bias).astype(np.float32)
            last = depth == len(self.kernels) - 1
            layers.append(units if last else np.maximum(units, np.float32(SLOPE) * units))
        return layers


def _product(rows: Floats, kernel: Floats) -> Doubles:
    """Return rows @ kernel, added up in double precision.

    In single precision, some processors' kernels give a row another last bit by where it lies among others.
    """
    return np.asarray(rows.astype(np.float64) @ kernel.astype(np.float64))


@dataclass(frozen=True)
class DenseNetworkArtifact(Described):
    """An ensemble of dense networks over one scaler; probabilities and contributions are members' means.

    Attributes:
        scaler: raw features to inputs.
        members: the networks, each with one logit per class.
        reference: the scaled row that contributions compare with, (inputs,).
    """

    scaler: Scaler
    members: tuple[DenseNetwork, ...]
    reference: Floats

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        return self.predict_with_uncertainty(features)[0]

    def uncertainty(self, features: Floats) -> Floats:
        """Return the standard deviation over the members of the rare class's probability, (rows,).

        It tells how far the members disagree, between 0 and 0.5, not how far all of them may be wrong; a single
        member gives 0.
        """
        return self.predict_with_uncertainty(features)[1]

    def predict_with_uncertainty(self, features: Floats) -> tuple[Floats, Floats]:
        """Return what `predict` and `uncertainty` return, in one pass."""
        check_width(features, self.schema)
        code = self.classes.index(self.rare)
        means, spreads = [np.empty((0, len(self.classes)))], [np.empty(0)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.scaler.transform(features[first : first + ROWS_AT_ONCE])
            chances = np.stack([softmax(member.logits(inputs)) for member in self.members])
            means.append(chances.mean(axis=0))
            spreads.append(chances[:, :, code].std(axis=0))
        return np.concatenate(means).astype(np.float32), np.concatenate(spreads).astype(np.float32)

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the rare class's log-odds, (rows, features).

        A row sums to its `contribution_totals`, within the tolerance of `training.integrated_gradients`.
        """
        check_width(features, self.schema)
        code = self.classes.index(self.rare)
        parts = [np.empty(features[:0].shape, dtype=np.float32)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.scaler.transform(features[first : first + ROWS_AT_ONCE])
            parts.append(self.scaler.fold(shares_of(self.members, inputs, self.reference, code)))
        return np.concatenate(parts)

    def contribution_totals(self, features: Floats) -> Doubles:
        """Return the members' mean log-odds of the rare class less that of the reference, (rows,)."""
        check_width(features, self.schema)
        inputs, code = self.scaler.transform(features), self.classes.index(self.rare)
        return mean_log_odds(self.members, inputs, code) - mean_log_odds(self.members, self.reference[None], code)

    def save(self, url: str) -> None:
        """Write weights, scaler and, last, the manifest to a folder."""
        arrays: dict[str, Floats] = {"reference": self.reference}
        for number, member in enumerate(self.members):
            arrays |= member.arrays(f"member{number}.")
        files = {WEIGHTS: pack_arrays(arrays), SCALER: self.scaler.to_json().encode()}
        save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> "DenseNetworkArtifact":
        """Rebuild an artifact from its files."""
        arrays = unpack_arrays(files[WEIGHTS])
        members: list[DenseNetwork] = []
        while f"member{len(members)}.kernel0" in arrays:
            members.append(DenseNetwork.from_arrays(arrays, f"member{len(members)}."))
        if not members or members[0].biases[-1].shape != (len(manifest.classes),):
            raise ArtifactError(f"{WEIGHTS} does not hold networks over the classes {manifest.classes}; train again")
        scaler = Scaler.from_json(files[SCALER].decode())
        return cls(manifest, scaler, tuple(members), arrays["reference"])


def mean_log_odds(members: Sequence[DenseNetwork], inputs: Floats, code: int) -> Doubles:
    """Return the members' mean log-odds of a class, (rows,)."""
    return np.asarray(np.mean([member.log_odds(inputs, code) for member in members], axis=0, dtype=np.float64))


def shares_of(members: Sequence[DenseNetwork], inputs: Floats, reference: Floats, code: int) -> Floats:
    """Return each input's share in the members' mean log-odds of a class, (rows, inputs), by integrated gradients."""

    def gradient(rows: Floats) -> Doubles:
        return np.asarray(np.mean([member.gradient(rows, code) for member in members], axis=0, dtype=np.float64))

    shares = integrated_gradients(inputs, reference, gradient, lambda rows: mean_log_odds(members, rows, code))
    return shares.astype(np.float32)


def softmax(logits: Floats) -> Doubles:
    """Return probabilities (rows, classes) in double precision, so that float32 ones still sum to 1."""
    shifted = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _log_sum_exp(logits: Floats) -> Floats:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))
