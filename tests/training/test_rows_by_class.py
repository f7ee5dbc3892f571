"""Rows counted and drawn class by class."""

import numpy as np

from training.rows_by_class import bounded, occurrence


def test_occurrence():
    assert occurrence(np.array([3, 5, 3, 3, 5])).tolist() == [0, 0, 1, 2, 1]


def test_small_classes_are_kept_whole_when_rows_are_too_many():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 3], [1000, 500, 20]))
    np.testing.assert_array_equal(np.bincount(labels[bounded(labels, 220, seed=0)]), [100, 100, 0, 20])
    np.testing.assert_array_equal(np.bincount(labels[bounded(labels, 1320, seed=0)]), [800, 500, 0, 20])
    assert len(bounded(labels, 1520, seed=0)) == 1520
