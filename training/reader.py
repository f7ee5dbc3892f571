"""The feature table as numpy batches: complete or it raises, sharded by row group, kept where it fits memory.

Takes the URL of a folder of `part-*.parquet` files beside their `schema.json`; gives `Batch`es of features
(rows, features) float32, NaN for missing, and labels (rows,) int8. `ArrayReader` gives the same over arrays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from feature_extraction import storage
from feature_extraction.schema import UNLABELED, FeatureSchema
from training.part_files import WHOLE, PartFiles, Shard
from training.trainer import Batch, Floats, Labels

BLOCK_ROWS = 65_536
SHUFFLED_ROWS = 65_536
# Sets the draws of labelled batches apart from those of unlabelled ones under the same seed.
LABELED_STREAM = 1
SHUFFLED_STREAM = 2


class IncompleteRead(RuntimeError):
    """A finite pass gave more or fewer rows than the Parquet footers promise."""


def class_balanced(labels: Labels, rows_per_class: int, *, seed: int, start: int = 0) -> Iterator[NDArray[np.int64]]:
    """Give index arrays without end: `rows_per_class` rows of every class present, class after class.

    Batch i depends on the labels, `seed` and i alone. A class with too few rows repeats some; any other has
    no row twice in a batch. Unlabelled rows are never drawn; without any other ValueError is raised.
    """
    members = [np.flatnonzero(labels == code) for code in np.unique(labels[labels != UNLABELED])]
    if not members:
        raise ValueError(f"found no labelled row among {len(labels)}; label some entities of every class first")
    for number in count(start):
        generator = np.random.default_rng([seed, number, LABELED_STREAM])
        yield np.concatenate(
            [generator.choice(rows, rows_per_class, replace=len(rows) < rows_per_class) for rows in members]
        )


@dataclass(eq=False)
class ArrayReader:
    """A feature table held in memory.

    Attributes:
        features: (rows, features) float32, columns as in `schema.names`.
        labels: (rows,) int8 class codes, -1 for unlabelled.
        schema: what the columns are.
    """

    features: Floats
    labels: Labels
    schema: FeatureSchema

    def __post_init__(self) -> None:
        found, expected = np.shape(self.features), (len(self.labels), len(self.schema.names))
        if found != expected:
            raise ValueError(f"features have shape {found}, expected {expected} from the labels and the schema")
        self.features = np.ascontiguousarray(self.features, np.float32)
        self.labels = np.asarray(self.labels, np.int8)

    def labeled(self) -> Batch:
        """Return every labelled row, in the table's order."""
        known = self.labels != UNLABELED
        return Batch(self.features[known], self.labels[known])

    def labeled_batches(self, rows_per_class: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Give labelled batches without end by `class_balanced`, from batch number `start` on."""
        features, labels = self.labeled()
        for index in class_balanced(labels, rows_per_class, seed=seed, start=start):
            yield Batch(features[index], labels[index])

    def unlabeled(self, rows: int, *, seed: int, start: int = 0) -> Iterator[Floats]:
        """Give batches of unlabelled rows without end; batch i depends on the table, `seed` and i alone.

        A batch holds no row twice unless it is larger than all unlabelled rows. Without any of them a
        ValueError comes at the first batch.
        """
        members = np.flatnonzero(self.labels == UNLABELED)
        if not len(members):
            raise _no_unlabeled(len(self.labels))
        for number in count(start):
            generator = np.random.default_rng([seed, number])
            yield self.features[generator.choice(members, rows, replace=len(members) < rows)]

    def scan(self) -> Iterator[Batch]:
        """Give every row once, in order, in blocks that are views of the table."""
        for at in range(0, len(self.labels), BLOCK_ROWS):
            yield Batch(self.features[at : at + BLOCK_ROWS], self.labels[at : at + BLOCK_ROWS])

    def shuffled(self, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Give every row once, in blocks and in an order that `seed` and `epoch` fix."""
        order = np.random.default_rng([seed, epoch, SHUFFLED_STREAM]).permutation(len(self.labels))
        for at in range(0, len(order), BLOCK_ROWS):
            rows = order[at : at + BLOCK_ROWS]
            yield Batch(self.features[rows], self.labels[rows])


class FeatureReader:
    """A feature table on a disk or in a bucket, read by petastorm.

    A shard that fits in memory is read once, at its first use, and kept; else every call streams. Rows come
    in the table's order, but a streamed `scan` with two or more workers gives row groups as they arrive.

    Attributes:
        url: folder of the table.
        schema: what its schema.json says; every part is checked against it.
        shard: (index, count), the share of the row groups that this reader stands for.
    """

    def __init__(self, url: str, *, shard: Shard = WHOLE, workers: int = 2, memory_limit_mb: float = 2048) -> None:
        """Read the schema and the footers.

        Args:
            url: folder of the table: a local path or s3://bucket/prefix.
            shard: (index, count) for data-parallel trainers.
            workers: threads of a streamed `scan`; each reads one row group while others are being used.
            memory_limit_mb: the shard is kept in memory if its features take at most this many MiB.

        Raises:
            SchemaMismatch: a part does not hold the columns that schema.json names.
            ValueError: no rows, or fewer row groups than shards.
        """
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self.url, self.shard, self._workers = url, shard, workers
        self.schema = FeatureSchema.from_json(storage.read_text(storage.join(url, "schema.json")))
        self._parts = PartFiles(url, self.schema)
        self._parts.check_shard(shard)
        self._num_rows = self._parts.rows(shard)
        self._fits = self._num_rows * len(self.schema.names) * 4 <= memory_limit_mb * 2**20

    @property
    def rows_per_shard(self) -> tuple[int, ...]:
        """Rows of every shard, from the footers alone."""
        return tuple(self._parts.rows((index, self.shard[1])) for index in range(self.shard[1]))

    def steps_per_pass(self, rows: int) -> int:
        """Return how many whole batches of `rows` rows the smallest shard gives, the same on all shards."""
        smallest = min(self.rows_per_shard)
        if smallest < rows:
            raise ValueError(
                f"{self.url}: the smallest of {self.shard[1]} shards holds {smallest} rows, expected at "
                f"least one batch of {rows}; read with fewer shards or smaller batches"
            )
        return smallest // rows

    def labeled(self) -> Batch:
        """Return every labelled row of the whole table, whatever the shard, in the table's order."""
        return self._labeled.labeled()

    def confidences(self) -> Floats:
        """Return the confidence in each of the rows of `labeled`, (rows,): 1 where the table states none."""
        return self._parts.confidences()

    def labeled_batches(self, rows_per_class: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Give labelled batches without end by `class_balanced`, from batch number `start` on."""
        return self._labeled.labeled_batches(rows_per_class, seed=seed, start=start)

    def unlabeled(self, rows: int, *, seed: int, start: int = 0) -> Iterator[Floats]:
        """Give batches of this shard's unlabelled rows without end; one seed gives one sequence.

        A shard in memory draws batch i from `seed` and i alone, so it resumes at `start` at once. A streamed
        one is shuffled by row group, then in a buffer of 65,536 rows, and read by one worker, for its order
        to be fixed; it resumes exactly too, but has to read and drop the batches before `start`. Each of its
        passes may raise IncompleteRead. Without any unlabelled row a ValueError comes at the first batch.
        """
        if self._fits:
            return self._table.unlabeled(rows, seed=seed, start=start)
        return islice(self._streamed_unlabeled(rows, seed), start, None)

    def scan(self) -> Iterator[Batch]:
        """Give every row of this shard once, in blocks.

        A pass that loses or doubles rows raises IncompleteRead at its end.
        """
        return self._table.scan() if self._fits else self._checked_pass(self.shard, self._workers)

    def shuffled(self, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Give every row of this shard once, in blocks and in an order that `seed` and `epoch` fix.

        A shard that is streamed is shuffled by row group, and then among some 65,536 rows at a time. A pass that loses
        or doubles rows raises IncompleteRead at its end.
        """
        if self._fits:
            yield from self._table.shuffled(seed=seed, epoch=epoch)
            return
        gathered: list[Batch] = []
        for batch in self._checked_pass(self.shard, 1, shuffle=(seed, epoch)):
            gathered.append(batch)
            if sum(len(part.labels) for part in gathered) >= SHUFFLED_ROWS:
                yield from _mixed(gathered, self.schema).shuffled(seed=seed, epoch=epoch)
                gathered = []
        if gathered:
            yield from _mixed(gathered, self.schema).shuffled(seed=seed, epoch=epoch)

    @cached_property
    def _table(self) -> ArrayReader:
        features = np.empty((self._num_rows, len(self.schema.names)), np.float32)
        labels = np.empty(self._num_rows, np.int8)
        at = 0
        # With a second worker the order of the rows, and so every seeded draw, would be a matter of luck.
        for batch in self._checked_pass(self.shard, workers=1):
            here = slice(at, at + len(batch.labels))
            features[here], labels[here] = batch
            at = here.stop
        return ArrayReader(features, labels, self.schema)

    @cached_property
    def _labeled(self) -> ArrayReader:
        if self._fits and self.shard == WHOLE:
            return self._table
        found = [Batch(np.empty((0, len(self.schema.names)), np.float32), np.empty(0, np.int8))]
        for features, labels in self._checked_pass(WHOLE, workers=1):
            known = labels != UNLABELED
            found.append(Batch(features[known], labels[known]))
        features, labels = map(np.concatenate, zip(*found, strict=True))
        return ArrayReader(features, labels, self.schema)

    def _checked_pass(self, shard: Shard, workers: int, shuffle: tuple[int, ...] = ()) -> Iterator[Batch]:
        expected, found = self._parts.rows(shard), 0
        with self._parts.batches(shard, workers, shuffle) as batches:
            for batch in batches:
                found += len(batch.labels)
                if found > expected:
                    break
                yield batch
        if found != expected:
            raise IncompleteRead(
                f"{self.url}, shard {shard[0]} of {shard[1]}: found {found} rows, expected {expected} from "
                "the Parquet footers. Check that no job is rewriting the folder and that petastorm is 0.12.1 "
                "(0.13.1 loses row groups), then start this job again"
            )

    def _streamed_unlabeled(self, rows: int, seed: int) -> Iterator[Floats]:
        pieces = _pieces(self._unlabeled_blocks(seed), rows)
        capacity = min(SHUFFLED_ROWS, self._num_rows)
        buffer = np.concatenate(list(islice(pieces, max(1, capacity // rows))))
        generator = np.random.default_rng(seed)
        for fresh in pieces:
            slots = generator.choice(len(buffer), rows, replace=False)
            drawn = buffer[slots]
            buffer[slots] = fresh
            yield drawn

    def _unlabeled_blocks(self, seed: int) -> Iterator[Floats]:
        # Not petastorm's num_epochs=None: it shuffles anew for as long as its queue is full, by the clock.
        for epoch in count():
            found = False
            for features, labels in self._checked_pass(self.shard, 1, shuffle=(seed, epoch)):
                unknown = labels == UNLABELED
                found = found or bool(unknown.any())
                yield features[unknown]
            if not found:
                raise _no_unlabeled(self._num_rows)


def _pieces(blocks: Iterator[Floats], rows: int) -> Iterator[Floats]:
    rest: list[Floats] = []
    for block in blocks:
        joined = np.concatenate([*rest, block])
        whole = len(joined) // rows * rows
        yield from (joined[at : at + rows] for at in range(0, whole, rows))
        rest = [joined[whole:]]


def _mixed(parts: list[Batch], schema: FeatureSchema) -> ArrayReader:
    features, labels = map(np.concatenate, zip(*parts, strict=True))
    return ArrayReader(features, labels, schema)


def _no_unlabeled(rows: int) -> ValueError:
    return ValueError(
        f"found no unlabelled row (label {UNLABELED}) among {rows}; a semi-supervised trainer needs some: "
        "add entities without a label, or choose a supervised trainer"
    )
