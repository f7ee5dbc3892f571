"""The structure loss against numpy, what it must be at some known codes, and why the released one could not work."""

import numpy as np
import pytest
import torch

from training.torch.augmentation.codec import Layout
from training.torch.course import seeded
from training.torch.imsic import structure
from training.torch.imsic.graph import Factor, Graph
from training.torch.imsic.networks import Causes, Discriminator, Generator
from training.torch.imsic.settings import IMSICSettings
from training.torch.imsic.structure import RIDGE, Structure

CPU = torch.device("cpu")
GRAPH = Graph(factors=(Factor(name="a"), Factor(name="b"), Factor(name="c"), Factor(name="d", parents=("b", "c", "d"))))
CHAIN = Graph(factors=(Factor(name="a"), Factor(name="b", extracted=("a",)), Factor(name="c", forbidden=("b",))))
NEAR = {"atol": 1e-5}


def uniform(rows, columns=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (rows, columns)).astype(np.float32))


def of(graph):
    return Structure.of(graph, CPU)


def expected_fit(codes, factors, graph):
    targets = codes @ graph.weights().T + factors @ graph.extracted_weights().T
    return sum(((factors[:, k] - targets[:, k]) ** 2).mean() * 3 for k in range(codes.shape[1]))


def expected_forbidden(codes, factors, graph):
    total = 0.0
    for k in range(codes.shape[1]):
        parents = np.hstack([codes[:, graph.weights()[k] != 0], factors[:, graph.extracted_weights()[k] != 0]])
        parents = parents - parents.mean(axis=0)

        def rest(column, parents=parents):
            centered = column - column.mean()
            square = parents.T @ parents / len(parents) + RIDGE * np.eye(parents.shape[1])
            return centered - parents @ np.linalg.solve(square, parents.T @ centered / len(parents))

        for j in np.flatnonzero(graph.forbidden()[k]):
            covariance = (rest(factors[:, k]) * rest(codes[:, j])).mean()
            total += covariance**2 / (factors[:, k].var() * (rest(codes[:, j]) ** 2).mean())
    return total


@pytest.mark.parametrize("graph", [GRAPH, CHAIN], ids=["codes", "extracted"])
def test_both_terms_are_those_of_numpy(graph):
    codes, factors = uniform(200, len(graph.names)), uniform(200, len(graph.names), 1) + uniform(200, len(graph.names))
    arrays = codes.numpy().astype(float), factors.numpy().astype(float)
    fit, forbidden = expected_fit(*arrays, graph), expected_forbidden(*arrays, graph)
    np.testing.assert_allclose(structure.fit_loss(codes, factors, of(graph)), fit, rtol=1e-4)
    np.testing.assert_allclose(structure.forbidden_loss(codes, factors, of(graph)), forbidden, rtol=1e-3)
    whole = structure.structure_loss(codes, factors, of(graph), 0.3)
    np.testing.assert_allclose(whole, fit + 0.3 * forbidden, rtol=1e-4)


def test_factors_that_are_their_targets_fit_and_others_do_not():
    codes = uniform(4000)
    factors = codes @ of(GRAPH).weights_KK.T
    assert structure.fit_loss(codes, factors, of(GRAPH)) == pytest.approx(0, abs=1e-6)
    shuffled = factors[torch.from_numpy(np.random.default_rng(0).permutation(4000))]
    assert structure.fit_loss(codes, shuffled, of(GRAPH)) >= 1.5
    assert structure.fit_loss(codes, factors[:, [1, 0, 2, 3]], of(GRAPH)) >= 1.5


def test_a_target_varies_as_a_code_does():
    codes = uniform(20_000)
    np.testing.assert_allclose((codes @ of(GRAPH).weights_KK.T).var(dim=0), [1 / 3] * 4, atol=0.01)


def test_independent_factors_show_no_forbidden_code_and_a_copied_one_does():
    normal = torch.from_numpy(np.random.default_rng(2).normal(size=(4000, 8)).astype(np.float32))
    codes, factors = normal[:, :4], normal[:, 4:].clone()
    edges = int(GRAPH.forbidden().sum())
    assert structure.forbidden_loss(codes, factors, of(GRAPH)) < 0.01 * edges
    factors[:, 0] = codes[:, 1]
    assert structure.forbidden_loss(codes, factors, of(GRAPH)) == pytest.approx(1, abs=0.05)


def test_parents_explain_what_they_share_with_a_forbidden_code():
    codes = uniform(4000)
    tied = codes.clone()
    tied[:, 1] = codes[:, 0] + 0.1 * codes[:, 1]  # a code that goes along with the parent of factor a
    factors = codes @ of(GRAPH).weights_KK.T
    only_a = Graph(factors=(Factor(name="a"), Factor(name="b", forbidden=())))
    assert np.corrcoef(factors[:, 0], tied[:, 1])[0, 1] > 0.9
    assert structure.forbidden_loss(tied[:, :2], factors[:, :2], of(only_a)) < 0.01


def test_the_scale_of_factors_does_not_change_the_forbidden_term():
    codes, factors = uniform(500), uniform(500, seed=1) + 0.5 * uniform(500)[:, [1, 0, 3, 2]]
    scaled = factors * torch.tensor([0.01, 3.0, 100.0, 7.0])
    before, after = (structure.forbidden_loss(codes, some, of(GRAPH)) for some in (factors, scaled))
    assert before > 0.1
    np.testing.assert_allclose(after, before, rtol=1e-3)


def networks():
    settings, layout = IMSICSettings(image=(1, 8, 8), brightest=16.0, units=(64,)), Layout(64, image=(1, 8, 8))
    with seeded(0, device=CPU):
        columns = np.ones((4, 64), bool)
        discriminator = Discriminator(layout, columns, classes=3, settings=settings)
        generator = Generator(layout, classes=3, codes=4, settings=settings)
        causes = Causes(torch.randn(64, settings.noise_dim), torch.arange(64) % 3, uniform(64))
        return generator, discriminator, causes, discriminator.extract(generator(causes, 0.5))


def test_at_first_it_is_above_0_and_moves_code_head_and_generator():
    generator, discriminator, causes, factors = networks()
    loss = structure.structure_loss(causes.codes_BK, factors, of(GRAPH), 0.3)
    assert loss > 0
    torch.autograd.backward(loss)
    for weight in (discriminator.factors.weight, *generator.parameters()):
        assert weight.grad is not None
    assert discriminator.factors.weight.grad.abs().max() > 1e-3
    assert generator.body[0].weight.grad.abs().max() > 1e-6


def as_released(codes, factors):
    """Return the released loss (B.3 of the description): 0 wherever N + N2 > P."""
    mean = ((factors[:, None, :] - codes[:, :, None]) ** 2).mean(dim=0)  # [input code, extracted]
    wanted = [(0, 0), (1, 1), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3)]
    unwanted = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    positive, negative = (sum(mean[pair] for pair in pairs) for pairs in (wanted, unwanted))
    second = sum(mean[code, factor] for factor in range(4) for code in range(factor, 4))
    return torch.clamp(positive - negative - second, min=0)


def test_the_released_loss_is_constant_at_first():
    generator, discriminator, causes, factors = networks()
    loss = as_released(causes.codes_BK, factors)
    assert loss == 0
    torch.autograd.backward(loss)
    assert discriminator.factors.weight.grad.abs().max() == 0
    assert all(weight.grad.abs().max() == 0 for weight in generator.parameters())
