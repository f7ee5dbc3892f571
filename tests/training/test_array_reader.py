"""A table in memory: balanced, seeded batches of labelled rows and checked shapes."""

import itertools

import numpy as np
import pytest

from feature_extraction.schema import FeatureSchema
from training.reader import ArrayReader, class_balanced

SCHEMA = FeatureSchema(("spend__trend_slope", "spend__level", "visits__level"), ("no", "yes"), "yes")


def test_class_balance_repeats_rows_only_of_a_class_too_small():
    labels = np.array([-1] * 50 + [0] * 20 + [2] * 3, np.int8)
    for index in itertools.islice(class_balanced(labels, 5, seed=1), 20):
        assert labels[index].tolist() == [0] * 5 + [2] * 5
        assert len(set(index[:5].tolist())) == 5
    draws = {tuple(index.tolist()) for index in itertools.islice(class_balanced(labels, 5, seed=1), 20)}
    assert len(draws) == 20


def test_labels_without_a_class_cannot_be_balanced():
    with pytest.raises(ValueError, match="found no labelled row among 4"):
        next(class_balanced(np.full(4, -1, np.int8), 2, seed=0))


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 2\), expected \(4, 3\)"):
        ArrayReader(np.zeros((4, 2), np.float32), np.zeros(4, np.int8), SCHEMA)


def test_unlabeled_batches_hold_no_row_twice_while_there_are_enough():
    features = np.arange(60, dtype=np.float32).reshape(20, 3)
    reader = ArrayReader(features, np.array([-1] * 12 + [0] * 8, np.int8), SCHEMA)
    for batch in itertools.islice(reader.unlabeled(12, seed=0), 5):
        assert sorted(batch[:, 0].tolist()) == features[:12, 0].tolist()
    assert next(reader.unlabeled(30, seed=0)).shape == (30, 3)


def test_scan_of_a_long_table_comes_in_blocks():
    rows = 150_000
    reader = ArrayReader(np.arange(rows, dtype=np.float32)[:, None], np.zeros(rows, np.int8), FeatureSchema(("a__b",)))
    batches = list(reader.scan())
    assert len(batches) > 1
    np.testing.assert_array_equal(np.concatenate([batch.features for batch in batches]), reader.features)
