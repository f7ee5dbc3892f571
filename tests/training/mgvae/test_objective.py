"""Networks, the evidence lower bound of a batch, and the Fisher information."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation.codec import Layout
from training.torch.course import seeded
from training.torch.mgvae import losses, objective
from training.torch.mgvae.networks import MajorityGuidedVAE
from training.torch.mgvae.objective import Batch

TABLE = Layout(3, (2,), (3, 2))
IMAGE = Layout(2 * 8 * 12, image=(2, 8, 12))
CONVOLUTIONAL = {"image": (2, 8, 12), "network": "convolutional", "channels": (4, 6), "residual_blocks": 1}
CPU = torch.device("cpu")


def network(layout=TABLE, **changes):
    with seeded(0, device=CPU):
        return MajorityGuidedVAE(layout, tables.tiny(**changes))


def encoded(rows, layout=TABLE, seed=0):
    random = np.random.default_rng(seed)
    if layout.image:
        return torch.from_numpy(random.random((rows, layout.width), np.float32))
    found = random.normal(size=(rows, layout.width)).astype(np.float32)
    found[:, 3] = random.random(rows) < 0.5
    for block in layout.blocks:
        size = block.stop - block.start
        found[:, block] = np.eye(size)[random.integers(0, size, rows)]
    return torch.from_numpy(found)


def batch(layout=TABLE, rows=9, exemplars=20):
    noise = torch.from_numpy(np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32))
    return Batch(encoded(rows, layout), encoded(exemplars, layout, 2), noise)


@pytest.mark.parametrize(
    ("layout", "changes"),
    [(TABLE, {}), (IMAGE, {"image": (2, 8, 12)}), (IMAGE, CONVOLUTIONAL), (TABLE, {"encoder_variance": "shared"})],
)
def test_networks_of_tables_and_images_have_one_shape(layout, changes):
    vae = network(layout, **changes)
    mean, log_variance = vae.encode(encoded(5, layout))
    assert mean.shape == log_variance.shape == (5, 3)
    made = vae.decode(mean)
    assert made.shape == (5, layout.width)
    terms = objective.negative_elbo(vae, batch(layout), tables.tiny(**changes))
    torch.autograd.backward(sum(terms))
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in vae.parameters())


def test_pixels_are_between_black_and_white():
    made = network(IMAGE, **CONVOLUTIONAL).decode(torch.full((3, 3), 50.0))
    assert made.min() >= 0
    assert made.max() <= 1


def test_the_published_encoder_has_the_priors_variance():
    vae = network(encoder_variance="shared")
    vae.prior_log_variance.data.fill_(-1.25)
    assert (vae.encode(encoded(4)).log_variance_BZ == -1.25).all()
    assert network().encode(encoded(4)).log_variance_BZ.std() > 0


def test_a_row_explained_by_itself_alone_costs_no_kl():
    vae, row = network(encoder_variance="shared"), encoded(1)
    noise = torch.zeros((1, 3)) + 0.3
    terms = objective.negative_elbo(vae, Batch(row, row, noise), tables.tiny(encoder_variance="shared"))
    assert terms.kl.item() == pytest.approx(0, abs=1e-4)


def test_the_bound_is_made_of_its_terms():
    settings, vae, given = tables.tiny(), network(), batch()
    with torch.no_grad():
        mean, log_variance = vae.encode(given.rows_BW)
        z = mean + given.noise_BZ * (log_variance / 2).exp()
        prior = losses.log_mixture_prior(z, vae.encode(given.exemplars_SW).mean_BZ, vae.prior_log_variance)
        kl = (losses.gaussian_log_density(z, mean, log_variance) - prior).mean()
        made = vae.decode(z)
        there = torch.ones((9, 3))
        there[:, 2] -= given.rows_BW[:, 3]
        error = losses.calibrated_error(given.rows_BW[:, :3], made[:, :3], there, vae.variance_V)
        error = error + losses.missing_error(given.rows_BW[:, 3:4], made[:, 3:4])
        for block in (slice(4, 7), slice(7, None)):
            chosen = given.rows_BW[:, block].argmax(dim=1)
            error = error + functional.cross_entropy(made[:, block], chosen, reduction="none")
        found = objective.negative_elbo(vae, given, settings)
    assert found.kl.item() == pytest.approx(kl.item(), abs=1e-5)
    assert found.reconstruction.item() == pytest.approx(error.mean().item(), abs=1e-5)


def test_gradients_flow_through_the_exemplars():
    vae, given = network(), batch()
    given.exemplars_SW.requires_grad_()
    terms = objective.negative_elbo(vae, given, tables.tiny())
    (gradient,) = torch.autograd.grad(terms.kl, given.exemplars_SW)
    assert gradient.abs().sum() > 0


def test_the_gaussian_prior_knows_no_exemplar():
    vae, given = network(), batch()
    settings = tables.tiny(prior="gaussian")
    other = given._replace(exemplars_SW=encoded(20, seed=9))
    with torch.no_grad():
        assert objective.negative_elbo(vae, given, settings) == objective.negative_elbo(vae, other, settings)


def test_the_variance_follows_the_squared_error_of_what_is_there():
    vae, rows = network(), encoded(50)
    made = torch.zeros_like(rows)
    for _ in range(200):
        objective.update_variance(vae, rows, made, floor=1e-3)
    missing = rows[:, 3] > 0
    assert vae.variance_V[:2].numpy() == pytest.approx(rows[:, :2].square().mean(dim=0).numpy(), rel=1e-3)
    assert vae.variance_V[2].item() == pytest.approx((rows[:, 2].square() * ~missing).mean().item(), rel=1e-3)


def test_an_image_has_one_variance():
    vae = network(IMAGE, image=(2, 8, 12))
    objective.negative_elbo(vae, batch(IMAGE), tables.tiny(), calibrate=True)
    assert vae.variance_V.shape == (1,)
    assert 0.9 < vae.variance_V.item() < 1


@pytest.mark.parametrize("kind", ["normalized", "published"])
def test_fisher_information_is_finite_and_not_negative(kind):
    vae = network()
    found = objective.fisher_information(vae, encoded(30), tables.tiny(fisher=kind), random=np.random.default_rng(0))
    assert [part.shape for part in found] == [weight.shape for weight in vae.parameters()]
    for part in found:
        assert part.isfinite().all()
        assert (part >= 0).all()
    mean = torch.cat([part[part > 0] for part in found]).mean().item()
    assert (0.3 < mean <= 1.0001) == (kind == "normalized")


def test_published_fisher_information_is_of_the_first_rows():
    vae, rows = network(), encoded(30)
    settings = tables.tiny(fisher="published", exemplar_draw="published", fisher_rows=4)
    seen = [made.rows_BW for made in objective._own_rows(vae, rows, settings, 4, np.random.default_rng(0))]
    random = np.random.default_rng(0)
    with torch.no_grad():
        code = objective.from_prior(vae, rows[:1], objective.noise(random, 1, settings, CPU))
        np.testing.assert_array_equal(seen[0], objective.hard(vae, vae.decode(code), random))
    assert len(seen) == 4


def test_exemplars_are_distinct_unless_as_published():
    random = np.random.default_rng(0)
    assert len(set(objective.draw_exemplars(60, tables.tiny(), random).tolist())) == 40
    assert len(objective.draw_exemplars(30, tables.tiny(), random)) == 30
    published = objective.draw_exemplars(60, tables.tiny(exemplar_draw="published"), random)
    assert len(set(published.tolist())) < len(published) == 40


def test_categories_are_drawn_as_often_as_is_likely():
    vae, rows = network(), 20_000
    chance = np.array([0.7, 0.2, 0.1])
    outputs = torch.zeros((rows, TABLE.width))
    outputs[:, 3] = float(np.log(0.25 / 0.75))
    outputs[:, 4:7] = torch.from_numpy(np.log(chance)).float()
    made = objective.hard(vae, outputs, np.random.default_rng(0))
    np.testing.assert_allclose(made[:, 4:7].mean(dim=0), chance, atol=0.02)
    assert made[:, 3].mean().item() == pytest.approx(0.25, abs=0.02)
    likeliest = objective.hard(vae, outputs, None)
    assert likeliest[:, 4].min() == 1
    assert likeliest[:, 3].max() == 0
