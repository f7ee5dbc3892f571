"""The report's method: a trained importance for each row, a cut on it, SMOTE, and the same network once more (B).

Takes a complete table of inputs; gives importances, pseudo-labels and two networks. Kept to compare with: what the
importance comes to mean depends on where the origin of the features lies (B.2).

Shapes: M members, B rows, N rows of the table, I inputs, K = 2 clusters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.dense_network import DenseNetwork
from training.oversampling import oversample
from training.torch.devices import device_of
from training.torch.importance import losses, rarity
from training.torch.importance.settings import ImportanceVectorSettings
from training.torch.member_networks import RELU, Members, batches
from training.trainer import Floats

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

CLUSTERS = 2
EpochEnd = Callable[[int, tuple[DenseNetwork, ...]], None]


@dataclass(frozen=True)
class FirstTraining:
    """Networks and importances that were trained together.

    Attributes:
        networks: members, over inputs that are multiplied by the importance.
        importance: (members, rows).
    """

    networks: tuple[DenseNetwork, ...]
    importance: Doubles


@dataclass(frozen=True)
class Published:
    """All that the report's pipeline gives.

    Attributes:
        first: the training with importances.
        rare: (rows,) whether the mean importance of a row is above the cut.
        made: rows that SMOTE added, as raw rows.
        networks: after the second training; their cluster 1 is the one whose rows have the higher importance.
    """

    first: FirstTraining
    rare: NDArray[np.bool_]
    made: Floats
    networks: tuple[DenseNetwork, ...]


def entropy_loss(logits_MBK: Tensor, settings: ImportanceVectorSettings) -> Tensor:
    """Return the loss that the report calls entropy loss, in the form that `settings.entropy` names (B.1)."""
    if settings.entropy == "conditional":
        return losses.conditional_entropy(logits_MBK)
    return losses.information(logits_MBK, settings.entropy_weight)


def train_with_importance(
    inputs: Floats, *, settings: ImportanceVectorSettings, after_epoch: EpochEnd | None = None
) -> FirstTraining:
    """Train networks and one importance a row, which multiplies its inputs, by one Adam (B).

    Args:
        inputs: (rows, I).
        settings: entropy loss, rates and epochs.
        after_epoch: called with each epoch's number and the networks as they are.
    """
    device, seeds = device_of(settings.device), _seeds(settings)
    networks = _networks(inputs, settings).to(device)
    importance_MN = nn.Parameter(torch.ones((settings.members, len(inputs)), device=device))
    groups: list[dict[str, Any]] = [
        {"params": list(networks.parameters())},
        {"params": [importance_MN], "lr": settings.importance_rate or settings.rate},
    ]
    optimizer = torch.optim.Adam(groups, lr=settings.rate)
    table_NI = torch.from_numpy(inputs).to(device)
    for epoch in range(settings.epochs):
        for rows in batches(len(inputs), settings.batch_size, seeds=seeds, epoch=epoch):
            rows_MB = torch.from_numpy(rows).to(device)
            gated_MBI = table_NI[rows_MB] * importance_MN.gather(1, rows_MB)[..., None]
            _descend(optimizer, entropy_loss(networks(gated_MBI), settings))
        if after_epoch:
            after_epoch(epoch + 1, networks.export())
    return FirstTraining(networks.export(), importance_MN.detach().cpu().numpy().astype(np.float64))


def retrain(
    inputs: Floats,
    labels: Codes,
    *,
    settings: ImportanceVectorSettings,
    after_epoch: EpochEnd | None = None,
) -> tuple[DenseNetwork, ...]:
    """Train the same network anew on the balanced table, by the same loss or on the pseudo-labels (B).

    The report does not say which of both; that its agreement with the truth comes back to what it was before the
    pseudo-labels says that they were not learned from.
    """
    device = device_of(settings.device)
    networks = _networks(inputs, settings).to(device)
    optimizer = torch.optim.Adam(networks.parameters(), lr=settings.rate)
    table_NI = torch.from_numpy(inputs).to(device)
    targets_NK = functional.one_hot(torch.from_numpy(labels), CLUSTERS).float().to(device)
    for epoch in range(settings.classifier_epochs):
        for rows in batches(len(inputs), settings.classifier_batch, seeds=_seeds(settings), epoch=epoch):
            rows_MB = torch.from_numpy(rows).to(device)
            logits_MBK = networks(table_NI[rows_MB])
            if settings.retraining == "unsupervised":
                loss_M = entropy_loss(logits_MBK, settings)
            else:
                loss_M = losses.cross_entropy(logits_MBK, targets_NK[rows_MB], torch.ones_like(logits_MBK[..., 0]))
            _descend(optimizer, loss_M)
        if after_epoch:
            after_epoch(epoch + 1, networks.export())
    return networks.export()


def run(features: Floats, encode: Callable[[Floats], Floats], *, settings: ImportanceVectorSettings) -> Published:
    """Take every step of the report.

    Args:
        features: (rows, d) raw rows.
        encode: raw rows to inputs.
        settings: mode 'as_published'.
    """
    inputs = encode(features)
    first = train_with_importance(inputs, settings=settings)
    importance = first.importance.mean(axis=0)
    rare = importance > rarity.cut(importance, settings.threshold)
    labels = rare.astype(np.int64)
    made, codes = features[:0], labels[:0]
    if 0 < rare.sum() < len(rare):
        wanted = {code: int(rarity.sizes(labels, CLUSTERS).max()) for code in (0, 1)}
        made, codes = oversample(features, labels, wanted, neighbors=settings.neighbors, seed=settings.seed)
    balanced = np.concatenate([inputs, encode(made)])
    networks = retrain(balanced, np.concatenate([labels, codes]), settings=settings)
    return Published(first, rare, made, tuple(_rare_last(network, inputs, importance) for network in networks))


def _rare_last(network: DenseNetwork, inputs: Floats, importance: Doubles) -> DenseNetwork:
    logits = network.logits(inputs)
    second = logits[:, 1] > logits[:, 0]
    mixed = second.any() and not second.all()
    if not mixed or importance[second].mean() >= importance[~second].mean():
        return network
    return reordered(network, [1, 0])


def reordered(network: DenseNetwork, order: list[int]) -> DenseNetwork:
    """Return the network with its logits in another order."""
    kernels, biases = list(network.kernels), list(network.biases)
    kernels[-1], biases[-1] = np.ascontiguousarray(kernels[-1][:, order]), biases[-1][order]
    return DenseNetwork(tuple(kernels), tuple(biases))


def _networks(inputs: Floats, settings: ImportanceVectorSettings) -> Members:
    return Members([inputs.shape[1], *settings.units, CLUSTERS], _seeds(settings), slope=RELU)


def _seeds(settings: ImportanceVectorSettings) -> list[int]:
    return [settings.seed + member for member in range(settings.members)]


def _descend(optimizer: torch.optim.Optimizer, loss_M: Tensor) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss_M.sum())
    optimizer.step()
