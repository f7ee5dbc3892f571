"""QAST's second classifier, a bidirectional LSTM that reads the features of a row as a short sequence (section C).

Takes raw rows and class codes; gives a classifier like any of the second stage. Published is training for all epochs
on raw features. Repaired, features are scaled, and training on all rows ends after as many epochs as were best on
held-out real rows: of classes with few rows too many would be lost to learning otherwise.

Shapes: N, B rows of all and of a batch, F inputs, T steps, U units, K classes, M measures.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.artifact import ArtifactError
from training.scaler import Scaler
from training.torch.devices import device_of
from training.torch.second_stage import Codes, packed
from training.torch.second_stage_settings import SecondStageSettings
from training.trainer import Floats

BETAS = (0.5, 0.9)
ROWS_AT_ONCE = 8192
Shape = tuple[int, int, int, int]


class BLSTMNetwork(nn.Module):
    """Two layers that read both ways; logits from what stands at the last step."""

    def __init__(self, inputs: int, units: int, layers: int, classes: int) -> None:
        """Cut `inputs` features into steps of ceil(sqrt(inputs)), the last one filled up with zeros."""
        super().__init__()
        self.step = math.ceil(math.sqrt(inputs))
        self.reader = nn.LSTM(self.step, units, num_layers=layers, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * units, classes)

    def forward(self, rows_BF: Tensor) -> Tensor:
        """Return logits (B, K) of rows (B, features)."""
        filled = functional.pad(rows_BF, (0, -rows_BF.shape[1] % self.step))
        read_BTU, _ = self.reader(filled.reshape(len(filled), -1, self.step))
        return cast(Tensor, self.head(read_BTU[:, -1]))


@dataclass(frozen=True, eq=False)
class BLSTM:
    """A trained network.

    Attributes:
        network: on its device, in eval mode.
        scaler: raw rows to inputs; None for raw inputs, with 0 for a missing value.
        shape: inputs, units, layers and classes.
        epochs: passes over all rows.
    """

    network: BLSTMNetwork
    scaler: Scaler | None
    shape: Shape
    epochs: int

    @classmethod
    def fit(
        cls,
        features: Floats,
        labels: Codes,
        *,
        classes: int,
        settings: SecondStageSettings,
        seed: int,
        real: NDArray[np.bool_],
    ) -> Self:
        """Train by cross-entropy; `real` (n,) says which rows may be held out."""
        scaler = Scaler.fit(features) if settings.blstm_scaling == "standard" else None
        inputs, device = _inputs(features, scaler), device_of(settings.device)
        held_out = held_out_rows(labels, real, settings.blstm_validation, seed=seed)
        rows = _Rows(torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device))
        shape = (inputs.shape[1], settings.blstm_units, settings.blstm_layers, classes)
        epochs = settings.blstm_epochs
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            if len(held_out):
                known = np.setdiff1d(np.arange(len(labels)), held_out)
                epochs = _best_epoch(shape, rows.take(known), rows.take(held_out), settings, seed)
            network = _untrained(shape, device, seed)
            for _ in islice(_epochs(network, rows, settings), epochs):
                pass
        return cls(network.eval(), scaler, shape, epochs)

    def predict_proba(self, features: Floats, /) -> Floats:
        """Return probabilities (rows, classes) of raw rows."""
        device = self.network.head.weight.device
        parts = [np.empty((0, self.shape[-1]), np.float32)]
        with torch.no_grad():
            for first in range(0, len(features), ROWS_AT_ONCE):
                inputs = _inputs(features[first : first + ROWS_AT_ONCE], self.scaler)
                parts.append(self.network(torch.from_numpy(inputs).to(device)).softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)

    def files(self) -> dict[str, bytes]:
        """Return the classifier as files by name."""
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in self.network.state_dict().items()}
        facts = {"shape": self.shape, "epochs": self.epochs, "scaler": self.scaler and self.scaler.to_json()}
        return packed("blstm", facts, arrays)

    @classmethod
    def from_arrays(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `files` packed; the network lies on the CPU. Arrays of another shape raise `ArtifactError`."""
        inputs, units, layers, classes = facts["shape"]
        shape = (inputs, units, layers, classes)
        if layers > len(arrays):
            raise ArtifactError(f"{len(arrays)} arrays for a network of {layers} layers; train again")
        with torch.device("meta"):  # what the file claims takes no memory before its arrays bear it out
            network = BLSTMNetwork(*shape)
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, assign=True)
        scaler = Scaler.from_json(facts["scaler"]) if facts["scaler"] else None
        return cls(network.eval(), scaler, shape, facts["epochs"])


