"""The terms of MGVAE's objective beside short references in numpy and torch.distributions."""

import numpy as np
import pytest
import torch
from torch import distributions

from training.torch.mgvae import losses

RANDOM = np.random.default_rng(0)
Z, MEANS = RANDOM.normal(size=(7, 3)), RANDOM.normal(size=(5, 3)) * 2
LOG_VARIANCES = RANDOM.normal(size=(7, 3))
VALUES, MADE = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 4))
PRESENT = (RANDOM.random((6, 4)) < 0.7).astype(float)


def tensor(array):
    return torch.tensor(array, dtype=torch.float32)


def test_gaussian_log_density():
    variance = np.exp(LOG_VARIANCES)
    expected = (-0.5 * (Z - MEANS[0]) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)).sum(axis=1)
    found = losses.gaussian_log_density(tensor(Z), tensor(MEANS[0]), tensor(LOG_VARIANCES))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("log_variance", [-3.0, 0.0, 1.5])
def test_log_mixture_prior(log_variance):
    squares = ((Z[:, None] - MEANS[None]) ** 2).sum(axis=2)
    each = -0.5 * squares / np.exp(log_variance) - 1.5 * (np.log(2 * np.pi) + log_variance)
    expected = np.log(np.exp(each).mean(axis=1))
    np.testing.assert_allclose(mixture(log_variance), expected, atol=1e-4)


@pytest.mark.parametrize("log_variance", [-3.0, 0.0, 1.5])
def test_log_mixture_prior_is_that_of_torch(log_variance):
    spread = torch.full((5, 3), float(np.exp(log_variance / 2)))
    components = distributions.Independent(distributions.Normal(tensor(MEANS), spread), 1)
    prior = distributions.MixtureSameFamily(distributions.Categorical(torch.ones(5)), components)
    np.testing.assert_allclose(mixture(log_variance), prior.log_prob(tensor(Z)), atol=1e-4)


def mixture(log_variance, excluded=None):
    return losses.log_mixture_prior(tensor(Z), tensor(MEANS), torch.tensor(log_variance), excluded)


def test_an_excluded_component_does_not_count():
    excluded = torch.zeros((7, 5), dtype=torch.bool)
    excluded[:, 2] = True
    others = tensor(np.delete(MEANS, 2, axis=0))
    expected = losses.log_mixture_prior(tensor(Z), others, torch.tensor(0.3))
    np.testing.assert_allclose(mixture(0.3, excluded), expected, atol=1e-5)


def test_one_component_equal_to_the_posterior_costs_nothing():
    log_variance = torch.tensor(0.7)
    same = losses.gaussian_log_density(tensor(Z), tensor(MEANS[0]), log_variance.expand(7, 3))
    np.testing.assert_allclose(losses.log_mixture_prior(tensor(Z), tensor(MEANS[:1]), log_variance), same, atol=1e-4)


@pytest.mark.parametrize("apart", [0.5, 2.0])
def test_with_one_component_the_kl_is_positive_where_means_differ(apart):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn((20_000, 3), generator=generator)
    posterior = losses.standard_log_prior(z)
    mean = torch.full((1, 3), apart)
    kl = (posterior - losses.log_mixture_prior(z, mean, torch.tensor(0.0))).mean()
    assert float(kl) == pytest.approx(1.5 * apart**2, rel=0.05)


