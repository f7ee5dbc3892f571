"""DevNet: a score near 0 for what is not rare, and at least so many standard deviations above it for what is.

Pang, Shen and van den Hengel, "Deep Anomaly Detection with Deviation Networks", KDD 2019. Takes a reader's labelled
rows and unlabelled ones, which count as not rare, as published, though some of them are; gives an artifact that needs
no torch.

1. A batch is half labelled rare rows and half of all others, both drawn with replacement.
2. Draws of a standard normal, new ones each step, are the scores of a reference R: dev(x) = (phi(x) - mu_R) / sigma_R.
3. The loss is (1 - y) |dev(x)| + y max(0, a - dev(x)) with y = 1 for rare rows and margin a, and the squared kernels of
   the hidden layers; RMSprop makes the sum smaller.

A score is no probability. Of a trained network the reference is the normal itself, so that dev(x) = phi(x), and the
log-odds of the rare class are dev(x) - a / 2: a chance of one half where the score lies half way between what the loss
draws the two kinds to. Rows keep the order of the published score. Nothing of this is fitted: by held-out rows
`training.calibrating` makes a probability of it, as of any score.

Unlike the paper's, features are scaled as for our other networks, and missing values have indicators.

Shapes: N rows of the table, B of a batch, I inputs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.artifact import Manifest
from training.baselines.fitting import Way, fitted, unlabeled_rows
from training.dense_network import DenseNetwork, DenseNetworkArtifact
from training.scaler import Scaler
from training.torch.course import history, means
from training.torch.devices import device_of
from training.torch.devnet_settings import DevNetSettings
from training.torch.member_networks import RELU, Members
from training.trainer import Batch, Floats, Reader
from training.two_classes import rare_and_others, rare_or_not

DECAY = 0.9  # of RMSprop's mean of squared gradients, which the paper leaves open: Keras's
DRAW_STREAM = 1


def deviation_loss(scores_B: Tensor, rare_B: Tensor, reference: NDArray[np.float64], margin: float) -> Tensor:
    """Return the mean over rows of (1 - y) |dev(x)| + y max(0, a - dev(x)).

    Args:
        scores_B: phi(x).
        rare_B: whether y = 1.
        reference: the scores of R.
        margin: a.
    """
    deviations_B = (scores_B - float(reference.mean())) / float(reference.std())
    return torch.where(rare_B, (margin - deviations_B).clamp(min=0), deviations_B.abs()).mean()


def squared_kernels(networks: Members) -> Tensor:
    """Return the sum of the squared weights of the hidden layers."""
    return torch.stack([kernel.square().sum() for kernel in list(networks.kernels)[:-1]]).sum()


class Look(NamedTuple):
    """What an epoch noted: steps done, and the mean loss of its own, without the squared kernels."""

    step: int
    loss_deviation: float


class DevNet(DevNetSettings):
    """A deviation network on scaled features."""

    def fit(self, reader: Reader) -> DenseNetworkArtifact:
        """Learn from labelled and unlabelled rows.

        Returns:
            An artifact over two classes: the rare one and, by its name if there is but one, what is not rare.

        Raises:
            ValueError: one class of labels only, or a class of one row.
            TrainingDiverged: the loss is no longer a number.
        """
        unlabeled = unlabeled_rows(reader, self.unlabeled_rows, seed=self.seed)
        way = Way("devnet", libraries=("safetensors", "torch"))
        return fitted(way, self, reader, lambda *given: _learn(*given, unlabeled=unlabeled))


def _learn(settings: DevNetSettings, manifest: Manifest, rows: Batch, *, unlabeled: Floats) -> DenseNetworkArtifact:
    features, rare = rare_and_others(rows, unlabeled, manifest.schema.rare_code)
    scaler = Scaler.fit(features)
    inputs, classes = scaler.transform(features), rare_or_not(manifest.schema)
    network, looks = train(settings, inputs, rare)
    usual = inputs[: len(rows.labels)][~rare[: len(rows.labels)]]
    known = replace(
        manifest,
        classes=classes,
        rows=manifest.rows | {"unlabeled": len(unlabeled)},
        history=manifest.history | history(looks, Look._fields),
    )
    member = with_chances(network, classes.index(manifest.rare), settings.margin)
    return DenseNetworkArtifact(known, scaler, (member,), np.median(usual, axis=0).astype(np.float32))


def train(settings: DevNetSettings, inputs: Floats, rare: NDArray[np.bool_]) -> tuple[DenseNetwork, list[Look]]:
    """Train a network with one output, phi(x); the loss of each epoch comes with it."""
    device = device_of(settings.device)
    networks = Members([inputs.shape[1], *settings.units, 1], [settings.seed], slope=RELU).to(device)
    optimizer = torch.optim.RMSprop(networks.parameters(), lr=settings.rate, alpha=DECAY)
    table_NI, rare_N = torch.from_numpy(inputs).to(device), torch.from_numpy(rare).to(device)
    random = np.random.default_rng([settings.seed, DRAW_STREAM])
    draw, looks = batches(rare, settings.rows, random), list[Look]()
    for epoch in range(1, settings.epochs + 1):
        since = []
        for _ in range(settings.batches):
            rows_B = torch.from_numpy(draw()).to(device)
            scores_B = networks(table_NI[rows_B][None])[0, :, 0]
            reference = random.standard_normal(settings.reference_scores)
            loss = deviation_loss(scores_B, rare_N[rows_B], reference, settings.margin)
            optimizer.zero_grad()
            torch.autograd.backward(loss + settings.l2_regularization * squared_kernels(networks))
            optimizer.step()
            since.append(loss.detach()[None])
        mean = means(["the deviation loss"], since, f"in epoch {epoch} of devnet")
        looks.append(Look(epoch * settings.batches, *mean))
    return networks.export()[0], looks


def batches(rare: NDArray[np.bool_], size: int, random: np.random.Generator) -> Callable[[], NDArray[np.intp]]:
    """Return what draws the row positions of a batch: half of rare rows, half of all others, with replacement."""
    kinds = ((np.flatnonzero(rare), size // 2), (np.flatnonzero(~rare), size - size // 2))
    return lambda: np.concatenate([random.choice(rows, num) for rows, num in kinds])


def with_chances(network: DenseNetwork, code: int, margin: float) -> DenseNetwork:
    """Return a network of one score as one of two logits: dev(x) - a / 2 for class `code`, 0 for the other."""
    last = len(network.kernels) - 1
    kernel, bias = np.zeros((len(network.kernels[last]), 2), np.float32), np.zeros(2, np.float32)
    kernel[:, code] = network.kernels[last][:, 0]
    bias[code] = network.biases[last][0] - margin / 2
    return DenseNetwork((*network.kernels[:last], kernel), (*network.biases[:last], bias))
