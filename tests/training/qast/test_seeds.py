"""Seed rows: mixtures lie between a small and a large class, SMOTE's rows between two of one class."""

import numpy as np
import pytest

from training.oversampling import oversample_numbers
from training.torch.qast.seeds import mixup_pool, smote_pool
from training.torch.qast.settings import QASTSettings

REPAIRED, PUBLISHED = QASTSettings(), QASTSettings.as_published()
BOTH = pytest.mark.parametrize("settings", [REPAIRED, PUBLISHED], ids=["repaired", "published"])


def table() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3, 4, 5], [40, 30, 35, 45, 6, 1])
    features = random.normal(size=(len(labels), 3)) + 10.0 * labels[:, None]
    return features.astype(np.float32), labels.astype(np.int64)


@BOTH
def test_mixtures_keep_to_the_small_class(settings):
    features, labels = table()
    pool = mixup_pool(features, labels, minority=(4, 5), classes=6, settings=settings, seed=0)
    assert pool.features.dtype == np.float32
    np.testing.assert_allclose(pool.soft.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(pool.soft.argmax(axis=1), pool.labels)
    assert set(pool.labels) == {4, 5}
    centers = 10.0 * np.arange(6)
    np.testing.assert_allclose(pool.features.mean(axis=1), pool.soft @ centers, atol=3)


@BOTH
def test_a_pair_of_classes_gives_as_many_mixtures_as_the_large_one_has_rows(settings):
    features, labels = table()
    pool = mixup_pool(features, labels, minority=(4, 5), classes=6, settings=settings, seed=0)
    pool = type(pool)(*(part[pool.labels == 4] for part in pool))
    partners = np.flatnonzero(pool.soft[:, :4].any(axis=0))
    assert len(partners) == 3
    counts = np.bincount(labels)
    for partner in partners:
        assert (pool.soft[:, partner] > 0).sum() == counts[partner]


def test_repaired_partners_are_the_nearest_classes_and_each_row_has_its_share():
    features, labels = table()
    pool = mixup_pool(features, labels, minority=(4, 5), classes=6, settings=REPAIRED, seed=0)
    assert set(np.flatnonzero(pool.soft.any(axis=0))) == {1, 2, 3, 4, 5}
    assert len(np.unique(pool.soft[pool.soft[:, 3] > 0, 3])) > 60


def test_published_partners_are_drawn_and_a_pair_shares_one_share():
    features, labels = table()
    pools = [
        mixup_pool(features, labels, minority=(4,), classes=6, settings=PUBLISHED, seed=seed) for seed in range(20)
    ]
    assert {code for pool in pools for code in np.flatnonzero(pool.soft[:, :4].any(axis=0))} == {0, 1, 2, 3}
    for code in range(4):
        assert len(np.unique(pools[0].soft[pools[0].soft[:, code] > 0, code])) <= 1


@BOTH
def test_smote_rows_lie_between_rows_of_their_class_and_none_comes_twice(settings):
    features, labels = table()
    pool = smote_pool(features, labels, minority=(4, 5), classes=6, settings=settings, seed=0)
    own, made = features[labels == 4], pool.features[pool.labels == 4]
    assert len(made) == 2 * (45 - 6)
    assert (made >= own.min(axis=0) - 1e-4).all()
    assert (made <= own.max(axis=0) + 1e-4).all()
    assert (pool.labels == 5).sum() == 1  # a row alone can only be copied
    assert len(np.unique(made, axis=0)) == len(made)
    np.testing.assert_array_equal(pool.soft, np.eye(6)[pool.labels])


def test_neighbors_are_found_in_standardized_columns_unless_published():
    random = np.random.default_rng(0)
    rows = np.column_stack([random.normal(size=60) * 1e6, np.repeat([0.0, 1.0], 30)]).astype(np.float32)
    features, labels = (
        np.concatenate([rows, random.normal(size=(200, 2))]).astype(np.float32),
        np.repeat([1, 0], [60, 200]),
    )
    shares = {}
    for name, settings in (("repaired", REPAIRED), ("published", PUBLISHED)):
        made = smote_pool(features, labels, minority=(1,), classes=2, settings=settings, seed=0).features[:, 1]
        shares[name] = ((made > 0.01) & (made < 0.99)).mean()
    assert shares["repaired"] < 0.2 < shares["published"]


def test_missing_cells_stay_missing_where_both_rows_lack_them():
    features, labels = table()
    features[labels == 4, 0] = np.nan
    features[0, 1] = np.nan
    pool = smote_pool(features, labels, minority=(4,), classes=6, settings=REPAIRED, seed=0)
    assert np.isnan(pool.features[:, 0]).all()
    assert np.isfinite(pool.features[:, 1:]).all()
    mixed = mixup_pool(features, labels, minority=(4,), classes=6, settings=REPAIRED, seed=0)
    assert np.isnan(mixed.features[:, 0]).all()


@pytest.mark.parametrize("counts", [(9, 1), (9, 2), (9, 3), (9, 4), (9, 1, 2)])
def test_every_class_reaches_its_target(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = np.random.default_rng(0).normal(size=(len(labels), 2))
    targets = dict.fromkeys(range(1, len(counts)), 9)
    made, codes = oversample_numbers(rows, labels, targets, neighbors=3, seed=0)
    np.testing.assert_array_equal(np.bincount(np.concatenate([labels, codes])), [9] * len(counts))
    assert made.shape == (len(codes), 2)


def test_nothing_wanted_gives_nothing():
    features, labels = table()
    for pool in (mixup_pool, smote_pool):
        seeds = pool(features, labels, minority=(), classes=6, settings=REPAIRED, seed=0)
        assert (seeds.features.shape, seeds.labels.shape, seeds.soft.shape) == ((0, 3), (0,), (0, 6))


@BOTH
def test_one_seed_gives_one_pool(settings):
    features, labels = table()
    for pool in (mixup_pool, smote_pool):
        first, second = (
            pool(features, labels, minority=(4, 5), classes=6, settings=settings, seed=3) for _ in range(2)
        )
        np.testing.assert_array_equal(first.features, second.features)
