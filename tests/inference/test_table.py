"""A feature table read without Spark: what lies where, entities in the order asked for, and what is not there."""

import numpy as np
import pytest

from feature_extraction.schema import ENTITY, LABEL
from inference import table
from tests.inference import small_table


def test_the_small_files_are_read_as_written(example, features_url):
    assert table.schema(features_url) == example.schema
    assert table.quality(features_url)["entities"]["total"] == 240
    holdout = table.holdout(features_url)
    assert dict(zip(holdout[ENTITY], holdout[LABEL], strict=True)) == example.hidden


def test_all_rows_are_read_across_files(example, features_url):
    found = table.rows(features_url, [LABEL, "visits__level"])
    assert found.index.tolist() == list(example.ids)
    assert found[LABEL].tolist() == example.labels.tolist()
    assert list(found.columns) == [LABEL, "visits__level"]


def test_features_come_in_the_order_asked_for(example, features_url):
    asked = ["entity 200", *reversed(small_table.ODD_IDS), "entity 3"]
    found = table.features(features_url, ["visits__residual_last_7", "spend__level"], asked)
    rows = [example.ids.index(entity) for entity in asked]
    np.testing.assert_array_equal(found, example.features[rows][:, [4, 0]])
    assert found.dtype == np.float32
    assert found.flags.c_contiguous


def test_missing_features_are_nan(example, features_url):
    missing = [entity for entity, row in zip(example.ids, example.features, strict=True) if np.isnan(row[4])]
    assert len(missing) > 5
    assert np.isnan(table.features(features_url, ["visits__residual_last_7"], missing)).all()


def test_no_entities_give_no_rows(features_url):
    assert table.features(features_url, small_table.NAMES, []).shape == (0, 5)


def test_an_entity_that_is_not_there_is_named(features_url):
    message = "does not hold 2 of the 3 entities asked for, such as 'absent 1'; ask for"
    with pytest.raises(ValueError, match=message):
        table.rows(features_url, [LABEL], ["absent 2", "entity 3", "absent 1"])
