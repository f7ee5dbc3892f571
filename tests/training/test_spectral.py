"""The layer does what torch's own spectral norm does, to rounding, in values and gradients, pass after pass."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from training.torch.spectral import SpectralLinear


@pytest.fixture
def pair():
    torch.manual_seed(5)
    ours, theirs = SpectralLinear(7, 4).double(), parametrizations.spectral_norm(nn.Linear(7, 4)).double()
    kept = theirs.parametrizations.weight
    with torch.no_grad():
        kept.original.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
        kept[0]._u.copy_(ours.left_H)
        kept[0]._v.copy_(ours.right_C)
    return ours, theirs


def test_values_and_gradients_are_those_of_torch(pair):
    ours, theirs = pair
    steps = [torch.optim.SGD(layer.parameters(), 0.5) for layer in pair]
    for _ in range(5):
        rows = torch.randn(6, 7, dtype=torch.float64)
        found, wanted = ours(rows), theirs(rows)
        torch.testing.assert_close(found, wanted)
        for step, value in zip(steps, (found, wanted), strict=True):
            step.zero_grad()
            value.pow(2).sum().backward()
        torch.testing.assert_close(ours.weight.grad, theirs.parametrizations.weight.original.grad)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
        for step in steps:
            step.step()


def test_two_passes_before_a_gradient_do_not_disturb_each_other(pair):
    ours, theirs = pair
    rows = torch.randn(6, 7, dtype=torch.float64)
    (ours(rows).sum() + ours(2 * rows).pow(2).sum()).backward()
    (theirs(rows).sum() + theirs(2 * rows).pow(2).sum()).backward()
    torch.testing.assert_close(ours.weight.grad, theirs.parametrizations.weight.original.grad)


def test_the_largest_singular_value_becomes_one():
    torch.manual_seed(1)
    layer = SpectralLinear(20, 30)
    for _ in range(200):
        layer(torch.randn(2, 20))
    seen = torch.linalg.matrix_norm((layer(torch.eye(20)) - layer.bias).detach(), 2)
    assert float(seen) == pytest.approx(1, abs=1e-4)


def test_outside_training_nothing_changes_and_parts_add_up():
    layer = SpectralLinear(6, 3).eval()
    rows, before = torch.randn(5, 6), {name: part.clone() for name, part in layer.state_dict().items()}
    found = layer(rows)
    assert all(torch.equal(part, before[name]) for name, part in layer.state_dict().items())
    parts = functional.linear(rows[:, :2], layer.weight[:, :2]) + functional.linear(rows[:, 2:], layer.weight[:, 2:])
    torch.testing.assert_close(layer.scaled(parts), found)
