"""Unsupervised detectors as arrays give what scikit-learn gives."""

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from training.baselines.detectors import Histogram, Nearness

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("num_features", [3, 20])
def test_distances_and_factors_are_those_of_scikit_learn(num_features):
    rows, asked = RANDOM.normal(size=(60, num_features)), 2 * RANDOM.normal(size=(40, num_features))
    found = Nearness(rows, np.array([2, 7])).scores(asked)
    distances = NearestNeighbors(n_neighbors=7).fit(rows).kneighbors(asked)[0]
    np.testing.assert_allclose(found[:, :2], distances[:, [1, 6]], rtol=1e-9)
    for place, count in ((2, 2), (3, 7)):
        own = LocalOutlierFactor(n_neighbors=count, novelty=True).fit(rows)
        np.testing.assert_allclose(found[:, place], -own.score_samples(asked), rtol=1e-9)


def test_rows_in_one_place_have_a_factor():
    rows = np.concatenate([np.zeros((5, 2)), np.ones((5, 2))])
    found = Nearness(rows, np.array([3])).scores(np.array([[0.0, 0.0], [0.5, 0.5]]))
    assert np.isfinite(found).all()
    assert found[0, 1] == pytest.approx(1)
    assert found[1, 1] > 1e6


def test_a_value_beyond_the_bins_counts_as_in_the_nearest_bin_or_in_the_emptiest():
    histogram = Histogram(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[5.0], [-2.0], [3.0]]))
    values = np.array([-0.6, -0.4, 0.0, 0.5, 1.0, 1.5, 3.0, 3.4, 3.6])
    assert histogram.scores(values[:, None]).tolist() == [2, -5, -5, -5, -5, 2, -3, -3, 2]
