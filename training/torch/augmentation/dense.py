"""The classifier of an augmented table: a dense network on logits, as MGVAE's paper has it, that scores without torch.

Its released code puts a softmax before the cross-entropy, which takes it again: its loss cannot fall below 0.313, and
plain training on rare rows stays at "all majority". Every published figure of a dense classifier carries that fault.

Takes raw rows and class codes; gives a classifier like any of the second stage.

Shapes: M members, N, B rows of all and of a batch, I inputs, K classes.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.dense_network import SLOPE
from training.scaler import Scaler
from training.torch.augmentation.mlp import MLP
from training.torch.augmentation.settings import AugmentationSettings
from training.torch.augmentation.task import Codes
from training.torch.course import seeded
from training.torch.devices import device_of
from training.torch.member_networks import Members
from training.trainer import Floats

NETWORK_STREAM, DRAW_STREAM = 20, 21
ROWS_AT_ONCE = 8192
SLOWEST = 0.01  # share of the learning rate that is left at the end


def fit(
    features: Floats,
    labels: Codes,
    *,
    classes: int,
    settings: AugmentationSettings,
    seed: int,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> MLP:
    """Fit by cross-entropy, each class weighing the same, however few its rows, or by another loss.

    Args:
        features: (n, d) raw rows, real and synthetic.
        labels: (n,) class codes, of at least two classes.
        classes: K.
        settings: the classifier's fields are read, but for its steps a row and its lengths (`gate`).
        seed: of weights and batches.
        loss: of logits (B, K) and codes (B,), where it is to be another one.
    """
    scaler = Scaler.unchanged(features.shape[1]) if settings.image else Scaler.fit(features)
    scale = settings.brightest if settings.image else 1.0
    device = device_of(settings.device)
    inputs_NI = torch.from_numpy(_inputs(scaler, features, scale)).to(device)
    codes_N = torch.from_numpy(labels).to(device)
    balanced = functools.partial(
        functional.cross_entropy, weight=torch.from_numpy(class_weights(labels, classes)).to(device)
    )
    measure = loss or balanced
    networks = _networks((inputs_NI.shape[1], *settings.classifier_units, classes), settings, seed, device)
    optimizer = torch.optim.Adam(networks.parameters(), settings.classifier_rate, fused=True)
    decay = math.exp(math.log(SLOWEST) / settings.classifier_steps)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
    randoms = [np.random.default_rng([*own, DRAW_STREAM]) for own in _seeds(settings, seed)]
    for _ in range(settings.classifier_steps):
        drawn = [random.integers(0, len(labels), settings.classifier_batch) for random in randoms]
        drawn_MB = torch.from_numpy(np.stack(drawn)).to(device)
        logits_MBK = networks(inputs_NI[drawn_MB])
        losses = [measure(logits, codes) for logits, codes in zip(logits_MBK, codes_N[drawn_MB], strict=True)]
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()
        schedule.step()
    return MLP(scaler, float(scale), networks.export())


def _seeds(settings: AugmentationSettings, seed: int) -> list[tuple[int, ...]]:
    """Return numbers that name each member's draws; the first member's are those of a network alone."""
    return [(seed, member) if member else (seed,) for member in range(settings.classifier_members)]


def _networks(sizes: Sequence[int], settings: AugmentationSettings, seed: int, device: torch.device) -> Members:
    """Return members that begin as torch's own linear layers do, as the paper's network does."""
    alone = []
    for own in _seeds(settings, seed):
        with seeded(*own, NETWORK_STREAM, device=device):
            alone.append([layer for layer in dense(sizes) if isinstance(layer, nn.Linear)])
    members = Members(sizes, range(settings.classifier_members))
    with torch.no_grad():
        for depth, layers in enumerate(zip(*alone, strict=True)):
            members.kernels[depth].copy_(torch.stack([layer.weight.T for layer in layers]))
            members.biases[depth].copy_(torch.stack([layer.bias[None] for layer in layers]))
    return members.to(device)


def _inputs(scaler: Scaler, features: Floats, scale: float) -> Floats:
    # In blocks: the scaler works in doubles, of which images would need a few gigabytes.
    starts = range(0, len(features), ROWS_AT_ONCE)
    return np.concatenate([scaler.transform(features[at : at + ROWS_AT_ONCE] / np.float32(scale)) for at in starts])


def class_weights(labels: Codes, classes: int) -> Floats:
    """Return n / (K n_k) for each class with rows, 0 for the others, (K,)."""
    counts = np.bincount(labels, minlength=classes)
    share = np.divide(counts.sum(), counts, out=np.zeros(classes), where=counts > 0)
    return np.asarray(share / max(1, (counts > 0).sum()), np.float32)


def dense(sizes: Sequence[int]) -> nn.Sequential:
    """Return linear layers with LeakyReLU between them; the last one gives logits."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])
