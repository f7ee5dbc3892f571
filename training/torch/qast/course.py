"""The adversarial epochs of QAST (stage 1, B.6 and B.7), resumable at an epoch bit for bit.

Takes an encoded table and a committee; gives a trained generator and discriminator. Every random number of an epoch
follows from the seed and the epoch's number, so there is no generator's state to keep.

Shapes: N rows of the table, P rows of a pool, B rows of a batch, E encoded width, K classes.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.progress import StepProgress
from training.rows_by_class import Codes
from training.torch import checkpoint, course
from training.torch.course import Place, seeded
from training.torch.qast import gate
from training.torch.qast.batches import Plan, Step
from training.torch.qast.gate import Kept, Tally
from training.torch.qast.moves import Batch, Lesson, Players
from training.torch.qast.networks import Generator
from training.trainer import Floats

LOSSES = ("discriminator", "classifier", "generator")
MADE_AT_ONCE = 1024  # rows for the gate, of several steps where these are small
GATE_STREAM = 2  # sets the gate's draws apart from those of the plan under the same seed
Judge = Callable[[Floats], Tally]

logger = logging.getLogger(__name__)


class Pool(NamedTuple):
    """Seed rows on the device: `rows_PE` encoded, `labels_PK` soft."""

    rows_PE: Tensor
    labels_PK: Tensor


@dataclass(frozen=True)
class Table:
    """What is learned from, on the device.

    Attributes:
        rows_NE: encoded rows.
        labels_NK: one-hot labels.
        mixup: mixtures of small and large classes.
        smote: rows by SMOTE.
        plan: which of them a step sees.
    """

    rows_NE: Tensor
    labels_NK: Tensor
    mixup: Pool
    smote: Pool
    plan: Plan


class Look(NamedTuple):
    """Means since the look before: the `losses` by name, and the `kept` and `relabeled` shares of generated rows."""

    epoch: int
    losses: dict[str, float]
    kept: float
    relabeled: float


def follow(table: Table, players: Players, judge: Judge, place: Place) -> list[Look]:
    """Train for all epochs of the settings, from a checkpoint where there is one, and return the looks.

    Args:
        table: what to learn from.
        players: left as they are after the last epoch.
        judge: gives the committee's opinions of encoded rows; not asked while a label needs no vote.
        place: title and checkpoint.

    Raises:
        TrainingDiverged: a loss is no longer a number.
    """
    settings, looks = players.settings, list[Look]()
    if place.url and (notes := checkpoint.resume(place.url, players.learners, identity=place.identity)):
        looks = [Look(*look) for look in notes["looks"]]
        logger.info("%s: %s goes on from epoch %d", place.url, place.title, looks[-1].epoch)
    done = looks[-1].epoch if looks else 0
    since: list[_Record] = []
    with StepProgress(place.title, settings.epochs, logger) as progress:
        for number in range(done, settings.epochs):
            since.append(_epoch(number, table, players, judge))
            progress.reach(number + 1, since[-1].words())
            if (number + 1) % settings.checkpoint_every == 0 or number + 1 == settings.epochs:
                looks.append(_look(number + 1, since))
                since = []
                if place.url:
                    checkpoint.save(place.url, players.learners, identity=place.identity, notes={"looks": looks})
    return looks


def history(looks: Sequence[Look]) -> dict[str, Any]:
    """Return the looks as columns of numbers, under `step` the epochs."""
    columns: dict[str, Any] = {"step": [look.epoch for look in looks]}
    columns |= {f"loss_{name}": [round(look.losses[name], 5) for look in looks] for name in LOSSES}
    columns |= {name: [round(getattr(look, name), 5) for look in looks] for name in ("kept", "relabeled")}
    return columns


class _Record(NamedTuple):
    losses: tuple[float, ...]
    kept: float
    relabeled: float

    def words(self) -> str:
        named = ", ".join(f"{name} {loss:.3f}" for name, loss in zip(LOSSES, self.losses, strict=True))
        return f"loss {named}; {self.kept:.0%} of the generated rows kept, {self.relabeled:.0%} relabelled"


def _look(epoch: int, since: Sequence[_Record]) -> Look:
    losses = np.mean([record.losses for record in since], axis=0).tolist()
    kept, relabeled = (float(np.mean([getattr(record, name) for record in since])) for name in ("kept", "relabeled"))
    return Look(epoch, dict(zip(LOSSES, losses, strict=True)), kept, relabeled)


def _epoch(number: int, table: Table, players: Players, judge: Judge) -> _Record:
    """Take every step of an epoch.

    The published gate judges each batch. Ranks within a class mean little among the few rows of a batch, so the
    repaired gate judges an epoch's rows at once, made before its first step: one call of the committee an epoch.
    """
    settings, device = players.settings, table.rows_NE.device
    schedule = gate.schedule_epoch(number, settings.epochs)
    random = np.random.default_rng([table.plan.seed, number, GATE_STREAM])
    steps = table.plan.epoch(number, schedule)
    quality_gate = _Gate(players, judge, schedule, random)
    found: list[Tensor] = []
    with seeded(table.plan.seed, number, device=device):
        lessons = quality_gate.lessons(table, steps) if settings.gate == "quantile" else None
        for at, step in enumerate(steps):
            batch = _batch(table, players, step)
            first = players.discriminate(batch)
            lesson = lessons[at] if lessons else quality_gate.lesson(batch.fake_BE.detach(), step.codes)
            found.append(torch.stack([first, players.classify(batch, lesson), players.generate(batch)]))
    means = course.means(LOSSES, found, f"in epoch {number}")
    return _Record(tuple(means), *quality_gate.shares())


def _batch(table: Table, players: Players, step: Step) -> Batch:
    real, partners = _positions(table, step.real), _positions(table, step.partners)
    real_BE = table.rows_NE[real]
    asked, fake_BK = _asked(table, players.generator, step)
    fake_BE = players.generator(*asked)
    matched_by_class = players.settings.matching == "class"
    partners_BE = table.rows_NE[partners] if matched_by_class else real_BE
    return Batch(real_BE, table.labels_NK[real], fake_BE, fake_BK, partners_BE)


class _Asked(NamedTuple):
    """What a generator takes: noise or seed rows, their labels, and the noise of its layers."""

    inputs_BE: Tensor
    labels_BK: Tensor
    noise_BN: Tensor


def _asked(table: Table, generator: Generator, step: Step) -> tuple[_Asked, Tensor]:
    """Return what rows are made of from noise, mixtures and SMOTE's rows, in this order, and the labels asked for."""
    codes = _positions(table, step.codes)
    fake_BK = torch.zeros((len(codes), table.labels_NK.shape[1]), device=codes.device)
    fake_BK.scatter_(1, codes[:, None], 1.0)
    noise_BN = generator.noise(len(codes))
    inputs_BE, labels_BK, width = noise_BN[:, : generator.width], fake_BK, generator.width
    if len(step.mixup) or len(step.smote):
        mixup, smote = _positions(table, step.mixup), _positions(table, step.smote)
        from_noise = len(codes) - len(mixup) - len(smote)
        inputs_BE = torch.cat([inputs_BE[:from_noise], table.mixup.rows_PE[mixup], table.smote.rows_PE[smote]])
        labels_BK = torch.cat([fake_BK[:from_noise], table.mixup.labels_PK[mixup], table.smote.labels_PK[smote]])
    return _Asked(inputs_BE, labels_BK, noise_BN[:, width:]), fake_BK


