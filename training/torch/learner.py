"""The course of a data-parallel training: steps, looks at the held-out rows, the best networks, and checkpoints.

Takes what the processes agreed on and each one's rows; gives the same course in all of them. A checkpoint is one file,
replaced whole by process 0; a killed training goes on from it, with as many processes or with others.

Shapes: M members, B rows, I inputs, K classes.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from feature_extraction import storage
from training.dense_network import DenseNetwork
from training.progress import StepProgress
from training.torch import learner_checkpoint, shares
from training.torch.classifier_settings import TorchMLPSettings
from training.torch.devices import device_of
from training.torch.distributed import Group
from training.torch.member_networks import Members, mean_chances
from training.torch.shares import Share
from training.trainer import Batch, Reader, TrainingDiverged

NAME = "torch_mlp"
CHECKPOINT = "training.safetensors"
Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What was found after so many steps.

    Attributes:
        step: steps done.
        loss: mean over processes, members and the steps since the look before.
        average_precision: of the rare class among all held-out rows; None where they are of one class.
    """

    step: int
    loss: float
    average_precision: float | None


@dataclass(frozen=True)
class Course:
    """Looks so far and the networks of the best one; the last one's where nothing can be ranked.

    Attributes:
        looks: every look, in order.
        best: position of the best look, -1 before the first.
        networks: the members at that look.
    """

    looks: tuple[Look, ...] = ()
    best: int = -1
    networks: tuple[DenseNetwork, ...] = ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.looks[-1].step if self.looks else 0

    def after(self, look: Look, networks: Sequence[DenseNetwork]) -> "Course":
        """Return the course with one more look."""
        looks = (*self.looks, look)
        most = self.looks[self.best].average_precision if self.looks else None
        if most is None or look.average_precision is None or look.average_precision > most:
            return Course(looks, len(self.looks), tuple(networks))
        return replace(self, looks=looks)

    def finished(self, steps: int, patience: int) -> bool:
        """Whether all steps are done, or the last `patience` looks were none of them better; 0 has no end of it."""
        return self.step >= steps or len(self.looks) - 1 - self.best >= patience > 0

    def history(self) -> dict[str, Any]:
        """Return the looks as columns of numbers."""
        return {
            "best_step": self.looks[self.best].step,
            "step": [look.step for look in self.looks],
            "loss_supervised": [look.loss for look in self.looks],
            "validation_average_precision": [look.average_precision for look in self.looks],
        }


class Task(NamedTuple):
    """What a process is to do.

    Attributes:
        settings: of the trainer.
        share: what it agreed on with the others.
        group: the processes.
        identity: digest of settings and data; a checkpoint of another one is ignored.
        loss: from logits (M, B, K), codes (B,), class weights (K,) and an exponent to each member's loss (M,).
    """

    settings: TorchMLPSettings
    share: Share
    group: Group
    identity: str
    loss: Loss


class _Player(NamedTuple):
    """A process's networks, bare and as they move with the others', their optimizer, and the weights of the classes."""

    networks: Members
    together: nn.Module
    optimizer: torch.optim.Optimizer
    weights_K: Tensor


def follow(task: Task, reader: Reader) -> Course:
    """Train until the course is finished, from the checkpoint where there is one."""
    settings, share, group = task.settings, task.share, task.group
    player, course = _player(task)
    steps = settings.epochs * share.steps_per_epoch
    every = min(settings.evaluate_every, share.steps_per_epoch)
    drawn = shares.batches(reader, share, settings, shares.rows_each(settings, group), course.step)
    with StepProgress(NAME, steps, logger) as progress:
        while not course.finished(steps, settings.patience):
            num = min(every, steps - course.step)
            loss = _stretch(task, player, drawn, num)
            networks = player.networks.export()
            look = _look(task, course.step + num, loss, networks, reader.schema.rare_code)
            course = course.after(look, networks)
            if settings.checkpoint and group.rank == 0:
                place = storage.join(settings.checkpoint, CHECKPOINT)
                looks = [asdict(found) for found in course.looks]
                notes = {"identity": task.identity, "best": course.best, "looks": looks}
                learner_checkpoint.save(place, notes, player.networks, player.optimizer, course.networks)
            progress.reach(look.step, f"loss {look.loss:.3f}; held-out average precision {_said(look)}")
    return course


def _player(task: Task) -> tuple[_Player, Course]:
    """Return the networks as they begin, the same in every process, or as the checkpoint has them."""
    settings, share, device = task.settings, task.share, device_of(task.settings.device)
    seeds = [settings.seed + member for member in range(settings.members)]
    networks = Members([share.scaler.num_inputs, *settings.units, len(share.labeled_K)], seeds).to(device)
    optimizer = torch.optim.AdamW(networks.parameters(), lr=settings.rate, weight_decay=settings.decay)
    course = Course()
    if settings.checkpoint:
        place = storage.join(settings.checkpoint, CHECKPOINT)
        found = task.group.share(learner_checkpoint.find(place, task.identity) if task.group.rank == 0 else None)
        if found is not None:
            learner_checkpoint.restore(found, networks, optimizer)
            looks = tuple(Look(**look) for look in found.notes["looks"])
            course = Course(looks, found.notes["best"], found.best_networks)
            logger.info("%s: %s goes on from step %d", place, NAME, course.step)
    weights_K = share.training_K.sum() / (len(share.training_K) * share.training_K)
    tensor_K = torch.from_numpy(weights_K.astype(np.float32)).to(device)
    return _Player(networks, task.group.wrap(networks), optimizer, tensor_K), course


def _stretch(task: Task, player: _Player, drawn: Iterator[Batch], num: int) -> float:
    """Take so many steps and return the mean loss of this process's rows."""
    total = torch.zeros_like(player.weights_K[0])
    for features, labels in (next(drawn) for _ in range(num)):
        inputs_BI = torch.from_numpy(task.share.scaler.transform(features)).to(total.device)
        codes_B = torch.from_numpy(labels.astype(np.int64)).to(total.device)
        logits_MBK = player.together(inputs_BI.expand(task.settings.members, -1, -1))
        loss_M = task.loss(logits_MBK, codes_B, player.weights_K, task.settings.focal)
        player.optimizer.zero_grad()
        torch.autograd.backward(loss_M.sum())
        player.optimizer.step()
        total += loss_M.detach().mean()
    return float(total) / num


def _look(task: Task, step: int, loss: float, networks: Sequence[DenseNetwork], rare_code: int) -> Look:
    mean = round(float(np.mean(task.group.gather(loss))), 5)
    if not np.isfinite(mean):
        raise TrainingDiverged(
            f"by step {step} the loss is no longer a number; lower train.torch_mlp.rate, and look for extreme values "
            "among the features"
        )
    truth, scores = ranking(task.share, task.group, networks, rare_code)
    if truth.all() or not truth.any():
        return Look(step, mean, None)
    return Look(step, mean, float(average_precision_score(truth, scores)))


def ranking(
    share: Share, group: Group, networks: Sequence[DenseNetwork], rare_code: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return of all processes' held-out rows which are rare and their scores, the same in every process."""
    own = share.held_out
    scores = mean_chances(networks, share.scaler.transform(own.features))[:, rare_code]
    truths, found, hashes = map(
        np.concatenate, zip(*group.gather((own.labels == rare_code, scores, own.hashes)), strict=True)
    )
    order = np.argsort(hashes, kind="stable")
    return truths[order], found[order]


def _said(look: Look) -> str:
    return "undefined" if look.average_precision is None else f"{look.average_precision:.3f}"
