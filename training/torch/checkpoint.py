"""Checkpoints of one course of training: a safetensors file of weights and optimizers, replaced whole.

Takes networks and optimizers by name and what was noted so far; gives them back to the same settings and data alone.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feature_extraction import storage
from training.artifact import pack_arrays, unpack_arrays

NOTES, WEIGHT, MOMENT = "notes", "weight.", "moment."

logger = logging.getLogger(__name__)


class Learners(NamedTuple):
    """What changes from step to step: networks and optimizers, by names without a dot."""

    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]


def save(place: str, learners: Learners, *, identity: str, notes: dict[str, Any]) -> None:
    """Replace the checkpoint at a URL.

    Args:
        place: the file's URL.
        learners: as they are.
        identity: tells the settings and data that the checkpoint belongs to.
        notes: what else goes on from here, as JSON knows it.
    """
    text = json.dumps({"identity": identity, "notes": notes})
    arrays: dict[str, NDArray[Any]] = {NOTES: np.frombuffer(text.encode(), dtype=np.uint8)}
    arrays |= {name: np.asarray(tensor.detach().cpu().numpy()) for name, tensor in state(learners).items()}
    storage.write_bytes(place, pack_arrays(arrays))


def resume(place: str, learners: Learners, *, identity: str) -> dict[str, Any] | None:
    """Bring networks and optimizers to where a checkpoint left them, and return its notes.

    None, and all as it was, where there is no checkpoint or it belongs to other settings or data.
    """
    if not storage.exists(place):
        return None
    arrays = unpack_arrays(storage.read_bytes(place))
    fields = json.loads(arrays.pop(NOTES).tobytes())
    if fields["identity"] != identity:
        logger.warning("%s belongs to other settings or data and is ignored; training starts anew", place)
        return None
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    for own, network in learners.networks.items():
        network.load_state_dict(_below(tensors, f"{WEIGHT}{own}."))
    for own, optimizer in learners.optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below(tensors, f"{MOMENT}{own}.").items():
            number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = tensor
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    notes: dict[str, Any] = fields["notes"]
    return notes


def state(learners: Learners) -> dict[str, Tensor]:
    """Name every weight, buffer and optimizer variable."""
    found: dict[str, Tensor] = {}
    for own, network in learners.networks.items():
        found |= {f"{WEIGHT}{own}.{name}": tensor for name, tensor in network.state_dict().items()}
    for own, optimizer in learners.optimizers.items():
        for number, moments in optimizer.state_dict()["state"].items():
            found |= {f"{MOMENT}{own}.{number}.{name}": tensor for name, tensor in moments.items()}
    return found


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
