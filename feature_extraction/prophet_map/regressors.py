"""The scaling of regressors, as Prophet does it: from each history, and the same for the rows to come."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.problem import Doubles, Flags, Histories, Integers, Regressor


class Scaling(NamedTuple):
    """What is subtracted from each regressor of each series, and what the rest is divided by: (B, E) both."""

    mean: Doubles
    scale: Doubles


def scaling_of(rows: Histories, regressors: tuple[Regressor, ...]) -> Scaling:
    """Return the scaling that Prophet would use for each history (`Prophet.initialize_scales`).

    Args:
        rows: clean histories.
        regressors: what their columns are.

    Raises:
        ValueError: if the numbers of columns differ, or a value is missing.
    """
    found = Scaling(np.zeros((len(rows), len(regressors))), np.ones((len(rows), len(regressors))))
    _check(rows, [one.name for one in regressors])
    owner = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    for e, regressor in enumerate(regressors):
        column = rows.regressors[:, e]
        chosen = _standardized(column, owner, len(rows), regressor)
        number = np.maximum(np.bincount(owner, minlength=len(rows)), 2)
        mean = np.bincount(owner, column, len(rows)) / number
        squares = np.bincount(owner, np.square(column - mean[owner]), len(rows))
        found.mean[chosen, e] = mean[chosen]
        found.scale[chosen, e] = np.sqrt(squares / (number - 1))[chosen]
    return found


def scaled(rows: Histories, regressors: tuple[Regressor, ...], scaling: Scaling) -> Histories:
    """Return rows of the same series with their regressors scaled."""
    _check(rows, [one.name for one in regressors])
    if not regressors:
        return rows
    owner = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    return replace(rows, regressors=(rows.regressors - scaling.mean[owner]) / scaling.scale[owner])


def _standardized(column: Doubles, owner: Integers, number: int, regressor: Regressor) -> Flags:
    """Tell for which series (B,) a column is standardized: on "auto" not if it is just 0 and 1; never if constant."""
    lowest, highest = np.full(number, np.inf), np.full(number, -np.inf)
    np.minimum.at(lowest, owner, column)
    np.maximum.at(highest, owner, column)
    varies = highest > lowest
    if regressor.standardize == "auto":
        return np.asarray(varies & (np.bincount(owner, (column != 0) & (column != 1), number) > 0))
    return varies & regressor.standardize


def _check(rows: Histories, names: list[str]) -> None:
    if rows.regressors.shape[1] != len(names):
        raise ValueError(
            f"the rows have {rows.regressors.shape[1]} regressors, the settings {len(names)}: {names}; "
            "give one for each"
        )
    missing = [name for name, column in zip(names, rows.regressors.T, strict=True) if not np.isfinite(column).all()]
    if missing:
        raise ValueError(f"the regressors {missing} have missing or infinite values; fill them in, or drop the rows")