def _positions(table: Table, rows: Codes) -> Tensor:
    return torch.from_numpy(rows).to(table.rows_NE.device)


class _Gate:
    """Judges generated rows for the classifier (B.7), and remembers how many it kept."""

    def __init__(self, players: Players, judge: Judge, schedule: float, random: np.random.Generator) -> None:
        self._players, self._judge, self._schedule, self._random = players, judge, schedule, random
        self._rows = self._kept = self._relabeled = 0

    def lesson(self, rows_BE: Tensor, codes: Codes) -> Lesson:
        """Return rows with the labels they are learned under."""
        num_classes = len(self._players.small_K)
        eye_KK = torch.eye(num_classes, device=rows_BE.device)
        quality = self._players.adversaries.quality(rows_BE, eye_KK[torch.from_numpy(codes).to(rows_BE.device)])
        needs_votes = gate.label_threshold(self._schedule) > 0
        kept = gate.keep_and_relabel(
            quality.cpu().numpy(),
            codes,
            self._judge(rows_BE.cpu().numpy()) if needs_votes else None,
            epoch=self._schedule,
            settings=self._players.settings,
            random=self._random,
        )
        self._count(kept, codes)
        labels = torch.from_numpy(kept.labels).to(rows_BE.device)
        rows = torch.from_numpy(kept.rows).to(rows_BE.device)
        return Lesson(rows_BE, eye_KK[labels] * rows[:, None])

    def lessons(self, table: Table, steps: Sequence[Step]) -> list[Lesson]:
        """Make an epoch's rows, judge them at once, and return them step by step."""
        generator, sizes = self._players.generator, [len(step.codes) for step in steps]
        passes = np.cumsum(sizes) // MADE_AT_ONCE
        with torch.no_grad():
            asked = [_asked(table, generator, step)[0] for step in steps]
            groups = [[asked[at] for at in np.flatnonzero(passes == number)] for number in np.unique(passes)]
            rows_BE = torch.cat([generator(*map(torch.cat, zip(*group, strict=True))) for group in groups])
        whole = self.lesson(rows_BE, np.concatenate([step.codes for step in steps]))
        return [
            Lesson(*parts)
            for parts in zip(torch.split(whole.rows_BE, sizes), torch.split(whole.labels_BK, sizes), strict=True)
        ]

    def shares(self) -> tuple[float, float]:
        """Return the shares of rows that were kept and relabelled."""
        return self._kept / max(1, self._rows), self._relabeled / max(1, self._rows)

    def _count(self, kept: Kept, codes: Codes) -> None:
        self._rows += len(codes)
        self._kept += int(kept.rows.sum())
        self._relabeled += int((kept.rows & (kept.labels != codes)).sum())
