"""What a training step sees, drawn on the device: class-balanced labelled rows, unlabelled rows and noise.

Takes the labelled table, the members' training rows and a reader; gives `Data`, which stays on the device, and the
`Batch` of a step, a function of the data, the members' seeds and the number of the step alone.

Shapes: M members, N labelled rows, I inputs, K targets, C classes, L rows of the largest class, P rows of the pool,
B rows of a batch, Z noise.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from feature_extraction.schema import UNLABELED
from training.keras import draws
from training.scaler import Scaler
from training.settings import EnsembleSettings
from training.splits import Rows
from training.trainer import Floats, Labels, Reader

Tensor = Any


class Data(NamedTuple):
    """What batches are drawn from.

    Attributes:
        seeds_M: the members' seeds.
        labeled_NI: scaled labelled rows.
        targets_NK: soft target of each.
        rows_MCL: the rows of each class that a member learns from, in random order.
        counts_MC: how many they are; the places after them are not drawn.
        pool_PI: scaled unlabelled rows.
    """

    seeds_M: Tensor
    labeled_NI: Tensor
    targets_NK: Tensor
    rows_MCL: Tensor
    counts_MC: Tensor
    pool_PI: Tensor


class Batch(NamedTuple):
    """One step's rows for every member.

    Attributes:
        labeled_MBI: class-balanced labelled rows.
        targets_MBK: their soft targets.
        unlabeled_MBI: unlabelled rows.
        noise_MBZ: noise for the rows that the discriminator is shown; as many as unlabelled ones.
        fresh_noise_MBZ: noise for the generator's own step.
    """

    labeled_MBI: Tensor
    targets_MBK: Tensor
    unlabeled_MBI: Tensor
    noise_MBZ: Tensor
    fresh_noise_MBZ: Tensor


def data(
    inputs: Floats, targets: Floats, labels: Labels, *, training: Sequence[Rows], seeds: Sequence[int], pool: Tensor
) -> Data:
    """Put labelled rows and pool on the device.

    Args:
        inputs: scaled labelled rows, (N, I).
        targets: soft target of each, (N, K).
        labels: class code of each, (N,).
        training: for each member, the positions of the rows it learns from.
        seeds: for each member.
        pool: unlabelled rows on the device, (P, I).
    """
    by_class = [
        _shuffled(rows, labels, codes=np.unique(labels), seed=seed) for rows, seed in zip(training, seeds, strict=True)
    ]
    longest = max(len(rows) for classes in by_class for rows in classes)
    rows_MCL = np.array([[np.resize(rows, longest) for rows in classes] for classes in by_class], dtype=np.int32)
    counts_MC = np.array([[len(rows) for rows in classes] for classes in by_class], dtype=np.int32)
    return Data(
        seeds_M=ops.convert_to_tensor(np.array(seeds, dtype=np.int64)),
        labeled_NI=ops.convert_to_tensor(inputs),
        targets_NK=ops.convert_to_tensor(targets),
        rows_MCL=ops.convert_to_tensor(rows_MCL),
        counts_MC=ops.convert_to_tensor(counts_MC),
        pool_PI=pool,
    )


def batch(data: Data, step: Tensor, *, rows_per_class: int, unlabeled_rows: int, latent_dim: int) -> Batch:
    """Draw one step's batch.

    Of each class a row is drawn from each of `rows_per_class` equal parts of its rows, so each row is as likely, and
    a class with rows enough repeats next to none. Unlabelled rows are drawn independently.
    """
    members, classes = data.counts_MC.shape
    shapes = (classes, rows_per_class), (unlabeled_rows,), (2, unlabeled_rows, latent_dim)
    labeled, unlabeled, noise = draws.uniform(data.seeds_M, step, *shapes)
    shares = (labeled + np.arange(rows_per_class, dtype=np.float32)) / rows_per_class
    places = draws.positions(shares, data.counts_MC[:, :, None])
    rows_MB = ops.reshape(ops.take_along_axis(data.rows_MCL, places, axis=2), (members, classes * rows_per_class))
    return Batch(
        ops.take(data.labeled_NI, rows_MB, axis=0),
        ops.take(data.targets_NK, rows_MB, axis=0),
        ops.take(data.pool_PI, draws.positions(unlabeled, data.pool_PI.shape[0]), axis=0),
        *draws.normal(noise),
    )


class Pool:
    """The unlabelled rows on the device: all of them where they fit, else a window that moves along a stream of them.

    The window is a ring of chunks; from look to look its oldest chunk makes room for the stream's next one. What it
    holds after any number of looks depends on that number alone, so training resumes with the same rows.
    """

    def __init__(self, reader: Reader, scaler: Scaler, settings: EnsembleSettings, rows_per_step: int) -> None:
        """Look through the table once, but no further than needed to know whether it fits."""
        self._reader, self._scaler, self._seed = reader, scaler, settings.seed
        self._chunk = min(rows_per_step * settings.evaluate_every, settings.resident_rows)
        self._chunks = max(1, settings.resident_rows // self._chunk)
        self._rows = resident(reader, settings.resident_rows)
        self._stream: Iterator[Floats] | None = None
        self._looks = -1
        self._pool: Tensor = None
        if self._rows is not None:
            self._pool = ops.convert_to_tensor(scaler.transform(self._rows))

    @property
    def rows(self) -> Floats | None:
        """All unlabelled rows, raw, where they fit."""
        return self._rows

    def after(self, looks: int) -> Tensor:
        """Return the pool (P, I) as it is after a number of looks; the same or the next one is quick."""
        if self._rows is not None or looks == self._looks:
            return self._pool
        if self._stream is None or looks != self._looks + 1:
            self._stream = self._reader.unlabeled(self._chunk, seed=self._seed, start=looks)
            first = list(islice(self._stream, self._chunks))
            turned = [first[(slot - looks) % self._chunks] for slot in range(self._chunks)]
            self._pool = ops.convert_to_tensor(self._scaler.transform(np.concatenate(turned)))
        else:
            at = (looks - 1) % self._chunks * self._chunk
            fresh = ops.convert_to_tensor(self._scaler.transform(next(self._stream)))
            self._pool = ops.slice_update(self._pool, (at, 0), fresh)
        self._looks = looks
        return self._pool

    def read(self, looks: int) -> int:
        """Count the unlabelled rows that were on the device in `looks` stretches."""
        return len(self._rows) if self._rows is not None else (self._chunks + looks - 1) * self._chunk


def resident(reader: Reader, most: int) -> Floats | None:
    """Return all unlabelled rows of a table, (rows, features), or None if there are more than `most`.

    A streamed table's row groups come in any order, so the rows are sorted by their bytes: one seed, one model.
    """
    found, rows = [np.empty((0, len(reader.schema.names)), np.float32)], 0
    for features, labels in reader.scan():
        found.append(features[labels == UNLABELED])
        rows += len(found[-1])
        if rows > most:
            return None
    if not rows:
        next(reader.unlabeled(1, seed=0))  # says what is missing, in the reader's words
    table = np.ascontiguousarray(np.concatenate(found))
    return table[np.argsort(table.view(f"V{table.shape[1] * table.itemsize}")[:, 0], kind="stable")]


def _shuffled(rows: Rows, labels: Labels, *, codes: NDArray[Any], seed: int) -> list[Rows]:
    random = np.random.default_rng(seed)
    return [random.permutation(rows[labels[rows] == code]) for code in codes]