def test_standard_log_prior():
    expected = (-0.5 * Z**2 - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(losses.standard_log_prior(tensor(Z)), expected, atol=1e-5)


def test_squared_error_counts_what_is_there():
    expected = [
        sum((x - y) ** 2 for x, y, there in zip(*row, strict=True) if there)
        for row in zip(VALUES, MADE, PRESENT, strict=True)
    ]
    found = losses.squared_error(tensor(VALUES), tensor(MADE), tensor(PRESENT))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_calibrated_error_is_the_gaussian_density_but_for_a_constant():
    variance = np.array([0.1, 0.5, 1.0, 3.0])
    density = -0.5 * (VALUES - MADE) ** 2 / variance - 0.5 * np.log(variance)
    found = losses.calibrated_error(tensor(VALUES), tensor(MADE), tensor(PRESENT), tensor(variance))
    np.testing.assert_allclose(found, -(density * PRESENT).sum(axis=1), atol=1e-4)


def test_calibrated_error_is_least_where_the_variance_is_the_mean_squared_error():
    best = ((VALUES - MADE) ** 2).mean(axis=0)
    ones = torch.ones((6, 4))
    found = [
        float(losses.calibrated_error(tensor(VALUES), tensor(MADE), ones, tensor(best * factor)).sum())
        for factor in (0.8, 1.0, 1.25)
    ]
    assert found[1] < min(found[0], found[2])


def test_missing_error():
    chance = 1 / (1 + np.exp(-MADE))
    expected = -(PRESENT * np.log(chance) + (1 - PRESENT) * np.log(1 - chance)).sum(axis=1)
    np.testing.assert_allclose(losses.missing_error(tensor(PRESENT), tensor(MADE)), expected, atol=1e-5)


def test_running_variance_follows_the_error_down_to_a_floor():
    before = tensor(np.array([1.0, 1.0, 1.0, 1e-6]))
    found = losses.running_variance(before, tensor(VALUES), tensor(MADE), decay=0.75, floor=1e-3)
    expected = 0.75 * before.numpy() + 0.25 * ((VALUES - MADE) ** 2).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    same = losses.running_variance(before, tensor(VALUES), tensor(VALUES), decay=0.0, floor=1e-3)
    np.testing.assert_allclose(same, 1e-3)


def test_warm_up_rises_to_one_and_stays():
    assert [losses.warm_up(step, 100, 0.2) for step in (0, 5, 10, 20, 99)] == [0.0, 0.25, 0.5, 1.0, 1.0]
    assert losses.warm_up(0, 100, 0.0) == 1.0


WEIGHTS = [RANDOM.normal(size=(3, 2)), RANDOM.normal(size=4)]
FISHER = [RANDOM.random((3, 2)), RANDOM.random(4)]


def penalty(shift):
    moved = [tensor(weight + shift).requires_grad_() for weight in WEIGHTS]
    return moved, losses.ewc_penalty(moved, [tensor(w) for w in WEIGHTS], [tensor(f) for f in FISHER])


def test_ewc_penalty_is_a_parabola_weighted_by_the_fisher_information():
    total = sum(part.sum() for part in FISHER)
    for shift in (0.1, 0.2, -0.4):
        assert penalty(shift)[1].item() == pytest.approx(shift**2 * total, rel=1e-4)


def test_ewc_penalty_has_neither_value_nor_gradient_at_the_anchor():
    weights, value = penalty(0.0)
    assert value.item() == 0
    assert all(not gradient.any() for gradient in torch.autograd.grad(value, weights))


def test_fisher_information_is_scaled_to_mean_one_and_clipped():
    raw = np.concatenate([np.zeros(500), RANDOM.random(5000), [1e6]])
    positive = raw[raw > 0]
    expected = np.minimum(raw, np.sort(positive)[int(np.ceil(0.999 * len(positive))) - 1]) / positive.mean()
    found = losses.normalized_fisher([tensor(raw[:2000].reshape(2, -1)), tensor(raw[2000:])])
    assert found[0].shape == (2, 1000)
    np.testing.assert_allclose(torch.cat([part.flatten() for part in found]), expected, rtol=1e-4)
    scaled = losses.normalized_fisher([tensor(raw[:2000].reshape(2, -1) * 100), tensor(raw[2000:] * 100)])
    np.testing.assert_allclose(scaled[1], found[1], rtol=1e-4)


def test_no_information_at_all_is_no_penalty():
    assert not losses.normalized_fisher([torch.zeros(3)])[0].any()
