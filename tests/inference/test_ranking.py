"""The ranking in bins: every row has one bin, and the rows before a bin are those of higher buckets."""

import numpy as np
import pytest

from inference import ranking
from inference.ranking import Histogram, bins


def histogram(counts):
    counts = np.array(counts, dtype=np.int64)
    return Histogram(np.arange(len(counts), 0, -1, dtype=np.int32) * 3, counts, counts)


@pytest.mark.parametrize("rows_per_bin", [1, 7, 100])
@pytest.mark.parametrize("most_bins", [3, 1024])
def test_rows_before_a_bin_are_those_of_higher_buckets(monkeypatch, rows_per_bin, most_bins):
    monkeypatch.setattr(ranking, "ROWS_PER_BIN", rows_per_bin)
    monkeypatch.setattr(ranking, "MOST_BINS", most_bins)
    found = histogram(np.random.default_rng(0).integers(1, 9, 60))
    made = bins(found)
    assert made.before[0] == 0
    assert len(made.highest) <= most_bins
    for highest, before in zip(made.highest, made.before, strict=True):
        assert found.counts[found.buckets > highest].sum() == before
    sizes = np.diff([*made.before, found.total])
    assert (sizes <= max(rows_per_bin, -(-found.total // most_bins)) + 8).all()


def test_one_bucket_is_one_bin_however_many_its_rows(monkeypatch):
    monkeypatch.setattr(ranking, "ROWS_PER_BIN", 10)
    assert bins(histogram([10_000])).before == (0,)
    assert bins(histogram([3, 10_000, 2])).before == (0, 10_003)


def test_no_rows_have_no_bin():
    assert bins(histogram([])).before == ()
