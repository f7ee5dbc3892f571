"""Held-out rows beside an artifact: as they were, refused where they are not, and absent where there were none."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction.schema import FeatureSchema
from training import held_out
from training.artifact import ArtifactError, load, load_files
from training.baselines import LogisticRegression
from training.held_out import HeldOut
from training.reader import ArrayReader

SCHEMA = FeatureSchema(("spend__level", "spend__recency"), ("regular", "rare"), "rare")


@pytest.fixture(scope="module")
def model():
    random = np.random.default_rng(0)
    labels = (np.arange(120) % 4 == 0).astype(np.int8)
    features = random.normal(size=(120, 2)).astype(np.float32) + labels[:, None]
    return LogisticRegression().fit(ArrayReader(features, labels, SCHEMA))


def test_rows_come_back_as_they_were():
    rows = HeldOut.of([True, False, True], [0.25, np.nan, 1.0])
    assert rows == HeldOut((True, True), (0.25, 1.0))
    assert HeldOut.from_parquet(rows.to_parquet()) == rows


def test_rows_of_several_artifacts_are_averaged_where_they_are_the_same():
    first, second = HeldOut((True, False), (0.2, 0.4)), HeldOut((True, False), (0.4, 0.8))
    assert HeldOut.mean([first, second]).scores == pytest.approx((0.3, 0.6))
    assert HeldOut.mean([first, HeldOut((False, True), (0.4, 0.8))]) is None
    assert HeldOut.mean([]) is None


@pytest.mark.parametrize(("labels", "scores"), [((True,), ()), ((True,), (1.5,)), ((True,), (float("nan"),))])
def test_what_is_no_score_is_refused(labels, scores):
    with pytest.raises(ValueError, match="expected as many of each, and scores from 0 to 1"):
        HeldOut(labels, scores)


def test_an_artifact_keeps_them_in_a_file_of_their_own(model, tmp_path):
    model.save(str(tmp_path))
    manifest, files = load_files(str(tmp_path))
    assert manifest.held_out == model.manifest.held_out
    assert len(manifest.held_out.scores) == manifest.metrics["rows"] == 120
    assert sum(manifest.held_out.is_rare) == manifest.metrics["rare_rows"]
    assert held_out.FILE not in files
    assert "held_out" not in (tmp_path / "manifest.json").read_text().replace(held_out.FILE, "")
    assert parquet.read_schema(tmp_path / held_out.FILE) == held_out.COLUMNS


def test_an_artifact_without_them_loads(model, tmp_path):
    replace(model, manifest=replace(model.manifest, held_out=None)).save(str(tmp_path))
    assert not (tmp_path / held_out.FILE).exists()
    assert load(str(tmp_path)).manifest.held_out is None


def test_a_file_of_other_columns_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(HeldOut, "to_parquet", lambda self: packed(pa.table({"score": [0.5]})))
    model.save(str(tmp_path))
    with pytest.raises(ArtifactError, match=r"held_out.parquet holds \['score'\]"):
        load(str(tmp_path))


def packed(table):
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()
