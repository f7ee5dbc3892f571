"""Labels at extraction: unknown entities, contradictions, one class only, and what training says of them."""

import pandas as pd
import pytest

from feature_extraction.labels import LabelsError
from feature_extraction.settings import LabelsSettings
from tests.feature_extraction.event_logs import HEADER, extracted, settings, text_file
from training.baselines import LogisticRegression
from training.reader import FeatureReader

pytestmark = pytest.mark.spark


def run(spark, tmp_path, *lines, header="entity_id,label", **fields):
    """Extract six entities, e0 to e5, under the labels in `lines`."""
    place = text_file(tmp_path / "log.csv", HEADER, *[f"e{i},2024-01-{5 + i:02},1" for i in range(6)])
    labels = text_file(tmp_path / "labels.csv", header, *lines)
    chosen = LabelsSettings(**{"url": str(labels), "rare": "bad"} | fields)
    return extracted(spark, tmp_path / "out", settings(place), labels=chosen)


def test_labels_that_cannot_be_used_are_set_aside_with_their_reason(spark, tmp_path):
    lines = ["e0,bad", "e1,good", "e1,good", "e2,good", "e2,bad", "stranger,bad", "e3,", "e4,bad"]
    result = run(spark, tmp_path, *lines)
    assert result.rows["label"].sort_index().tolist() == [1, 0, -1, -1, 1, -1]
    assert (result.schema.classes, result.schema.rare) == (("good", "bad"), "bad")
    expected = [
        ("e2", "bad", "two labels for one entity"),
        ("e2", "good", "two labels for one entity"),
        ("e3", None, "entity or label is missing"),
        ("stranger", "bad", "no accepted event of this entity"),
    ]
    refused = result.refused_labels.sort_values(["entity_id", "label"])
    assert list(refused[["entity_id", "label", "reason"]].itertuples(index=False, name=None)) == expected
    assert result.quality["labels"] == {
        "read": 8,
        "used": 3,
        "repeated": 1,
        "refused": {
            "two labels for one entity": 2,
            "entity or label is missing": 1,
            "no accepted event of this entity": 1,
        },
    }
    assert result.quality["entities"] == {
        "total": 6,
        "labelled": {"good": 1, "bad": 2},
        "unlabelled": 3,
        "held_out": 0,
    }


def test_held_out_labels_are_not_in_the_table(spark, tmp_path):
    result = run(spark, tmp_path, "e0,bad", "e1,bad", "e2,good", "e3,good", holdout_share=0.5)
    hidden = pd.read_parquet(f"{result.features.url}/holdout.parquet")
    assert sorted(hidden["label"]) == ["bad", "good"]
    assert (result.rows.loc[hidden["entity_id"], "label"] == -1).all()
    assert sorted(result.rows["label"]) == [-1, -1, -1, -1, 0, 1]


def test_without_a_rare_label_extraction_succeeds_and_training_says_why_not(spark, tmp_path):
    result = run(spark, tmp_path, "e0,good", "e1,fair", "e2,good", "e3,fair")
    assert (result.schema.classes, result.schema.rare) == (("fair", "good"), "")
    with pytest.raises(ValueError, match="rare"):
        LogisticRegression().fit(FeatureReader(result.features.url))


def test_with_one_class_only_extraction_succeeds_and_training_says_why_not(spark, tmp_path):
    result = run(spark, tmp_path, "e0,bad", "e1,bad", "e2,bad")
    assert (result.schema.classes, result.schema.rare) == (("bad",), "bad")
    with pytest.raises(ValueError, match="class"):
        LogisticRegression().fit(FeatureReader(result.features.url))


def test_without_any_label_training_says_why_not(spark, tmp_path):
    result = run(spark, tmp_path)
    assert (result.schema.classes, result.schema.rare) == ((), "")
    with pytest.raises(ValueError, match="label"):
        LogisticRegression().fit(FeatureReader(result.features.url))


def test_how_far_each_label_is_to_be_trusted_reaches_training_in_the_order_of_its_rows(spark, tmp_path):
    lines = ["e0,bad,0.5", "e1,bad,", "e2,good,0.25", "e3,good,1", "e4,good,1.5", "e5,good,0.5", "e5,good,0.75"]
    result = run(spark, tmp_path, *lines, header="entity_id,label,trust", confidence="trust")
    expected = {"e0": 0.5, "e1": 1.0, "e2": 0.25, "e3": 1.0}
    assert result.rows["label_confidence"].dropna().to_dict() == expected
    reasons = {"confidence is no number from 0 to 1": 1, "two confidences for one label": 1}
    assert result.quality["labels"] == {"read": 7, "used": 4, "repeated": 1, "refused": reasons}
    reader = FeatureReader(result.features.url)
    found = result.rows[result.rows["label"] >= 0]
    assert reader.labeled().labels.tolist() == found["label"].tolist()
    assert reader.confidences().tolist() == [expected[entity] for entity in found.index]


def test_without_a_column_for_it_every_label_is_trusted(spark, tmp_path):
    result = run(spark, tmp_path, "e0,bad", "e1,good", "e2,good")
    assert "label_confidence" not in result.rows
    assert FeatureReader(result.features.url).confidences().tolist() == [1.0, 1.0, 1.0]


def test_a_column_of_confidences_that_is_not_there_is_named(spark, tmp_path):
    with pytest.raises(LabelsError, match="labels.confidence names 'labels', not there; did you mean 'label'"):
        run(spark, tmp_path, "e0,bad", confidence="labels")
