"""The committee's network S (B.5): the classifier of the adversarial stage, trained on real rows alone.

Takes rows as the committee's members see them; gives probabilities, and named arrays for safetensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.torch.course import seeded
from training.torch.devices import device_of
from training.torch.qast import losses
from training.torch.qast.attention import rows_at_once
from training.torch.qast.networks import Classifier
from training.torch.qast.settings import QASTSettings
from training.trainer import Floats

BETAS = (0.5, 0.9)
WHOLE_ROWS = 4096  # the published full batch up to here; larger tables are drawn from, to bound memory and time
NETWORK_STREAM = 4


@dataclass(frozen=True)
class NetworkMember:
    """A trained network S.

    Attributes:
        network: on its device, in eval mode.
        num_classes: classes it gives probabilities of.
    """

    network: Classifier
    num_classes: int

    @classmethod
    def fit(
        cls,
        features: Floats,
        labels: NDArray[np.int64],
        *,
        num_classes: int,
        minority: Sequence[int],
        settings: QASTSettings,
        seed: int,
    ) -> Self:
        """Train by L_S for `network_steps` full batches.

        A table of more than 4,096 rows, or fewer where they are wide, is drawn from instead: as many rows of each
        class in every step, so that the mean over a class is estimated and its weight stays that of the whole table.
        """
        device = device_of(settings.device)
        rows = torch.from_numpy(np.ascontiguousarray(features, np.float32)).to(device)
        codes = torch.from_numpy(labels).to(device)
        with seeded(seed, NETWORK_STREAM, device=device):
            network = Classifier(features.shape[1], num_classes).to(device)
            optimizer = torch.optim.Adam(network.parameters(), settings.rate, BETAS, fused=True)
            small_K = torch.zeros(num_classes, dtype=torch.bool, device=device)
            small_K[list(minority)] = True
            lesson = _Lesson(rows, codes, num_classes)
            for _ in range(settings.network_steps):
                drawn_BW, codes_B = lesson.draw()
                each_B = functional.cross_entropy(network(drawn_BW), codes_B, reduction="none")
                members_BK = torch.eye(num_classes, device=device)[codes_B]
                loss = losses.mined_cross_entropy(each_B, members_BK, small_K=small_K, weights_K=lesson.weights_K)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
        return cls(network.eval(), num_classes)

    def predict_proba(self, features: Floats) -> Floats:
        """Return probabilities, (rows, classes)."""
        device = next(self.network.parameters()).device
        parts, size = [np.empty((0, self.num_classes), np.float32)], rows_at_once(features.shape[1])
        with torch.no_grad():
            for first in range(0, len(features), size):
                rows = np.ascontiguousarray(features[first : first + size], np.float32)
                parts.append(self.network(torch.from_numpy(rows).to(device)).softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)

    def arrays(self) -> dict[str, Floats]:
        """Return the weights by name; `from_arrays` reads them back, bit for bit."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.network.state_dict().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats], *, num_classes: int, device: torch.device) -> Self:
        """Rebuild the network on a device."""
        width = arrays["body.0.query.weight"].shape[0]
        network = Classifier(width, num_classes)
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
        return cls(network.to(device).eval(), num_classes)


class _Lesson:
    """Rows to learn from: all of them, or a draw of as many of each class."""

    def __init__(self, rows_NW: Tensor, codes_N: Tensor, num_classes: int) -> None:
        self._rows, self._codes = rows_NW, codes_N
        self._most = min(WHOLE_ROWS, rows_at_once(rows_NW.shape[1]))
        counts_K = torch.bincount(codes_N, minlength=num_classes)
        self.weights_K = losses.class_weights(counts_K.to(rows_NW.dtype))
        self._present = counts_K.nonzero()[:, 0]
        self._order, self._starts, self._counts = codes_N.argsort(stable=True), counts_K.cumsum(0) - counts_K, counts_K

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return the rows of a step and their codes."""
        if len(self._rows) <= self._most:
            return self._rows, self._codes
        each = max(1, self._most // len(self._present))
        counts, starts = self._counts[self._present, None], self._starts[self._present, None]
        places = (torch.rand((len(self._present), each), device=counts.device) * counts).long().clamp(max=counts - 1)
        chosen = self._order[(starts + places).flatten()]
        return self._rows[chosen], self._codes[chosen]
