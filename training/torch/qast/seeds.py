"""Seed rows of the generator: mixtures of small and large classes, and SMOTE's rows, both made in raw space (B.2).

Takes raw rows with NaN for missing and their class codes; gives pools of rows with hard and soft labels. Classes of a
few rows, even of one, are served too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.oversampling import oversample_numbers
from training.torch.qast.settings import QASTSettings
from training.trainer import Floats

Codes = NDArray[np.int64]
Doubles = NDArray[np.float64]
PASSES = 2
LARGEST_POOL = 10_000  # rows of a class and partner; the published pools grow with the largest class


class Seeds(NamedTuple):
    """A pool: `features` (n, d) raw, `labels` (n,) the small classes they are seeds of, `soft` (n, K) shares."""

    features: Floats
    labels: Codes
    soft: Floats


def mixup_pool(
    features: Floats, labels: Codes, *, minority: Sequence[int], classes: int, settings: QASTSettings, seed: int
) -> Seeds:
    """Mix rows of each small class with rows of up to `mixup_partners` large ones, the small one's share the larger.

    As published ('pair'), partner classes are random, a pair of classes has one share, and its rows are paired in
    order. Repaired ('row'), the partner classes are the nearest ones, and each row has a share and partners of its own.
    """
    random = np.random.default_rng(seed)
    pools = [_empty(features, classes)]
    for code in minority:
        for partner in _partners(features, labels, code, minority, settings, random):
            small, large = np.flatnonzero(labels == code), np.flatnonzero(labels == partner)
            share, first, second = _pairing(small, large, settings, random)
            mixed = share[:, None] * features[first] + (1 - share[:, None]) * features[second]
            soft = np.zeros((len(share), classes), np.float32)
            soft[:, code], soft[:, partner] = share, 1 - share
            pools.append(Seeds(mixed.astype(np.float32), np.full(len(share), code), soft))
    return _joined(pools)


def _partners(
    features: Floats,
    labels: Codes,
    code: int,
    minority: Sequence[int],
    settings: QASTSettings,
    random: np.random.Generator,
) -> Codes:
    large = np.setdiff1d(np.unique(labels), minority)
    if settings.mixup == "pair":
        return random.permutation(large)[: settings.mixup_partners]
    rows, _ = _complete(features)
    own = rows[labels == code].mean(axis=0)
    distances = [((rows[labels == partner].mean(axis=0) - own) ** 2).sum() for partner in large]
    return np.asarray(large[np.argsort(distances, kind="stable")[: settings.mixup_partners]])


def _pairing(
    small: NDArray[np.intp], large: NDArray[np.intp], settings: QASTSettings, random: np.random.Generator
) -> tuple[Doubles, NDArray[np.intp], NDArray[np.intp]]:
    if settings.mixup == "pair":
        share = np.full(len(large), random.beta(1, 1))
        return np.maximum(share, 1 - share), np.resize(small, len(large)), large
    rows = min(len(large), LARGEST_POOL)
    share = random.beta(1, 1, rows)
    return np.maximum(share, 1 - share), random.choice(small, rows), random.choice(large, rows, replace=False)


def smote_pool(
    features: Floats, labels: Codes, *, minority: Sequence[int], classes: int, settings: QASTSettings, seed: int
) -> Seeds:
    """Give the distinct rows that two passes of SMOTE add to each small class, up to the size of the largest one.

    A cell is missing where the two rows that it lies between lack it, or the nearer one does.
    """
    counts = np.bincount(labels, minlength=classes)
    most = int(counts.max())
    if settings.smote_scaling == "standard":
        most = min(most, LARGEST_POOL)
    targets = {code: most for code in minority if 0 < counts[code] < most}
    scaled, spread = _complete(features, scale=settings.smote_scaling == "standard")
    passes = [
        oversample_numbers(scaled, labels, targets, neighbors=settings.smote_neighbors, seed=seed + number)
        for number in range(PASSES)
    ]
    rows, codes = map(np.concatenate, zip(*passes, strict=True))
    _, first = np.unique(np.column_stack([rows, codes]), axis=0, return_index=True)
    kept = np.sort(first)
    made, width = rows[kept], features.shape[1]
    absent = made[:, width:] >= 0.5
    raw = np.where(absent, np.nan, made[:, :width] * spread).astype(np.float32)
    return Seeds(raw, codes[kept], np.eye(classes, dtype=np.float32)[codes[kept]])


def _complete(features: Floats, *, scale: bool = True) -> tuple[Doubles, Doubles]:
    # Missing cells become their column's mean, and whether they are missing one more column each.
    rows = np.asarray(features, np.float64)
    absent = np.isnan(rows)
    present = np.maximum((~absent).sum(axis=0), 1)
    mean = np.where(absent, 0.0, rows).sum(axis=0) / present
    filled = np.where(absent, mean, rows)
    spread = filled.std(axis=0) if scale else np.ones(rows.shape[1])
    spread = np.where(spread > 0, spread, 1.0)
    return np.hstack([filled / spread, absent]), spread


def _empty(features: Floats, classes: int) -> Seeds:
    return Seeds(
        np.empty((0, features.shape[1]), np.float32), np.empty(0, np.int64), np.empty((0, classes), np.float32)
    )


def _joined(pools: Sequence[Seeds]) -> Seeds:
    return Seeds(*(np.concatenate(parts) for parts in zip(*pools, strict=True)))
