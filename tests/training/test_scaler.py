"""The scaler: what it does to heavy tails, missing values and constants, and that it comes back bit for bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.scaler import CLIP, Scaler

LEVEL, TAIL, GAPPY, CONSTANT, ABSENT, ROUNDING = range(6)


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    features = random.normal(size=(500, 6))
    features[:, TAIL] = np.exp(2 * features[:, TAIL])
    features[:100, GAPPY] = np.nan
    features[:, CONSTANT] = 7.0
    features[:, ABSENT] = np.nan
    features[:, ROUNDING] = 1e6 * (1 + 1e-9 * features[:, ROUNDING])
    return features.astype(np.float32)


def test_inputs_have_mean_0_and_spread_1(rows):
    inputs = Scaler.fit(rows).transform(rows)
    present = inputs[:, [LEVEL, TAIL]]
    np.testing.assert_allclose(present.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(present.std(axis=0), 1, atol=0.02)


def test_missing_value_is_zero_and_sets_its_indicator(rows):
    scaler = Scaler.fit(rows)
    inputs = scaler.transform(rows)
    assert scaler.indicators == (GAPPY, ABSENT)
    assert (inputs[:100, GAPPY] == 0).all()
    np.testing.assert_array_equal(inputs[:, 6], np.isnan(rows[:, GAPPY]))
    np.testing.assert_array_equal(inputs[:, 7], 1)


@pytest.fixture
def together(rows):
    """Rows whose features `TAIL` and `GAPPY` lack the same values, and `LEVEL` others."""
    rows[:100, TAIL] = np.nan
    rows[400:, LEVEL] = np.nan
    return rows


def test_features_that_lack_the_same_values_share_an_indicator(together):
    scaler = Scaler.fit(together)
    assert scaler.indicators == (LEVEL, TAIL, GAPPY, ABSENT)
    assert scaler.gaps == (0, 1, 1, 2)
    inputs = scaler.transform(together)
    assert inputs.shape[1] == scaler.num_inputs == 6 + 3
    np.testing.assert_array_equal(inputs[:, 6], np.isnan(together[:, LEVEL]))
    np.testing.assert_array_equal(inputs[:, 7], np.isnan(together[:, GAPPY]))


def test_half_a_gap_gives_half_an_indicator(together):
    scaler = Scaler.fit(together)
    together[200, TAIL] = np.nan
    assert scaler.transform(together[[0, 200, 300]])[:, 7].tolist() == [1, 0.5, 0]


def test_fold_shares_an_indicator_among_its_features(together):
    contributions = np.arange(18, dtype=np.float32).reshape(2, 9)
    folded = Scaler.fit(together).fold(contributions)
    assert folded[0].tolist() == [0 + 6, 1 + 3.5, 2 + 3.5, 3, 4 + 8, 5]
    np.testing.assert_array_equal(folded.sum(axis=1), contributions.sum(axis=1))


def test_a_scaler_saved_without_gaps_has_an_indicator_for_each_feature(together):
    fields = json.loads(Scaler.fit(together).to_json())
    del fields["gaps"]
    old = Scaler.from_json(json.dumps(fields))
    assert old.num_inputs == 6 + 4
    np.testing.assert_array_equal(old.transform(together)[:, 6:], np.isnan(together[:, [LEVEL, TAIL, GAPPY, ABSENT]]))
    assert old.fold(np.ones((1, 10), np.float32))[0].tolist() == [2, 2, 2, 1, 2, 1]


def test_constant_and_absent_features_stay_zero_whatever_comes(rows):
    scaler = Scaler.fit(rows)
    strange = rows.copy()
    strange[:, [CONSTANT, ABSENT]] = 99
    assert (scaler.transform(rows)[:, [CONSTANT, ABSENT, ROUNDING]] == 0).all()
    assert (scaler.transform(strange)[:, [CONSTANT, ABSENT]] == 0).all()


def test_outlier_is_clipped_and_keeps_its_sign(rows):
    scaler = Scaler.fit(rows)
    far = rows[:2].copy()
    far[0, LEVEL], far[1, LEVEL] = 1e30, -1e30
    assert scaler.transform(far)[:, LEVEL].tolist() == [CLIP, -CLIP]


def test_feature_that_is_mostly_zero_keeps_its_spread():
    features = np.zeros((200, 1), dtype=np.float32)
    features[:20, 0] = np.arange(1, 21)
    inputs = Scaler.fit(features).transform(features)
    assert inputs[:20].min() > inputs[20:].max()
    assert inputs.std() == pytest.approx(1, abs=0.15)


def test_fold_adds_the_indicator_to_its_feature(rows):
    scaler = Scaler.fit(rows)
    contributions = np.arange(16, dtype=np.float32).reshape(2, 8)
    folded = scaler.fold(contributions)
    assert folded.shape == (2, 6)
    assert folded[0].tolist() == [0, 1, 2 + 6, 3, 4 + 7, 5]
    np.testing.assert_array_equal(folded.sum(axis=1), contributions.sum(axis=1))


def test_json_gives_the_same_inputs_bit_for_bit(rows):
    scaler = Scaler.fit(rows)
    again = Scaler.from_json(scaler.to_json())
    assert again == scaler
    np.testing.assert_array_equal(again.transform(rows), scaler.transform(rows))


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_infinite_values_are_refused(rows, method):
    scaler = Scaler.fit(rows)
    rows[3, TAIL] = np.inf
    with pytest.raises(ValueError, match=r"1 infinite values, in feature columns \[1\]"):
        getattr(scaler, method)(rows)


def test_wrong_width_and_no_rows_are_refused(rows):
    scaler = Scaler.fit(rows)
    with pytest.raises(ValueError, match="6 features"):
        scaler.transform(rows[:, :5])
    with pytest.raises(ValueError, match="no rows"):
        Scaler.fit(rows[:0])


CAUCHY = Scaler.fit(np.random.default_rng(0).standard_cauchy(size=(300, 1)).astype(np.float32))


@given(st.floats(-1e3, 1e3, width=32), st.floats(-1e3, 1e3, width=32))
def test_order_is_kept(first, second):
    low, high = sorted([first, second])
    inputs = CAUCHY.transform(np.array([[low], [high]], dtype=np.float32))
    assert inputs[0, 0] <= inputs[1, 0]


def test_unchanged_leaves_features_as_they_are():
    rows = np.array([[0.0, 1.0], [0.25, -3.0], [np.nan, 9.0]], np.float32)
    expected = [[0, 1], [0.25, -3], [0, CLIP]]
    np.testing.assert_allclose(Scaler.unchanged(2).transform(rows), expected, rtol=1e-6)
