"""SMOTE in the form that a table asks for: plain for numbers, SMOTE-NC for mixed columns, SMOTEN for categories alone.

`oversample` takes raw rows (n, d) with NaN for missing and gives raw rows; `oversample_numbers` takes complete rows as
their distances are to be measured. Chawla, Bowyer, Hall and Kegelmeyer, JAIR 2002; the code is
imbalanced-learn's. Whether a number is missing is a category too: a new row lacks it where most of its neighbors do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder

from training.trainer import Floats

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]


class _Forms(NamedTuple):
    """A table without gaps: standardized numbers, then codes of categories, and the way back."""

    rows: Doubles
    numbers: NDArray[np.intp]
    gaps: NDArray[np.intp]
    categorical: NDArray[np.intp]
    center: Doubles
    spread: Doubles
    whole: NDArray[np.bool_]
    levels: tuple[Doubles, ...]


def oversample(
    features: Floats,
    labels: Codes,
    targets: Mapping[int, int],
    *,
    categorical: Sequence[int] = (),
    neighbors: int = 5,
    seed: int = 0,
) -> tuple[Floats, Codes]:
    """Return the rows that have to be added for each class of `targets` to have that many, and their labels.

    A class with no more rows than `neighbors` is served with fewer of them; a class of one row is copied. Columns of
    whole numbers stay so, and a column of categories gets none that was not there.

    Args:
        features: (n, d) raw rows.
        labels: (n,) class codes, of at least two classes.
        targets: rows by class code, no fewer than there are; each class has a row at least.
        categorical: positions of the columns of categories.
        neighbors: of a row, between which and itself new rows lie.
        seed: one seed gives one set of rows.

    Raises:
        ValueError: a class of `targets` has no row, or all rows are of one class.
    """
    _check(np.bincount(labels, minlength=max(targets, default=0) + 1), targets)
    forms = _forms(np.asarray(features, np.float64), np.asarray(categorical, np.intp))
    made, codes = _grown(
        forms.rows, labels, targets, neighbors, lambda wanted, nearest: _sampler(forms, wanted, nearest, seed)
    )
    return _raw(made, forms, features.shape[1]), codes


def oversample_numbers(
    rows: NDArray[np.floating[Any]], labels: Codes, targets: Mapping[int, int], *, neighbors: int, seed: int
) -> tuple[Doubles, Codes]:
    """Return the rows that plain SMOTE adds to rows of numbers without gaps, as they are scaled, and their labels.

    Args and small classes are those of `oversample`; columns of whole numbers do not stay so.
    """

    def sampler(wanted: dict[int, int], nearest: int) -> SMOTE:
        return SMOTE(sampling_strategy=wanted, k_neighbors=nearest, random_state=seed)

    return _grown(np.asarray(rows, np.float64), labels, targets, neighbors, sampler)


def _grown(
    rows: Doubles,
    labels: Codes,
    targets: Mapping[int, int],
    neighbors: int,
    sampler: Callable[[dict[int, int], int], Any],
) -> tuple[Doubles, Codes]:
    """Return added rows and their labels; `sampler` gives what resamples to wanted numbers with that many neighbors."""
    made, codes = [rows[:0]], [labels[:0]]
    for nearest, wanted in _by_neighbors(np.bincount(labels), targets, neighbors).items():
        if nearest:
            grown, grown_labels = sampler(wanted, nearest).fit_resample(rows, labels)
            made.append(np.asarray(grown[len(labels) :], np.float64))
            codes.append(grown_labels[len(labels) :])
        else:
            copied = np.concatenate([np.full(number - 1, code, np.int64) for code, number in wanted.items()])
            made.append(rows[[int(np.flatnonzero(labels == code)[0]) for code in copied.tolist()]])
            codes.append(copied)
    return np.concatenate(made), np.concatenate(codes).astype(np.int64)


class _OneHot(OneHotEncoder):  # type: ignore[misc]  # scikit-learn publishes no types
    """What SMOTENC encodes categories by; back from dense rows, as of sparse ones each row is a call of Python."""

    def inverse_transform(self, X: Any) -> Any:  # noqa: ANN401  (scikit-learn's signature)
        return super().inverse_transform(X.toarray())


def _check(counts: NDArray[np.int64], targets: Mapping[int, int]) -> None:
    if lacking := [code for code in targets if not counts[code]]:
        raise ValueError(f"found no row of the classes {lacking}; SMOTE needs one of each class it is to add to")
    if targets and (counts > 0).sum() < 2:
        raise ValueError("all rows are of one class; SMOTE fills a class up beside others, so give at least two")


def _by_neighbors(counts: NDArray[np.int64], targets: Mapping[int, int], neighbors: int) -> dict[int, dict[int, int]]:
    groups: dict[int, dict[int, int]] = {}
    for code, rows in targets.items():
        if rows > counts[code]:
            groups.setdefault(min(neighbors, int(counts[code]) - 1), {})[code] = rows
    return groups


def _sampler(forms: _Forms, wanted: dict[int, int], nearest: int, seed: int) -> Any:  # noqa: ANN401  (three classes)
    chosen = {"sampling_strategy": wanted, "k_neighbors": nearest, "random_state": seed}
    numbers, columns = len(forms.numbers), forms.rows.shape[1]
    if numbers == columns:
        return SMOTE(**chosen)
    if not numbers:
        return SMOTEN(**chosen)
    encoder = _OneHot(handle_unknown="ignore", dtype=np.float64)  # as SMOTENC itself has it
    return SMOTENC(list(range(numbers, columns)), categorical_encoder=encoder, **chosen)


def _forms(rows: Doubles, categorical: NDArray[np.intp]) -> _Forms:
    absent = np.isnan(rows)
    numbers = np.setdiff1d(np.arange(rows.shape[1]), categorical)
    present = np.maximum((~absent[:, numbers]).sum(axis=0), 1)
    center = np.where(absent, 0.0, rows)[:, numbers].sum(axis=0) / present
    filled = np.where(absent[:, numbers], center, rows[:, numbers])
    spread = filled.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    whole = (absent | (rows == np.round(rows)))[:, numbers].all(axis=0)
    gaps = numbers[absent[:, numbers].any(axis=0)]
    levels = tuple(np.unique(rows[:, place]) for place in categorical)
    coded = [_codes(rows[:, place], known) for place, known in zip(categorical, levels, strict=True)]
    parts = [(filled - center) / spread, absent[:, gaps].astype(np.float64), *(column[:, None] for column in coded)]
    return _Forms(np.hstack(parts), numbers, gaps, categorical, center, spread, whole, levels)


def _codes(column: Doubles, levels: Doubles) -> Doubles:
    known = levels[~np.isnan(levels)]
    return np.where(np.isnan(column), len(known), np.searchsorted(known, column)).astype(np.float64)


def _raw(rows: Doubles, forms: _Forms, width: int) -> Floats:
    features = np.empty((len(rows), width))
    numbers = rows[:, : len(forms.numbers)] * forms.spread + forms.center
    features[:, forms.numbers] = np.where(forms.whole, np.round(numbers), numbers)
    at = len(forms.numbers)
    for place in forms.gaps:
        features[rows[:, at] >= 0.5, place] = np.nan
        at += 1
    for place, levels in zip(forms.categorical, forms.levels, strict=True):
        features[:, place] = levels[np.round(rows[:, at]).astype(np.intp)]
        at += 1
    return features.astype(np.float32)
