"""Checkpoints of a data-parallel training: networks, optimizer, the best networks and notes in one file.

Takes them from process 0; gives them back to the same settings and data alone.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feature_extraction import storage
from training.artifact import pack_arrays, unpack_arrays
from training.dense_network import DenseNetwork

NOTES, MODEL, ADAM, BEST = "notes", "model.", "adam.", "best"

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """A checkpoint: what was noted, arrays of the networks and their optimizer by name, and the best networks."""

    notes: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    best_networks: tuple[DenseNetwork, ...]


def save(
    place: str,
    notes: dict[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    best_networks: Sequence[DenseNetwork],
) -> None:
    """Replace the checkpoint; `notes` name the identity it belongs to."""
    arrays: dict[str, NDArray[Any]] = {NOTES: np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8)}
    arrays |= {MODEL + name: _array(tensor) for name, tensor in network.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        arrays |= {f"{ADAM}{number}.{part}": _array(tensor) for part, tensor in moments.items()}
    for number, best in enumerate(best_networks):
        arrays |= best.arrays(f"{BEST}{number}.")
    storage.write_bytes(place, pack_arrays(arrays))


def find(place: str, identity: str) -> Found | None:
    """Read the checkpoint; None where there is none, or it belongs to other settings or data."""
    if not storage.exists(place):
        return None
    arrays = unpack_arrays(storage.read_bytes(place))
    notes: dict[str, Any] = json.loads(arrays.pop(NOTES).tobytes())
    if notes["identity"] != identity:
        logger.warning("%s belongs to other settings or data and is ignored; training starts anew", place)
        return None
    networks: list[DenseNetwork] = []
    while f"{BEST}{len(networks)}.kernel0" in arrays:
        networks.append(DenseNetwork.from_arrays(arrays, f"{BEST}{len(networks)}."))
    return Found(notes, arrays, tuple(networks))


def restore(found: Found, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Bring networks and optimizer to where the checkpoint left them."""
    network.load_state_dict({name: torch.from_numpy(found.arrays[MODEL + name]) for name in network.state_dict()})
    moments: dict[int, dict[str, Tensor]] = {}
    for name in (name for name in found.arrays if name.startswith(ADAM)):
        number, part = name.removeprefix(ADAM).split(".")
        moments.setdefault(int(number), {})[part] = torch.from_numpy(found.arrays[name])
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.array(tensor.detach().cpu().numpy())
