"""Translations by dense networks in plain numpy, so that explaining a model needs no torch.

Takes the files of a trained generator; gives what `Generator.translate` gives without a seed, to rounding.

Shapes: B rows, W columns of an encoded row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from training.artifact import ArtifactError, unpack_arrays
from training.torch.augmentation import codec
from training.torch.augmentation.codec import Codec
from training.torch.mgvae.files import CODEC, NETWORKS, of_class
from training.trainer import Floats

ROWS_AT_ONCE = 8192
LINEAR = ("mean", "decoder.1")  # layers after which nothing is cut off at 0


class Pairs(NamedTuple):
    """Majority rows and what each becomes as a row of a rare class: `source` and `translated` (n, d), raw."""

    source: Floats
    translated: Floats
    label: int


@dataclass(frozen=True)
class Layer:
    """A linear layer, (inputs, outputs) and (outputs,), and whether a ReLU follows."""

    kernel: Floats
    bias: Floats
    rectified: bool


@dataclass(frozen=True)
class Translator:
    """Encoder means and decoder of one class.

    Attributes:
        codec: raw rows to encoded ones and back.
        layers: of the encoder and then the decoder, in order.
    """

    codec: Codec
    layers: Sequence[Layer]

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], code: int) -> Self:
        """Read the networks of a class; those of another table raise `ArtifactError`."""
        found = codec.from_arrays(unpack_arrays(files[CODEC]))
        layers = _layers(of_class(unpack_arrays(files[NETWORKS]), code))
        inputs = found.layout.width, *(len(layer.bias) for layer in layers)
        fitting = all(layer.kernel.shape == pair for layer, pair in zip(layers, pairwise(inputs), strict=True))
        if not fitting or inputs[-1] != found.layout.width:
            raise ArtifactError(f"{NETWORKS} holds networks of another table; train again")
        return cls(found, layers)

    def translate(self, features: Floats) -> Floats:
        """Return raw rows as rows of the class, each from the middle of its component."""
        parts = [np.empty((0, features.shape[1]), np.float32)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            encoded = self.codec.encode(features[first : first + ROWS_AT_ONCE])
            parts.append(self.codec.decode(self._decoded(encoded)))
        return np.concatenate(parts)

    def _decoded(self, rows_BW: Floats) -> Floats:
        for layer in self.layers:
            rows_BW = rows_BW @ layer.kernel + layer.bias
            rows_BW = np.maximum(rows_BW, np.float32(0)) if layer.rectified else rows_BW
        layout = self.codec.layout
        if layout.image:
            return 1 / (1 + np.exp(-rows_BW))
        rows_BW[:, layout.missing] = rows_BW[:, layout.missing] > 0
        return rows_BW


def _layers(arrays: Mapping[str, NDArray[Any]]) -> list[Layer]:
    named = sorted((name.removesuffix(".weight") for name in arrays if name.endswith(".weight")), key=_order)
    return [
        Layer(np.ascontiguousarray(arrays[f"{name}.weight"].T), arrays[f"{name}.bias"], name not in LINEAR)
        for name in named
        if name != "log_variance"
    ]


def _order(name: str) -> tuple[int, list[int]]:
    """Sort trunk, mean and decoder, and the layers of each by their numbers."""
    part, *numbers = name.split(".")
    return ["trunk", "mean", "log_variance", "decoder"].index(part), [int(number) for number in numbers]
