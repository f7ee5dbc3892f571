"""Sizes, activations and conditioning of QAST's networks (B.3)."""

import numpy as np
import pytest
import torch

from training.torch.qast import networks
from training.torch.qast.encoder import Block

BLOCKS = (
    Block(0, 1, "value"),
    Block(1, 3, "modes"),
    Block(4, 5, "categories"),
    Block(9, 1, "value"),
    Block(10, 2, "modes"),
)
CPU = torch.device("cpu")


def generator(labels="onehot", initialization="identity", blocks=BLOCKS, classes=3):
    torch.manual_seed(0)
    return networks.Generator(blocks, classes, labels=labels, initialization=initialization)


def made(network, codes, noise=None):
    labels = torch.eye(3)[codes]
    noise = network.noise(len(codes)) if noise is None else noise
    return network(noise[:, : network.width], labels, noise[:, network.width :])


def parameters(network):
    return sum(part.numel() for part in network.parameters())


def test_classifier_has_the_published_number_of_parameters():
    assert parameters(networks.Classifier(72, 10)) == 20_599  # of the authors' C and S on CWRU 1:20


def test_generator_has_the_published_number_of_values():
    blocks = (Block(0, 9, "value"), Block(9, 63, "modes"))
    network = generator("scalar", "small", blocks, classes=10)
    assert sum(part.numel() for part in network.state_dict().values()) == pytest.approx(960_000, rel=0.005)


@pytest.mark.parametrize(
    ("width", "units"),
    [
        (63, [64, 128, 256, 512, 256, 128, 64]),
        (64, [128, 256, 512, 256, 128]),
        (128, [256, 512, 256]),
        (256, [512, 1024, 512]),
    ],
)
def test_generator_sizes_follow_the_encoded_width(width, units):
    network = generator("scalar", blocks=(Block(0, width, "modes"),))
    assert [layer.bottleneck.first.out_features for layer in network.layers] == units
    assert network.layers[0].bottleneck.first.in_features == width + 1


@pytest.mark.parametrize(
    ("width", "units"), [(63, [32, 16]), (127, [64, 32, 16]), (255, [128, 64, 32, 16]), (256, [256, 128, 64, 32, 16])]
)
def test_discriminator_sizes_follow_the_encoded_width(width, units):
    network = networks.Discriminator(width, 4, labels="scalar")
    found = [part.first.out_features for part in network.body if isinstance(part, networks.Bottleneck)]
    assert found == units


@pytest.mark.parametrize(
    ("width", "classes", "units"),
    [
        (256, 16, [256, 128, 64, 32, 16]),
        (128, 8, [128, 64, 32, 16, 8]),
        (127, 7, [64, 32, 16, 8, 7]),
    ],
)
def test_classifier_sizes_follow_width_and_classes(width, classes, units):
    network = networks.Classifier(width, classes)
    bottlenecks = [part.first.out_features for part in network.body if isinstance(part, networks.Bottleneck)]
    linear = [part.out_features for part in network.body if isinstance(part, torch.nn.Linear)]
    assert bottlenecks + linear == units


def test_activations_give_values_in_range_and_one_choice_a_block():
    rows = networks.Activations(BLOCKS)(3 * torch.randn(200, 12)).numpy()
    for block in BLOCKS:
        part = rows[:, block.start : block.start + block.size]
        if block.kind == "value":
            assert np.abs(part).max() <= 1
        else:
            np.testing.assert_allclose(np.sort(part, axis=1)[:, :-1], 0, atol=1e-6)
            np.testing.assert_allclose(part.max(axis=1), 1, atol=1e-6)


def test_activations_keep_the_columns_in_place():
    outputs = torch.full((1, 12), -50.0)
    outputs[0, [2, 7, 11]] = 50.0
    outputs[0, 9] = 0.3
    expected = [-1, 0, 1, 0, 0, 0, 0, 1, 0, np.tanh(0.3), 0, 1]
    np.testing.assert_allclose(networks.Activations(BLOCKS)(outputs)[0].numpy(), expected, atol=1e-6)


