"""Random numbers as a pure function of seed and step: no state to keep, nothing to hand over on resuming.

Takes the members' seeds; gives uniform and normal numbers, the same on every backend and device, and for a
member the same however many members there are. The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014),
started at a mix of the two numbers.

Shapes: M members, N numbers for each.
"""

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

GAMMA, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64's own constants
FLOAT_BITS = 24  # what a float32 holds exactly


def uniform(seeds_M: Tensor, step: Tensor, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Draw all numbers of a step, in [0, 1), at once: without XLA a call costs some fifty operations.

    Args:
        seeds_M: a seed for each member, int64.
        step: number of the training step, int64.
        shapes: shapes of one member's arrays.

    Returns:
        (M, *shape) float32 for each shape.
    """
    lengths = [math.prod(shape) for shape in shapes]
    key_M = _mix(_mix(seeds_M) + step)
    count_N = ops.convert_to_tensor(np.arange(1, sum(lengths) + 1))
    bits_MN = _shifted(_mix(key_M[:, None] + count_N * _word(GAMMA)), 64 - FLOAT_BITS)
    numbers_MN = ops.cast(bits_MN, "float32") * 2.0**-FLOAT_BITS
    *parts, _ = ops.split(numbers_MN, np.cumsum(lengths).tolist(), axis=1)
    return [ops.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes, strict=True)]


def normal(uniform_M2: Tensor) -> tuple[Tensor, Tensor]:
    """Turn uniform numbers (M, 2, ...) into two arrays (M, ...) of standard normal ones, by Box and Muller (1958)."""
    length, angle = ops.sqrt(-2.0 * ops.log(1.0 - uniform_M2[:, 0])), 2.0 * math.pi * uniform_M2[:, 1]
    return length * ops.cos(angle), length * ops.sin(angle)


def positions(shares: Tensor, counts: Tensor) -> Tensor:
    """Turn numbers in [0, 1) into positions in ranges of `counts` places, int32."""
    # The product may round up to the count itself.
    return ops.minimum(ops.cast(shares * ops.cast(counts, "float32"), "int32"), counts - 1)


def _mix(word: Tensor) -> Tensor:
    word = ops.bitwise_xor(word, _shifted(word, 30)) * _word(FIRST)
    word = ops.bitwise_xor(word, _shifted(word, 27)) * _word(SECOND)
    return ops.bitwise_xor(word, _shifted(word, 31))


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros; int64's own shift repeats the sign, and no backend has all of uint64."""
    return ops.bitwise_and(ops.right_shift(word, _word(bits)), _word((1 << (64 - bits)) - 1))


def _word(bits: int) -> Tensor:
    signed = bits - (1 << 64) if bits >> 63 else bits
    return ops.convert_to_tensor(np.int64(signed))
