"""The structure loss of IMSIC as pure functions: how far extracted factors are from what the graph says of them (B.7).

The released loss is constant, and its ancestor's rewards anti-correlation, so it is the corrected one: the negative
log-likelihood of a linear-Gaussian Bayesian network of fixed variance, up to a constant and a factor, and squared
partial correlations of the forbidden edges.

Shapes: B rows, K factors and as many codes, P = 2K possible parents, C = 1 + K columns. Matrices are [factor, code].
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from training.torch.imsic.graph import Graph

CODE_VARIANCE = 1 / 3  # of a uniform code between -1 and 1
RIDGE = 1e-4
TINY = 1e-8


class Structure(NamedTuple):
    """A graph on the device.

    Attributes:
        weights_KK: of each code in each factor's target.
        extracted_KK: of each extracted factor in it.
        forbidden_KK: which codes must not show in which factors.
    """

    weights_KK: Tensor
    extracted_KK: Tensor
    forbidden_KK: Tensor

    @classmethod
    def of(cls, graph: Graph, device: torch.device) -> Self:
        """Bring a graph to a device."""
        weights, extracted = (torch.from_numpy(part).float() for part in (graph.weights(), graph.extracted_weights()))
        return cls(weights.to(device), extracted.to(device), torch.from_numpy(graph.forbidden()).to(device))


def target(codes_BK: Tensor, factors_BK: Tensor, structure: Structure) -> Tensor:
    """Return t = c W' + c' V', (B, K): what each factor is to be; extracted parents pass no gradient back."""
    return codes_BK @ structure.weights_KK.T + factors_BK.detach() @ structure.extracted_KK.T


def fit_loss(codes_BK: Tensor, factors_BK: Tensor, structure: Structure) -> Tensor:
    """Return L_fit = sum_k E[(c'_k - t_k)^2] / (1/3)."""
    errors_BK = factors_BK - target(codes_BK, factors_BK, structure)
    return errors_BK.square().mean(dim=0).sum() / CODE_VARIANCE


def forbidden_loss(codes_BK: Tensor, factors_BK: Tensor, structure: Structure) -> Tensor:
    """Return L_non, the sum over forbidden edges (k, j) of the squared correlation of c'_k and c_j given k's parents.

    It is that of what least squares with a small ridge leaves of both, as a share of the whole variance of c'_k: the
    little that parents leave of a factor counts for little. No gradient passes through that variance: it would reward
    noise.
    """
    rows, factors = factors_BK.shape
    parents_KBP = _parents(codes_BK, factors_BK, structure)
    own_KB1 = (factors_BK - factors_BK.mean(dim=0)).T[:, :, None]
    columns_KBC = torch.cat([own_KB1, (codes_BK - codes_BK.mean(dim=0)).expand(factors, -1, -1)], dim=2)
    ridge_PP = RIDGE * torch.eye(2 * factors, device=codes_BK.device, dtype=codes_BK.dtype)
    squares_KPP = parents_KBP.mT @ parents_KBP / rows + ridge_PP
    rest_KBC = columns_KBC - parents_KBP @ torch.linalg.solve(squares_KPP, parents_KBP.mT @ columns_KBC / rows)
    covariances_KK = (rest_KBC[:, :, :1] * rest_KBC[:, :, 1:]).mean(dim=1)
    variances_K1 = own_KB1.detach().square().mean(dim=1)
    squared_KK = covariances_KK.square() / (variances_K1 * rest_KBC[:, :, 1:].square().mean(dim=1)).clamp(min=TINY)
    total: Tensor = squared_KK[structure.forbidden_KK].sum()
    return total


def structure_loss(codes_BK: Tensor, factors_BK: Tensor, structure: Structure, forbidden_weight: float) -> Tensor:
    """Return L_struct = L_fit + mu L_non."""
    fit = fit_loss(codes_BK, factors_BK, structure)
    return fit + forbidden_weight * forbidden_loss(codes_BK, factors_BK, structure)


def _parents(codes_BK: Tensor, factors_BK: Tensor, structure: Structure) -> Tensor:
    """Return each factor's parents among codes and extracted factors, centered, and 0 for the others, (K, B, P)."""
    both_BP = torch.cat([codes_BK, factors_BK.detach()], dim=1)
    chosen_KP = torch.cat([structure.weights_KK != 0, structure.extracted_KK != 0], dim=1)
    return (both_BP - both_BP.mean(dim=0)) * chosen_KP[:, None]
