"""ScarceGAN's losses as pure functions of logits and features, each named after its term.

The discriminator has one head of K + 2 logits: K known classes, then unknown, then fake.
Shapes: B rows, C = K + 2 logits, T features of the trunk. Every loss is a scalar to be minimised.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from training.trainer import Floats

# TensorFlow publishes no types, so its tensors are `Any` here.
Tensor = Any

TINY = 1e-7


def leeway_targets(leeway: Floats) -> Floats:
    """Return the soft target of each known class over the known classes and unknown, (K, K + 1).

    Class y keeps 1 - leeway_y and leaves leeway_y to unknown; the rare class's leeway is 0.
    """
    return np.hstack([np.diag(1 - leeway), leeway[:, None]]).astype(np.float32)


def supervised(logits_BC: Tensor, targets_BK: Tensor) -> Tensor:
    """Cross-entropy with the soft targets over the known classes and unknown; fake takes no part."""
    return -tf.reduce_mean(tf.reduce_sum(targets_BK * tf.nn.log_softmax(logits_BC[:, :-1]), axis=1))


def real(logits_BC: Tensor) -> Tensor:
    """-E log(1 - p(fake | x)) over unlabelled rows."""
    not_fake_B = tf.reduce_logsumexp(logits_BC[:, :-1], axis=1) - tf.reduce_logsumexp(logits_BC, axis=1)
    return -tf.reduce_mean(not_fake_B)


def fake(logits_BC: Tensor) -> Tensor:
    """-E log p(fake | G(z)) over generated rows."""
    return -tf.reduce_mean(tf.nn.log_softmax(logits_BC)[:, -1])


def known_share(logits_BC: Tensor, share: float) -> Tensor:
    """KL(Bern(share) || Bern(m)), m the batch mean of p(known | x, real) over unlabelled rows.

    It acts on the mean of a batch, so that single rows stay free to be known or unknown; a target for each
    row, as in the published code, would press one constant ratio on all of them.
    """
    unknown = tf.reduce_mean(tf.nn.softmax(logits_BC[:, :-1])[:, -1])
    entropy = sum(part * np.log(part) for part in (share, 1 - share) if part > 0)
    cross = share * tf.math.log(1 - unknown + TINY) + (1 - share) * tf.math.log(unknown + TINY)
    return entropy - cross


def feature_matching(fake_BT: Tensor, unlabeled_BT: Tensor) -> Tensor:
    """Squared distance between the mean features of generated and of unlabelled rows."""
    return tf.reduce_sum(tf.square(tf.reduce_mean(fake_BT, axis=0) - tf.reduce_mean(unlabeled_BT, axis=0)))


def pull_away(fake_BT: Tensor) -> Tensor:
    """Mean squared cosine between different generated rows: 1 when they all collapse to one direction.

    Each row is normalised by itself (Zhao, Mathieu and LeCun, ICLR 2017, equation 4).
    """
    unit_BT = fake_BT / (tf.norm(fake_BT, axis=1, keepdims=True) + TINY)
    squared_BB = tf.square(tf.matmul(unit_BT, unit_BT, transpose_b=True))
    rows = tf.cast(tf.shape(fake_BT)[0], squared_BB.dtype)
    return (tf.reduce_sum(squared_BB) - tf.linalg.trace(squared_BB)) / (rows * (rows - 1))


def confidence(logits_BC: Tensor) -> Tensor:
    """Return c = max_k p(k | x, real) over the known classes, (B,)."""
    return tf.reduce_max(tf.nn.softmax(logits_BC[:, :-1])[:, :-1], axis=1)


def low_density(logits_BC: Tensor, threshold: Tensor) -> Tensor:
    """E[1(c > threshold) log c] over generated rows: drives them from where the classifier is sure.

    A "bad" generator's rows should lie where real ones are few (Dai et al., NeurIPS 2017); confidence stands
    in for density.
    """
    confidence_B = confidence(logits_BC)
    return tf.reduce_mean(
        tf.where(confidence_B > threshold, tf.math.log(confidence_B + TINY), tf.zeros_like(confidence_B))
    )
