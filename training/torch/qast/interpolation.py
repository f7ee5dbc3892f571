"""Attention's shares as polynomials of the query, where a row's features are many.

A feature's shares p_j(q) = exp(q k_j) / sum_i exp(q k_i) depend on one number, its query q, and are smooth in it: with
query times key within a unit or two, 16 Chebyshev nodes between a row's least and greatest query give them to float32's
precision, within 4 units 32, within 10 units 64. Shares (K, W) of K keys and W features are then a product of
coefficients (K, N) and of the polynomials at the queries (N, W), so that a row takes N (K + W) steps and not K W. How
many nodes it takes is read from the coefficients themselves: those of the highest degrees have vanished (Trefethen,
Approximation Theory and Approximation Practice, 2013, chapters 3 and 8).

Shapes: B rows, W queries, K keys, N nodes.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

NODES = (16, 32, 64, 128)
WORTH = 3  # times fewer steps than with all shares, at least; a step takes about twice the time of one of those
LAST = 2  # coefficients that have to vanish: an even function has none of odd degree
VANISHED = 1e-6  # of shares that sum to 1
NARROWEST = 0.125  # of half a range of queries: in a narrower one rounding would be taken for slope


class Factors(NamedTuple):
    """Shares (B, K, W) as a product.

    Attributes:
        coefficients_BKN: of each key's share.
        polynomials_BNW: at each row's queries.
    """

    coefficients_BKN: Tensor
    polynomials_BNW: Tensor

    def over_keys(self, values_BMK: Tensor) -> Tensor:
        """Return the values' means by a row's shares, (B, M, W)."""
        return (values_BMK @ self.coefficients_BKN) @ self.polynomials_BNW

    def over_queries(self, values_BMW: Tensor) -> Tensor:
        """Return for each key the values' sums, weighted by its shares, (B, M, K)."""
        return (values_BMW @ self.polynomials_BNW.transpose(1, 2)) @ self.coefficients_BKN.transpose(1, 2)


def factors(query_BW: Tensor, key_BK: Tensor, nodes: int) -> Factors:
    """Return the shares of rows for which so many nodes are enough."""
    middle_B1, half_B1 = _range(query_BW)
    polynomials_BNW = _polynomials((query_BW - middle_B1) / half_B1, nodes)
    return Factors(_coefficients(query_BW, key_BK, nodes), polynomials_BNW)


def nodes_enough(query_BW: Tensor, key_BK: Tensor) -> Tensor:
    """Return how many nodes are enough for each row, (B,); 0 where polynomials are not worth their while."""
    queries, keys = query_BW.shape[1], key_BK.shape[1]
    found_B = torch.zeros(len(query_BW), dtype=torch.long, device=query_BW.device)
    left = torch.arange(len(query_BW), device=query_BW.device)
    for number in NODES:
        if WORTH * number * (queries + keys) > queries * keys or not len(left):
            break
        last = _coefficients(query_BW[left], key_BK[left], number)[:, :, -LAST:].abs().sum(dim=(1, 2))
        enough = last < VANISHED
        found_B[left[enough]], left = number, left[~enough]  # NaN is left
    return found_B


def _coefficients(query_BW: Tensor, key_BK: Tensor, nodes: int) -> Tensor:
    """Return the shares' Chebyshev coefficients over the range of each row's queries, (B, K, N)."""
    middle_B1, half_B1 = _range(query_BW)
    nodes_N, transform_NN = _nodes(nodes, query_BW.dtype, query_BW.device)
    at_BN = middle_B1 + half_B1 * nodes_N
    return (key_BK[:, :, None] * at_BN[:, None, :]).softmax(dim=1) @ transform_NN


def _range(query_BW: Tensor) -> tuple[Tensor, Tensor]:
    """Return middle and half width of each row's range of queries."""
    least, greatest = query_BW.aminmax(dim=1, keepdim=True)
    return (greatest + least) / 2, ((greatest - least) / 2).clamp_min(NARROWEST)


@cache
def _nodes(number: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the nodes, and what takes values at the nodes, (..., N), to coefficients."""
    degrees = torch.arange(number, dtype=torch.float64)
    angles = math.pi * (degrees + 0.5) / number
    transform = torch.cos(angles[:, None] * degrees) * (2 / number)
    transform[:, 0] /= 2
    return angles.cos().to(device, dtype), transform.to(device, dtype)


def _polynomials(at_BW: Tensor, number: int) -> Tensor:
    """Return T_n(x) for n < N, (B, N, W), by T_(m+n) = 2 T_m T_n - T_(m-n), twice as many at a time."""
    found_BNW, known = at_BW.new_empty(len(at_BW), number, at_BW.shape[1]), 1
    found_BNW[:, 0] = 1
    found_BNW[:, 1] = at_BW
    while known < number - 1:
        more = min(known, number - 1 - known)
        higher_BNW = found_BNW[:, known + 1 : known + more + 1]
        torch.mul(found_BNW[:, 1 : more + 1], 2 * found_BNW[:, known, None], out=higher_BNW)
        higher_BNW -= found_BNW[:, known - more : known].flip(1)
        known += more
    return found_BNW
