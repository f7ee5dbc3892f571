"""Batches drawn on the device, and the pool of unlabelled rows: whole where it fits, else a moving window."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from keras import ops

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.keras import sampling
from training.keras.sampling import Pool
from training.reader import ArrayReader
from training.scaler import Scaler
from training.settings import ScarceGANSettings
from training.trainer import Batch

SCHEMA = FeatureSchema(("m__a", "m__b"), ("regular", "rare"), "rare")
SAME = Scaler(median=(0.0, 0.0), unit=(1.0, 1.0), mean=(0.0, 0.0), spread=(1.0, 1.0), indicators=())


def reader(rows=50, labeled=20):
    features = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    labels = np.full(rows, UNLABELED, dtype=np.int8)
    labels[:labeled] = np.arange(labeled) % 4 == 0
    return ArrayReader(features, labels, SCHEMA)


def draw(step, rows_per_class=4, unlabeled_rows=6):
    """Batches of a table whose rows are their own numbers; member 1 leaves out the first 10."""
    numbers = np.arange(20, dtype=np.float32)[:, None]
    labels = (np.arange(20) % 4 == 0).astype(np.int8)
    pool = ops.convert_to_tensor(np.arange(100, 130, dtype=np.float32)[:, None])
    training = [np.arange(20), np.arange(10, 20)]
    data = sampling.data(numbers, numbers, labels, training=training, seeds=[0, 1], pool=pool)
    sizes = {"rows_per_class": rows_per_class, "unlabeled_rows": unlabeled_rows, "latent_dim": 3}
    return [ops.convert_to_numpy(part) for part in sampling.batch(data, ops.convert_to_tensor(step, "int64"), **sizes)]


def test_labelled_rows_are_balanced_over_the_classes_and_belong_to_the_member():
    seen = [set(), set()]
    for step in range(30):
        labeled, targets, *_ = draw(step)
        np.testing.assert_array_equal(labeled, targets)
        assert ((labeled[:, :4, 0] % 4 != 0) & (labeled[:, 4:, 0] % 4 == 0)).all()
        for member in (0, 1):
            seen[member] |= set(labeled[member, :, 0].astype(int))
    assert seen == [set(range(20)), set(range(10, 20))]


def test_a_class_with_rows_enough_gives_different_ones():
    for step in range(20):
        assert len(set(draw(step, rows_per_class=5)[0][0, 5:, 0])) == 5  # five rare rows, all of them


def test_each_row_of_a_class_is_as_likely():
    drawn = np.concatenate([draw(step, rows_per_class=4)[0][0, :4, 0] for step in range(200)]).astype(int)
    counts = np.bincount(drawn, minlength=20)[np.arange(20) % 4 != 0]
    expected = len(drawn) / 15
    assert ((counts - expected) ** 2 / expected).sum() < 36.1  # chi-square of 14 degrees of freedom at 0.001


def test_unlabelled_rows_and_noise_differ_by_member_and_step():
    first, second = draw(0), draw(1)
    assert first[2].shape == (2, 6, 1)
    assert first[3].shape == first[4].shape == (2, 6, 3)
    assert set(first[2].ravel()) <= set(range(100, 130))
    for part in (2, 3, 4):
        assert not np.array_equal(first[part][0], first[part][1])
        assert not np.array_equal(first[part], second[part])
    assert not np.array_equal(first[3], first[4])
    assert all(np.array_equal(one, other) for one, other in zip(first, draw(0), strict=True))


def rows_of(pool, looks):
    return ops.convert_to_numpy(pool.after(looks))


def test_pool_that_fits_holds_every_unlabelled_row_once():
    table = reader()
    pool = Pool(table, SAME, ScarceGANSettings(), 32)
    expected = SAME.transform(table.features[table.labels == UNLABELED])
    np.testing.assert_array_equal(np.sort(rows_of(pool, 0)[:, 0]), np.sort(expected[:, 0]))
    assert pool.after(3) is pool.after(0)
    assert pool.read(3) == 30


def test_pool_does_not_depend_on_the_order_in_which_blocks_arrive():
    class Reversed(ArrayReader):
        def scan(self):
            for batch in super().scan():
                yield Batch(batch.features[::-1], batch.labels[::-1])

    table = reader()
    other = Reversed(table.features, table.labels, SCHEMA)
    pools = [Pool(one, SAME, ScarceGANSettings(), 32) for one in (table, other)]
    np.testing.assert_array_equal(rows_of(pools[0], 0), rows_of(pools[1], 0))


SMALL = ScarceGANSettings(resident_rows=12, evaluate_every=2)


def test_pool_that_does_not_fit_moves_along_the_stream():
    table = reader()
    pool = Pool(table, SAME, SMALL, 2)  # chunks of 4 rows, three at a time
    stream = table.unlabeled(4, seed=0)
    chunks = [SAME.transform(next(stream)) for _ in range(8)]
    for looks in range(6):
        found = rows_of(pool, looks).reshape(3, 4, 2)
        for number in range(looks, looks + 3):
            np.testing.assert_array_equal(found[number % 3], chunks[number])
    assert pool.read(6) == 8 * 4


@pytest.mark.parametrize("looks", [1, 2, 5])
def test_pool_of_a_resumed_training_is_that_of_the_whole_one(looks):
    whole, resumed = Pool(reader(), SAME, SMALL, 2), Pool(reader(), SAME, SMALL, 2)
    resumed.after(0)
    for before in range(looks):
        whole.after(before)
    np.testing.assert_array_equal(rows_of(whole, looks), rows_of(resumed, looks))
    np.testing.assert_array_equal(rows_of(whole, looks + 1), rows_of(resumed, looks + 1))


def test_table_without_unlabelled_rows_is_refused():
    with pytest.raises(ValueError, match="no unlabelled row"):
        Pool(reader(rows=20), SAME, ScarceGANSettings(), 32)


@dataclass
class Endless:
    """A table of a million rows of 60 features that is never held: blocks are made as they are read."""

    schema = FeatureSchema(tuple(f"m__f{number}" for number in range(60)), ("regular", "rare"), "rare")
    read = 0

    def scan(self):
        for _ in range(100):
            self.read += 10_000
            yield Batch(np.ones((10_000, 60), np.float32), np.full(10_000, UNLABELED, np.int8))

    def unlabeled(self, rows, *, seed, start=0):
        while True:
            yield np.ones((rows, 60), np.float32)


def test_a_million_rows_stream_in_bounded_memory():
    same = Scaler(*((float(value),) * 60 for value in (0, 1, 0, 1)), indicators=())
    table = Endless()
    tracemalloc.start()
    pool = Pool(table, same, ScarceGANSettings(resident_rows=20_000), 32)
    for looks in range(20):
        pool.after(looks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.read <= 30_000  # the look for a table that fits ends early
    assert peak < 100e6  # the table has 240 MB
