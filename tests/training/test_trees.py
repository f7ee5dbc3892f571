"""Tree ensembles as arrays give the probabilities of the models they were made from."""

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier

from training import trees
from training.artifact import pack_arrays, unpack_arrays
from training.trees import Trees


def rows_and_labels(codes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.choice(codes, 90)
    return (random.normal(size=(90, 4)) + labels[:, None]).astype(np.float32), labels


@pytest.mark.parametrize("codes", [[0, 1], [0, 1, 2, 3], [1, 4], [0, 2, 4]])
@pytest.mark.parametrize("kind", ["forest", "boosting", "adaboost"])
def test_probabilities_are_those_of_scikit_learn(codes, kind):
    features, labels = rows_and_labels(codes)
    if kind == "forest":
        model = RandomForestClassifier(20, random_state=0).fit(features, labels)
        converted, expected = trees.from_forest(model, 5), model.predict_proba(features)
    elif kind == "boosting":
        model = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(features, labels)
        converted, expected = trees.from_boosting(model, 5), model.predict_proba(features)
    else:
        models = [
            AdaBoostClassifier(n_estimators=10 + number).fit(features[number:], labels[number:]) for number in (0, 3)
        ]
        converted = trees.from_adaboost(models, 5)
        expected = np.mean([model.predict_proba(features) for model in models], axis=0)
    found = converted.predict_proba(features)
    np.testing.assert_allclose(found[:, sorted(codes)], expected, rtol=1e-12, atol=1e-15)
    assert found.shape == (90, 5)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_deep_trees_ask_on_after_what_parts_missing_values_from_all_others():
    """Such a node has an infinite threshold, as a leaf has."""
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 3)).astype(np.float32)
    labels = random.integers(0, 2, 600)
    features[random.random(features.shape) < np.where(labels, 0.3, 0.1)[:, None]] = np.nan
    model = RandomForestClassifier(30, random_state=0).fit(features, labels)
    converted = trees.from_forest(model, 2)
    leaf = converted.children[:, 0] == np.arange(len(converted.children))
    assert np.isinf(converted.threshold[~leaf]).sum() > 20
    assert converted.depth > 3 * trees.LOOK_EVERY
    np.testing.assert_allclose(converted.predict_proba(features), model.predict_proba(features), rtol=1e-12)


def test_blocks_do_not_change_the_result(monkeypatch):
    features, labels = rows_and_labels([0, 1, 2])
    converted = trees.from_boosting(GradientBoostingClassifier(n_estimators=5).fit(features, labels), 3)
    whole = converted.predict_proba(features)
    monkeypatch.setattr(trees, "CELLS_AT_ONCE", 100)
    np.testing.assert_array_equal(converted.predict_proba(features), whole)
    assert converted.predict_proba(features[:0]).shape == (0, 3)


def test_arrays_give_the_trees_back():
    features, labels = rows_and_labels([0, 1, 2])
    for converted in (
        trees.from_boosting(GradientBoostingClassifier(n_estimators=5).fit(features, labels), 3),
        trees.from_forest(RandomForestClassifier(5).fit(features, labels), 3),
    ):
        read = Trees.from_arrays(unpack_arrays(pack_arrays(converted.arrays())))
        np.testing.assert_array_equal(read.predict_proba(features), converted.predict_proba(features))
