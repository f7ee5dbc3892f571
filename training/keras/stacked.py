"""The members' networks in one: every weight has a leading axis of members, so one operation moves all of them.

Takes sizes and the members' seeds; gives layers whose first weights depend on these alone, and the trained ones as
`DenseNetwork`s in numpy. Kernels are Glorot-uniform, biases zero.

Shapes: M members, B rows, I inputs, O outputs, U units of a hidden layer, Z noise, P weights of one member.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.dense_network import SLOPE, DenseNetwork
from training.trainer import Floats

# Keras publishes no types, so its tensors and variables are `Any` here.
Tensor = Any
Variable = Any

MOMENTUM, EPSILON = 0.99, 1e-3  # of batch normalisation


@dataclass(frozen=True)
class Stack:
    """Dense layers with LeakyReLU 0.2 between them.

    Attributes:
        sizes: units of the inputs, of each hidden layer and of the outputs.
        weights: (M, 1, P), kernels and biases side by side. One variable for all of them, as an optimizer's update
            costs a dozen operations for each variable, whatever its size.
        bent: whether LeakyReLU follows the last layer too.
    """

    sizes: tuple[int, ...]
    weights: Variable
    bent: bool = False

    def __call__(self, inputs_MBI: Tensor) -> Tensor:
        """Map inputs (M, B, I) to outputs (M, B, O)."""
        values, last = inputs_MBI, len(self.sizes) - 2
        for depth, (kernel_MIO, bias_M1O) in enumerate(self._layers()):
            values = ops.matmul(values, kernel_MIO) + bias_M1O
            values = values if depth == last and not self.bent else ops.leaky_relu(values, SLOPE)
        return values

    def arrays(self) -> list[tuple[Floats, Floats]]:
        """Copy each layer's kernels (M, I, O) and biases (M, O) to numpy."""
        layers = [map(ops.convert_to_numpy, layer) for layer in self._layers()]
        return [(kernel, bias[:, 0]) for kernel, bias in layers]

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        lengths = [length for ins, outs in pairwise(self.sizes) for length in (ins * outs, outs)]
        parts = ops.split(self.weights, np.cumsum(lengths)[:-1].tolist(), axis=2)
        shapes = [(-1, ins, outs) for ins, outs in pairwise(self.sizes)]
        kernels = [ops.reshape(part, shape) for part, shape in zip(parts[::2], shapes, strict=True)]
        return list(zip(kernels, parts[1::2], strict=True))


@dataclass(frozen=True)
class Generator:
    """Noise (M, B, Z) to generated inputs (M, B, I).

    One hidden layer, batch normalisation for each member, LeakyReLU 0.2. The output is linear, as scaled features lie
    on both sides of 0 and beyond 1: a ReLU or tanh, as in the published code, cannot reach most of them, and the
    discriminator would know a generated row by its range.

    Attributes:
        hidden: the first layer.
        normal: scale and shift of the normalised units, (M, 2, U).
        moments: running mean and variance, (M, 2, U); no optimizer moves them.
        output: the last layer.
    """

    hidden: Stack
    normal: Variable
    moments: Variable
    output: Stack

    @property
    def trained(self) -> list[Variable]:
        """What an optimizer moves."""
        return [self.hidden.weights, self.normal, self.output.weights]

    def __call__(self, noise_MBZ: Tensor, *, training: bool) -> Tensor:
        """Generate rows; in training by the batch's own moments, which are noted, else by the running ones."""
        units_MBU = self.hidden(noise_MBZ)
        moments_M2U = self._noted(units_MBU) if training else ops.convert_to_tensor(self.moments)
        mean, variance = moments_M2U[:, :1], moments_M2U[:, 1:]
        normal_MBU = (units_MBU - mean) * ops.rsqrt(variance + EPSILON) * self.normal[:, :1] + self.normal[:, 1:]
        return self.output(ops.leaky_relu(normal_MBU, SLOPE))

    def _noted(self, units_MBU: Tensor) -> Tensor:
        moments_M2U = ops.stack([ops.mean(units_MBU, axis=1), ops.var(units_MBU, axis=1)], axis=1)
        self.moments.assign(MOMENTUM * self.moments + (1 - MOMENTUM) * ops.stop_gradient(moments_M2U))
        return moments_M2U


def stack(sizes: Sequence[int], seeds: Sequence[int], *, salt: int, bent: bool = False) -> Stack:
    """Build dense layers; `salt` sets one network of a member apart from its others."""
    first = np.stack([_glorot(sizes, np.random.default_rng([seed, salt])) for seed in seeds])
    return Stack(tuple(sizes), keras.Variable(first[:, None]), bent)


def generator(sizes: tuple[int, int, int], seeds: Sequence[int], *, salt: int) -> Generator:
    """Build a generator of `sizes` (Z, U, I); `salt` and `salt` + 1 must be its own."""
    ones, zeros = np.ones((len(seeds), 1, sizes[1]), np.float32), np.zeros((len(seeds), 1, sizes[1]), np.float32)
    return Generator(
        hidden=stack(sizes[:2], seeds, salt=salt),
        normal=keras.Variable(np.concatenate([ones, zeros], axis=1)),
        moments=keras.Variable(np.concatenate([zeros, ones], axis=1), trainable=False),
        output=stack(sizes[1:], seeds, salt=salt + 1),
    )


def as_dense_networks(stacks: Sequence[Stack], outputs: int) -> list[DenseNetwork]:
    """Copy stacks in sequence to numpy, one network a member, with the first `outputs` outputs of the last."""
    layers = [layer for part in stacks for layer in part.arrays()]
    kernel, bias = layers[-1]
    layers[-1] = kernel[..., :outputs], bias[:, :outputs]
    return [
        DenseNetwork(tuple(kernel[member] for kernel, _ in layers), tuple(bias[member] for _, bias in layers))
        for member in range(len(bias))
    ]


def _glorot(sizes: Sequence[int], random: np.random.Generator) -> Floats:
    parts: list[NDArray[np.float64]] = []
    for ins, outs in pairwise(sizes):
        limit = np.sqrt(6 / (ins + outs))
        parts += [random.uniform(-limit, limit, ins * outs), np.zeros(outs)]
    return np.asarray(np.concatenate(parts), dtype=np.float32)
