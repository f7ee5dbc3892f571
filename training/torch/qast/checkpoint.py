"""Checkpoints of the adversarial epochs: one safetensors file for each course, replaced whole.

Takes players and what was noted so far; gives both back to the same settings and data alone.
"""

import json
import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feature_extraction import storage
from training.artifact import pack_arrays, unpack_arrays
from training.torch.qast.moves import Players

NOTES = "notes"

logger = logging.getLogger(__name__)


def save(place: str, players: Players, *, identity: str, notes: dict[str, Any]) -> None:
    """Replace the checkpoint.

    Args:
        place: the file's URL.
        players: networks and optimizers as they are.
        identity: tells the settings and data that the checkpoint belongs to.
        notes: what else goes on from here, as JSON knows it.
    """
    text = json.dumps({"identity": identity, "notes": notes})
    arrays: dict[str, NDArray[Any]] = {NOTES: np.frombuffer(text.encode(), dtype=np.uint8)}
    arrays |= {f"state.{name}": tensor.detach().cpu().numpy() for name, tensor in state(players).items()}
    storage.write_bytes(place, pack_arrays(arrays))


def resume(place: str, players: Players, *, identity: str) -> dict[str, Any] | None:
    """Bring players to where a checkpoint left them, and return its notes.

    None, and players as they were, where there is no checkpoint or it belongs to other settings or data.
    """
    if not storage.exists(place):
        return None
    arrays = unpack_arrays(storage.read_bytes(place))
    fields = json.loads(arrays[NOTES].tobytes())
    if fields["identity"] != identity:
        logger.warning("%s belongs to other settings or data and is ignored; training starts anew", place)
        return None
    restore(players, {name.removeprefix("state."): torch.from_numpy(array) for name, array in arrays.items()})
    notes: dict[str, Any] = fields["notes"]
    return notes


def state(players: Players) -> dict[str, Tensor]:
    """Name every weight, buffer and optimizer variable."""
    found: dict[str, Tensor] = {}
    for (name, network), optimizer in zip(players.networks.items(), players.optimizers, strict=True):
        found |= {f"{name}.{part}": tensor for part, tensor in network.state_dict().items()}
        for number, variables in optimizer.state_dict()["state"].items():
            found |= {f"{name}.adam.{number}.{part}": tensor for part, tensor in variables.items()}
    return found


def restore(players: Players, found: dict[str, Tensor]) -> None:
    """Set every variable to what `state` gave."""
    for (name, network), optimizer in zip(players.networks.items(), players.optimizers, strict=True):
        network.load_state_dict({part: found[f"{name}.{part}"] for part in network.state_dict()})
        adam = f"{name}.adam."
        variables: dict[int, dict[str, Tensor]] = {}
        for key in (key for key in found if key.startswith(adam)):
            number, part = key.removeprefix(adam).split(".")
            variables.setdefault(int(number), {})[part] = found[key]
        optimizer.load_state_dict({"state": variables, "param_groups": optimizer.state_dict()["param_groups"]})
