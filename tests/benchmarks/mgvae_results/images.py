"""MNIST and Fashion-MNIST as the paper splits them: classes 0 to 4 against the first few of each of 5 to 9.

Takes the IDX files in ../shared; gives rows of 784 pixels from 0 to 255 and labels 0 (majority) and 1 (rare).
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.results import mnist

ROWS_PER_CLASS = {100: 60, 600: 10}  # of each rare class by the ratio of imbalance


class Split(NamedTuple):
    """Training rows and labels, and test rows and labels."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    test_rows: NDArray[np.float32]
    test_labels: NDArray[np.int64]


@cache
def split(name: str, ratio: int, majority: int = 0) -> Split:
    """Return a split; `majority` takes that many majority rows alone, 0 all of them. The rare rows are the first."""
    images, digits = mnist.read(name, "train")
    rare = [np.flatnonzero(digits == digit)[: ROWS_PER_CLASS[ratio]] for digit in range(5, 10)]
    common = np.flatnonzero(digits < 5)[: majority or None]
    chosen = np.concatenate([common, *rare])
    test_images, test_digits = mnist.read(name, "t10k")
    return Split(
        images[chosen].astype(np.float32),
        (digits[chosen] > 4).astype(np.int64),
        test_images.astype(np.float32),
        (test_digits > 4).astype(np.int64),
    )
