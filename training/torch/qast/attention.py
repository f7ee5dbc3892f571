"""Attention among the features of one row, in blocks that stay in a processor's cache.

Takes rows (B, W) with W features, and K = W // 4 keys; gives rows of the same shape. Queries and keys are single
numbers, so a row's scores are an outer product, of which nothing is kept: the backward pass makes them again, block by
block. Of 512 rows of 400 features that takes a fifth of the time of torch's own steps, which write and read arrays
(B, K, W) from first to last; of 500 rows of 250 it takes three fifths, of few rows as long.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

ATTENTION_CELLS = 2**24  # of a pass without gradients: 64 MB for each array
CACHED_CELLS = 2**18  # of a block on a processor: 1 MB


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
    return (value_BK[:, None, :] @ _shares(query_BW, key_BK))[:, 0]


class _Attend(torch.autograd.Function):
    """`attend` with gradients by hand; where they are to be differentiated again, all rows are one block."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:  # noqa: ANN401  (as torch has it)
        ctx.save_for_backward(*given)
        return torch.cat([attend_plainly(*parts) for parts in _blocks(*given)])

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        given = (*ctx.saved_tensors, *gradient)
        if torch.is_grad_enabled():
            return _gradients(*given)
        found = [_gradients(*parts) for parts in _blocks(*given)]
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def _blocks(query_BW: Tensor, key_BK: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Split rows so that a block's scores fit in a cache; elsewhere than on a processor there is one block."""
    rows, cells = len(query_BW), query_BW.shape[1] * key_BK.shape[1]
    size = max(1, CACHED_CELLS // cells if query_BW.device.type == "cpu" else rows)
    return list(zip(*(torch.split(part, size) for part in (query_BW, key_BK, *others)), strict=True))


def _shares(query_BW: Tensor, key_BK: Tensor) -> Tensor:
    """Return softmax(query * keys) over the keys, (B, K, W)."""
    # Keys come before features: the softmax then runs along whole rows of features, twice as fast.
    return (key_BK[:, :, None] * query_BW[:, None, :]).softmax(dim=1)


def _gradients(
    query_BW: Tensor, key_BK: Tensor, value_BK: Tensor, gradient_BW: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients by queries, keys and values, of that by what is attended, m = sum_j p_j v_j.

    d m / d q = E[kv] - m E[k], d m / d k_j = p_j q (v_j - m), d m / d v_j = p_j, with means E over the keys.
    """
    shares_BKW = _shares(query_BW, key_BK)
    means_B3W = torch.stack([value_BK, key_BK * value_BK, key_BK], dim=1) @ shares_BKW
    mean_BW, both_BW, keys_BW = means_B3W.unbind(dim=1)
    turned_BW = gradient_BW * query_BW
    # Few rows by many columns: the same product the other way round takes three times as long.
    sums_B3K = torch.stack([gradient_BW, turned_BW, turned_BW * mean_BW], dim=1) @ shares_BKW.transpose(1, 2)
    by_value_BK, first_BK, second_BK = sums_B3K.unbind(dim=1)
    return gradient_BW * (both_BW - mean_BW * keys_BW), value_BK * first_BK - second_BK, by_value_BK
