"""Which rows an epoch's steps see, as positions in numpy: real rows by folds, classes for noise, seed rows, partners.

Takes labels and a seed; gives `Step`s that depend on table, seed and epoch alone, so that a resumed training sees
what an uninterrupted one does. Everything is drawn for a whole epoch at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.rows_by_class import Codes, Rows, occurrence
from training.torch.qast.settings import QASTSettings

# Partners are found among the rows of a class in one batch. With two or three of them, every row's expected partner is
# the middle of its class, and so is what the generator learns to make.
TOGETHER = 8
# Epochs of the published schedule from which fewer seed rows are used, and the share of a batch each pool then has.
SEED_SHARES = ((0, 4), (100, 8), (200, 0))


class Step(NamedTuple):
    """Positions for one step of B real and B generated rows.

    Attributes:
        real: rows of the table.
        codes: classes of the generated rows: those from noise, then those from mixtures, then those from SMOTE.
        mixup: rows of the pool of mixtures.
        smote: rows of the pool of SMOTE's rows.
        partners: rows of the table, each of the class of its generated row.
    """

    real: Rows
    codes: Codes
    mixup: Rows
    smote: Rows
    partners: Rows


@dataclass(frozen=True)
class ByClass:
    """Rows to be walked through class by class.

    Attributes:
        labels: class code of each row.
        counts: rows of each class.
    """

    labels: Codes
    counts: Codes

    @classmethod
    def of(cls, labels: Codes, num_classes: int) -> "ByClass":
        """Count the rows of each class."""
        return cls(labels, np.bincount(labels, minlength=num_classes))

    def walk(self, codes: Codes, random: np.random.Generator) -> Rows:
        """Return a row of each given class: all of a class's rows in random order, then again from the first.

        Args:
            codes: classes with rows, in any order.
            random: draws the order.
        """
        order = np.lexsort((random.random(len(self.labels)), self.labels))
        starts = np.cumsum(self.counts) - self.counts
        return np.asarray(order[starts[codes] + occurrence(codes) % self.counts[codes]])


@dataclass(frozen=True)
class Plan:
    """What epochs are drawn from.

    Attributes:
        real: the table's rows by class.
        mixup: the pool of mixtures by class; both pools hold rows of small classes alone.
        smote: the pool of SMOTE's rows by class.
        minority: codes of the small classes.
        noise_classes: codes of the classes that rows are made of from noise.
        folds: folds of the rows of large and of small classes.
        together: rows of a class that noise is drawn for at once.
        seed: of all draws.
    """

    real: ByClass
    mixup: ByClass
    smote: ByClass
    minority: tuple[int, ...]
    noise_classes: tuple[int, ...]
    folds: tuple[int, int]
    together: int
    seed: int

    def epoch(self, number: int, schedule: float) -> list[Step]:
        """Return the steps of an epoch.

        Args:
            number: of the epoch, from 0.
            schedule: the epoch of a published run that it stands for.
        """
        random = np.random.default_rng([self.seed, number])
        real = self._real(random)
        sizes = [len(rows) for rows in real]
        num_mixup = [_seed_rows(size, schedule) if self.mixup.counts.any() else 0 for size in sizes]
        num_smote = [_seed_rows(size, schedule) if self.smote.counts.any() else 0 for size in sizes]
        mixup = self._seeds(self.mixup, sum(num_mixup), random)
        smote = self._seeds(self.smote, sum(num_smote), random)
        mixups, smotes = _split(mixup, num_mixup), _split(smote, num_smote)
        codes = [
            np.concatenate(
                [
                    self._noise(size - len(mixed) - len(made), random),
                    self.mixup.labels[mixed],
                    self.smote.labels[made],
                ]
            )
            for size, mixed, made in zip(sizes, mixups, smotes, strict=True)
        ]
        partners = _split(self.real.walk(np.concatenate(codes), random), sizes)
        return [Step(*parts) for parts in zip(real, codes, mixups, smotes, partners, strict=True)]

    def _noise(self, rows: int, random: np.random.Generator) -> Codes:
        return np.repeat(random.choice(self.noise_classes, -(-rows // self.together)), self.together)[:rows]

    def _real(self, random: np.random.Generator) -> list[Rows]:
        small = np.isin(self.real.labels, self.minority)
        large_folds = self._dealt(~small, self.folds[0], random)
        small_folds = self._dealt(small, self.folds[1], random)
        return [np.concatenate([rows, small_folds[at % len(small_folds)]]) for at, rows in enumerate(large_folds)]

    def _dealt(self, rows: NDArray[np.bool_], num: int, random: np.random.Generator) -> list[Rows]:
        """Deal rows round the folds class after class, so that each fold has its share of every class."""
        positions = random.permutation(np.flatnonzero(rows))
        positions = positions[np.argsort(self.real.labels[positions], kind="stable")]
        return [positions[fold::num] for fold in range(max(1, min(num, len(positions))))]

    def _seeds(self, pool: ByClass, rows: int, random: np.random.Generator) -> Rows:
        """Draw seed rows, as many of each small class, none twice before all of its class were drawn."""
        present = np.flatnonzero(pool.counts)
        if not rows or not len(present):
            return np.empty(0, np.intp)
        return pool.walk(np.resize(random.permutation(present), rows), random)


def plan(
    labels: Codes,
    pools: Sequence[Codes],
    *,
    num_classes: int,
    minority: tuple[int, ...],
    settings: QASTSettings,
    seed: int,
) -> Plan:
    """Return the plan of a table.

    Args:
        labels: class of each row.
        pools: classes of the rows in the pools of mixtures and of SMOTE's rows.
        num_classes: classes there are, with rows or without.
        minority: codes of the small classes.
        settings: folds and batch size, and which classes are made from noise.
        seed: of all draws.
    """
    real = ByClass.of(labels, num_classes)
    small = int(np.isin(labels, minority).sum())
    large_folds, small_folds = settings.fold_counts(len(labels) - small, small)
    present = tuple(np.flatnonzero(real.counts).tolist())
    return Plan(
        real=real,
        mixup=ByClass.of(pools[0], num_classes),
        smote=ByClass.of(pools[1], num_classes),
        minority=minority,
        noise_classes=minority if minority and settings.noise_labels == "minority" else present,
        # Batch normalisation needs two rows in a batch.
        folds=(max(1, min(large_folds, (len(labels) - small) // 2)), small_folds),
        together=TOGETHER if settings.matching == "class" else 1,
        seed=seed,
    )


def _seed_rows(rows: int, schedule: float) -> int:
    part = [part for start, part in SEED_SHARES if schedule >= start][-1]
    return rows // part if part else 0


def _split(rows: Rows, sizes: Sequence[int]) -> list[Rows]:
    return np.split(rows, np.cumsum(sizes)[:-1])
