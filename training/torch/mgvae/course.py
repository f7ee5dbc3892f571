"""The steps of MGVAE's training: pre-training on majority rows, EWC fine-tuning on a rare class (B.3, B.5).

Takes a network and a `Lesson`; leaves the network trained, and gives what was noted. Every random number of a step
follows from the lesson's seed and the step's number, so a course that was killed goes on bit for bit.

Shapes: N rows to learn from, M majority rows, B rows of a batch, S exemplars, W columns of an encoded row.
"""

import copy
import logging
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.progress import StepProgress
from training.torch import checkpoint, course
from training.torch.checkpoint import Learners
from training.torch.course import Place
from training.torch.mgvae import losses, objective
from training.torch.mgvae.networks import MajorityGuidedVAE
from training.torch.mgvae.objective import Anchor, Batch
from training.torch.mgvae.settings import MGVAESettings

PROBE_EVERY, PROBE_DRAWS = 10, 8  # steps between two looks at held-out rows, and draws of each row's code

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """What one course learns.

    Attributes:
        rows_NW: encoded rows to be explained.
        exemplars_MW: encoded majority rows, from which the prior is made.
        steps: how many.
        rate: learning rate.
        seed: of all draws.
        anchor: what EWC holds on to; None in pre-training, where the rows are the majority's own.
    """

    rows_NW: Tensor
    exemplars_MW: Tensor
    steps: int
    rate: float
    seed: tuple[int, ...]
    anchor: Anchor | None = None


class Look(NamedTuple):
    """Means since the look before, in nats; `penalty` is the EWC term with its weight."""

    step: int
    reconstruction: float
    kl: float
    penalty: float


def follow(vae: MajorityGuidedVAE, lesson: Lesson, settings: MGVAESettings, place: Place) -> list[Look]:
    """Take all steps of a lesson, from a checkpoint where there is one, and return the looks.

    Raises:
        TrainingDiverged: a loss is no longer a number.
    """
    optimizer, looks = _optimizer(vae, lesson), list[Look]()
    learners = Learners({"vae": vae}, {"adam": optimizer})
    if place.url and (notes := checkpoint.resume(place.url, learners, identity=place.identity)):
        looks = [Look(*look) for look in notes["looks"]]
        logger.info("%s: %s goes on from step %d", place.url, place.title, looks[-1].step)
    done, since = looks[-1].step if looks else 0, list[Tensor]()
    with StepProgress(place.title, max(1, lesson.steps), logger) as progress:
        for number in range(done, lesson.steps):
            since.append(step(vae, optimizer, lesson, number, settings))
            if (number + 1) % settings.checkpoint_every == 0 or number + 1 == lesson.steps:
                means = course.means(Look._fields[1:], since, f"{place.title}: by step {number + 1}")
                looks.append(Look(number + 1, *means))
                since = []
                progress.reach(number + 1, _words(looks[-1]))
                if place.url:
                    checkpoint.save(place.url, learners, identity=place.identity, notes={"looks": looks})
    return looks


def step(
    vae: MajorityGuidedVAE, optimizer: torch.optim.Optimizer, lesson: Lesson, number: int, settings: MGVAESettings
) -> Tensor:
    """Take one step, and return reconstruction, KL and penalty, (3,)."""
    pretraining = lesson.anchor is None
    batch = draw(lesson, number, settings)
    # A rare class has too few rows for a variance of its own, so it keeps the majority's, if that was ever learned.
    calibrate = pretraining or not settings.pretrain_steps
    terms = objective.negative_elbo(vae, batch, settings, calibrate=calibrate)
    weight = losses.warm_up(number, lesson.steps, settings.warm_up) if pretraining else 1.0
    penalty = terms.kl.new_zeros(())
    if lesson.anchor is not None and settings.ewc_weight:
        penalty = settings.ewc_weight * losses.ewc_penalty(list(vae.parameters()), *lesson.anchor)
    optimizer.zero_grad()
    torch.autograd.backward(terms.reconstruction + weight * terms.kl + penalty)
    optimizer.step()
    return torch.stack([terms.reconstruction, terms.kl, penalty]).detach()


def draw(lesson: Lesson, number: int, settings: MGVAESettings) -> Batch:
    """Return the batch of a step, which follows from the lesson's seed and the step's number alone.

    Where rows are the majority's own, a row's own component is left out: it would explain the row at no cost.
    """
    random = np.random.default_rng([*lesson.seed, number])
    rows = random.choice(len(lesson.rows_NW), min(settings.batch_size, len(lesson.rows_NW)), replace=False)
    exemplars = objective.draw_exemplars(len(lesson.exemplars_MW), settings, random)
    device, excluded = lesson.rows_NW.device, None
    if lesson.anchor is None and settings.exemplar_draw == "distinct" and len(exemplars) > 1:
        excluded = torch.from_numpy(rows[:, None] == exemplars[None]).to(device)
    return Batch(
        lesson.rows_NW[torch.from_numpy(rows).to(device)],
        lesson.exemplars_MW[torch.from_numpy(exemplars).to(device)],
        objective.noise(random, len(rows), settings, device),
        excluded,
    )


def best_steps(vae: MajorityGuidedVAE, lesson: Lesson, held_out_NW: Tensor, settings: MGVAESettings) -> int:
    """Return after how many steps of a lesson held-out rows are explained best; the network stays as it was."""
    probe = copy.deepcopy(vae)
    optimizer = _optimizer(probe, lesson)
    best, least = lesson.steps, math.inf
    for number in range(lesson.steps):
        step(probe, optimizer, lesson, number, settings)
        if (number + 1) % PROBE_EVERY == 0 or number + 1 == lesson.steps:
            found = held_out_error(probe, held_out_NW, lesson, settings)
            if found < least:
                best, least = number + 1, found
    return best


def held_out_error(vae: MajorityGuidedVAE, rows_NW: Tensor, lesson: Lesson, settings: MGVAESettings) -> float:
    """Return the mean negative ELBO of rows, by the same draws each time."""
    random = np.random.default_rng(lesson.seed)
    exemplars = torch.from_numpy(objective.draw_exemplars(len(lesson.exemplars_MW), settings, random))
    rows = rows_NW.repeat(PROBE_DRAWS, 1)
    noise = objective.noise(random, len(rows), settings, vae.device)
    with torch.no_grad():
        terms = objective.negative_elbo(vae, Batch(rows, lesson.exemplars_MW[exemplars], noise), settings)
    return float(terms.reconstruction + terms.kl)


def _optimizer(vae: MajorityGuidedVAE, lesson: Lesson) -> torch.optim.Optimizer:
    return torch.optim.Adam(vae.parameters(), lesson.rate, fused=True)


def _words(look: Look) -> str:
    return f"reconstruction {look.reconstruction:.2f}, KL {look.kl:.2f}, EWC {look.penalty:.2f} nats"