def test_activations_of_values_alone_need_no_choice():
    rows = networks.Activations((Block(0, 2, "value"), Block(2, 1, "value")))(torch.tensor([[0.1, 0.2, 0.3]]))
    np.testing.assert_allclose(rows.numpy(), np.tanh([[0.1, 0.2, 0.3]]), rtol=1e-6)


def test_choices_are_drawn_by_their_probabilities():
    torch.manual_seed(0)
    outputs = torch.log(torch.tensor([0.5, 0.3, 0.2])).repeat(20_000, 1)
    shares = networks.Activations((Block(0, 3, "categories"),))(outputs).mean(dim=0)
    np.testing.assert_allclose(shares.numpy(), [0.5, 0.3, 0.2], atol=0.015)


def test_choices_pass_a_gradient_on():
    outputs = torch.randn(5, 12, requires_grad=True)
    (networks.Activations(BLOCKS)(outputs) * torch.arange(1, 13)).sum().backward()
    assert torch.isfinite(outputs.grad).all()
    assert (outputs.grad != 0).any(dim=0).all()


def test_published_initialization_makes_all_but_a_constant_map():
    noise = generator().noise(64)
    spread = {}
    for initialization in ("small", "identity"):
        network = generator("scalar", initialization)
        network.attention.register_forward_hook(
            lambda module, rows, out, name=initialization: spread.update({name: float(out.detach().std(dim=0).mean())})
        )
        made(network, torch.arange(64) % 3, noise)
    assert spread["small"] < 0.2
    assert spread["identity"] > 3 * spread["small"]


@pytest.mark.parametrize("labels", ["onehot", "scalar"])
def test_generator_heeds_label_and_noise(labels):
    network = generator(labels).eval()
    noise = network.noise(1)
    raw = []
    network.activations.register_forward_hook(lambda module, rows, out: raw.append(rows[0].detach()))
    for code, numbers in ((0, noise), (1, noise), (0, network.noise(1))):
        made(network, torch.tensor([code]), numbers)
    assert not torch.equal(raw[0], raw[1])
    assert not torch.equal(raw[0], raw[2])


def test_generator_is_trained_in_every_part():
    network = generator()
    with torch.no_grad():
        network.attention.strength.fill_(1.0)
    made(network, torch.arange(30) % 3).square().sum().backward()
    assert [name for name, part in network.named_parameters() if part.grad is None] == []


def test_projection_tells_classes_apart_without_an_order_of_them():
    torch.manual_seed(0)
    network = networks.Discriminator(4, 3, labels="onehot").eval()
    rows = torch.randn(1, 4)
    features = network.body(rows)
    logits = network(network.inputs(rows.repeat(3, 1), torch.eye(3)), torch.eye(3))
    expected = network.last(features)[:, 0] + (network.projection.weight.T * features).sum(dim=1)
    torch.testing.assert_close(logits, expected)


def test_scalar_labels_are_one_more_input():
    network = networks.Discriminator(4, 3, labels="scalar")
    inputs = network.inputs(torch.zeros(3, 4), torch.eye(3))
    np.testing.assert_array_equal(inputs[:, 4].numpy(), [0, 1, 2])


def test_attention_is_that_of_each_row_alone():
    torch.manual_seed(0)
    network = networks.FeatureAttention(8)
    with torch.no_grad():
        network.strength.fill_(0.7)
    row = torch.randn(1, 8)
    q, k, v = (part(row)[0].detach().numpy() for part in (network.query, network.key, network.value))
    weights = np.exp(np.outer(q, k))
    weights /= weights.sum(axis=1, keepdims=True)
    found = network(torch.cat([row, torch.randn(3, 8)]))[0].detach().numpy()
    np.testing.assert_allclose(found, row[0].numpy() + 0.7 * weights @ v, rtol=1e-5)


def test_truncated_normal_has_the_moments_of_one():
    torch.manual_seed(0)
    drawn = networks.truncated_normal(200_000, device=CPU)
    assert drawn.abs().max() <= networks.CUT + 1e-4
    assert float(drawn.mean()) == pytest.approx(0, abs=0.01)
    # variance of N(0, 1) cut at c: 1 - 2 c phi(c) / (2 Phi(c) - 1)
    assert float(drawn.var()) == pytest.approx(1 - 5 * 0.0175283 / 0.9875807, abs=0.01)
