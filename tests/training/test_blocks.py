"""All blocks drawn at once are what each would be by itself."""

import pytest
import torch
from torch.nn import functional

from training.torch.augmentation.blocks import Blocks
from training.torch.course import seeded

CPU = torch.device("cpu")
SIZES = (2, 5, 1, 3)
BLOCKS = (slice(0, 2), slice(2, 7), slice(7, 8), slice(8, 11))


def drawn(logits, temperature=0.5, seed=0):
    with seeded(seed, device=CPU):
        return Blocks(SIZES).draw(logits, temperature)


def test_each_block_is_one_category_drawn_by_its_chances():
    logits = torch.randn(1, 11).repeat(20_000, 1)
    found = drawn(logits)
    for block in BLOCKS:
        assert set(found[:, block].unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(found[:, block].sum(dim=1), torch.ones(20_000))
        torch.testing.assert_close(found[:, block].mean(dim=0), logits[0, block].softmax(dim=0), atol=0.015, rtol=0)


def test_values_and_gradients_are_those_of_a_draw_for_each_block():
    logits, weights = torch.randn(50, 11, requires_grad=True), torch.randn(50, 11)
    found = drawn(logits, 0.7)
    (gradient,) = torch.autograd.grad((found * weights).sum(), logits)
    with seeded(0, device=CPU):
        gumbel = -torch.empty(50, 11).exponential_().log()
    soft = torch.cat([((logits + gumbel)[:, block] / 0.7).softmax(dim=1) for block in BLOCKS], dim=1)
    (wanted,) = torch.autograd.grad((soft * weights).sum(), logits)
    torch.testing.assert_close(gradient, wanted)
    hard = [functional.one_hot(soft[:, block].argmax(dim=1), block.stop - block.start) for block in BLOCKS]
    assert torch.equal(found.detach(), torch.cat(hard, dim=1).float())


@pytest.mark.parametrize("scale", [1e4, 1e-4])
def test_logits_far_apart_or_alike_give_numbers(scale):
    logits = (scale * torch.randn(200, 11)).requires_grad_()
    found = drawn(logits, 0.2)
    (gradient,) = torch.autograd.grad((found * torch.arange(11.0)).sum(), logits)
    assert torch.isfinite(found).all()
    assert torch.isfinite(gradient).all()


def test_log_probabilities_and_their_gradients_are_those_of_each_block():
    logits, weights = (20 * torch.randn(50, 11, dtype=torch.float64)).requires_grad_(), torch.randn(50, 11)
    found = Blocks(SIZES).double().log_softmax(logits)
    wanted = torch.cat([logits[:, block].log_softmax(dim=1) for block in BLOCKS], dim=1)
    torch.testing.assert_close(found, wanted)
    gradients = [torch.autograd.grad((each * weights).sum(), logits)[0] for each in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_of_equal_scores_the_first_is_taken():
    wanted = torch.tensor([[1.0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0]])
    assert torch.equal(Blocks(SIZES).one_hot(torch.zeros(1, 11)), wanted)


def test_a_table_without_categories_passes():
    blocks, nothing = Blocks(()), torch.empty(4, 0)
    assert (
        blocks.draw(nothing, 0.5).shape == blocks.log_softmax(nothing).shape == blocks.one_hot(nothing).shape == (4, 0)
    )
