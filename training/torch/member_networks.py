"""Dense networks whose members are trained at once, and their way into numpy.

Member m depends on its own seed alone: it is the same whatever the other members are.

Shapes: M members, B rows, I inputs, U units, K logits.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.dense_network import SLOPE, DenseNetwork, softmax
from training.torch.embedded import Embedded
from training.trainer import Floats

Doubles = NDArray[np.float64]

RELU = 0.0


class Members(nn.Module):
    """Dense layers with (leaky) ReLU between them and logits at the end, once for each member."""

    def __init__(
        self, widths: Sequence[int], seeds: Sequence[int], *, embedded: Sequence[Embedded] = (), slope: float = SLOPE
    ) -> None:
        """Draw Xavier weights.

        Args:
            widths: inputs, units of each hidden layer, logits.
            seeds: one for each member.
            embedded: blocks of inputs that are replaced by a learned embedding, in their order.
            slope: below zero; `RELU` for none.

        Raises:
            ValueError: the blocks are out of order, overlap or end past the inputs.
        """
        super().__init__()
        randoms = [np.random.default_rng(seed) for seed in seeds]
        self._embedded, self._slope = tuple(embedded), slope
        self._parts = [*_between(widths[0], embedded), *(block.size for block in embedded)]
        sizes = [sum(self._parts), *widths[1:]]
        self.embeddings = nn.ParameterList(_xavier(block.stop - block.start, block.size, randoms) for block in embedded)
        self.kernels = nn.ParameterList(
            _xavier(inputs, outputs, randoms) for inputs, outputs in zip(sizes, sizes[1:], strict=False)
        )
        self.biases = nn.ParameterList(torch.zeros(len(randoms), 1, outputs) for outputs in sizes[1:])

    def forward(self, rows_MBI: Tensor) -> Tensor:
        """Return logits (M, B, K)."""
        units, last = rows_MBI, len(self.kernels) - 1
        for depth, (kernel, bias) in enumerate(zip(self._whole(), self.biases, strict=True)):
            units = torch.baddbmm(bias, units, kernel)
            if depth < last:
                units = functional.leaky_relu(units, self._slope)
        return units

    def _whole(self) -> list[Tensor]:
        """Return the kernels for inputs as they come."""
        return [self._first(self.kernels[0]), *itertools.islice(self.kernels, 1, None)]

    def _first(self, kernel: Tensor) -> Tensor:
        """Return the first layer's kernel for inputs as they come, (M, I, U): an embedding, being linear, is in it."""
        if not self._embedded:
            return kernel
        between = len(self._embedded) + 1
        parts = torch.split_with_sizes(kernel, self._parts, dim=1)
        whole = [parts[0]]
        for embedding, own, after in zip(self.embeddings, parts[between:], parts[1:between], strict=True):
            whole += [embedding @ own, after]
        return torch.cat(whole, dim=1)

    def export(self) -> tuple[DenseNetwork, ...]:
        """Return each member in numpy, without embeddings."""
        return tuple(self._one(member) for member in range(len(self.biases[0])))

    def _one(self, member: int) -> DenseNetwork:
        kernels = [_array(kernel[member]) for kernel in self._whole()]
        biases = [_array(bias[member, 0]) for bias in self.biases]
        return _leaky(kernels, biases) if self._slope == RELU else DenseNetwork(tuple(kernels), tuple(biases))


def mean_chances(networks: Sequence[DenseNetwork], inputs: Floats) -> Doubles:
    """Return the members' mean probabilities (rows, K)."""
    return np.asarray(np.mean([softmax(network.logits(inputs)) for network in networks], axis=0))


def batches(rows: int, size: int, *, seeds: Sequence[int], epoch: int) -> Iterator[NDArray[np.intp]]:
    """Give row positions (M, B) of an epoch's batches: each member has an order of its own, and every row once."""
    orders = np.stack([np.random.default_rng([seed, epoch]).permutation(rows) for seed in seeds])
    yield from np.array_split(orders, max(1, round(rows / size)), axis=1)


def _between(inputs: int, embedded: Sequence[Embedded]) -> list[int]:
    """Return how many inputs lie before, between and after the blocks."""
    starts, stops = [*(block.start for block in embedded), inputs], [0, *(block.stop for block in embedded)]
    found = [start - stop for start, stop in zip(starts, stops, strict=True)]
    if min(found) < 0:
        raise ValueError(f"blocks {list(embedded)} of {inputs} inputs; give them in order, apart and among the inputs")
    return found


def _xavier(inputs: int, outputs: int, randoms: Sequence[np.random.Generator]) -> nn.Parameter:
    limit = np.sqrt(6 / (inputs + outputs))
    drawn = np.stack([random.uniform(-limit, limit, (inputs, outputs)) for random in randoms])
    return nn.Parameter(torch.from_numpy(drawn.astype(np.float32)))


def _leaky(kernels: Sequence[Floats], biases: Sequence[Floats]) -> DenseNetwork:
    """Say a ReLU network exactly in leaky units: relu(u) = (leaky(u) + s leaky(-u)) / (1 - s^2)."""
    kernels, biases = list(kernels), list(biases)
    for depth in range(len(kernels) - 1):
        kernels[depth] = np.hstack([kernels[depth], -kernels[depth]])
        biases[depth] = np.hstack([biases[depth], -biases[depth]])
        after = kernels[depth + 1] / np.float32(1 - SLOPE**2)
        kernels[depth + 1] = np.vstack([after, np.float32(SLOPE) * after])
    return DenseNetwork(tuple(kernels), tuple(biases))


def _array(tensor: Tensor) -> Floats:
    return np.array(tensor.detach().cpu().numpy(), np.float32, order="C")  # a view would go on learning
