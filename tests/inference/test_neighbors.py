"""Nearest labelled entities: alike in what the model looks at, never the entity itself, never a hidden label."""

import dataclasses

import numpy as np
import pytest

from feature_extraction.schema import UNLABELED
from inference import neighbors
from inference.labeled import LabeledRows
from inference.neighbors import nearest
from training.scaler import Scaler

NAMES = ("spend__level", "spend__recency", "spend__peak")


def rows(count=60, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, len(NAMES))).astype(np.float32)
    is_rare = np.arange(count) % 4 == 0
    ids = np.array([f"entity {number}" for number in range(count)], dtype=object)
    return LabeledRows(NAMES, ids, np.where(is_rare, "rare", "regular").astype(object), is_rare, features)


def test_the_labelled_rows_are_those_that_training_saw(example, features_url):
    found = LabeledRows.read(features_url, example.schema.names)
    shown = {one for one, label in zip(example.ids, example.labels, strict=True) if label != UNLABELED}
    assert set(found.entities) == shown
    assert not shown & set(example.hidden)
    place = example.ids.index(found.entities[7])
    np.testing.assert_array_equal(found.features[7], example.features[place])
    assert found.labels[7] == example.schema.classes[example.labels[place]]


def test_typical_is_the_median_of_those_that_are_not_rare_and_have_it():
    known = rows()
    known.features[1:4, 0] = np.nan
    regular = known.features[~known.is_rare]
    np.testing.assert_allclose(known.typical(), np.nanmedian(regular, axis=0), rtol=1e-6)
    known.features[~known.is_rare, 2] = np.nan
    assert np.isnan(known.typical()[2])


def test_features_that_hold_whole_numbers_are_told():
    known = rows()
    known.features[:, 1] = np.round(10 * known.features[:, 1])
    known.features[5, 1] = np.nan
    assert known.whole().tolist() == [False, True, False]


def test_the_nearest_of_each_kind_are_given_nearest_first():
    known = rows()
    found = nearest(["new"], known.features[[8]] + 0.001, np.ones((1, 3), np.float32), known, count=3)[0]
    assert [found[0].entity_id, found[0].label] == ["entity 8", "rare"]
    assert sorted(neighbor.label for neighbor in found) == ["rare"] * 3 + ["regular"] * 3
    assert [neighbor.distance for neighbor in found] == sorted(neighbor.distance for neighbor in found)


def test_an_entity_is_not_its_own_neighbour():
    known = rows()
    found = nearest(["entity 8"], known.features[[8]], np.ones((1, 3), np.float32), known, count=3)[0]
    assert "entity 8" not in [neighbor.entity_id for neighbor in found]
    assert len(found) == 6


def test_what_the_model_does_not_look_at_does_not_count():
    known, looks_at_the_first = rows(), np.array([[1, 0, 0]], np.float32)
    asked = known.features[[9]].copy()
    asked[0, 1:] = 50
    found = nearest(["new"], asked, looks_at_the_first, known, count=1)[0]
    assert found[0].entity_id == "entity 9"
    assert found[0].distance == pytest.approx(0, abs=1e-6)
    assert nearest(["new"], asked, np.ones((1, 3), np.float32), known, count=1)[0][0].distance > 1


def test_distances_are_in_units_of_a_typical_pair():
    known = rows(400)
    weights = np.ones((400, 3), np.float32)
    all_of_them = nearest(known.entities.tolist(), known.features, weights, known, count=300)
    apart = [neighbor.distance for one in all_of_them for neighbor in one if neighbor.label == "regular"]
    assert np.median(apart) == pytest.approx(1, abs=0.1)


def test_a_missing_value_is_nearest_to_a_missing_value():
    known = rows()
    known.features[::3, 2] = np.nan
    asked = known.features[[9]].copy()
    assert np.isnan(asked[0, 2])
    found = nearest(["new"], asked, np.ones((1, 3), np.float32), known, count=2)[0]
    places = [known.entities.tolist().index(neighbor.entity_id) for neighbor in found[:2]]
    assert np.isnan(known.features[places, 2]).all()


def test_features_that_are_missing_together_weigh_as_much_as_one_by_one():
    known = rows()
    known.features[::3, 1:] = np.nan
    scaler = Scaler.fit(known.features)
    apart = dataclasses.replace(scaler, gaps=())
    contributions = np.array([[1.0, 2.0, 7.0]], np.float32)
    spaces = [each.transform(known.features) * neighbors._weights(contributions, each) for each in (scaler, apart)]
    assert [space.shape[1] for space in spaces] == [4, 5]
    shared, own = (np.linalg.norm(space[0] - space[1:], axis=1) for space in spaces)
    np.testing.assert_allclose(shared, own, rtol=1e-6)


def test_fewer_are_given_where_there_are_no_more():
    known = rows(6)
    found = nearest(["new"], known.features[[1]], np.ones((1, 3), np.float32), known, count=3)[0]
    assert sorted(neighbor.label for neighbor in found) == ["rare"] * 2 + ["regular"] * 3
    none = LabeledRows(NAMES, *(part[:0] for part in (known.entities, known.labels, known.is_rare, known.features)))
    assert nearest(["new"], known.features[[1]], np.ones((1, 3), np.float32), none, count=3) == [[]]
    assert nearest(["new"], known.features[[1]], np.ones((1, 3), np.float32), known, count=0) == [[]]
