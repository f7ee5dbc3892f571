"""The losses of QAST (B.5, B.6) as pure functions, each named after its term; and what their weights come from.

Nothing here is random and nothing waits for the device, but for `matched`, which needs an assignment on the host.

Shapes: B rows, E encoded width, K classes, W columns that a discriminator sees.
"""

from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

HEAVIEST = 150.0  # weight of a class at most
HARD = 3  # of this many rows of a large class the hardest one is learned from
TINY = 1e-5


def published_real(logits_B: Tensor) -> Tensor:
    """BCE(D, 1): -E log sigmoid(logit)."""
    return functional.softplus(-logits_B).mean()


def published_discriminator(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """BCE(D(x), 1) + BCE(D(x~), 0), of logits."""
    return published_real(real_B) + functional.softplus(fake_B).mean()


def hinge_discriminator(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(x~)) (Lim and Ye, 2017)."""
    return functional.relu(1 - real_B).mean() + functional.relu(1 + fake_B).mean()


def wasserstein_discriminator(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """E D(x~) - E D(x)."""
    return fake_B.mean() - real_B.mean()


def deceive(fake_B: Tensor) -> Tensor:
    """-E D(x~): the generator's part of the hinge and of the Wasserstein loss."""
    return -fake_B.mean()


def gradient_norms(scores_B: Tensor, inputs_BW: Tensor, columns: int | None = None) -> Tensor:
    """Return the squared norm of each row's gradient, (B,), itself differentiable.

    Args:
        scores_B: a row's score, from that row alone.
        inputs_BW: what the gradient is taken with respect to.
        columns: how many columns count, from the first; None for all.
    """
    (gradient,) = torch.autograd.grad(scores_B.sum(), inputs_BW, create_graph=True)
    return gradient[:, :columns].square().sum(dim=1)


def gradient_penalty(squared_norms_B: Tensor) -> Tensor:
    """E (||grad|| - 1)^2 (Gulrajani et al., NeurIPS 2017, equation 3)."""
    return ((squared_norms_B + TINY**2).sqrt() - 1).square().mean()


def r1(squared_norms_B: Tensor) -> Tensor:
    """E ||grad||^2 / 2 at real rows (Mescheder, Geiger and Nowozin, ICML 2018, equation 9)."""
    return squared_norms_B.mean() / 2


def class_weights(counts_K: Tensor, *, normalizer: Literal["present", "all"] = "present") -> Tensor:
    """omega_c = w_c / sum_k w_k with w_c = clip(n / n_c, 1, 150), (K,).

    Args:
        counts_K: rows of each class.
        normalizer: 'present' sums over classes with rows, and gives 0 to the others; 'all' lets an absent class
            take its 150 from the rest, as published.
    """
    heavy = (counts_K.sum() / (counts_K + TINY)).clamp(1.0, HEAVIEST)
    if normalizer == "present":
        heavy = heavy * (counts_K > 0)
    return heavy / heavy.sum().clamp(min=TINY)


def mined_cross_entropy(
    losses_B: Tensor,
    members_BK: Tensor,
    *,
    small_K: Tensor,
    weights_K: Tensor | None = None,
    normalizer: str = "present",
) -> Tensor:
    """L_S = sum_c omega_c mean_{T_c} CE: every row of a small class, the hardest third of a large one.

    Of a large class with fewer than three rows one is taken; the published rounding would leave none.

    Args:
        losses_B: cross-entropy of each row.
        members_BK: 1 where a row is of a class and counts, else 0.
        small_K: whether a class is small.
        weights_K: omega, where it is not that of these rows.
        normalizer: see `class_weights`.
    """
    counts_K = members_BK.sum(dim=0)
    if weights_K is None:
        weights_K = class_weights(counts_K, normalizer="all" if normalizer == "all" else "present")
    taken_K = torch.where(small_K, counts_K, (counts_K / HARD).floor().clamp(min=1))
    hardest = losses_B.detach().argsort(descending=True, stable=True)
    ordered_BK = members_BK[hardest]
    rank_BK = ordered_BK.cumsum(dim=0)
    share_BK = ordered_BK * (rank_BK <= taken_K) * (weights_K / taken_K.clamp(min=1))
    return (losses_B[hardest] * share_BK.sum(dim=1)).sum()


def reconstruction(generated_BE: Tensor, real_BE: Tensor) -> Tensor:
    """E ||x~_i - x_i||_2 over rows paired by position."""
    return ((generated_BE - real_BE).square().sum(dim=1) + TINY**2).sqrt().mean()


def matched(generated_BE: Tensor, real_BE: Tensor, labels_B: Tensor) -> Tensor:
    """Return the real rows, paired anew with generated ones of the same class at the least total distance, (B, E).

    A nearest real row for each generated one would let all of a class settle on one row; here each real row is
    somebody's partner.

    Args:
        generated_BE: rows to be drawn to the real ones.
        real_BE: as many, row i of the class of generated row i.
        labels_B: class code of both.
    """
    with torch.no_grad():
        distance_BB = torch.cdist(generated_BE, real_BE)
        apart = distance_BB.max() * len(labels_B) + 1  # more than any pairing within the classes can cost
        distance_BB += (labels_B[:, None] != labels_B[None, :]) * apart
        # Of a training that diverges any partner will do: its loss is to be reported, and is not a number anyway.
        _, partners = linear_sum_assignment(np.nan_to_num(distance_BB.cpu().numpy()))
    return real_BE[torch.as_tensor(partners, device=real_BE.device)]
