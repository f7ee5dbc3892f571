"""The losses of the Keras family as pure functions of logits and features, each named after its term.

Every function takes one batch or, with a leading axis of members, one batch for each, and gives a scalar or (M,) to
be minimised. Shapes: M members, B rows, K known classes, C = K + 2 logits (the known, then unknown, then fake), T
features of the trunk, 3 logits of the published second head (known, unknown, fake).
"""

import math
from typing import Any

import numpy as np
from keras import ops

from training.trainer import Floats

Tensor = Any

TINY = 1e-7


def leeway_targets(leeway: Floats) -> Floats:
    """Return the soft target of each known class over the known classes and unknown, (K, K + 1).

    Class y keeps 1 - leeway_y and leaves leeway_y to unknown; the rare class's leeway is 0.
    """
    return np.hstack([np.diag(1 - leeway), leeway[:, None]]).astype(np.float32)


def published_targets(leeway: Floats, rare: int, alpha: float) -> Floats:
    """Return the targets of the published terms (1) and (2), (K, K + 1); a row need not sum to 1.

    As `leeway_targets`, but the rare class weighs alpha as well and leaves nothing to unknown.
    """
    targets = leeway_targets(leeway)
    targets[rare] = 0
    targets[rare, rare] = alpha
    return targets


def supervised(logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Cross-entropy with soft targets; the logits are those of the known classes, and unknown where there is one."""
    return -ops.mean(ops.sum(targets_BK * ops.log_softmax(logits_BK, axis=-1), axis=-1), axis=-1)


def real(logits_BC: Tensor) -> Tensor:
    """-E log(1 - p(fake | x)) over rows that are to pass as real."""
    return -ops.mean(ops.logsumexp(logits_BC[..., :-1], axis=-1) - ops.logsumexp(logits_BC, axis=-1), axis=-1)


def fake(logits_BC: Tensor) -> Tensor:
    """-E log p(fake | G(z)) over generated rows."""
    return -ops.mean(ops.log_softmax(logits_BC, axis=-1)[..., -1], axis=-1)


def known_share(logits_BC: Tensor, share: float) -> Tensor:
    """KL(Bern(share) || Bern(m)), m the batch mean of p(known | x, real) over unlabelled rows.

    It acts on the mean of a batch, so that single rows stay free to be known or unknown; a target for each
    row, as in the published code, would press one constant ratio on all of them.
    """
    unknown = ops.mean(ops.softmax(logits_BC[..., :-1], axis=-1)[..., -1], axis=-1)
    entropy = sum(part * math.log(part) for part in (share, 1 - share) if part > 0)
    cross = share * ops.log(1 - unknown + TINY) + (1 - share) * ops.log(unknown + TINY)
    return entropy - cross


def feature_matching(fake_BT: Tensor, unlabeled_BT: Tensor) -> Tensor:
    """Squared distance between the mean features of generated and of unlabelled rows."""
    return ops.sum(ops.square(ops.mean(fake_BT, axis=-2) - ops.mean(unlabeled_BT, axis=-2)), axis=-1)


def pull_away(fake_BT: Tensor) -> Tensor:
    """Mean squared cosine between different generated rows: 1 when they all collapse to one direction.

    Each row is normalised by itself (Zhao, Mathieu and LeCun, ICLR 2017, equation 4).
    """
    return _between_rows(fake_BT * ops.rsqrt(ops.sum(ops.square(fake_BT), axis=-1, keepdims=True) + TINY))


def confidence(logits_BC: Tensor) -> Tensor:
    """Return c = max_k p(k | x, real) over the known classes for each row."""
    return ops.max(ops.softmax(logits_BC[..., :-1], axis=-1)[..., :-1], axis=-1)


def low_density(logits_BC: Tensor, threshold: Tensor) -> Tensor:
    """E[1(c > threshold) log c] over generated rows: drives them from where the classifier is sure.

    A "bad" generator's rows should lie where real ones are few (Dai et al., NeurIPS 2017); confidence stands
    in for density.
    """
    sure_B = confidence(logits_BC)
    return ops.mean(ops.where(sure_B > threshold, ops.log(sure_B + TINY), 0.0), axis=-1)


def published_real(logits_B3: Tensor, alpha: float) -> Tensor:
    """-E[alpha log q_known + (1 - alpha) log q_unknown], as published: one constant target for every row."""
    logs_B3 = ops.log_softmax(logits_B3, axis=-1)
    return -ops.mean(alpha * logs_B3[..., 0] + (1 - alpha) * logs_B3[..., 1], axis=-1)


def published_feature_matching(fake_BT: Tensor, labeled_BT: Tensor) -> Tensor:
    """Mean absolute difference between the mean features of generated and of labelled rows, as published."""
    return ops.mean(ops.abs(ops.mean(fake_BT, axis=-2) - ops.mean(labeled_BT, axis=-2)), axis=-1)


def published_pull_away(fake_BT: Tensor) -> Tensor:
    """Pull-away with one norm for the whole batch, as published: at most 1 / (B (B - 1)), so all but absent."""
    return _between_rows(fake_BT * ops.rsqrt(ops.sum(ops.square(fake_BT), axis=(-2, -1), keepdims=True) + TINY))


def says_real(logits_B: Tensor) -> Tensor:
    """-E log sigmoid(logit): binary cross-entropy of rows that are to pass as real."""
    return ops.mean(ops.softplus(-logits_B), axis=-1)


def says_fake(logits_B: Tensor) -> Tensor:
    """-E log(1 - sigmoid(logit)): binary cross-entropy of rows that are to be known as fake."""
    return ops.mean(ops.softplus(logits_B), axis=-1)


def reconstruction(inputs_BI: Tensor, decoded_BI: Tensor) -> Tensor:
    """Mean squared error of an autoencoder."""
    return ops.mean(ops.square(inputs_BI - decoded_BI), axis=(-2, -1))


def _between_rows(unit_BT: Tensor) -> Tensor:
    """Mean squared product of different rows."""
    squared_BB = ops.square(ops.matmul(unit_BT, ops.swapaxes(unit_BT, -1, -2)))
    rows = unit_BT.shape[-2]
    own = ops.sum(ops.diagonal(squared_BB, axis1=-2, axis2=-1), axis=-1)
    return (ops.sum(squared_BB, axis=(-2, -1)) - own) / (rows * (rows - 1))
