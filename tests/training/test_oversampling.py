"""SMOTE for numbers, mixed columns and categories alone."""

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder

from tests.training.importance import importance_tables as tables
from training import oversampling
from training.oversampling import oversample

FEATURES, RARE = tables.mixed_rows(0)
LABELS = RARE.astype(np.int64)


def test_mixed_columns_keep_levels_and_gaps():
    made, codes = oversample(FEATURES, LABELS, {1: 255}, categorical=(2,))
    assert (codes == 1).all()
    assert len(made) == 255 - RARE.sum()
    assert set(made[:, 2]) <= set(FEATURES[RARE, 2])
    own = FEATURES[RARE]
    assert (made[:, :2] >= own[:, :2].min(axis=0) - 1e-4).all()
    assert (made[:, :2] <= own[:, :2].max(axis=0) + 1e-4).all()
    assert np.isnan(made[:, 3]).any()
    assert not np.isnan(made[:, :3]).any()


def test_categories_alone():
    features = np.stack([FEATURES[:, 2], (FEATURES[:, 0] > 1).astype(np.float32)], axis=1)
    features[::9, 1] = np.nan
    made, _ = oversample(features, LABELS, {1: 100}, categorical=(0, 1))
    assert len(made) == 100 - RARE.sum()
    for column in range(2):
        assert set(made[~np.isnan(made[:, column]), column]) <= set(features[RARE, column])


def test_whole_numbers_stay_whole_and_others_do_not():
    features = np.column_stack([np.round(FEATURES[:, 0] * 10), FEATURES[:, 1]]).astype(np.float32)
    made, _ = oversample(features, LABELS, {1: 200})
    np.testing.assert_array_equal(made[:, 0], np.round(made[:, 0]))
    assert (made[:, 1] != np.round(made[:, 1])).all()


def test_one_row_is_copied_and_few_rows_have_fewer_neighbors():
    labels = np.zeros(len(LABELS), np.int64)
    labels[0], labels[1:4] = 1, 2
    made, codes = oversample(FEATURES, labels, {1: 4, 2: 10}, categorical=(2,))
    np.testing.assert_allclose(made[codes == 1], np.repeat(FEATURES[:1], 3, axis=0), rtol=1e-5)
    assert (codes == 2).sum() == 7


def test_seeds_decide():
    one, other, third = (oversample(FEATURES, LABELS, {1: 90}, categorical=(2,), seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, third, equal_nan=True)


def test_nothing_wanted_gives_no_rows():
    made, codes = oversample(FEATURES, LABELS, {})
    assert made.shape == (0, 4)
    assert codes.shape == (0,)


def test_what_smote_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r"no row of the classes \[2\]"):
        oversample(FEATURES, LABELS, {2: 10})
    with pytest.raises(ValueError, match="all rows are of one class"):
        oversample(FEATURES, np.zeros(len(LABELS), np.int64), {0: 400})


def test_categories_come_back_as_the_library_has_them(monkeypatch):
    made, codes = oversample(FEATURES, LABELS, {1: 300}, categorical=(2,))
    monkeypatch.setattr(oversampling, "_OneHot", OneHotEncoder)
    theirs, their_codes = oversample(FEATURES, LABELS, {1: 300}, categorical=(2,))
    np.testing.assert_array_equal(made, theirs)
    np.testing.assert_array_equal(codes, their_codes)
