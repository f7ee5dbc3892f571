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
from training.dense_network import DenseNetwork, shares_of, softmax
from training.scaler import Scaler
from training.torch import second_stage
from training.torch.second_stage import ARRAYS, FACTS, Classifier, packed
from training.trainer import Floats

Doubles = NDArray[np.float64]

KIND = "mlp"


@dataclass(frozen=True, eq=False)
class MLP:
    """A dense network over scaled features.

    Attributes:
        scaler: raw features to inputs.
        unit: what raw features are divided by before that: the brightest pixel of images, else 1.
        network: gives one logit per class.
    """

    scaler: Scaler
    unit: float
    network: DenseNetwork

    def predict_proba(self, features: Floats, /) -> Floats:
        """Return probabilities (rows, classes) of raw rows."""
        return softmax(self.network.logits(self._inputs(features))).astype(np.float32)

    def contributions(self, features: Floats, reference: Floats, code: int) -> Floats:
        """Return integrated gradients of a class's log-odds from a raw reference row, (rows, features)."""
        start = self._inputs(reference[None])[0]
        return self.scaler.fold(shares_of((self.network,), self._inputs(features), start, code))

    def log_odds(self, features: Floats, code: int) -> Doubles:
        """Return log p - log(1 - p) of a class, (rows,), of raw rows."""
        return self.network.log_odds(self._inputs(features), code).astype(np.float64)

    def _inputs(self, features: Floats) -> Floats:
        return self.scaler.transform(np.asarray(features, np.float32) / np.float32(self.unit))

    def files(self) -> dict[str, bytes]:
        """Return the classifier as files by name."""
        facts = {"scaler": json.loads(self.scaler.to_json()), "unit": self.unit}
        return packed(KIND, facts, self.network.arrays(""))

    @classmethod
    def from_arrays(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `files` packed."""
        unit = float(facts["unit"])
        if not 0 < unit < math.inf:
            raise ArtifactError(f"{FACTS}: features are divided by {unit}; expected a number above 0: train again")
        return cls(Scaler.from_json(json.dumps(facts["scaler"])), unit, DenseNetwork.from_arrays(arrays, ""))


def from_files(files: Mapping[str, bytes]) -> Classifier:
    """Read what a classifier's `files` gave, a dense network or one of the second stage."""
    facts = json.loads(files[FACTS])
    if facts["kind"] == KIND:
        return MLP.from_arrays(facts, unpack_arrays(files[ARRAYS]))
    return second_stage.from_files(files)
