"""Checkpoints of one course of training: a safetensors file of weights and optimizer, replaced whole.

Takes a network, its optimizer and what was noted so far; gives them back to the same settings and data alone.
"""

import json
import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feature_extraction import storage
from training.artifact import pack_arrays, unpack_arrays

NOTES, WEIGHT, MOMENT = "notes", "weight.", "moment."

logger = logging.getLogger(__name__)


def save(
    place: str, network: nn.Module, optimizer: torch.optim.Optimizer, *, identity: str, notes: dict[str, Any]
) -> None:
    """Replace the checkpoint at a URL.

    Args:
        place: the file's URL.
        network: as it is.
        optimizer: as it is.
        identity: tells the settings and data that the checkpoint belongs to.
        notes: what else goes on from here, as JSON knows it.
    """
    text = json.dumps({"identity": identity, "notes": notes})
    arrays: dict[str, NDArray[Any]] = {NOTES: np.frombuffer(text.encode(), dtype=np.uint8)}
    arrays |= {WEIGHT + name: _array(tensor) for name, tensor in network.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        arrays |= {f"{MOMENT}{number}.{name}": _array(tensor) for name, tensor in moments.items()}
    storage.write_bytes(place, pack_arrays(arrays))


def resume(place: str, network: nn.Module, optimizer: torch.optim.Optimizer, *, identity: str) -> dict[str, Any] | None:
    """Bring network and optimizer to where a checkpoint left them, and return its notes.

    None, and both as they were, where there is no checkpoint or it belongs to other settings or data.
    """
    if not storage.exists(place):
        return None
    arrays = unpack_arrays(storage.read_bytes(place))
    fields = json.loads(arrays.pop(NOTES).tobytes())
    if fields["identity"] != identity:
        logger.warning("%s belongs to other settings or data and is ignored; training starts anew", place)
        return None
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    network.load_state_dict({name: tensors[WEIGHT + name] for name in network.state_dict()})
    moments: dict[int, dict[str, Tensor]] = {}
    for name in (name for name in tensors if name.startswith(MOMENT)):
        number, moment = name.removeprefix(MOMENT).split(".")
        moments.setdefault(int(number), {})[moment] = tensors[name]
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    notes: dict[str, Any] = fields["notes"]
    return notes


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())
