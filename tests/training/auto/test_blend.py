"""Members' scores become one: a weighted sum of log-odds, with balanced classes in the middle."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from training.artifact import ArtifactError
from training.auto.blend import Blend, joined


def scores(members=3, rows=300, seed=0):
    """Return chances of members that all see a little of the truth, on scales of their own, and the truth."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) < rows // 10
    signal = truth * 2.0 + random.normal(size=(members, rows))
    return expit(signal * (0.5 + np.arange(members) / 4)[:, None] - 2), truth


def test_a_single_member_keeps_its_order():
    chances, truth = scores(1)
    blend = Blend.fit(chances, truth, np.ones(1))
    assert average_precision_score(truth, blend.heights(chances)) == average_precision_score(truth, chances[0])


def test_heights_are_the_weighted_sum_of_what_each_member_says():
    chances, truth = scores()
    weights = np.array([0.5, 0.3, 0.2])
    blend = Blend.fit(chances, truth, weights)
    expected = sum(
        weight * (logit(row) - logit(row).mean()) / logit(row).std()
        for weight, row in zip(weights, chances, strict=True)
    )
    np.testing.assert_allclose(blend.heights(chances), blend.offset + blend.slope * expected, atol=1e-9)
    np.testing.assert_allclose(joined(chances, weights), expected, atol=1e-9)
    moved = chances.copy()
    moved[1] = expit(logit(chances[1]) + 1)
    np.testing.assert_allclose(blend.heights(moved) - blend.heights(chances), blend.steepness()[1], atol=1e-9)


def test_a_blend_of_members_that_err_apart_ranks_better_than_each():
    chances, truth = scores()
    alone = [average_precision_score(truth, row) for row in chances]
    assert average_precision_score(truth, joined(chances, np.full(3, 1 / 3))) > max(alone) + 0.05


def test_one_half_lies_between_the_classes():
    chances, truth = scores()
    found = expit(Blend.fit(chances, truth, np.full(3, 1 / 3)).heights(chances))
    assert (found[truth] > 0.5).mean() == pytest.approx((found[~truth] < 0.5).mean(), abs=0.1)


def test_members_that_say_the_same_of_all_rows_do_no_harm():
    chances, truth = scores()
    chances[2] = 0.5
    blend = Blend.fit(chances, truth, np.full(3, 1 / 3))
    assert np.isfinite(blend.heights(np.array([[0.0], [1.0], [0.5]]))).all()


def test_arrays_give_the_blend_back_and_others_are_refused():
    chances, truth = scores()
    blend = Blend.fit(chances, truth, np.full(3, 1 / 3))
    arrays = blend.arrays()
    np.testing.assert_array_equal(Blend.from_arrays(arrays).heights(chances), blend.heights(chances))
    for harm in (
        {"weights": np.array([0.5, 0.5])},
        {"weights": np.array([0.5, 0.7, -0.2])},
        {"spread": np.array([1.0, 0.0, 1.0])},
        {"center": np.array([0.0, np.nan, 0.0])},
        {"line": np.array([np.inf, 0.0])},
    ):
        with pytest.raises(ArtifactError, match="blend"):
            Blend.from_arrays(arrays | harm)
