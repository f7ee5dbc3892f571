"""A trained adversarial autoencoder in plain numpy: scores and reasons without the framework it was trained in.

Takes weights from safetensors; gives the probability of the rare class and integrated gradients (Sundararajan, Taly
and Yan, ICML 2017).

Shapes: B rows, F features, I inputs, Z code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.artifact import ArtifactError, Described, Manifest, check_width, pack_arrays, save_files, unpack_arrays
from training.dense_network import ROWS_AT_ONCE, SCALER, WEIGHTS, DenseNetwork
from training.integrated_gradients import integrated_gradients
from training.scaler import Scaler
from training.trainer import Floats

Doubles = NDArray[np.float64]

NETWORKS = ("encoder", "decoder")


@dataclass(frozen=True)
class Autoencoder:
    """One member: inputs to codes, and codes to inputs."""

    encoder: DenseNetwork
    decoder: DenseNetwork

    def surprise(self, inputs: Floats) -> Doubles:
        """Return each row's mean squared reconstruction error and its code's -log p(z) under N(0, I), (rows, 2).

        The second lacks its constant, so it is half the squared length of the code.
        """
        code = self.encoder.logits(inputs)
        error = np.square(inputs - self.decoder.logits(code)).mean(axis=1, dtype=np.float64)
        return np.stack([error, np.square(code).sum(axis=1, dtype=np.float64) / 2], axis=1)

    def pull_back(self, inputs: Floats, weights: Doubles) -> Doubles:
        """Return the gradient of weights (2,) times `surprise` with respect to the inputs, (rows, inputs)."""
        coded = self.encoder.forward(inputs)
        decoded = self.decoder.forward(coded[-1])
        error = (2 * weights[0] / inputs.shape[1] * (inputs - decoded[-1])).astype(np.float32)
        upstream = np.float32(weights[1]) * coded[-1] - self.decoder.pull_back(decoded, error)
        return np.asarray(error + self.encoder.pull_back(coded, upstream), dtype=np.float64)


@dataclass(frozen=True)
class Scale:
    """What is usual: each member's surprise over rows that are not rare and that it did not learn from.

    Attributes:
        center: mean of the two parts, (members, 2).
        spread: their standard deviation, (members, 2).
        latent_weight: weight of the second part.
        threshold: the score above which a row is called rare.
    """

    center: Doubles
    spread: Doubles
    latent_weight: float
    threshold: float

    def weights(self) -> Doubles:
        """Return what a score's parts are multiplied by, (members, 2)."""
        return np.array([1.0, self.latent_weight]) / self.spread

    def scores(self, surprises: Sequence[Doubles]) -> list[Doubles]:
        """Standardise each member's surprise (rows, 2) and add up its parts: (rows,) for each member."""
        parts = zip(surprises, self.center, self.weights(), strict=True)
        return [((surprise - center) * weight).sum(axis=1) for surprise, center, weight in parts]

    def probability(self, scores: Doubles) -> Doubles:
        """Return the probability of the rare class that a score stands for: 1/2 at the threshold."""
        return np.asarray(1 / (1 + np.exp(-np.arcsinh(scores - self.threshold))))


