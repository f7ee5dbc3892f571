"""Reasons for models without gradients: by how much the score falls when one feature is set to a usual value.

Takes any function from raw rows to the rare class's probability; gives contributions in units of log-odds. A model's
interactions are counted once for each feature that takes part, so a row need not sum to anything.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.trainer import Floats

Doubles = NDArray[np.float64]

TINY = 1e-7
ROWS_AT_ONCE = 8192


def usual(rows: Floats) -> Floats:
    """Return each column's median (features,) over the rows that have it; 0 where none does."""
    missing = np.isnan(rows).all(axis=0)
    return np.asarray(np.nanmedian(np.where(missing, 0, rows), axis=0), np.float32)


def occlusion(
    features: Floats, reference: Floats, chance: Callable[[Floats], NDArray[np.floating[Any]]], places: Iterable[int]
) -> Floats:
    """Return contributions (rows, features); 0 for features that are not among `places`.

    Args:
        features: raw rows.
        reference: what a feature is set to, (features,).
        chance: probability of the rare class, (rows,), of raw rows.
        places: positions of the features that the model reads.
    """
    shares = np.zeros(features.shape, np.float32)
    chosen = tuple(places)
    for first in range(0, len(features), ROWS_AT_ONCE):
        rows = np.asarray(features[first : first + ROWS_AT_ONCE], np.float32)
        whole = _log_odds(chance(rows))
        for place in chosen:
            changed = rows.copy()
            changed[:, place] = reference[place]
            shares[first : first + ROWS_AT_ONCE, place] = whole - _log_odds(chance(changed))
    return shares


def _log_odds(chances: NDArray[np.floating[Any]]) -> Doubles:
    clipped = np.clip(np.asarray(chances, np.float64), TINY, 1 - TINY)
    return np.asarray(np.log(clipped / (1 - clipped)))
