"""As many units are left out as asked for, each as likely as any other, and the mean stays."""

import pytest
import torch

from training.torch.course import seeded
from training.torch.dropout import Dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_a_share_is_left_out_and_the_rest_made_larger(share):
    rows = torch.ones(501, 203)  # no multiple of the units of a draw
    with seeded(3, device=CPU):
        found = Dropout(share)(rows)
    assert found.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-3)
    kept = (found != 0).double()
    assert kept.mean() == pytest.approx(1 - share, abs=0.006)  # four standard deviations at a share of a half
    assert (kept.mean(dim=0) - (1 - share)).abs().max() < 0.1  # and so in each column
    neighbors = torch.corrcoef(torch.stack([kept[:, :-1].reshape(-1), kept[:, 1:].reshape(-1)]))[0, 1]
    assert abs(neighbors) < 0.015  # units drawn by one random number know nothing of each other


def test_a_seed_gives_the_same_units_and_another_one_others():
    rows = torch.ones(40, 40)
    found = []
    for seed in (1, 1, 2):
        with seeded(seed, device=CPU):
            found.append(Dropout(0.5)(rows))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_gradient_is_of_the_units_that_are_kept():
    rows = torch.ones(30, 20, requires_grad=True)
    found = Dropout(0.25)(rows)
    (gradient,) = torch.autograd.grad(found.sum(), rows)
    assert torch.equal(gradient, found.detach())


def test_nothing_is_left_out_when_not_training_or_of_no_share_and_all_of_a_whole_one():
    rows = torch.randn(9, 5)
    assert torch.equal(Dropout(0.5).eval()(rows), rows)
    assert torch.equal(Dropout(0.0)(rows), rows)
    assert torch.equal(Dropout(1.0)(rows), torch.zeros(9, 5))
    assert Dropout(0.5)(rows[:0]).shape == (0, 5)