@dataclass(frozen=True)
class AAEArtifact(Described):
    """An ensemble of autoencoders over one scaler.

    The score is the mean of the members' standardised surprise. The log-odds of the rare class are asinh(score -
    threshold): 0 at the threshold, and so slow beyond it that even far rows keep their order in float32.

    Attributes:
        scaler: raw features to inputs.
        members: the autoencoders.
        scale: what is usual, and the threshold.
        reference: the scaled row that contributions compare with, (inputs,).
    """

    scaler: Scaler
    members: tuple[Autoencoder, ...]
    scale: Scale
    reference: Floats

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        return self.predict_with_uncertainty(features)[0]

    def uncertainty(self, features: Floats) -> Floats:
        """Return the standard deviation over the members of the rare class's probability, (rows,).

        A member's probability is what the artifact's would be if that member's score were the mean of all.
        """
        return self.predict_with_uncertainty(features)[1]

    def predict_with_uncertainty(self, features: Floats) -> tuple[Floats, Floats]:
        """Return what `predict` and `uncertainty` return, in one pass."""
        check_width(features, self.schema)
        rare, spread = np.empty(len(features)), np.empty(len(features), dtype=np.float32)
        for first in range(0, len(features), ROWS_AT_ONCE):
            block = slice(first, first + ROWS_AT_ONCE)
            scores = self._scores(self.scaler.transform(features[block]))
            rare[block] = self.scale.probability(scores.mean(axis=0))
            spread[block] = self.scale.probability(scores).std(axis=0)
        code = self.classes.index(self.rare)
        return np.insert((1 - rare)[:, None], code, rare, axis=1).astype(np.float32), spread

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the rare class's log-odds, (rows, features).

        A row sums to its `contribution_totals`, within the tolerance of `training.integrated_gradients`.
        """
        check_width(features, self.schema)
        parts = [np.empty(features[:0].shape, dtype=np.float32)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.scaler.transform(features[first : first + ROWS_AT_ONCE])
            shares = integrated_gradients(inputs, self.reference, self._gradient, self._log_odds)
            parts.append(self.scaler.fold(shares.astype(np.float32)))
        return np.concatenate(parts)

    def contribution_totals(self, features: Floats) -> Doubles:
        """Return the log-odds of the rare class less those of the reference, (rows,)."""
        check_width(features, self.schema)
        return self._log_odds(self.scaler.transform(features)) - self._log_odds(self.reference[None])

    def save(self, url: str) -> None:
        """Write weights, scaler and, last, the manifest to a folder."""
        arrays: dict[str, NDArray[Any]] = {"reference": self.reference}
        for number, member in enumerate(self.members):
            for name in NETWORKS:
                arrays |= getattr(member, name).arrays(f"{name}{number}.")
        scale = self.scale
        arrays |= {"center": scale.center, "spread": scale.spread}
        arrays |= {"latent_weight": np.array(scale.latent_weight), "threshold": np.array(scale.threshold)}
        save_files(url, self.manifest, {WEIGHTS: pack_arrays(arrays), SCALER: self.scaler.to_json().encode()})

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> "AAEArtifact":
        """Rebuild an artifact from its files."""
        arrays = unpack_arrays(files[WEIGHTS])
        if "center" not in arrays:
            raise ArtifactError(f"{WEIGHTS} does not hold autoencoders; train again")
        members = tuple(
            Autoencoder(*(DenseNetwork.from_arrays(arrays, f"{name}{number}.") for name in NETWORKS))
            for number in range(len(arrays["center"]))
        )
        numbers = {name: float(arrays[name]) for name in ("latent_weight", "threshold")}
        scale = Scale(center=arrays["center"], spread=arrays["spread"], **numbers)
        return cls(manifest, Scaler.from_json(files[SCALER].decode()), members, scale, arrays["reference"])

    def _scores(self, inputs: Floats) -> Doubles:
        """Return each member's standardised surprise, (members, rows)."""
        return np.stack(self.scale.scores([member.surprise(inputs) for member in self.members]))

    def _log_odds(self, inputs: Floats) -> Doubles:
        return np.asarray(np.arcsinh(self._scores(inputs).mean(axis=0) - self.scale.threshold))

    def _gradient(self, inputs: Floats) -> Doubles:
        """Return the gradient of the log-odds with respect to the inputs, (rows, inputs)."""
        pairs = zip(self.members, self.scale.weights(), strict=True)
        slope = np.mean([member.pull_back(inputs, weights) for member, weights in pairs], axis=0)
        excess = self._scores(inputs).mean(axis=0)[:, None] - self.scale.threshold
        return np.asarray(slope / np.sqrt(1 + excess**2))
