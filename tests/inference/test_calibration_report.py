"""Reliability on hidden labels: bins of equal counts, the expected calibration error by hand, and what is absent."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from feature_extraction.schema import ENTITY
from inference.calibration_report import calibration_of

FACTS = {"method": "platt", "rows": 80, "rare": 16, "population_share": 0.05}


@pytest.fixture(scope="module")
def scores(example):
    random = np.random.default_rng(0)
    return pd.DataFrame({ENTITY: example.ids, "probability": random.random(len(example.ids)).astype(np.float32)})


def test_bins_and_error_are_those_counted_by_hand(features_url, example, scores):
    found = calibration_of(features_url, scores.sample(frac=1, random_state=1), FACTS)
    assert (found.method, found.rows, found.rare, found.population_share) == ("platt", 80, 16, 0.05)
    assert found.counts == [20, 20, 20, 20]
    known = scores.set_index(ENTITY).loc[list(example.hidden), "probability"].sort_values()
    error = 0.0
    for number in range(4):
        rows = known.iloc[20 * number : 20 * number + 20]
        rare = np.mean([example.hidden[entity] == "rare" for entity in rows.index])
        assert found.predicted[number] == pytest.approx(rows.mean(), rel=1e-6)
        assert found.observed[number] == pytest.approx(rare)
        error += abs(rare - rows.mean()) / 4
    assert found.error == pytest.approx(error, rel=1e-6)


def test_few_hidden_labels_are_one_bin_and_none_no_bin(example, scores, tmp_path):
    few = replace(example, hidden=dict(list(example.hidden.items())[:5])).write(tmp_path / "few")
    assert calibration_of(few, scores, FACTS).counts == [5]
    none = replace(example, hidden={}).write(tmp_path / "none")
    found = calibration_of(none, scores, FACTS)
    assert (found.counts, found.predicted, found.error) == ([], [], None)


def test_without_probabilities_there_is_nothing_to_compare(features_url, scores):
    assert calibration_of(features_url, scores, None) is None
    assert calibration_of(features_url, scores, {"method": "none"}) is None
    assert calibration_of(features_url, scores.drop(columns="probability"), FACTS) is None
