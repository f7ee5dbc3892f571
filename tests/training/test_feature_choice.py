"""Which features are kept: those that tell classes best, one of equal ones, and no constant."""

import numpy as np
import pytest

from training.feature_choice import best_features, telling_features

TELLING = (4, 17, 31)


def wide_table(seed=0, rare=25):
    """Forty features, three of which tell the three classes; the last class is rare and told by feature 31 alone."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), (300, 300, rare))
    features = random.normal(size=(len(labels), 40))
    features[:, 4] += 3 * (labels == 1)
    features[:, 17] -= 3 * (labels == 1)
    features[:, 31] += 4 * (labels == 2)
    return features.astype(np.float32), labels


def test_features_that_tell_no_rows_apart_are_left_out_and_of_equal_ones_the_first_stays():
    nan = np.nan
    columns = [[nan, nan, nan], [1, 2, 3], [4, 4, 4], [1, 2, nan], [1, 2, 3], [4, nan, 4], [nan, nan, 5], [1, 2, nan]]
    assert telling_features(np.array(columns, np.float32).T) == (1, 3, 5, 6)
    constants = np.array([[nan, 4, 5], [nan, 4, 5]], np.float32)
    assert telling_features(constants) == (1,)
    assert telling_features(constants[:, :1]) == ()


@pytest.mark.parametrize("seed", range(5))
def test_the_best_features_are_found_that_of_a_rare_class_too(seed):
    features, labels = wide_table(seed)
    assert best_features(features, labels, 3, seed=seed) == TELLING
    assert set(TELLING) < set(best_features(features, labels, 10, seed=seed))


def test_missing_values_and_copies():
    features, labels = wide_table()
    features[np.random.default_rng(1).random(features.shape) < 0.2] = np.nan
    features[:, 35:38] = features[:, [31]]
    features[:, 0] = 7
    features[:, 1] = np.nan
    assert best_features(features, labels, 3, seed=0) == TELLING
    every = best_features(features, labels, 40, seed=0)
    assert every == tuple(place for place in range(40) if place not in (0, 1, 35, 36, 37))
