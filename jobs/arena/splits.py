"""Which rows a fit may learn from, which of their labels it sees, and which rows it is tested on.

Takes labels and, where several rows belong to one entity, groups; gives a `Split` that depends on these, the budget and
the seed alone, so that every trainer has the same.

Seed k tests on fold k % 5 of the (k // 5)th stratified partition: five seeds test each labelled row once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import UNLABELED
from training.splits import Rows, folds
from training.trainer import Labels

FOLDS = 5
LEAST_NEGATIVES = 2  # of each class; with one there is none to hold out


class TooFewLabels(ValueError):
    """A table has fewer labelled rows than a budget asks for."""


@dataclass(frozen=True)
class Budget:
    """How many labels there are.

    Attributes:
        name: as in the results.
        rare: labelled rows of the rare class; None for all.
        negatives: share of each other class that is labelled.
    """

    name: str
    rare: int | None = None
    negatives: float = 1.0


BUDGETS = {
    budget.name: budget for budget in (Budget("all"), *(Budget(str(rare), rare, 0.05) for rare in (20, 50, 200)))
}


@dataclass(frozen=True, eq=False)
class Split:
    """Rows by position in the table.

    Attributes:
        training: rows to learn from, those without label among them, ascending.
        labels: label of each under the budget, -1 for those not shown, (rows of `training`,).
        test: rows to be tested on, ascending; none of them is in `training`.
    """

    training: Rows
    labels: Labels
    test: Rows


def split(labels: Labels, groups: NDArray[np.int64] | None, *, rare: int, budget: Budget, seed: int) -> Split:
    """Deal the rows out.

    Args:
        labels: class codes, -1 for rows without label, (rows,).
        groups: entity number of each row, where rows of one entity must not be parted; None for an entity a row.
        rare: code of the rare class.
        budget: labels to be shown.
        seed: one seed gives one split.

    Raises:
        TooFewLabels: the training part has not more rare rows than the budget, or a class has fewer than two rows.
    """
    is_test = _tested(labels, groups, rare, seed)
    training, test = np.flatnonzero(~is_test), np.flatnonzero(is_test & (labels != UNLABELED))
    shown = np.full(len(training), UNLABELED, np.int8)
    random = np.random.default_rng([seed, *budget.name.encode()])
    for code in np.unique(labels[labels != UNLABELED]):
        members = np.flatnonzero(labels[training] == code)
        shown[_drawn(random, members, budget, is_rare=code == rare)] = code
    return Split(training, shown, test)


def _tested(labels: Labels, groups: NDArray[np.int64] | None, rare: int, seed: int) -> NDArray[np.bool_]:
    """Return which rows lie in the fold that is tested on; rows without label are in none unless their entity is."""
    units, owner = np.arange(len(labels)), np.arange(len(labels))
    if groups is not None:
        units, owner = np.unique(groups, return_inverse=True)
    codes = _of_units(labels, owner, len(units), rare)
    known = np.flatnonzero(codes != UNLABELED)
    names = [str(code) for code in range(int(codes.max()) + 1)]
    present, dense = np.unique(codes[known], return_inverse=True)
    try:
        dealt = folds(dense.astype(np.int8), FOLDS, seed=seed // FOLDS, names=[names[code] for code in present])
    except ValueError as error:
        raise TooFewLabels(str(error)) from error
    tested = np.zeros(len(units), bool)
    tested[known[dealt[seed % FOLDS][1]]] = True
    return np.asarray(tested[owner])


def _of_units(labels: Labels, owner: NDArray[np.int64], units: int, rare: int) -> Labels:
    """Return a class for each entity: the rare one if any of its rows is, else the highest code."""
    order = np.where(labels == rare, np.int16(np.iinfo(np.int8).max), labels.astype(np.int16))
    highest = np.full(units, UNLABELED, np.int16)
    np.maximum.at(highest, owner, order)
    return np.where(highest == np.iinfo(np.int8).max, rare, highest).astype(np.int8)


def _drawn(random: np.random.Generator, members: Rows, budget: Budget, *, is_rare: bool) -> Rows:
    if is_rare and budget.rare is not None:
        if len(members) <= budget.rare:
            raise TooFewLabels(
                f"{len(members)} rare rows to learn from, the budget shows {budget.rare} and hides at least one"
            )
        return random.choice(members, budget.rare, replace=False)
    if is_rare or budget.negatives >= 1:
        return members
    wanted = max(LEAST_NEGATIVES, math.ceil(budget.negatives * len(members)))
    return random.choice(members, min(wanted, len(members)), replace=False)
