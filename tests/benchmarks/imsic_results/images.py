"""MNIST and Fashion-MNIST with the paper's long tail: 4,000 rows of class 0 down to 40 of class 9, 9,000 in all.

Takes the IDX files in ../shared; gives rows of 784 pixels from 0 to 255 and the ten labels. Everything that is learned
is learned from these rows, generators too: the released ones had seen all 60,000.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.results import mnist

TAIL = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)
RAREST = 5  # classes whose mean recall is shown


class Split(NamedTuple):
    """Training rows and labels, and test rows and labels."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    test_rows: NDArray[np.float32]
    test_labels: NDArray[np.int64]


@cache
def split(name: str, seed: int, tail: Sequence[int] = TAIL) -> Split:
    """Return a split; its rows are drawn by the seed, and are the same for every arm."""
    images, digits = mnist.read(name, "train")
    random = np.random.default_rng([seed, 0])
    by_class = [np.flatnonzero(digits == digit) for digit in range(len(tail))]
    drawn = [np.sort(random.choice(own, count, replace=False)) for own, count in zip(by_class, tail, strict=True)]
    chosen = np.concatenate(drawn)
    test_images, test_digits = mnist.read(name, "t10k")
    return Split(
        images[chosen].astype(np.float32),
        digits[chosen].astype(np.int64),
        test_images.astype(np.float32),
        test_digits.astype(np.int64),
    )
