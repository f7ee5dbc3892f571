"""The ranking cut into bins, from a histogram of the scores: rows of a bin are ranked by themselves, and moved up.

Takes how many rows each bucket of scores holds; gives the bins, which are ranges of buckets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.scored_rows import bucket_scores
from training.trainer import Floats

ROWS_PER_BIN = 65_536
MOST_BINS = 1_024


@dataclass(frozen=True)
class Histogram:
    """Rows by bucket of their score, the highest bucket first.

    Attributes:
        buckets: falling, (buckets,) int32.
        counts: rows in each.
        unlabeled: rows without a label in each.
    """

    buckets: NDArray[np.int32]
    counts: NDArray[np.int64]
    unlabeled: NDArray[np.int64]

    @property
    def total(self) -> int:
        """All rows."""
        return int(self.counts.sum())

    @property
    def scores(self) -> Floats:
        """The middle score of each bucket."""
        return bucket_scores(self.buckets)


@dataclass(frozen=True)
class Bins:
    """Stretches of the ranking, the head of the list first.

    Attributes:
        highest: the highest bucket of each.
        before: rows that come before each.
    """

    highest: tuple[int, ...]
    before: tuple[int, ...]


def bins(histogram: Histogram) -> Bins:
    """Cut the ranking after about every `ROWS_PER_BIN` rows, or more where there would be too many bins.

    Rows of one bucket stay together, however many they are.
    """
    size = max(ROWS_PER_BIN, -(-histogram.total // MOST_BINS))
    before = np.cumsum(histogram.counts) - histogram.counts
    starts = np.flatnonzero(np.diff(before // size, prepend=-1))
    return Bins(tuple(histogram.buckets[starts].tolist()), tuple(before[starts].tolist()))