class _Rows(NamedTuple):
    inputs_NF: Tensor
    codes_N: Tensor

    def take(self, places: NDArray[np.intp]) -> "_Rows":
        chosen = torch.from_numpy(places).to(self.codes_N.device)
        return _Rows(self.inputs_NF[chosen], self.codes_N[chosen])


def _untrained(shape: Shape, device: torch.device, seed: int) -> BLSTMNetwork:
    torch.manual_seed(seed)
    return BLSTMNetwork(*shape).to(device)


def _epochs(network: BLSTMNetwork, rows: _Rows, settings: SecondStageSettings) -> Iterator[int]:
    """Train without end, and give the number of each epoch done."""
    optimizer = torch.optim.Adam(network.parameters(), settings.blstm_rate, BETAS, fused=True)
    for epoch in count(1):
        shuffled = torch.randperm(len(rows.codes_N)).to(rows.codes_N.device)
        for drawn in torch.split(shuffled, settings.blstm_batch):
            loss = functional.cross_entropy(network(rows.inputs_NF[drawn]), rows.codes_N[drawn])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        yield epoch


def _best_epoch(shape: Shape, known: _Rows, held_out: _Rows, settings: SecondStageSettings, seed: int) -> int:
    network = _untrained(shape, known.codes_N.device, seed)
    best, least = 0, (math.inf, math.inf)
    for epoch in islice(_epochs(network, known, settings), settings.blstm_epochs):
        found = balanced_errors(network, held_out.inputs_NF, held_out.codes_N)
        if found < least:
            best, least = epoch, found
        elif epoch - best >= settings.blstm_patience:
            break
    return best


def balanced_errors(network: nn.Module, rows_BF: Tensor, codes_B: Tensor) -> tuple[float, float]:
    """Return the share of wrong rows and their cross-entropy, each class present weighing the same."""
    with torch.no_grad():
        logits_BK = network(rows_BF)
        entropy_B = functional.cross_entropy(logits_BK, codes_B, reduction="none")
    each_BM = torch.stack([(logits_BK.argmax(dim=1) != codes_B).to(entropy_B.dtype), entropy_B], dim=1)
    counts_K = torch.bincount(codes_B)
    sums_KM = each_BM.new_zeros((len(counts_K), 2)).index_add_(0, codes_B, each_BM)
    wrong, entropy = (sums_KM[counts_K > 0] / counts_K[counts_K > 0, None]).mean(dim=0).tolist()
    return wrong, entropy


def held_out_rows(labels: Codes, real: NDArray[np.bool_], share: float, *, seed: int) -> NDArray[np.intp]:
    """Return the positions of held-out rows, ascending: that share of each class's real rows, one at least.

    A row of each class is left to learn from. With share 0 nothing is held out.
    """
    if share == 0:
        return np.empty(0, np.intp)
    random = np.random.default_rng(seed)
    drawn = [
        random.permutation(np.flatnonzero(real & (labels == code)))[: _share_of(labels == code, real, share)]
        for code in np.flatnonzero(np.bincount(labels))
    ]
    return np.sort(np.concatenate(drawn))


def _share_of(members: NDArray[np.bool_], real: NDArray[np.bool_], share: float) -> int:
    wanted = max(1, round(share * int((members & real).sum())))
    return min(wanted, int(members.sum()) - 1)


def _inputs(features: Floats, scaler: Scaler | None) -> Floats:
    if scaler:
        return scaler.transform(features)
    return np.nan_to_num(np.asarray(features, np.float32), nan=0.0)
