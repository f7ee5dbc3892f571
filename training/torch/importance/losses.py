"""Losses of the importance vector as functions of logits (B.1, F.3).

Every one takes logits (..., B, K) and gives (...): one number for each member.
"""

from torch import Tensor
from torch.nn import functional

TINY = 1e-12


def conditional_entropy(logits_BK: Tensor) -> Tensor:
    """Return the mean entropy of a row's prediction, mean H(p_i): least where all rows are of one cluster."""
    logs_BK = functional.log_softmax(logits_BK, dim=-1)
    return -(logs_BK.exp() * logs_BK).sum(dim=-1).mean(dim=-1)


def marginal_entropy(logits_BK: Tensor) -> Tensor:
    """Return the entropy of the mean prediction, H(pbar)."""
    mean_K = _mean_prediction(logits_BK)
    return -(mean_K * mean_K.log()).sum(dim=-1)


def information(logits_BK: Tensor, weight: float = 1.0) -> Tensor:
    """Return mean H(p_i) - weight H(pbar): with weight 1 less the mutual information of row and cluster (B.1 b)."""
    return conditional_entropy(logits_BK) - weight * marginal_entropy(logits_BK)


def prior_divergence(logits_BK: Tensor, prior_K: Tensor) -> Tensor:
    """Return KL(pbar || prior), in which expected sizes (..., K) stand for the equal ones of `information` (F.3)."""
    mean_K = _mean_prediction(logits_BK)
    return (mean_K * (mean_K.log() - prior_K.log())).sum(dim=-1)


def consistency(logits_BK: Tensor, perturbed_BK: Tensor) -> Tensor:
    """Return mean KL(p_i || p'_i) to the prediction of a perturbed row; the row's own is what to learn (F.3)."""
    target_BK = functional.log_softmax(logits_BK.detach(), dim=-1)
    logs_BK = functional.log_softmax(perturbed_BK, dim=-1)
    return (target_BK.exp() * (target_BK - logs_BK)).sum(dim=-1).mean(dim=-1)


def cross_entropy(logits_BK: Tensor, targets_BK: Tensor, weights_B: Tensor) -> Tensor:
    """Return the weighted mean of -log p of soft targets (..., B, K); weights (..., B) are not negative."""
    each_B = -(targets_BK * functional.log_softmax(logits_BK, dim=-1)).sum(dim=-1)
    return (each_B * weights_B).sum(dim=-1) / weights_B.sum(dim=-1).clamp_min(TINY)


def _mean_prediction(logits_BK: Tensor) -> Tensor:
    return functional.softmax(logits_BK, dim=-1).mean(dim=-2).clamp_min(TINY)
