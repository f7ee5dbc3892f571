"""Integrated gradients: shares of every row add up, and those of known functions are the ones on paper."""

from functools import partial

import numpy as np
import pytest

from tests.training.test_dense_network import INPUTS, RARE, ensemble, random_network
from training.dense_network import mean_log_odds, shares_of
from training.integrated_gradients import HALVINGS, STEPS, TOLERANCE, incompleteness, integrated_gradients


@pytest.fixture
def rows():
    return np.random.default_rng(1).normal(size=(200, INPUTS)).astype(np.float32)


def steep_network():
    """Large weights: many bends, and a log-odds that falls as often as it rises on the way from the reference."""
    network = random_network(5, INPUTS, 40, 40, 4)
    return type(network)(tuple(4 * kernel for kernel in network.kernels), network.biases)


def completed(network, rows, gradient=None, halvings=HALVINGS):
    reference = np.zeros(INPUTS, np.float32)
    slopes = gradient or (lambda some: network.gradient(some, RARE))
    height = partial(network.log_odds, code=RARE)
    shares = integrated_gradients(rows, reference, slopes, height, halvings=halvings)
    return incompleteness(shares, height(rows) - height(reference[None]))


def test_every_row_adds_up_where_the_first_steps_do_not_suffice(rows):
    network = steep_network()
    assert (completed(network, rows, halvings=0) > TOLERANCE).sum() > 10
    assert completed(network, rows).max() <= TOLERANCE


def test_only_the_steps_that_disagree_are_looked_at_again(rows):
    network, seen = steep_network(), []

    def gradient(some):
        seen.append(len(some))
        return network.gradient(some, RARE)

    completed(network, rows, gradient)
    missed = int((completed(network, rows, halvings=0) > TOLERANCE).sum())
    assert seen[:STEPS] == [len(rows)] * STEPS
    assert sum(seen[STEPS:]) < 8 * missed * STEPS


def test_shares_of_a_square_are_those_on_paper(rows):
    """For f(x) = x1 x2 from 0 each of the two has half of it, and the others nothing."""

    def slopes(some):
        slope = np.zeros_like(some)
        slope[:, 0], slope[:, 1] = some[:, 1], some[:, 0]
        return slope

    shares = integrated_gradients(rows, np.zeros(INPUTS, np.float32), slopes, lambda some: some[:, 0] * some[:, 1])
    np.testing.assert_allclose(shares[:, 0], rows[:, 0] * rows[:, 1] / 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(shares[:, 1], shares[:, 0], rtol=1e-4, atol=1e-6)
    assert (shares[:, 2:] == 0).all()


def test_shares_of_a_linear_log_odds_are_coefficient_times_change(rows):
    network, reference = random_network(2, INPUTS, 2), rows.mean(axis=0)
    kernel = network.kernels[0][:, 1] - network.kernels[0][:, 0]
    np.testing.assert_allclose(
        shares_of([network], rows, reference, 1), (rows - reference) * kernel, rtol=1e-3, atol=1e-5
    )


def test_the_reference_itself_has_no_shares(rows):
    assert (shares_of([steep_network()], rows[:1], rows[0], RARE) == 0).all()


def test_an_ensembles_contributions_add_up_to_its_mean_log_odds(rows):
    members = [random_network(seed, INPUTS, 15, 21, 8, 5) for seed in range(3)]
    together = ensemble(*members)
    totals = together.contribution_totals(rows)
    assert incompleteness(together.contributions(rows), totals).max() <= TOLERANCE * 1.001
    inputs = together.scaler.transform(rows)
    by_hand = [one.log_odds(inputs, RARE) - one.log_odds(together.reference[None], RARE) for one in members]
    np.testing.assert_allclose(totals, np.mean(by_hand, axis=0), atol=1e-5)
    np.testing.assert_allclose(mean_log_odds(members, inputs, RARE)[0] - totals[0], mean_log_odds(
        members, together.reference[None], RARE
    )[0], atol=1e-5)  # fmt: skip


def test_a_difference_of_nothing_is_measured_against_a_tenth():
    shares = np.array([[0.05, -0.0495], [1.0, 1.03]])
    np.testing.assert_allclose(incompleteness(shares, np.array([0.0, 2.0])), [0.005, 0.015])
