"""What a worker does to score rows, without Spark: one block size, one answer a row, buckets that keep the order."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction.schema import SchemaMismatch
from inference import scored_rows
from inference.scored_rows import bucket, bucket_scores, parts, scores_of
from tests.inference import small_table
from training import artifact as artifacts
from training.dense_network import DenseNetwork


def test_an_ensemble_is_asked_once_a_block(example, network, monkeypatch):
    model, asked = artifacts.load(network), []
    logits = DenseNetwork.logits
    monkeypatch.setattr(DenseNetwork, "logits", lambda self, rows: asked.append(len(rows)) or logits(self, rows))
    scores_of(small_table.feature_rows(example), model)
    assert asked == [scored_rows.ROWS_PER_BLOCK] * len(model.members)


@pytest.fixture(scope="module")
def wide():
    """Wide enough for BLAS to add up a single row in another order than one of many, and more rows than a block."""
    names = tuple(f"spend__residual_last_{number}" for number in range(1, 31)) + small_table.NAMES
    return small_table.example(1500, replace(small_table.SCHEMA, names=names))


def test_a_row_scores_the_same_alone(wide):
    model, rows = small_table.network(wide), small_table.feature_rows(wide)
    alone = [scores_of(rows.slice(row, 1), model) for row in range(0, len(wide.ids), 23)]
    together = scores_of(rows, model).take(pa.array(range(0, len(wide.ids), 23)))
    assert pa.Table.from_batches(alone).combine_chunks() == pa.Table.from_batches([together])
    assert scores_of(rows.slice(0, 0), model).schema == together.schema


@pytest.mark.parametrize("rows_per_task", [1, 100, 10_000])
def test_parts_hold_every_row_group_once_and_give_the_same_rows(wide, monkeypatch, rows_per_task, tmp_path):
    folder = tmp_path / "features"
    url, model = wide.write(folder, files=1), small_table.network(wide)
    parquet.write_table(
        parquet.read_table(next(folder.glob("part-*"))), folder / "part-00000.parquet", row_group_size=300
    )
    (folder / "part-00000.snappy.parquet").unlink()
    monkeypatch.setattr(scored_rows, "ROWS_PER_TASK", rows_per_task)
    monkeypatch.setattr(scored_rows, "ROWS_PER_READ", 70)
    found = parts(url, wide.schema)
    assert [group for part in found for group in part.groups] == [0, 1, 2, 3, 4]
    assert len(found) == (1 if rows_per_task == 10_000 else 5)
    batches = [batch for part in found for batch in scored_rows.scored(part, model)]
    assert pa.Table.from_batches(batches).combine_chunks() == pa.Table.from_batches(
        [scores_of(small_table.feature_rows(wide), model)]
    )


def test_a_file_without_a_feature_is_refused(example, tmp_path):
    url = example.write(tmp_path / "features", files=1)
    other = replace(small_table.SCHEMA, names=(*small_table.NAMES, "visits__level_change"))
    with pytest.raises(SchemaMismatch, match=r"lacks the columns \['visits__level_change'\].*extract_features"):
        parts(url, other)


def test_buckets_rise_with_scores_and_are_narrow():
    scores = np.sort(np.random.default_rng(0).random(10_000).astype(np.float32) ** 4)
    scores = np.concatenate([[0], scores, [1]]).astype(np.float32)
    found = bucket(scores)
    assert (np.diff(found) >= 0).all()
    middle = bucket_scores(found)
    np.testing.assert_allclose(middle[1:], scores[1:], rtol=1 / 8192)
    assert middle.max() <= 1
