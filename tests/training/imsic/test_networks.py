"""Generated rows are whole, each factor reads its own columns, and images pass through both networks."""

import numpy as np
import pytest
import torch

from tests.training.imsic import imsic_tables as imsic
from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import codec
from training.torch.augmentation.codec import Layout
from training.torch.course import seeded
from training.torch.imsic import generator
from training.torch.imsic.networks import Causes, Discriminator, Generator

CPU = torch.device("cpu")
FEATURES, LABELS = tables.features_and_labels()
IMAGE = {"image": (2, 12, 8), "network": "convolutional", "generator_channels": (6, 4), "trunk_channels": (3, 4, 5)}


def untrained(**changes):
    found = codec.fit(FEATURES, settings=imsic.tiny(), names=tables.NAMES)
    return found, *generator.untrained(found, imsic.GRAPH, tables.NAMES, classes=3, settings=imsic.tiny(**changes))


def causes(rows, codes=3, noise=6):
    return Causes(torch.randn(rows, noise), torch.arange(rows) % 3, 2 * torch.rand(rows, codes) - 1)


def test_categories_and_missing_numbers_are_whole_and_keep_their_gradient():
    found, network, _ = untrained()
    with seeded(0, device=CPU):
        made = network(causes(200), 0.5)
    layout = found.layout
    numbers, missing = made[:, : layout.numbers], made[:, layout.missing]
    assert set(missing.unique().tolist()) == {0.0, 1.0}
    assert (numbers[:, list(layout.indicators)][missing == 1] == 0).all()
    assert numbers.abs().max() <= 4
    for block in layout.blocks:
        assert set(made[:, block].unique().tolist()) == {0.0, 1.0}
        np.testing.assert_array_equal(made[:, block].detach().sum(dim=1), np.ones(200))
        gradient = torch.autograd.grad(made[:, block.start].sum(), network.body[0].weight, retain_graph=True)[0]
        assert gradient.abs().max() > 0
    gradient = torch.autograd.grad(missing.sum(), network.body[0].weight)[0]
    assert gradient.abs().max() > 0


def test_numbers_of_one_gap_are_missing_together():
    features, _, names = tables.with_a_shared_gap()
    found = codec.fit(features, settings=imsic.tiny(), names=names)
    network, _ = generator.untrained(found, imsic.GRAPH, names, classes=3, settings=imsic.tiny())
    made = network(causes(200), 0.5)
    missing = made[:, found.layout.missing][:, 0] == 1
    assert 0 < missing.sum() < 200
    gone = made[:, : found.layout.numbers] == 0
    assert (gone[missing][:, [2, 3]]).all()
    assert not gone[:, :2].any()
    assert not gone[~missing].any()


def test_a_factor_reads_its_own_columns_alone():
    found, _, discriminator = untrained()
    discriminator.eval()
    rows = torch.from_numpy(found.encode(FEATURES))
    before = discriminator.extract(rows)
    assert before.shape == (len(FEATURES), 3)
    for name, moved in {"size": {0, 2}, "kind": {1, 2}, "whole": {0, 2}, "gaps": {2}}.items():
        changed = rows.clone()
        changed[:, found.sources[tables.NAMES.index(name)]] += 1
        difference = (discriminator.extract(changed) - before).abs().max(dim=0).values
        assert set(torch.nonzero(difference > 1e-6)[:, 0].tolist()) == moved


def test_one_pass_gives_what_two_would():
    found, _, discriminator = untrained()
    rows = torch.from_numpy(found.encode(FEATURES))
    discriminator.eval()
    opinion, factors = discriminator.judge_and_extract(rows)
    np.testing.assert_allclose(factors.detach(), discriminator.extract(rows).detach(), atol=1e-6)
    np.testing.assert_allclose(opinion.logits_BC.detach(), discriminator.judge(rows).logits_BC.detach(), atol=1e-6)


def test_the_code_head_is_not_the_discriminators_to_change():
    _, _, discriminator = untrained()
    own = {id(weight) for weight in discriminator.own_parameters()}
    others = {name for name, weight in discriminator.named_parameters() if id(weight) not in own}
    assert others == {"factors.weight", "factors.bias"}


def test_images_pass_through_the_convolutions():
    settings, layout = imsic.tiny(**IMAGE), Layout(2 * 12 * 8, image=(2, 12, 8))
    with seeded(0, device=CPU):
        network = Generator(layout, classes=3, codes=4, settings=settings)
        discriminator = Discriminator(layout, np.ones((4, 192), bool), classes=3, settings=settings)
        made = network(causes(7, codes=4), 0.5)
    assert made.shape == (7, 192)
    assert made.min() >= 0
    assert made.max() <= 1
    opinion, factors = discriminator.judge_and_extract(made)
    assert (opinion.validity_B.shape, opinion.logits_BC.shape, factors.shape) == ((7,), (7, 3), (7, 4))


def test_mnist_gives_the_512_features_of_the_paper():
    settings, layout = imsic.tiny(image=(1, 28, 28), network="convolutional"), Layout(784, image=(1, 28, 28))
    discriminator = Discriminator(layout, np.ones((4, 784), bool), classes=10, settings=settings)
    assert discriminator.validity.in_features == 512


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "convolutional"}, "no image is given"),
        ({"network": "convolutional", "image": (1, 30, 30)}, "cannot be halved twice"),
        ({"least_distance": 0.5, "greatest_distance": 0.5}, "every row would be refused"),
        ({"structure_weights": (0.3, 1.0), "folds": 0}, "folds is 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        imsic.tiny(**changes)


def test_convolutions_without_an_image_are_refused():
    settings = imsic.tiny(image=(1, 8, 8), network="convolutional")
    with pytest.raises(ValueError, match="need an image's rows"):
        Generator(Layout(64), classes=2, codes=1, settings=settings)
