"""The classifier on a balanced table: the same network without importances, trained on labels.

Takes inputs with labels and weights; gives numpy networks.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.dense_network import DenseNetwork
from training.torch.devices import device_of
from training.torch.embedded import Embedded
from training.torch.importance import losses
from training.torch.importance.settings import ImportanceVectorSettings
from training.torch.member_networks import Members, batches
from training.trainer import Floats, TrainingDiverged

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]


def balanced_weights(labels: Codes, weights: Doubles | None = None) -> Doubles:
    """Return weights (rows,) scaled so that each class weighs the same and the mean is 1."""
    given = np.ones(len(labels)) if weights is None else weights
    totals = np.bincount(labels, weights=given)
    present = (totals > 0).sum()
    return np.asarray(given * len(labels) / (present * totals[labels]))


def fit(
    inputs: Floats,
    labels: Codes,
    weights: Doubles,
    *,
    num_classes: int,
    settings: ImportanceVectorSettings,
    embedded: Sequence[Embedded] = (),
) -> tuple[DenseNetwork, ...]:
    """Train the members on weighted cross-entropy.

    Args:
        inputs: (rows, I).
        labels: class codes, (rows,).
        weights: of the rows, of mean 1; with `balanced_weights` probabilities are those of balanced classes.
        num_classes: logits.
        settings: units, rate, and the classifier's epochs, batch and decay.
        embedded: blocks of inputs to be embedded.

    Raises:
        TrainingDiverged: a loss is no longer a number.
    """
    device = device_of(settings.device)
    seeds = [settings.seed + member for member in range(settings.members)]
    networks = Members([inputs.shape[1], *settings.units, num_classes], seeds, embedded=embedded).to(device)
    decay = settings.classifier_decay
    optimizer = torch.optim.Adam(networks.parameters(), lr=settings.rate, weight_decay=decay, fused=True)
    table_NI = torch.from_numpy(inputs).to(device)
    targets_NK = functional.one_hot(torch.from_numpy(labels), num_classes).float().to(device)
    weights_N = torch.from_numpy(weights.astype(np.float32)).to(device)
    for epoch in range(settings.passes_over(len(inputs), settings.classifier_epochs)):
        for rows in batches(len(inputs), settings.classifier_batch, seeds=seeds, epoch=epoch):
            rows_MB = torch.from_numpy(rows).to(device)
            loss_M = losses.cross_entropy(networks(table_NI[rows_MB]), targets_NK[rows_MB], weights_N[rows_MB])
            optimizer.zero_grad()
            torch.autograd.backward(loss_M.sum())
            optimizer.step()
        if not torch.isfinite(loss_M).all():
            raise TrainingDiverged(
                f"in epoch {epoch} the classifier's loss is no longer a number; lower the rate, and look for extreme "
                "values among the features"
            )
    return networks.export()
