"""The paper's classifier of images, corrected: logits into the loss, batches drawn anew, ReLU between its last layers.

Shapes: B rows, P pixels, K classes.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.torch.course import seeded

ROWS_AT_ONCE = 1000
STREAM = 7


class Size(NamedTuple):
    """Channels of both convolutions, units of the dense layer, and steps of training."""

    first: int
    second: int
    units: int
    steps: int


def predictions(
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
    tested: NDArray[np.float32],
    *,
    size: Size,
    weights: NDArray[np.float32] | None,
    seed: int,
) -> NDArray[np.float64]:
    """Learn from rows (n, P) with pixels from 0 to 255, and return each tested row's chance of each class, (B, K).

    Args:
        rows: real and synthetic ones.
        labels: their classes.
        tested: rows that are not learned from.
        size: of the network, and its steps.
        weights: of the classes in the loss, (K,); None: all alike.
        seed: of weights and batches.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classes = int(labels.max()) + 1
    with seeded(seed, STREAM, device=device):
        network = _network(size, classes).to(device, memory_format=torch.channels_last)  # quicker by a third on CPUs
        _train(network, torch.from_numpy(rows).to(device), torch.from_numpy(labels).to(device), size.steps, weights)
    network.eval()
    with torch.no_grad():
        parts = [
            network(_scaled(torch.from_numpy(tested[at : at + ROWS_AT_ONCE]).to(device))).softmax(dim=1).cpu().numpy()
            for at in range(0, len(tested), ROWS_AT_ONCE)
        ]
    return np.concatenate(parts).astype(np.float64)


def _train(
    network: nn.Module, rows_NP: Tensor, labels_N: Tensor, steps: int, weights: NDArray[np.float32] | None
) -> None:
    weights_K = None if weights is None else torch.from_numpy(weights).to(rows_NP.device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for _ in range(steps):
        drawn = torch.randint(len(labels_N), (64,), device=rows_NP.device)
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(_scaled(rows_NP[drawn])), labels_N[drawn], weight=weights_K)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()


def _scaled(rows_BP: Tensor) -> Tensor:
    return (rows_BP.view(-1, 1, 28, 28) / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _network(size: Size, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, size.first, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(size.first, size.second, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(size.second * 49, size.units),
        nn.ReLU(),
        nn.Linear(size.units, classes),
    )
