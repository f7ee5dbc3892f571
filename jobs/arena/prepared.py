"""Fits that are ready to be run: the files that each reads, and the digest by which it is found again.

Takes a table and what is asked of it; gives `Prepared` fits. Features, and the rows and labels of a split, lie in files
that all methods share. The labels of rows that are tested on stay in this process.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import UNLABELED
from jobs.arena import source, splits
from jobs.arena.data_sets import DataSet, Table
from jobs.arena.fit import Request
from jobs.arena.plan import Fit, Plan
from jobs.arena.splits import BUDGETS, Split


class Prepared(NamedTuple):
    """One fit: what it is known by, what it reads, the truth about its test rows, and what is known beforehand."""

    fit: Fit
    request: Request
    is_rare: NDArray[np.bool_]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A table whose features lie in a file; memory holds the rest of it.

    Attributes:
        data: where it comes from.
        table: the table without its rows' features.
        folder: where files go.
        digest: of features, labels and names.
        splits: those made so far, their files and digests, by budget and seed.
    """

    data: DataSet
    table: Table
    folder: Path
    digest: str
    splits: dict[tuple[str, int], tuple[Split, Path, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: DataSet, table: Table, folder: Path) -> "Opened":
        """Write the features to a file of their own and forget them."""
        parts = (table.features, table.labels, np.zeros(0) if table.groups is None else table.groups)
        digest = source.key(
            [hashlib.sha256(np.ascontiguousarray(part).data).hexdigest() for part in parts], table.schema
        )
        opened = cls(data, replace(table, features=table.features[:0]), folder, digest)
        write_once(opened.features, lambda file: np.save(file, table.features))
        return opened

    @property
    def features(self) -> Path:
        """File with the features of all rows."""
        return self.folder / "arrays" / f"{self.digest}.npy"

    def prepared(self, fit: Fit, plan: Plan) -> Prepared:
        """Make a fit ready; too few labels for its budget raise `TooFewLabels`."""
        split, place, rows = self._split(fit)
        settings = plan.settings(fit.trainer, fit.seed)
        digest = source.key(settings, plan.method(fit.trainer), self.digest, rows)
        stem = self.folder / "fits" / fit.data / fit.features / f"{fit.trainer}-{fit.budget}-{fit.seed}-{digest}"
        request = Request(
            trainer=fit.trainer,
            settings=settings,
            features=str(self.features),
            split=str(place),
            schema=self.table.schema.to_json(),
            scores=f"{stem}.npy",
            answer=f"{stem}.json",
        )
        is_rare = self.table.labels[split.test] == self.table.schema.rare_code
        return Prepared(fit, request, is_rare, self._facts(fit, plan, split) | {"digest": digest})

    def _split(self, fit: Fit) -> tuple[Split, Path, str]:
        known = self.splits.get((fit.budget, fit.seed))
        if known is None:
            rare, budget = self.table.schema.rare_code, BUDGETS[fit.budget]
            made = splits.split(self.table.labels, self.table.groups, rare=rare, budget=budget, seed=fit.seed)
            digest = _digest(made)
            place = self.folder / "splits" / f"{fit.data}-{fit.budget}-{fit.seed}-{digest}.npz"
            write_once(place, lambda file: np.savez(file, training=made.training, labels=made.labels, test=made.test))
            known = self.splits[fit.budget, fit.seed] = made, place, digest
        return known

    def _facts(self, fit: Fit, plan: Plan, split: Split) -> dict[str, Any]:
        rare = self.table.schema.rare_code
        return identity(fit, self.data) | {
            "method": plan.method(fit.trainer),
            "rows": len(split.test),
            "rare": int((self.table.labels[split.test] == rare).sum()),
            "training_rows": len(split.training),
            "labeled_rows": int((split.labels != UNLABELED).sum()),
            "labeled_rare": int((split.labels == rare).sum()),
            "num_features": len(self.table.schema.names),
            "feature_seconds": round(self.table.seconds, 1),
        }


def identity(fit: Fit, data: DataSet) -> dict[str, Any]:
    """Return what a row of results is found by, and what kind it is of."""
    return {**fit._asdict(), "kind": data.kind, "main": fit.features == data.main}


def _digest(split: Split) -> str:
    parts = (split.training, split.labels, split.test)
    return source.key([hashlib.sha256(np.ascontiguousarray(part).data).hexdigest() for part in parts])


def write_once(place: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file that is there whole or not at all, unless it is there."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    with part.open("wb") as file:
        write(file)
    part.rename(place)
