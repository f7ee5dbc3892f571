"""Attention among the features of one row, in blocks that stay in a processor's cache.

Takes rows (B, W) with W features, and K = W // 4 keys; gives rows of the same shape. Queries and keys are single
numbers, so a row's scores are an outer product, of which nothing is kept: the backward pass makes them again, block by
block, and so does the gradient's own gradient. Torch's softmax and graph take two and three times as long.

From 283 features on, the shares of most rows are polynomials of the query (`interpolation`), which is what makes tables
of a thousand features and more bearable: of 156 rows of 1,414 a forward and a backward pass take 26 ms of a core at the
start of a training and 43 later, instead of 130 and 340 by torch, and with the gradient's own gradient 55 and 68,
instead of 280 and 2,300.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from training.torch.qast import interpolation

ATTENTION_CELLS = 2**24  # of a pass without gradients: 64 MB for each array
CACHED_CELLS = 2**18  # of a block on a processor: 1 MB
CACHED_POLYNOMIALS = 2**20  # each passed fewer times
WIDE_CELLS = 20_000  # of a row, keys by features, from which polynomials pay on a processor: 283 features
LARGE_CELLS = 2**28  # of all rows, from which they do elsewhere: 1 GB for each array
EXACT_SCORES = 2.0**24  # up to them a product that is rounded lies within 1 of one that is not


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
    shares_BKW = (key_BK[:, :, None] * query_BW[:, None, :]).softmax(dim=1)
    return (value_BK[:, None, :] @ shares_BKW)[:, 0]


class _Attend(torch.autograd.Function):
    """`attend` with gradients by hand."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:  # noqa: ANN401  (as torch has it)
        ctx.save_for_backward(*given)
        ctx.nodes_B = interpolation.nodes_enough(*given[:2]) if _is_wide(*given[:2]) else None
        return _by_rows(_attended, ctx.nodes_B, given)[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        found: tuple[Tensor, ...] = _Gradients.apply(ctx.nodes_B, *ctx.saved_tensors, gradient)  # type: ignore[no-untyped-call]
        return found


class _Gradients(torch.autograd.Function):
    """The gradients of `attend`, with their own by hand; there are no third ones."""

    @staticmethod
    def forward(ctx: Any, nodes_B: Tensor | None, *given: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        ctx.save_for_backward(*given)
        ctx.nodes_B = nodes_B
        return _by_rows(_gradients, nodes_B, given)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *directions: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return (None, *_by_rows(_second_gradients, ctx.nodes_B, (*ctx.saved_tensors, *directions)))


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
    """Shares as they are, but for their sum: exp(score - the query's greatest score), each at most 1."""

    parts_BKW: Tensor

    def over_keys(self, values_BMK: Tensor) -> Tensor:
        # The sums come with the values': one more row costs a product next to nothing, and one row alone much.
        sums_BMW = functional.pad(values_BMK, (0, 0, 0, 1), value=1.0) @ self.parts_BKW
        return sums_BMW[:, :-1] / sums_BMW[:, -1:]

    def over_queries(self, values_BMW: Tensor) -> Tensor:
        # Few rows by many columns: the same product the other way round takes three times as long.
        return (values_BMW / self.parts_BKW.sum(dim=1, keepdim=True)) @ self.parts_BKW.transpose(1, 2)


def _whole(query_BW: Tensor, key_BK: Tensor) -> _Whole:
    """Return exp(q k_j - max_i q k_i), the greatest of a query's scores being that of an outermost key.

    A third of the time of a softmax, which passes over all scores for that maximum, and once more to divide them.
    """
    least_B1, greatest_B1 = key_BK.aminmax(dim=1, keepdim=True)
    highest_BW = torch.maximum(query_BW * least_B1, query_BW * greatest_B1)
    # Keys come before features: sums over keys then run along whole rows of features.
    keys_BK1, queries_B1W, highest_B1W = key_BK[:, :, None], query_BW[:, None, :], highest_BW[:, None, :]
    if highest_BW.device.type == "cpu" and bool((highest_BW.abs() < EXACT_SCORES).all()):
        return _Whole(torch.addcmul(-highest_B1W, keys_BK1, queries_B1W).exp_())
    # In one step products are not rounded, as the greatest was: from 2e9 on, exp of the difference is no number.
    return _Whole((keys_BK1 * queries_B1W).sub_(highest_B1W).exp_())


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
    """Take as many rows at once as a cache has place for; all elsewhere than on a processor."""
    query_BW, key_BK = given[:2]
    kind = partial(interpolation.factors, nodes=nodes) if nodes else _whole
    if query_BW.device.type != "cpu":
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


def _second_gradients(shares: Shares, *given: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients by queries, keys, values and gradient g of what `_gradients` gives times directions a, b, c.

    That product is S = sum_w g h, where h = a C(k, v) + q C(b, v) + E[c] is the change of what is attended along
    (a, b, c), with means E and covariances C over the keys. From d E[f] / d q = C(f, k) and
    d E[f] / d k_j = q p_j (f_j - E[f]) follow, with T the third central moment,

        d S / d g = h
        d S / d q = g (a T(k, v, k) + q T(b, v, k) + C(c, k) + C(b, v))
        d S / d v_j = sum_w p_j g (a (k_j - E[k]) + q (b_j - E[b]))
        d S / d k_j = sum_w p_j g (a (v_j - E[v]) + a q ((k_j - E[k]) (v_j - E[v]) - C(k, v))
                                   + q^2 ((b_j - E[b]) (v_j - E[v]) - C(b, v)) + q (c_j - E[c])).
    """
    q, k, v, g, a, b, c = given
    # Moments of what lies about 0 lose less to rounding; none but E[c] depends on where that is.
    k, v, b = (part - part.mean(dim=1, keepdim=True) for part in (k, v, b))
    kv, bv = k * v, b * v
    terms = torch.stack([k, v, b, c, kv, bv, k * k, b * k, c * k, kv * k, bv * k], dim=1)
    mk, mv, mb, mc, mkv, mbv, mkk, mbk, mck, mkvk, mbvk = shares.over_keys(terms).unbind(dim=1)
    cov_kv, cov_bv, cov_kk, cov_bk = mkv - mk * mv, mbv - mb * mv, mkk - mk * mk, mbk - mb * mk
    third_kvk = mkvk - mkv * mk - mk * cov_kv - mv * cov_kk
    third_bvk = mbvk - mbv * mk - mb * cov_kv - mv * cov_bk
    by_gradient = a * cov_kv + q * cov_bv + mc
    by_query = g * (a * third_kvk + q * third_bvk + mck - mc * mk + cov_bv)
    ga, gq = g * a, g * q
    gaq, gqq = ga * q, gq * q
    constant = gaq * (mk * mv - cov_kv) + gqq * (mb * mv - cov_bv) - ga * mv - gq * mc
    weights = [ga, gq, ga * mk + gq * mb, ga - gaq * mk - gqq * mb, gaq, gaq * mv, gqq, gqq * mv, constant]
    sums = shares.over_queries(torch.stack(weights, dim=1)).unbind(dim=1)
    by_value = k * sums[0] + b * sums[1] - sums[2]
    by_key = v * sums[3] + kv * sums[4] - k * sums[5] + bv * sums[6] - b * sums[7] + c * sums[1] + sums[8]
    return by_query, by_key, by_value, by_gradient
