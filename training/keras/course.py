"""The course of a training: stretches of steps, a look after each, the best networks so far, and checkpoints.

Takes players and what each look finds; gives the networks to keep, and survives being killed: a checkpoint is one
file, replaced whole.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_extraction import storage
from training.artifact import pack_arrays, unpack_arrays
from training.dense_network import DenseNetwork
from training.keras.players import Players, State
from training.progress import StepProgress
from training.settings import EnsembleSettings

CHECKPOINT = "training.safetensors"
COURSE = "course"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What one look found; None where no row is held out.

    Attributes:
        step: steps done.
        training: mean training losses since the look before, over the members, by name.
        average_precision: of the rare class, over the held-out rows of all members.
        loss: the classifier's loss on held-out rows, every class weighing the same, mean over the members.
        unknown_share: share of the held-out rows whose verdict is unknown.
        rare_to_unknown: the same among the rare rows.
        class_recall: share of each class's held-out rows that were given that class.
    """

    step: int
    training: Mapping[str, float]
    average_precision: float | None = None
    loss: float | None = None
    unknown_share: float | None = None
    rare_to_unknown: float | None = None
    class_recall: Mapping[str, float | None] = field(default_factory=dict)

    def record(self) -> dict[str, float | None]:
        """Return the look as one row of numbers."""
        row: dict[str, float | None] = {f"loss_{name}": value for name, value in self.training.items()}
        row |= {
            "validation_average_precision": self.average_precision,
            "validation_loss": self.loss,
            "unknown_share": self.unknown_share,
            "rare_to_unknown": self.rare_to_unknown,
        }
        row |= {f"recall_{name}": value for name, value in self.class_recall.items()}
        return {"step": self.step} | {name: None if value is None else round(value, 5) for name, value in row.items()}


@dataclass(frozen=True)
class Course:
    """Looks so far and the networks of the best one.

    Attributes:
        looks: every look, in order.
        best: position of the best look, -1 before the first; the last one where nothing is held out.
        networks: the players' networks at the best look.
    """

    looks: tuple[Look, ...] = ()
    best: int = -1
    networks: tuple[DenseNetwork, ...] = ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.looks[-1].step if self.looks else 0

    def finished(self, steps: int, patience: int) -> bool:
        """Whether all steps are done, or the last `patience` looks were none of them better; 0 has no end of it."""
        return self.step >= steps or len(self.looks) - 1 - self.best >= patience > 0

    def after(self, look: Look, networks: Sequence[DenseNetwork], *, choose: bool = True) -> "Course":
        """Return the course with one more look, at which the players had `networks`.

        Args:
            look: what was found.
            networks: the networks as they are now.
            choose: keep the networks of the best look; else the last.
        """
        looks = (*self.looks, look)
        better = self.best < 0 or _quality(look) > _quality(self.looks[self.best])
        if better or not choose or look.average_precision is None:
            return Course(looks, len(self.looks), tuple(networks))
        return replace(self, looks=looks)

    def history(self) -> dict[str, Any]:
        """Return the looks as columns of numbers."""
        records = [look.record() for look in self.looks]
        columns = {name: [record[name] for record in records] for name in records[0]}
        return {"best_step": self.looks[self.best].step} | columns


@dataclass(frozen=True)
class Plan:
    """What is needed to train.

    Attributes:
        title: name of the method, for progress and messages.
        settings: steps, and how often to look.
        identity: digest of settings and data; a checkpoint of another one is ignored.
        patience: looks without a better one before stopping, 0 for never.
        choose: keep the networks of the best look; else the last.
    """

    title: str
    settings: EnsembleSettings
    identity: str
    patience: int = 0
    choose: bool = True


def follow(
    plan: Plan,
    players: Players,
    *,
    draw: Callable[[Any, Any], Any],
    data: Callable[[int], Any],
    look: Callable[[int, Mapping[str, float], list[DenseNetwork]], tuple[Look, str]],
) -> Course:
    """Train until the course is finished, with a look, and a checkpoint, every few steps.

    Args:
        plan: for how long, and what to keep.
        players: the networks; they are left as they were after the last step.
        draw: from the data and a step's number to the step's batch.
        data: from the number of looks so far to what is on the device.
        look: from the steps done, the mean losses and the networks to a look and words about it.
    """
    settings, course = plan.settings, Course()
    if settings.checkpoint:
        course, state = _resume(plan, players.state())
        players.restore(state)
    run = players.stretch(draw, xla=settings.xla)
    with StepProgress(plan.title, settings.steps, logger) as progress:
        while not course.finished(settings.steps, plan.patience):
            num = min(settings.evaluate_every, settings.steps - course.step)
            losses = run(course.step, num, data(len(course.looks)))
            networks = players.networks()
            means = {name: float(loss.mean()) for name, loss in losses.items()}
            found, words = look(course.step + num, means, networks)
            course = course.after(found, networks, choose=plan.choose)
            if settings.checkpoint:
                save(settings.checkpoint, plan.identity, course, players.state())
            progress.reach(found.step, words)
    return course


def save(folder: str, identity: str, course: Course, state: State) -> None:
    """Replace the checkpoint in a folder.

    Args:
        folder: a local folder or one in a bucket.
        identity: tells the settings and data that the checkpoint belongs to.
        course: the course so far.
        state: the players' weights and optimizers after its last step.
    """
    looks = [asdict(look) for look in course.looks]
    text = json.dumps({"identity": identity, "best": course.best, "looks": looks})
    arrays: dict[str, NDArray[Any]] = {COURSE: np.frombuffer(text.encode(), dtype=np.uint8)}
    arrays |= {f"state.{name}": array for name, array in state.items()}
    for number, network in enumerate(course.networks):
        arrays |= network.arrays(f"best{number}.")
    storage.write_bytes(storage.join(folder, CHECKPOINT), pack_arrays(arrays))


def _resume(plan: Plan, state: State) -> tuple[Course, State]:
    """Read the checkpoint, or start anew where there is none or it belongs to other settings or data."""
    place = storage.join(plan.settings.checkpoint, CHECKPOINT)
    if not storage.exists(place):
        return Course(), state
    arrays = unpack_arrays(storage.read_bytes(place))
    fields = json.loads(arrays[COURSE].tobytes())
    if fields["identity"] != plan.identity:
        logger.warning("%s belongs to other settings or data and is ignored; training starts anew", place)
        return Course(), state
    networks: list[DenseNetwork] = []
    while f"best{len(networks)}.kernel0" in arrays:
        networks.append(DenseNetwork.from_arrays(arrays, f"best{len(networks)}."))
    course = Course(tuple(Look(**look) for look in fields["looks"]), fields["best"], tuple(networks))
    logger.info("%s: %s goes on from step %d", place, plan.title, course.step)
    return course, {name: arrays[f"state.{name}"] for name in state}


def _quality(look: Look) -> tuple[float, float]:
    if look.average_precision is None or look.loss is None:
        return -np.inf, -np.inf
    return look.average_precision, -look.loss
