"""What the courses of all generators share: place and checkpoint, streams of random numbers, means and history."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feature_extraction import storage
from training.trainer import TrainingDiverged


@dataclass(frozen=True)
class Place:
    """Where a course stands.

    Attributes:
        title: for progress and messages.
        folder: URL of the folder for checkpoints, or '' for none.
        identity: digest of settings and data; a checkpoint of another one is ignored.
    """

    title: str
    folder: str = ""
    identity: str = ""

    @property
    def url(self) -> str:
        """URL of the checkpoint, or ''."""
        name = self.title.replace(" ", "_")
        return storage.join(self.folder, f"{name}.safetensors") if self.folder else ""

    def of(self, part: str) -> "Place":
        """Return the place of one of several courses of a training."""
        return replace(self, title=f"{self.title} {part}")


@contextmanager
def seeded(*numbers: int, device: torch.device) -> Iterator[None]:
    """Let torch draw from a stream named by numbers, and leave its global state as it was."""
    words = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))
        yield


def means(names: Sequence[str], since: Sequence[Tensor], where: str) -> list[float]:
    """Return the means of losses since the look before.

    Args:
        names: of the losses.
        since: the losses of each step since the look before.
        where: the course and how far it is, for messages.

    Raises:
        TrainingDiverged: a mean is no longer a number.
    """
    found: list[float] = torch.stack(list(since)).mean(dim=0).tolist()
    if not all(math.isfinite(mean) for mean in found):
        raise TrainingDiverged(
            f"{where} the means of {', '.join(names)} became {found}; "
            "lower the learning rates, and look for extreme values among the features"
        )
    return found


def history(looks: Sequence[tuple[Any, ...]], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return fields of named tuples as columns of numbers, of five decimals."""
    return {name: [round(getattr(look, name), 5) for look in looks] for name in names}
