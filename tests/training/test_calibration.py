"""Scores to probabilities: against scikit-learn and the EM as published, and on data whose truth is known."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from training.calibrating import fit, population_share, smoothed
from training.calibration import log_odds
from training.held_out import HeldOut


def drawn(share, rows, seed=0, gap=2.0):
    """Log-odds of scores are normal in both classes, `gap` apart: their ratio is a sigmoid, by which truth is known."""
    random = np.random.default_rng(seed)
    rare = random.random(rows) < share
    return rare, expit(0.7 * (random.normal(size=rows) + gap * rare - 1))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probabilities_are_the_shares_they_state(method):
    found = fit(HeldOut.of(*drawn(0.3, 50_000)), method)
    rare, scores = drawn(0.3, 50_000, 1)
    chances = found.probability(scores)
    for part in np.array_split(np.argsort(chances), 10):
        assert chances[part].mean() == pytest.approx(rare[part].mean(), abs=0.03)


def test_platt_is_the_line_that_made_the_data():
    found = fit(HeldOut.of(*drawn(0.5, 200_000)), "platt")
    truth = 2 * (log_odds([0.2, 0.9]) / 0.7 + 1) - 2  # log ratio of the two normals
    np.testing.assert_allclose(found.log_ratio([0.2, 0.9]), truth, atol=0.05)


def test_platt_minimises_the_loss_of_the_smoothed_targets():
    rare, scores = drawn(0.2, 60)
    found, targets, odds = fit(HeldOut.of(rare, scores), "platt"), smoothed(rare), log_odds(scores)

    def loss(log_odds_of_rare):
        return (np.logaddexp(0, log_odds_of_rare) - targets * log_odds_of_rare).sum()

    best = found.log_ratio(scores) + log_odds(found.labeled_share)
    for step in (1e-3, -1e-3):
        assert loss(best) < loss(best + step)
        assert loss(best) < loss(best + step * odds)


def test_smoothed_targets_are_platts():
    np.testing.assert_allclose(smoothed(np.array([True, True, False])), [3 / 4, 3 / 4, 1 / 3])


def test_isotonic_is_scikit_learns_at_the_rows():
    rare, scores = drawn(0.3, 500)
    found = fit(HeldOut.of(rare, scores), "isotonic")
    expected = IsotonicRegression().fit(scores, smoothed(rare)).predict(scores)
    np.testing.assert_allclose(found.probability(scores), expected, atol=1e-9)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probability_never_falls_and_never_is_certain(method):
    rare, scores = np.arange(40) < 8, np.where(np.arange(40) < 8, 0.9, 0.1)  # told apart without an error
    found = fit(HeldOut.of(rare, scores), method).of_population(0.01)
    chances = found.probability(np.linspace(0, 1, 1001).astype(np.float32))
    assert (np.diff(chances) >= 0).all()
    assert 0 < chances[0] < chances[-1] < 1
    assert (np.diff(chances.astype(np.float32)) >= 0).all()


def test_scores_that_fall_with_truth_tell_nothing():
    rare, scores = drawn(0.3, 300, gap=-2.0)
    found = fit(HeldOut.of(rare, scores), "platt")
    np.testing.assert_allclose(found.probability([0.1, 0.9]), found.labeled_share)


def test_auto_takes_isotonic_where_rows_suffice():
    few, many = fit(HeldOut.of(*drawn(0.3, 999))), fit(HeldOut.of(*drawn(0.3, 1000)))
    rarer = fit(HeldOut.of(*drawn(0.05, 1000)))
    assert (few.method, many.method, rarer.method) == ("platt", "isotonic", "platt")


def test_prior_shift_multiplies_the_odds():
    found = fit(HeldOut.of(*drawn(0.3, 500)))
    shifted = found.of_population(0.02)
    ratio = (0.02 / 0.98) / (found.labeled_share / (1 - found.labeled_share))
    odds = found.probability([0.2, 0.6]) / (1 - found.probability([0.2, 0.6]))
    expected = ratio * odds
    np.testing.assert_allclose(shifted.probability([0.2, 0.6]), expected / (1 + expected))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.6])
def test_share_among_unlabeled_is_found_and_probabilities_fit_them(share):
    found = fit(HeldOut.of(*drawn(0.3, 3000)))
    rare, scores = drawn(share, 100_000, 5)
    estimate = population_share(found, scores, np.ones(len(scores)))
    assert estimate == pytest.approx(share, rel=0.35)
    chances = found.of_population(estimate).probability(scores)
    top = np.argsort(-chances)[:5000]
    assert chances[top].mean() == pytest.approx(rare[top].mean(), abs=0.08)


def test_share_is_where_the_published_em_ends():
    found = fit(HeldOut.of(*drawn(0.3, 800)))
    scores = drawn(0.1, 5000, 5)[1]
    labeled, now = found.probability(scores), found.labeled_share
    for _ in range(3000):  # Saerens, Latinne and Decaestecker (2002), equation 2.9
        rare = now / found.labeled_share * labeled
        other = (1 - now) / (1 - found.labeled_share) * (1 - labeled)
        now = (rare / (rare + other)).mean()
    assert population_share(found, scores, np.ones(len(scores))) == pytest.approx(now, abs=1e-6)


def test_a_histogram_gives_the_share_of_its_rows():
    found = fit(HeldOut.of(*drawn(0.3, 800)))
    scores, counts = np.unique(drawn(0.1, 5000, 5)[1].round(3), return_counts=True)
    whole = population_share(found, np.repeat(scores, counts), np.ones(5000))
    assert population_share(found, scores, counts) == pytest.approx(whole, abs=1e-9)


def test_a_share_that_scores_do_not_tell_is_not_told():
    rare, scores = drawn(0.3, 300)
    found = fit(HeldOut.of(rare, scores))
    lower, upper = np.full(1000, scores[~rare].min()), np.full(1000, scores[rare].max())
    assert population_share(found, lower, np.ones(1000)) is None  # all more regular than the regular ones
    assert population_share(found, upper, np.ones(1000)) is None
    assert population_share(found, scores[:0], scores[:0]) is None
    blind = fit(HeldOut.of(rare, np.random.default_rng(1).random(300)))
    assert population_share(blind, drawn(0.1, 5000, 3)[1], np.ones(5000)) is None


def test_few_held_out_rows_tell_no_small_share():
    few, many = (fit(HeldOut.of(*drawn(0.5, rows)), "platt") for rows in (30, 3000))
    scores = drawn(0.02, 50_000, 2)[1]
    assert population_share(few, scores, np.ones(len(scores))) is None
    assert population_share(many, scores, np.ones(len(scores))) is not None


@pytest.mark.parametrize("rare", [True, False])
def test_one_class_is_refused(rare):
    with pytest.raises(ValueError, match=r"(0|5) of 5 held-out rows are rare.*calibration = 'none'"):
        fit(HeldOut((rare,) * 5, (0.5,) * 5))
