"""A trained dense classifier in plain numpy: scores and reasons without torch.

Takes raw rows (n, d) with NaN for missing; gives probabilities, integrated gradients and files.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.artifact import ArtifactError, unpack_arrays
from training.dense_network import DenseNetwork, mean_log_odds, shares_of, softmax
from training.scaler import Scaler
from training.torch import second_stage
from training.torch.second_stage import ARRAYS, FACTS, Classifier, packed
from training.trainer import Floats

Doubles = NDArray[np.float64]

KIND = "mlp"


@dataclass(frozen=True, eq=False)
class MLP:
    """Dense networks over scaled features; probabilities and log-odds are their means.

    Attributes:
        scaler: raw features to inputs.
        unit: what raw features are divided by before that: the brightest pixel of images, else 1.
        networks: each gives one logit per class.
    """

    scaler: Scaler
    unit: float
    networks: tuple[DenseNetwork, ...]

    def predict_proba(self, features: Floats, /) -> Floats:
        """Return probabilities (rows, classes) of raw rows."""
        inputs = self._inputs(features)
        found = np.mean([softmax(network.logits(inputs)) for network in self.networks], axis=0)
        return np.asarray(found, np.float32)

    def contributions(self, features: Floats, reference: Floats, code: int) -> Floats:
        """Return integrated gradients of a class's log-odds from a raw reference row, (rows, features)."""
        start = self._inputs(reference[None])[0]
        return self.scaler.fold(shares_of(self.networks, self._inputs(features), start, code))

    def log_odds(self, features: Floats, code: int) -> Doubles:
        """Return log p - log(1 - p) of a class, (rows,), of raw rows."""
        return mean_log_odds(self.networks, self._inputs(features), code)

    def _inputs(self, features: Floats) -> Floats:
        return self.scaler.transform(np.asarray(features, np.float32) / np.float32(self.unit))

    def files(self) -> dict[str, bytes]:
        """Return the classifier as files by name."""
        facts = {"scaler": json.loads(self.scaler.to_json()), "unit": self.unit}
        arrays = [network.arrays(_prefix(number)) for number, network in enumerate(self.networks)]
        return packed(KIND, facts, {name: array for each in arrays for name, array in each.items()})

    @classmethod
    def from_arrays(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `files` packed."""
        unit = float(facts["unit"])
        if not 0 < unit < math.inf:
            raise ArtifactError(f"{FACTS}: features are divided by {unit}; expected a number above 0: train again")
        members = sum(name.endswith("kernel0") for name in arrays)
        networks = tuple(DenseNetwork.from_arrays(arrays, _prefix(number)) for number in range(members))
        return cls(Scaler.from_json(json.dumps(facts["scaler"])), unit, networks)


def _prefix(member: int) -> str:
    """Return what a member's arrays begin with; the first one's as those of a model that was saved with one alone."""
    return f"member{member}." if member else ""


def from_files(files: Mapping[str, bytes]) -> Classifier:
    """Read what a classifier's `files` gave, a dense network or one of the second stage."""
    facts = json.loads(files[FACTS])
    if facts["kind"] == KIND:
        return MLP.from_arrays(facts, unpack_arrays(files[ARRAYS]))
    return second_stage.from_files(files)
