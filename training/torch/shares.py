"""One process's share of the labelled rows, and what all processes must agree on before they train together.

Which rows are held out, and which the scaler is fitted on, is decided by a digest of a row's values, so it is the same
however the table is dealt out, and equal rows always stand on one side. The number of steps is agreed on as well: a
share with fewer rows begins again, so that no row is left out and nobody waits for a process that is done.

Shapes: N rows, F features, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.scaler import Scaler
from training.splits import check_labels
from training.torch.classifier_settings import TorchMLPSettings
from training.torch.distributed import Group
from training.trainer import Batch, Floats, Labels, Reader

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]

SCALER_ROWS = 16_384
WHOLE_RANGE = 2**64
HOLDING_OUT, SCALING = 0, 1  # streams of digests


class Sample(NamedTuple):
    """Rows chosen by their digests: features (N, F), labels (N,), and the digests, ascending, (N,)."""

    features: Floats
    labels: Labels
    hashes: Hashes

    def smallest(self, most: int) -> "Sample":
        """Return the rows with the smallest digests."""
        order = np.argsort(self.hashes, kind="stable")[:most]
        return Sample(self.features[order], self.labels[order], self.hashes[order])


@dataclass(frozen=True)
class Share:
    """What a process trains on, as agreed with the others.

    Attributes:
        limit: rows with a smaller digest are held out.
        labeled_K: labelled rows of each class in the whole table.
        training_K: those of them that are learned from.
        steps_per_epoch: steps of each process in a pass.
        scaler: raw features to inputs.
        reference: medians of the inputs of rows that are not rare, as far as the scaler was fitted on them.
        held_out: this process's held-out rows.
    """

    limit: int
    labeled_K: Counts
    training_K: Counts
    steps_per_epoch: int
    scaler: Scaler
    reference: Floats
    held_out: Sample


def row_hashes(features: Floats, stream: int) -> Hashes:
    """Return a digest of each row's values, spread evenly over 64 bits, (N,); another one in every stream."""
    words = np.ascontiguousarray(features, np.float32).view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(stream).integers(1, 2**63, features.shape[1], dtype=np.uint64) * 2 + 1
    mixed = (words * factors).sum(axis=1, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64's finalizer
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def agree(reader: Reader, settings: TorchMLPSettings, group: Group) -> Share:
    """Read this process's rows once and agree with the others.

    Raises:
        ValueError: in all processes alike, where labels or batches do not allow to train.
    """
    schema = reader.schema
    counts_K, held_out, sample = _first_pass(reader, settings)
    labeled_K = np.sum(group.gather(counts_K), axis=0)
    check_labels(np.repeat(np.arange(len(labeled_K), dtype=np.int8), labeled_K), schema)
    _check_classes(labeled_K, schema)
    limit = _limit(np.concatenate(group.gather(held_out.hashes)), settings)
    held_out = held_out.smallest(int((held_out.hashes < np.uint64(limit)).sum()))
    own_K = counts_K - np.bincount(held_out.labels, minlength=len(counts_K))
    every_K = group.gather(own_K)
    _check_shares([int(rows.sum()) for rows in every_K], np.sum(every_K, axis=0), schema, settings)
    fitted = _joined(group.gather(sample)).smallest(SCALER_ROWS)
    known = row_hashes(fitted.features, HOLDING_OUT) >= np.uint64(limit)
    scaler = Scaler.fit(fitted.features[known])
    regular = fitted.features[known & (fitted.labels != schema.rare_code)]
    return Share(
        limit=limit,
        labeled_K=labeled_K,
        training_K=np.sum(every_K, axis=0),
        steps_per_epoch=max(-(-int(rows.sum()) // rows_each(settings, group)) for rows in every_K),
        scaler=scaler,
        reference=np.median(scaler.transform(regular), axis=0),
        held_out=held_out,
    )


def rows_each(settings: TorchMLPSettings, group: Group) -> int:
    """Return the rows that each process takes of a batch.

    Raises:
        ValueError: a batch cannot be dealt out evenly.
    """
    if settings.rows % group.size:
        raise ValueError(
            f"train.torch_mlp.rows is {settings.rows}, which {group.size} processes cannot share evenly; give a "
            f"multiple of {group.size}"
        )
    return settings.rows // group.size


def batches(reader: Reader, share: Share, settings: TorchMLPSettings, rows: int, start: int) -> Iterator[Batch]:
    """Give batches of `rows` rows without end, from step `start` on; batch i depends on the settings and i alone."""
    first, skipped = divmod(start, share.steps_per_epoch)
    for epoch in count(first):
        passes = chain.from_iterable(_pass(reader, share, settings.seed, epoch) for _ in count())
        yield from islice(_pieces(passes, rows), skipped if epoch == first else 0, share.steps_per_epoch)


def _pass(reader: Reader, share: Share, seed: int, epoch: int) -> Iterator[Batch]:
    for features, labels in reader.shuffled(seed=seed, epoch=epoch):
        known = labels != UNLABELED
        known[known] = row_hashes(features[known], HOLDING_OUT) >= np.uint64(share.limit)
        yield Batch(features[known], labels[known])


def _pieces(blocks: Iterator[Batch], rows: int) -> Iterator[Batch]:
    rest: list[Batch] = []
    for block in blocks:
        features, labels = map(np.concatenate, zip(*rest, block, strict=True))
        whole = len(labels) // rows * rows
        yield from (Batch(features[at : at + rows], labels[at : at + rows]) for at in range(0, whole, rows))
        rest = [Batch(features[whole:], labels[whole:])]


def _first_pass(reader: Reader, settings: TorchMLPSettings) -> tuple[Counts, Sample, Sample]:
    """Return the labelled rows of each class, those that may be held out, and those that the scaler may see."""
    nothing = Sample(np.empty((0, len(reader.schema.names)), np.float32), np.empty(0, np.int8), np.empty(0, np.uint64))
    held_out, sample, counts_K = nothing, nothing, np.zeros(len(reader.schema.classes), np.int64)
    highest = np.uint64(int(settings.held_out_share * WHOLE_RANGE))
    for features, labels in reader.scan():
        known = labels != UNLABELED
        rows, codes = features[known], labels[known]
        counts_K += np.bincount(codes, minlength=len(counts_K))
        hashes = row_hashes(rows, HOLDING_OUT)
        low = hashes < highest
        fresh = Sample(rows[low], codes[low], hashes[low])
        # One more than may be held out: its digest is the limit.
        held_out = _joined([held_out, fresh]).smallest(settings.held_out_rows + 1)
        sample = _joined([sample, Sample(rows, codes, row_hashes(rows, SCALING))]).smallest(SCALER_ROWS)
    return counts_K, held_out, sample


def _joined(samples: list[Sample]) -> Sample:
    features, labels, hashes = map(np.concatenate, zip(*samples, strict=True))
    return Sample(features, labels, hashes)


def _limit(hashes: Hashes, settings: TorchMLPSettings) -> int:
    if len(hashes) <= settings.held_out_rows:
        return int(settings.held_out_share * WHOLE_RANGE)
    return int(np.sort(hashes)[settings.held_out_rows])


def _check_classes(labeled_K: Counts, schema: FeatureSchema) -> None:
    for name, rows in zip(schema.classes, labeled_K, strict=True):
        if rows < 2:
            raise ValueError(
                f"class {name!r} has {rows} labelled rows; at least 2 are needed, one to learn from and one to check "
                "with. Label more of it, or merge it with another class"
            )


def _check_shares(own: list[int], training_K: Counts, schema: FeatureSchema, settings: TorchMLPSettings) -> None:
    if not training_K.all():
        lacking = [name for name, rows in zip(schema.classes, training_K, strict=True) if not rows]
        raise ValueError(
            f"all labelled rows of {lacking} are among those held out; label more of them, or give a smaller "
            f"train.torch_mlp.held_out_share than {settings.held_out_share}"
        )
    if not all(own):
        raise ValueError(
            f"share {own.index(0)} of {len(own)} of the table holds no labelled row to learn from (rows by share: "
            f"{own}); train with fewer processes, or write the table with its rows in random order"
        )
