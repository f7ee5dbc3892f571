"""The terms of MGVAE's objective as pure functions, each named after the paper's (sections B.1 to B.3).

Nothing here is random. Log-densities and losses are in nats and of single rows; who calls takes the mean.

Shapes: B rows of a batch, S exemplars, Z size of the code, V numeric columns, C columns of a one-hot block.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LOG_TWO_PI = math.log(2 * math.pi)
EXTREME = 0.999  # quantile at which the normalized Fisher information is clipped


def gaussian_log_density(z_BZ: Tensor, mean_BZ: Tensor, log_variance_BZ: Tensor) -> Tensor:
    """Return log N(z | mean, diag exp(log_variance)), (B,): log q(z | x) of B.1."""
    squares_BZ = (z_BZ - mean_BZ).square() / log_variance_BZ.exp()
    return -0.5 * (squares_BZ + log_variance_BZ + LOG_TWO_PI).sum(dim=-1)


def log_mixture_prior(
    z_BZ: Tensor, means_SZ: Tensor, log_variance: Tensor, excluded_BS: Tensor | None = None
) -> Tensor:
    """Return log (1 / S) sum_n r(z | x+_n) with r = N(mean_n, exp(log_variance) I), (B,) (B.1).

    Args:
        z_BZ: codes.
        means_SZ: encoder means of the majority exemplars.
        log_variance: the prior's scalar.
        excluded_BS: components that do not count for a row, as that of the row itself; the mean is over the others,
            of which each row needs one.
    """
    # The expanded square keeps memory at (B, S), and products of matrices fast.
    squares_BS = z_BZ.square().sum(1)[:, None] - 2 * z_BZ @ means_SZ.T + means_SZ.square().sum(1)
    constant = z_BZ.shape[1] * (log_variance + LOG_TWO_PI)
    log_density_BS = -0.5 * (squares_BS.clamp(min=0) / log_variance.exp() + constant)
    if excluded_BS is None:
        return log_density_BS.logsumexp(dim=1) - math.log(len(means_SZ))
    counted_B = len(means_SZ) - excluded_BS.sum(dim=1)
    return log_density_BS.masked_fill(excluded_BS, -torch.inf).logsumexp(dim=1) - counted_B.log()


def standard_log_prior(z_BZ: Tensor) -> Tensor:
    """Return log N(z | 0, I), (B,): the prior of the ablation without majority guidance."""
    return gaussian_log_density(z_BZ, torch.zeros_like(z_BZ), torch.zeros_like(z_BZ))


def squared_error(values_BV: Tensor, means_BV: Tensor, present_BV: Tensor) -> Tensor:
    """Return sum_d (x_d - x^_d)^2 over the values that are there, (B,): the published likelihood (B.1)."""
    return ((values_BV - means_BV).square() * present_BV).sum(dim=1)


def calibrated_error(values_BV: Tensor, means_BV: Tensor, present_BV: Tensor, variance_V: Tensor) -> Tensor:
    """Return sum_d (x_d - x^_d)^2 / (2 s_d^2) + log(s_d^2) / 2 over the values that are there, (B,).

    Under the published likelihood s^2 is 1/2 whatever the data, so the KL term outweighs columns of little variance
    and the code collapses. Rybkin, Daniilidis and Levine (ICML 2021) take s^2 as the mean squared error.
    """
    errors_BV = (values_BV - means_BV).square() / variance_V + variance_V.log()
    return 0.5 * (errors_BV * present_BV).sum(dim=1)


def missing_error(missing_BV: Tensor, logits_BV: Tensor) -> Tensor:
    """Return the Bernoulli -log p of which values are missing, (B,)."""
    return functional.binary_cross_entropy_with_logits(logits_BV, missing_BV, reduction="none").sum(dim=1)


def running_variance(before_V: Tensor, values_BV: Tensor, means_BV: Tensor, *, decay: float, floor: float) -> Tensor:
    """Return the decoder's variance after one more batch, (V,): a running mean of the squared error, floored."""
    now_V = (values_BV - means_BV).square().mean(dim=0)
    return (decay * before_V + (1 - decay) * now_V).clamp(min=floor)


def warm_up(step: int, steps: int, share: float) -> float:
    """Return the weight of the KL term at a step: linear from 0 to 1 over that share of the steps."""
    ramp = share * steps
    return 1.0 if ramp < 1 else min(1.0, step / ramp)


def ewc_penalty(parameters: Sequence[Tensor], anchors: Sequence[Tensor], fisher: Sequence[Tensor]) -> Tensor:
    """Return sum_i F_i (psi_i - psi*_i)^2, without lambda and without 1/2 (B.3)."""
    terms = [
        (weight * (now - then).square()).sum() for now, then, weight in zip(parameters, anchors, fisher, strict=True)
    ]
    return torch.stack(terms).sum()


def normalized_fisher(fisher: Sequence[Tensor]) -> list[Tensor]:
    """Scale Fisher information to mean 1 over its positive entries, and clip it at its 99.9th percentile.

    Raw, it spans many orders of magnitude, so that no lambda suits two tables, and a few weights get all the penalty.
    """
    everything = torch.cat([one.flatten() for one in fisher])
    positive = everything[everything > 0]
    if not len(positive):
        return [torch.zeros_like(one) for one in fisher]
    # Not torch.quantile, which refuses more than 16 million numbers.
    extreme = positive.kthvalue(max(1, math.ceil(EXTREME * len(positive)))).values / positive.mean()
    return [(one / positive.mean()).clamp(max=float(extreme)) for one in fisher]
