"""Members trained at once, and their way into numpy."""

import numpy as np
import pytest
import torch

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
