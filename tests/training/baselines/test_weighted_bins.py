"""Boosting is scikit-learn's to the bit, and asks for each feature's weights once."""

import threading

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting import binning

from training.baselines import weighted_bins
from training.baselines.boosting import GradientBoosting, model_of


def table(rows=700):
    random = np.random.default_rng(4)
    features = random.standard_normal((rows, 5)).astype(np.float32)
    features[:, 1] = np.round(features[:, 1] * 40)  # many ties
    features[:, 2] = np.exp(9 * features[:, 2])
    features[random.random((rows, 5)) < 0.2] = np.nan
    features[:, 4] = random.integers(0, 7, rows)  # fewer values than bins
    return features, (np.nan_to_num(features[:, 0]) + random.standard_normal(rows) > 2).astype(np.int64)


def fitted(features, labels, weights=None, bins=64):
    model = model_of(GradientBoosting(leaves=(8,), trees=20, bins=bins))
    return model.fit(features, labels, sample_weight=weights)


@pytest.mark.parametrize("weights", ["none", "drawn", "some are 0", "whole numbers"])
@pytest.mark.parametrize("bins", [16, 255])
def test_thresholds_and_trees_are_those_of_scikit_learn(weights, bins):
    features, labels = table()
    random = np.random.default_rng(0)
    given = {
        "none": None,  # classes weigh alike all the same
        "drawn": random.exponential(size=len(labels)),
        "some are 0": random.integers(0, 3, len(labels)).astype(np.float64),
        "whole numbers": random.integers(1, 4, len(labels)).astype(np.float64),
    }[weights]
    theirs = fitted(features, labels, given, bins)
    with weighted_bins.quickly():
        ours = fitted(features, labels, given, bins)
    for found, wanted in zip(ours._bin_mapper.bin_thresholds_, theirs._bin_mapper.bin_thresholds_, strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(ours.predict_proba(features), theirs.predict_proba(features))


def test_a_feature_is_summed_once_for_all_of_its_thresholds(monkeypatch):
    summed = []
    monkeypatch.setattr(
        weighted_bins.np, "cumsum", lambda weights, sum_of=np.cumsum: summed.append(1) or sum_of(weights)
    )
    features, labels = table()
    with weighted_bins.quickly():
        binning._BinMapper(n_bins=65).fit(features.astype(np.float64), sample_weight=np.ones(len(labels)))
    assert len(summed) == 4  # one of the five has fewer values than bins


def test_threads_do_not_mix_their_columns():
    features, labels = table()
    wanted, found = fitted(features, labels).predict_proba(features), {}

    def fit(number):
        found[number] = fitted(features, labels).predict_proba(features)

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(4)]
    with weighted_bins.quickly():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    for each in found.values():
        np.testing.assert_array_equal(each, wanted)


def test_scikit_learn_is_left_as_it_was_and_an_error_passes():
    assert binning._weighted_percentile is weighted_bins.THEIRS is not None
    with pytest.raises(ValueError, match="inconsistent numbers"), weighted_bins.quickly():
        HistGradientBoostingClassifier().fit(np.ones((3, 1)), np.ones(2))
    assert binning._weighted_percentile is weighted_bins.THEIRS


def test_a_version_without_that_function_is_left_alone(monkeypatch):
    monkeypatch.setattr(weighted_bins, "THEIRS", None)
    with weighted_bins.quickly():
        assert binning._weighted_percentile.__module__ == "sklearn.utils.stats"
