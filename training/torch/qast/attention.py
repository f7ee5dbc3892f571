"""Attention among the features of one row, in blocks that stay in a processor's cache.

Takes rows (B, W) with W features, and K = W // 4 keys; gives rows of the same shape. Queries and keys are single
numbers, so a row's scores are an outer product, of which nothing is kept: the backward pass makes them again, block by
block. From 180 features on, the shares of most rows are polynomials of the query (`interpolation`), which is what makes
tables of a thousand features and more bearable: of 156 rows of 1,414 a forward and a backward pass take 16 ms of a core
at the start of a training and 40 later, instead of 170, and the gradient's own gradient 30 and 80, instead of 1,100.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from training.torch.qast import interpolation

ATTENTION_CELLS = 2**24  # of a pass without gradients: 64 MB for each array
CACHED_CELLS = 2**18  # of a block on a processor: 1 MB
CACHED_POLYNOMIALS = 2**20  # each passed fewer times
WIDE_CELLS = 2**13  # of a row, keys by features, from which polynomials pay on a processor: 180 features
LARGE_CELLS = 2**28  # of all rows, from which they do elsewhere: 1 GB for each array


def rows_at_once(width: int) -> int:
    """Return how many rows may pass at once through an attention over `width` features, to bound its memory."""
    return max(1, ATTENTION_CELLS // (width * max(1, width // 4)))


class FeatureAttention(nn.Module):
    """Attention of a row's features to a quarter as many keys: g softmax(q k') v + x, g from 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        keys = max(1, width // 4)
        self.query, self.key, self.value = (nn.Linear(width, units) for units in (width, keys, keys))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, rows_BW: Tensor) -> Tensor:
        """Return rows of the same shape."""
        attended = attend(self.query(rows_BW), self.key(rows_BW), self.value(rows_BW))
        return torch.addcmul(rows_BW, self.strength, attended)


def attend(query_BW: Tensor, key_BK: Tensor, value_BK: Tensor) -> Tensor:
    """Return the mean of a row's values for each query, weighted by softmax(query * keys), (B, W)."""
    return cast(Tensor, _Attend.apply(query_BW, key_BK, value_BK))  # type: ignore[no-untyped-call]


def attend_plainly(query_BW: Tensor, key_BK: Tensor, value_BK: Tensor) -> Tensor:
    """Return what `attend` does, by torch's own steps."""
    return _attended(_whole(query_BW, key_BK), query_BW, key_BK, value_BK)[0]


class _Attend(torch.autograd.Function):
    """`attend` with gradients by hand; where they are to be differentiated again, all rows are one block."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:  # noqa: ANN401  (as torch has it)
        ctx.save_for_backward(*given)
        ctx.nodes_B = interpolation.nodes_enough(*given[:2]) if _is_wide(*given[:2]) else None
        return _by_rows(_attended, ctx.nodes_B, given)[0]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        return _by_rows(_gradients, ctx.nodes_B, (*ctx.saved_tensors, *gradient))


class Shares(Protocol):
    """softmax(query * keys) over the keys, (B, K, W)."""

    def over_keys(self, values_BMK: Tensor) -> Tensor:
        """Return the values' means by a row's shares, (B, M, W)."""
        ...

    def over_queries(self, values_BMW: Tensor) -> Tensor:
        """Return for each key the values' sums, weighted by its shares, (B, M, K)."""
        ...


Step = Callable[..., tuple[Tensor, ...]]


class _Whole(NamedTuple):
    """Shares as they are."""

    shares_BKW: Tensor

    def over_keys(self, values_BMK: Tensor) -> Tensor:
        return values_BMK @ self.shares_BKW

    def over_queries(self, values_BMW: Tensor) -> Tensor:
        # Few rows by many columns: the same product the other way round takes three times as long.
        return values_BMW @ self.shares_BKW.transpose(1, 2)


def _whole(query_BW: Tensor, key_BK: Tensor) -> _Whole:
    # Keys come before features: the softmax then runs along whole rows of features, twice as fast.
    return _Whole((key_BK[:, :, None] * query_BW[:, None, :]).softmax(dim=1))


def _is_wide(query_BW: Tensor, key_BK: Tensor) -> bool:
    """Whether polynomials are worth their while: they are dozens of small steps, and cost a graphics card its time."""
    cells = query_BW.shape[1] * key_BK.shape[1]
    return cells >= WIDE_CELLS if query_BW.device.type == "cpu" else len(query_BW) * cells >= LARGE_CELLS


def _by_rows(step: Step, nodes_B: Tensor | None, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return what a step gives for each row, from polynomials where these are its shares."""
    if nodes_B is None or not len(nodes_B):
        return _by_blocks(step, 0, given)
    numbers = sorted(set(nodes_B.tolist()))
    if len(numbers) == 1:
        return _by_blocks(step, numbers[0], given)
    places = [(nodes_B == number).nonzero()[:, 0] for number in numbers]
    found = [
        _by_blocks(step, number, [part[own] for part in given]) for number, own in zip(numbers, places, strict=True)
    ]
    back_B = torch.cat(places).argsort()
    return tuple(torch.cat(parts)[back_B] for parts in zip(*found, strict=True))


def _by_blocks(step: Step, nodes: int, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Take as many rows at once as a cache has place for; all elsewhere than on a processor, and to differentiate."""
    query_BW, key_BK = given[:2]
    kind = partial(interpolation.factors, nodes=nodes) if nodes else _whole
    if torch.is_grad_enabled() or query_BW.device.type != "cpu":
        return step(kind(query_BW, key_BK), *given)
    cells = query_BW.shape[1] * (nodes or key_BK.shape[1])
    rows = max(1, (CACHED_POLYNOMIALS if nodes else CACHED_CELLS) // cells)
    blocks = zip(*(torch.split(part, rows) for part in given), strict=True)
    found = [step(kind(*block[:2]), *block) for block in blocks]
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def _attended(shares: Shares, _query_BW: Tensor, _key_BK: Tensor, value_BK: Tensor) -> tuple[Tensor, ...]:
    return (shares.over_keys(value_BK[:, None, :])[:, 0],)


def _gradients(
    shares: Shares, query_BW: Tensor, key_BK: Tensor, value_BK: Tensor, gradient_BW: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients by queries, keys and values, of that by what is attended, m = sum_j p_j v_j.

    d m / d q = E[kv] - m E[k], d m / d k_j = p_j q (v_j - m), d m / d v_j = p_j, with means E over the keys.
    """
    means_B3W = shares.over_keys(torch.stack([value_BK, key_BK * value_BK, key_BK], dim=1))
    mean_BW, both_BW, keys_BW = means_B3W.unbind(dim=1)
    turned_BW = gradient_BW * query_BW
    sums_B3K = shares.over_queries(torch.stack([gradient_BW, turned_BW, turned_BW * mean_BW], dim=1))
    by_value_BK, first_BK, second_BK = sums_B3K.unbind(dim=1)
    return gradient_BW * (both_BW - mean_BW * keys_BW), value_BK * first_BK - second_BK, by_value_BK
