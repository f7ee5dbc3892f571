"""The attention among a row's features: what it gives, and its gradients, which are written by hand."""

import pytest
import torch

from training.torch.qast import attention


def given(rows, width, *, spread=1.0):
    generator = torch.Generator().manual_seed(0)
    sizes = (width, max(1, width // 4), max(1, width // 4))
    return [
        (spread * torch.randn(rows, size, generator=generator, dtype=torch.float64)).requires_grad_() for size in sizes
    ]


@pytest.fixture(params=[1, 60, 2**18])
def blocks(request, monkeypatch):
    """Let a block hold one row, a few, or all."""
    monkeypatch.setattr(attention, "CACHED_CELLS", request.param)


@pytest.mark.parametrize("width", [1, 3, 9])
@pytest.mark.usefixtures("blocks")
def test_gradients_and_their_gradients_are_those_by_differences(width):
    rows = given(5, width)
    assert torch.autograd.gradcheck(attention.attend, rows)
    assert torch.autograd.gradgradcheck(attention.attend, rows)


@pytest.mark.parametrize("spread", [1.0, 40.0])  # scores up to some thousands
@pytest.mark.usefixtures("blocks")
def test_all_of_it_is_as_by_torchs_own_steps(spread):
    ours, theirs = given(7, 12, spread=spread), given(7, 12, spread=spread)
    found, expected = attention.attend(*ours), attention.attend_plainly(*theirs)
    torch.testing.assert_close(found, expected)
    first = torch.autograd.grad(found.square().sum(), ours, create_graph=True)
    same = torch.autograd.grad(expected.square().sum(), theirs, create_graph=True)
    torch.testing.assert_close(first, same)
    again = torch.autograd.grad(sum(part.square().sum() for part in first), ours)
    torch.testing.assert_close(again, torch.autograd.grad(sum(part.square().sum() for part in same), theirs))


@pytest.mark.usefixtures("blocks")
def test_no_rows_give_none():
    assert attention.attend(*given(0, 8)).shape == (0, 8)
