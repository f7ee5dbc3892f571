"""The course of a ScarceGAN training: its looks at held-out rows, the best networks so far, and checkpoints.

Takes what each look found; tells which networks to keep and when to stop, and survives being killed: a
checkpoint is one file, replaced whole.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_extraction import storage
from training.artifact import pack_arrays, unpack_arrays
from training.dense_network import DenseNetwork
from training.keras.scarcegan_steps import State

CHECKPOINT = "scarcegan.safetensors"
COURSE = "course"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What one look at the held-out rows found.

    Attributes:
        step: steps done.
        average_precision: of the rare class, over the held-out rows of all members.
        loss: supervised loss on held-out rows, every class weighing the same, mean over the folds.
        training: mean training losses since the look before, by name.
    """

    step: int
    average_precision: float
    loss: float
    training: dict[str, float]


@dataclass(frozen=True)
class Course:
    """Looks so far and the networks of the best one.

    Attributes:
        looks: every look, in order.
        best: position of the best look, -1 before the first.
        networks: the members' networks at the best look.
    """

    looks: tuple[Look, ...] = ()
    best: int = -1
    networks: tuple[DenseNetwork, ...] = ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.looks[-1].step if self.looks else 0

    def finished(self, steps: int, patience: int) -> bool:
        """Whether all steps are done, or the last `patience` looks were none of them better."""
        return self.step >= steps or len(self.looks) - 1 - self.best >= patience > 0

    def after(self, look: Look, networks: Sequence[DenseNetwork]) -> "Course":
        """Return the course with one more look, at which the members were `networks`."""
        looks = (*self.looks, look)
        if self.best < 0 or _quality(look) > _quality(self.looks[self.best]):
            return Course(looks, len(self.looks), tuple(networks))
        return replace(self, looks=looks)

    def history(self) -> dict[str, Any]:
        """Return the looks as columns of numbers."""
        return {
            "best_step": self.looks[self.best].step,
            "step": [look.step for look in self.looks],
            "validation_average_precision": [round(look.average_precision, 5) for look in self.looks],
            "validation_loss": [round(look.loss, 5) for look in self.looks],
        }


def save(folder: str, identity: str, course: Course, states: Sequence[State]) -> None:
    """Replace the checkpoint in a folder.

    Args:
        folder: a local folder or one in a bucket.
        identity: tells the settings and data that the checkpoint belongs to.
        course: the course so far.
        states: the members' weights and optimizers after its last step.
    """
    looks = [asdict(look) for look in course.looks]
    text = json.dumps({"identity": identity, "best": course.best, "looks": looks})
    arrays: dict[str, NDArray[Any]] = {COURSE: np.frombuffer(text.encode(), dtype=np.uint8)}
    for number, state in enumerate(states):
        arrays |= {f"member{number}.{name}": array for name, array in state.items()}
    for number, network in enumerate(course.networks):
        arrays |= network.arrays(f"best{number}.")
    storage.write_bytes(storage.join(folder, CHECKPOINT), pack_arrays(arrays))


def resume(folder: str, identity: str, states: Sequence[State]) -> tuple[Course, list[State]]:
    """Read the checkpoint in a folder: its course, and the members' states after its last step.

    Where there is none, or it belongs to other settings or data (which is logged), the course is empty and the
    states are those given.
    """
    place = storage.join(folder, CHECKPOINT)
    if not storage.exists(place):
        return Course(), list(states)
    arrays = unpack_arrays(storage.read_bytes(place))
    fields = json.loads(arrays[COURSE].tobytes())
    if fields["identity"] != identity:
        logger.warning("%s belongs to other settings or data and is ignored; training starts anew", place)
        return Course(), list(states)
    prefixes = [f"member{number}." for number in range(len(states))]
    saved = [
        {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)} for prefix in prefixes
    ]
    networks = tuple(DenseNetwork.from_arrays(arrays, f"best{number}.") for number in range(len(states)))
    course = Course(tuple(Look(**look) for look in fields["looks"]), fields["best"], networks)
    logger.info("%s: training goes on from step %d", place, course.step)
    return course, saved


def _quality(look: Look) -> tuple[float, float]:
    return look.average_precision, -look.loss
