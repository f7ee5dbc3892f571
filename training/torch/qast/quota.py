"""How many rows each small class is to have, and the split into halves by which QAST was published (A.1, B.9)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedKFold

from training.torch.qast.settings import QASTSettings

Rows = NDArray[np.intp]
SPLIT_SEED = 100
LARGEST_FACTOR = 3


class Quota(NamedTuple):
    """What is to be synthesised.

    Attributes:
        minority: codes of the small classes.
        rows: real and synthetic rows that each of them is to have.
        needed: synthetic rows by code, for every small class.
    """

    minority: tuple[int, ...]
    rows: int
    needed: dict[int, int]


def half_split(labels: ArrayLike) -> tuple[Rows, Rows]:
    """Return the positions of training and test rows of the published split, both ascending.

    It is the first of two stratified folds, shuffled by seed 100, that is held out: of an odd number of rows the test
    has one more.
    """
    codes = np.asarray(labels)
    halves = StratifiedKFold(n_splits=2, shuffle=True, random_state=SPLIT_SEED)
    training, test = next(halves.split(codes[:, None], codes))
    return training, test


def quota(counts: ArrayLike, minority: Sequence[int]) -> int:
    """Return how many rows a small class is to have: min((lo + hi) // 2, 3 lo) over the large classes (B.9).

    Args:
        counts: (K,) rows of each class; a class without rows is neither large nor small.
        minority: codes of the small classes.
    """
    sizes = np.asarray(counts)
    large = np.delete(sizes, list(minority))
    large = large[large > 0]
    if not len(large):
        raise ValueError(
            f"all classes with rows, of {sizes.tolist()}, are named as minority; leave at least one out of it"
        )
    return _quota_of(large)


def _quota_of(large: NDArray[np.int64]) -> int:
    low, high = int(large.min()), int(large.max())
    return min((low + high) // 2, LARGEST_FACTOR * low)


def minority_by_rule(counts: ArrayLike) -> tuple[int, ...]:
    """Return the codes of the classes with fewer rows than the quota that all classes together would give.

    Of two classes that is the smaller one; classes of equal size are all large.
    """
    sizes = np.asarray(counts)
    present = sizes > 0
    if not present.any():
        raise ValueError(f"found {sizes.tolist()} rows by class; there are none to learn from")
    return tuple(np.flatnonzero(present & (sizes < _quota_of(sizes[present]))).tolist())


def class_quota(counts: ArrayLike, *, classes: Sequence[str], settings: QASTSettings) -> Quota:
    """Return what is to be synthesised under the settings' `quota` and `minority`.

    A class that has its quota already needs nothing.

    Raises:
        ValueError: `minority` names a class that there is not, or all of them.
    """
    sizes = np.asarray(counts)
    strange = sorted(set(settings.minority) - set(classes))
    if strange:
        raise ValueError(f"minority names {strange}, the classes are {list(classes)}; name some of these")
    named = tuple(code for code, name in enumerate(classes) if name in settings.minority and sizes[code] > 0)
    if settings.quota is not None:
        below = tuple(np.flatnonzero((sizes > 0) & (sizes < settings.quota)).tolist())
        minority, rows = named or below, settings.quota
    else:
        minority = named or minority_by_rule(sizes)
        rows = quota(sizes, minority)
    return Quota(minority, rows, {code: max(0, rows - int(sizes[code])) for code in minority})
