"""Members trained at once, and their way into numpy."""

import numpy as np
import pytest
import torch

from training.dense_network import SLOPE
from training.torch.embedded import Embedded
from training.torch.member_networks import RELU, Members, batches, mean_chances

ROWS = np.random.default_rng(0).normal(size=(9, 12)).astype(np.float32)


@pytest.mark.parametrize("embedded", [(), (Embedded(2, 8, 3), Embedded(8, 11, 2))], ids=["plain", "embedded"])
@pytest.mark.parametrize("slope", [RELU, 0.2], ids=["relu", "leaky"])
def test_numpy_gives_the_logits_of_torch(embedded, slope):
    members = Members([12, 7, 5, 3], [0, 1], embedded=embedded, slope=slope)
    with torch.no_grad():
        for bias in members.biases:
            bias.normal_(generator=torch.Generator().manual_seed(0))
        expected = members(torch.from_numpy(ROWS).expand(2, 9, 12)).numpy()
    for number, network in enumerate(members.export()):
        np.testing.assert_allclose(network.logits(ROWS), expected[number], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "blocks", [[(2, 8, 3), (8, 11, 2)], [(0, 4, 2), (6, 12, 3)], [(0, 12, 2)]], ids=["inside", "at both ends", "all"]
)
def test_a_block_enters_as_its_embedding(blocks):
    members = Members([12, 4, 2], [0, 1], embedded=[Embedded(*block) for block in blocks])
    plain = [place for place in range(12) if not any(start <= place < stop for start, stop, _ in blocks)]
    for member, network in enumerate(members.export()):
        pairs = zip(blocks, members.embeddings, strict=True)
        entered = np.hstack([ROWS[:, plain], *(ROWS[:, a:b] @ _of(each, member) for (a, b, _), each in pairs)])
        units = entered @ _of(members.kernels[0], member)
        expected = np.where(units > 0, units, SLOPE * units) @ _of(members.kernels[1], member)
        np.testing.assert_allclose(network.logits(ROWS), expected, rtol=1e-4, atol=1e-5)


def test_every_embedding_learns():
    members = Members([12, 4, 2], [0], embedded=[Embedded(2, 8, 3), Embedded(8, 11, 2)])
    members(torch.from_numpy(ROWS).expand(1, 9, 12)).square().sum().backward()
    assert all((each.grad != 0).all() for each in [*members.embeddings, *members.kernels])


@pytest.mark.parametrize("blocks", [[(8, 11, 2), (2, 8, 3)], [(2, 8, 3), (7, 11, 2)], [(8, 13, 2)]])
def test_blocks_that_are_not_apart_and_in_order_are_refused(blocks):
    with pytest.raises(ValueError, match="give them in order"):
        Members([12, 4, 2], [0], embedded=[Embedded(*block) for block in blocks])


def _of(tensor, member):
    return tensor[member].detach().numpy()


def test_a_member_is_the_same_whatever_the_others_are():
    alone, beside = Members([12, 4, 2], [5]).export()[0], Members([12, 4, 2], [3, 5]).export()[1]
    np.testing.assert_array_equal(alone.logits(ROWS), beside.logits(ROWS))


def test_an_epoch_shows_every_row_once_in_an_order_of_each_member():
    found = list(batches(100, 32, seeds=[0, 1], epoch=4))
    assert [part.shape for part in found] == [(2, 34), (2, 33), (2, 33)]
    orders = np.concatenate(found, axis=1)
    np.testing.assert_array_equal(np.sort(orders, axis=1), [np.arange(100)] * 2)
    assert (orders[0] != orders[1]).any()
    assert (np.concatenate(list(batches(100, 32, seeds=[0], epoch=5)), axis=1)[0] != orders[0]).any()


def test_chances_are_the_members_mean():
    networks = Members([12, 4, 2], [0, 1]).export()
    both = [mean_chances([network], ROWS) for network in networks]
    np.testing.assert_allclose(mean_chances(networks, ROWS), np.mean(both, axis=0))
