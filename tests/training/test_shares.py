"""What processes agree on before they train together: the same in all of them, and the same however rows are dealt."""

import threading
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.reader import ArrayReader, FeatureReader
from training.torch import shares
from training.torch.classifier import weighted_focal
from training.torch.classifier_settings import TorchMLPSettings
from training.torch.distributed import Group

SCHEMA = FeatureSchema(("m__a", "m__b", "m__c"), ("regular", "rare"), "rare")
SETTINGS = TorchMLPSettings(rows=24)


@dataclass
class Table:
    """The meeting place of processes that are threads here."""

    size: int
    values: list[Any] = field(default_factory=list)

    def __post_init__(self):
        self.barrier, self.values = threading.Barrier(self.size, timeout=30), [None] * self.size


@dataclass(frozen=True)
class Seat(Group):
    table: Any = None

    def gather(self, value):
        self.table.values[self.rank] = value
        self.table.barrier.wait()
        found = list(self.table.values)
        self.table.barrier.wait()
        return found


def at_once(readers, work):
    """Do the work of every process in a thread of its own; return the results, or the errors, by rank."""
    table, results = Table(len(readers)), [None] * len(readers)

    def one(rank):
        try:
            results[rank] = work(readers[rank], Seat(rank, len(readers), table))
        except ValueError as error:
            results[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(readers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def made(rows=600, seed=0, rare=0.1):
    random = np.random.default_rng(seed)
    labels = random.choice([1, 0, UNLABELED], rows, p=[rare, 0.8 - rare, 0.2]).astype(np.int8)
    features = random.normal(size=(rows, 3)).astype(np.float32)
    features[random.random(rows) < 0.1, 1] = np.nan
    return features, labels


def dealt(features, labels, *edges):
    parts = np.split(np.arange(len(labels)), edges)
    return [ArrayReader(features[part], labels[part], SCHEMA) for part in parts]


def keys(features):
    return sorted(row.tobytes() for row in features)


@pytest.mark.parametrize("edges", [(300,), (50,), (100, 350)], ids=str)
def test_it_does_not_matter_how_rows_are_dealt(edges):
    features, labels = made()
    alone = shares.agree(ArrayReader(features, labels, SCHEMA), SETTINGS, Group())
    found = at_once(dealt(features, labels, *edges), lambda reader, group: shares.agree(reader, SETTINGS, group))
    for share in found:
        assert share.scaler == alone.scaler
        assert share.limit == alone.limit
        assert share.steps_per_epoch == found[0].steps_per_epoch
        np.testing.assert_array_equal(share.training_K, alone.training_K)
        np.testing.assert_array_equal(share.reference, alone.reference)
    held = np.concatenate([share.held_out.features for share in found])
    assert keys(held) == keys(alone.held_out.features)
    assert 0.1 < len(held) / (labels != UNLABELED).sum() < 0.3


def test_shares_of_unequal_size_take_equal_steps_and_lose_no_row():
    features, labels = made()
    readers = dealt(features, labels, 60)

    def epoch(reader, group):
        share = shares.agree(reader, SETTINGS, group)
        rows = shares.rows_each(SETTINGS, group)
        drawn = list(islice(shares.batches(reader, share, SETTINGS, rows, 0), share.steps_per_epoch))
        return share, drawn

    (first, few), (_, many) = at_once(readers, epoch)
    assert len(few) == len(many) == first.steps_per_epoch
    assert {len(batch.labels) for batch in few + many} == {12}
    seen = {row.tobytes() for batch in few + many for row in batch.features}
    known = labels != UNLABELED
    learned = shares.row_hashes(features[known], shares.HOLDING_OUT) >= first.limit
    assert seen == {row.tobytes() for row in features[known][learned]}


def test_batches_go_on_where_they_stopped():
    features, labels = made()
    reader = ArrayReader(features, labels, SCHEMA)
    share = shares.agree(reader, SETTINGS, Group())
    start = share.steps_per_epoch + 3
    whole = list(islice(shares.batches(reader, share, SETTINGS, 24, 0), start + 20))
    again = list(islice(shares.batches(reader, share, SETTINGS, 24, start), 20))
    for one, other in zip(whole[start:], again, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.labels, other.labels)
    epochs = [whole[: share.steps_per_epoch], whole[share.steps_per_epoch : 2 * share.steps_per_epoch]]
    assert not np.array_equal(epochs[0][0].features, epochs[1][0].features)


def test_no_more_rows_are_held_out_than_asked_for():
    features, labels = made(2000)
    settings = TorchMLPSettings(held_out_share=0.5, held_out_rows=100)
    found = at_once(dealt(features, labels, 900), lambda reader, group: shares.agree(reader, settings, group))
    assert sum(len(share.held_out.labels) for share in found) == 100
    assert sum(found[0].training_K) == (labels != UNLABELED).sum() - 100


@pytest.mark.parametrize(
    ("labels", "rows", "says"),
    [
        ([0] * 40 + [1] * 40 + [UNLABELED] * 40, 24, r"share 1 of 2 of the table holds no labelled row"),
        ([0] * 40 + [1] + [0] * 79, 24, "class 'rare' has 1 labelled rows; at least 2"),
        ([0] * 120, 24, "no labelled row is of the rare class 'rare'"),
        ([0, 1] * 60, 25, "2 processes cannot share evenly; give a multiple of 2"),
    ],
)
def test_what_does_not_allow_to_train_is_said_in_every_process(labels, rows, says):
    features, _ = made(120)
    settings = TorchMLPSettings(rows=rows)
    readers = dealt(features, np.array(labels, np.int8), 80)
    errors = at_once(readers, lambda reader, group: shares.agree(reader, settings, group))
    for error in errors:
        with pytest.raises(ValueError, match=says):
            raise error


def test_digests_are_spread_evenly_and_depend_on_a_rows_values_alone():
    features, _ = made(20_000)
    hashes = shares.row_hashes(features, 0)
    np.testing.assert_array_equal(hashes[::-1], shares.row_hashes(features[::-1], 0))
    counts = np.bincount((hashes >> np.uint64(60)).astype(np.int64), minlength=16)
    assert np.abs(counts - 1250).max() < 5 * np.sqrt(1250)
    assert (hashes != shares.row_hashes(features, 1)).all()


@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_the_loss_is_the_weighted_focal_one(exponent):
    random = np.random.default_rng(0)
    logits, codes = random.normal(size=(2, 5, 3)).astype(np.float32), np.array([0, 2, 1, 1, 0])
    weights = np.array([0.5, 2.0, 1.0], np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    own = chances[:, np.arange(5), codes]
    expected = (weights[codes] * (1 - own) ** exponent * -np.log(own)).mean(axis=1)
    found = weighted_focal(*map(torch.from_numpy, (logits, codes, weights)), exponent)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("limit", [0, 2048], ids=["streamed", "kept"])
def test_a_shuffled_pass_gives_every_row_once(tmp_path, limit, monkeypatch):
    import pyarrow as pa
    from pyarrow import parquet

    features, labels = made(1000)
    columns = {"entity_id": [str(number) for number in range(1000)], "label": pa.array(labels, pa.int8())}
    columns |= {name: features[:, at] for at, name in enumerate(SCHEMA.names)}
    parquet.write_table(pa.table(columns), tmp_path / "part-0.parquet", row_group_size=50)
    (tmp_path / "schema.json").write_text(SCHEMA.to_json())
    monkeypatch.setattr("training.reader.SHUFFLED_ROWS", 300)
    reader = FeatureReader(str(tmp_path), memory_limit_mb=limit)
    first, second, again = (
        np.concatenate([batch.features for batch in reader.shuffled(seed=3, epoch=epoch)]) for epoch in (0, 1, 0)
    )
    assert keys(first) == keys(second) == keys(features)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second, equal_nan=True)
