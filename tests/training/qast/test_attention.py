"""The attention among a row's features: what it gives, and its gradients, which are written by hand."""

import pytest
import torch

from training.torch.qast import attention, interpolation


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
    monkeypatch.setattr(attention, "CACHED_POLYNOMIALS", request.param)


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


@pytest.mark.parametrize("spread", [1e3, 1e4, 1e5, 1e9])  # scores up to 1e19, each rounded by far more than 1
def test_scores_that_are_rounded_coarsely_are_as_by_torchs_own_steps(spread):
    ours = [part.detach().float().requires_grad_() for part in given(200, 12, spread=spread)]
    theirs = like(ours)
    found, expected = attention.attend(*ours), attention.attend_plainly(*theirs)
    torch.testing.assert_close(found, expected)
    first = torch.autograd.grad((found / spread).sum(), ours)
    same = torch.autograd.grad((expected / spread).sum(), theirs)
    torch.testing.assert_close(first, same, rtol=1e-3, atol=1e-5 * spread)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("width", [8, 300])
def test_no_rows_give_none(width):
    assert attention.attend(*given(0, width)).shape == (0, width)


def like(rows):
    """The same rows, to be differentiated on their own."""
    return [part.detach().requires_grad_() for part in rows]


def all_of_it(attend, rows):
    """What is attended, its gradients, and theirs."""
    found = attend(*rows)
    first = torch.autograd.grad(found.square().sum(), rows, create_graph=True)
    return found, *first, *torch.autograd.grad(sum(part.square().sum() for part in first), rows)


@pytest.mark.parametrize(("width", "nodes"), [(300, {0, 16}), (500, {0, 16, 32}), (1300, {0, 16, 32, 64})])
@pytest.mark.usefixtures("blocks")
def test_wide_rows_are_as_by_torchs_own_steps(width, nodes):
    rows = given(6, width, spread=0.7)
    with torch.no_grad():
        rows[0] *= torch.tensor([0.2, 0.5, 1, 2, 4, 8])[
            :, None
        ]  # each takes more nodes than the one before, or as many
    assert set(interpolation.nodes_enough(*rows[:2]).tolist()) == nodes
    expected = all_of_it(attention.attend_plainly, rows)
    for found, exact in zip(all_of_it(attention.attend, like(rows)), expected, strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=3e-5 * float(exact.detach().abs().max()))


@pytest.mark.parametrize("steep", [[], [3], [0, 1, 8], range(9)])
@pytest.mark.usefixtures("blocks")
def test_rows_that_no_polynomial_follows_are_taken_as_they_are(steep):
    rows = given(9, 300, spread=0.4)
    with torch.no_grad():
        rows[0][list(steep)] *= 500
    assert interpolation.nodes_enough(*rows[:2]).tolist() == [0 if number in steep else 16 for number in range(9)]
    expected = all_of_it(attention.attend_plainly, rows)
    found = all_of_it(attention.attend, like(rows))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
    steeper = list(steep)
    torch.testing.assert_close([part[steeper] for part in found], [part[steeper] for part in expected])


@pytest.mark.parametrize("query", [0.0, -3.0])
def test_queries_that_are_all_one_have_gradients_of_their_own(query):
    rows = given(4, 300)
    with torch.no_grad():
        rows[0].fill_(query)
    expected = all_of_it(attention.attend_plainly, rows)
    for found, exact in zip(all_of_it(attention.attend, like(rows)), expected, strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=3e-5 * float(exact.detach().abs().max()))


@pytest.mark.parametrize("spread", [0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 30.0])
def test_polynomials_are_the_shares_as_closely_as_is_said(spread):
    rows = [part.detach() for part in given(60, 700, spread=spread)[:2]]
    nodes = interpolation.nodes_enough(*rows)
    assert nodes.all() if spread < 1 else not nodes.any() if spread > 3 else True
    for number in set(nodes.tolist()) - {0}:
        query, key = (part[nodes == number] for part in rows)
        shares = torch.softmax(key[:, :, None] * query[:, None, :], dim=1)
        every_key = torch.eye(175, dtype=torch.float64).expand(len(key), 175, 175)
        found = interpolation.factors(query, key, number).over_keys(every_key)
        assert float((found - shares).abs().sum(dim=1).max()) < 3 * interpolation.VANISHED


def test_what_is_no_number_stays_none():
    rows = [part.detach() for part in given(3, 300, spread=0.4)]
    rows[0][1, 2] = float("nan")
    found = attention.attend(*rows)
    assert found[1].isnan().any()
    assert not found[[0, 2]].isnan().any()


def test_wide_tables_take_polynomials_of_themselves(monkeypatch):
    taken = []
    factors = interpolation.factors

    def counted(query, key, nodes):
        taken.append(len(query))
        return factors(query, key, nodes)

    monkeypatch.setattr(interpolation, "factors", counted)
    attention.attend(*given(3, 100, spread=0.3))
    assert not taken
    attention.attend(*given(3, 300, spread=0.3))
    assert sum(taken) == 3
