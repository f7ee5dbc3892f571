"""Rows made in some features get the others from a real row of their class near them."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from training.artifact import ArtifactError, pack_arrays, unpack_arrays
from training.torch.qast import donors
from training.torch.qast.donors import NEAREST, Donors
from training.torch.qast.settings import QASTSettings

CHOSEN = (1, 3)


def real_rows(seed=0):
    """Sixty rows of three classes in five features; features 0, 2 and 4 tell which row it is."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), 20)
    rows = random.normal(size=(60, 5)) + 4 * labels[:, None]
    rows[:, [0, 2, 4]] = np.arange(60)[:, None]
    return rows.astype(np.float32), labels


def made_rows(labels, seed=1):
    return (np.random.default_rng(seed).normal(size=(len(labels), 2)) + 4 * labels[:, None]).astype(np.float32)


def lenders(**changes):
    rows, labels = real_rows()
    given = {"chosen": CHOSEN, "classes": (1, 2), "seed": 0} | changes
    return Donors.of(rows, labels, **given)


def donor_numbers(whole):
    assert (whole[:, [0]] == whole[:, [2, 4]]).all()  # one donor lends all that it lends
    return whole[:, 0].astype(int)


def test_a_donor_is_one_of_the_nearest_of_the_rows_own_class():
    rows, labels = real_rows()
    codes = np.tile([2, 1], 50)
    made = made_rows(codes)
    whole = lenders().whole(made, codes, seed=3)
    np.testing.assert_array_equal(whole[:, CHOSEN], made)
    found = donor_numbers(whole)
    np.testing.assert_array_equal(labels[found], codes)
    scaler = lenders()._scaler
    for code in (1, 2):
        own = np.flatnonzero(labels == code)
        near = NearestNeighbors(n_neighbors=NEAREST).fit(scaler.transform(rows[own][:, CHOSEN]))
        nearest = own[near.kneighbors(scaler.transform(made[codes == code]), return_distance=False)]
        places = (nearest == found[codes == code][:, None]).argmax(axis=1)
        assert (nearest == found[codes == code][:, None]).any(axis=1).all()
        assert set(places) == set(range(NEAREST))  # not the nearest alone


def test_one_seed_draws_the_same_donors():
    codes = np.ones(30, np.int64)
    one, same, other = (lenders().whole(made_rows(codes), codes, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_missing_values_and_a_class_of_one_row():
    rows, labels = real_rows()
    rows[labels == 1, 1] = np.nan
    rows[45:, 4] = np.nan
    few = np.r_[0:40, 59:60]  # one row of class 2
    lender = Donors.of(rows[few], labels[few], chosen=CHOSEN, classes=(1, 2), seed=0)
    codes = np.array([1, 2, 2])
    made = made_rows(codes)
    made[0, 0] = np.nan
    whole = lender.whole(made, codes, seed=0)
    np.testing.assert_array_equal(whole[:, CHOSEN], made)
    np.testing.assert_array_equal(whole[1:, [0, 2, 4]], np.float32([[59, 59, np.nan]] * 2))
    assert lender.whole(made[:0], codes[:0], seed=0).shape == (0, 5)


def test_large_classes_lend_a_draw_of_their_rows_and_small_ones_all(monkeypatch):
    monkeypatch.setattr(donors, "MOST", 25)
    rows, labels = real_rows()
    own = labels < 2
    own[5:20] = False  # class 0 has five rows
    found = Donors.of(rows[own], labels[own], chosen=CHOSEN, classes=(0, 1), seed=0)
    assert np.bincount(found.labels).tolist() == [5, 20]
    monkeypatch.setattr(donors, "MOST", 15)
    found = Donors.of(rows[own], labels[own], chosen=CHOSEN, classes=(0, 1), seed=0)
    assert np.bincount(found.labels).tolist() == [5, 10]
    np.testing.assert_array_equal(labels[found.rows[:, 0].astype(int)], found.labels)


def test_a_file_gives_the_same_donors():
    read = Donors.from_arrays(unpack_arrays(pack_arrays(lenders().arrays())))
    codes = np.full(10, 2)
    np.testing.assert_array_equal(
        read.whole(made_rows(codes), codes, seed=0), lenders().whole(made_rows(codes), codes, seed=0)
    )


@pytest.mark.parametrize("change", [{"labels": np.ones(3, np.int64)}, {"chosen": np.array([1, 5])}])
def test_parts_of_different_tables_are_refused(change):
    with pytest.raises(ArtifactError, match="of different tables; train again"):
        Donors.from_arrays(lenders().arrays() | change)


def test_the_published_form_makes_rows_in_all_features():
    assert QASTSettings().features_at_most == 40  # as wide as the widest of the authors' tables, at least
    assert QASTSettings.as_published().features_at_most is None
