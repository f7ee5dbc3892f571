"""The steps of IMSIC's training: the discriminator's, then the generator's (B.8), resumable at a look bit for bit.

Takes players and a `Lesson`; leaves the players trained, and gives what was noted. Random numbers follow from the
lesson's seed and the number of the look, so there is no generator's state to keep.

Shapes: N rows to learn from, B rows of a batch, W columns of an encoded row, L classes with rows.
"""

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.progress import StepProgress
from training.torch import checkpoint, course
from training.torch.augmentation.task import Codes
from training.torch.checkpoint import Learners
from training.torch.course import Place, seeded
from training.torch.imsic import losses, structure
from training.torch.imsic.networks import Causes, Discriminator, Generator
from training.torch.imsic.settings import IMSICSettings
from training.torch.imsic.structure import Structure
from training.trainer import Floats

BETAS = (0.5, 0.999)
WARM_UP = 10  # steps over which the mean of weights forgets the first ones

logger = logging.getLogger(__name__)


class Look(NamedTuple):
    """Means of the losses since the look before; `structure` is without its weight."""

    step: int
    discriminator: float
    real_class: float
    generator: float
    fake_class: float
    structure: float


@dataclass(frozen=True)
class Lesson:
    """What is learned, on the device.

    Attributes:
        rows_NW: encoded rows, those of one class together.
        labels_L: codes of the classes that have rows.
        first_L: where the rows of each begin.
        count_L: how many they are.
        structure: the graph.
        structure_weight: of the structure loss.
        seed: of all draws.
    """

    rows_NW: Tensor
    labels_L: Tensor
    first_L: Tensor
    count_L: Tensor
    structure: Structure
    structure_weight: float
    seed: tuple[int, ...]

    @classmethod
    def of(
        cls, encoded: Floats, labels: Codes, structure: Structure, structure_weight: float, *, seed: tuple[int, ...]
    ) -> Self:
        """Sort rows by their classes and bring them to where the graph lies."""
        device = structure.weights_KK.device
        order = np.argsort(labels, kind="stable")
        parts: list[NDArray[Any]] = [encoded[order], *np.unique(labels[order], return_index=True, return_counts=True)]
        rows, codes, first, count = (torch.from_numpy(part).to(device) for part in parts)
        return cls(rows, codes, first, count, structure, structure_weight, seed)


@dataclass(frozen=True)
class Players:
    """What learns.

    Attributes:
        generator: as of the last step.
        discriminator: its head of the factors learns with the generator.
        average: the mean over steps of the generator's weights.
        optimizers: by the player whose step they take.
        own: the weights that each step changes.
    """

    generator: Generator
    discriminator: Discriminator
    average: Generator
    optimizers: dict[str, torch.optim.Optimizer]
    own: dict[str, list[Tensor]]

    @classmethod
    def of(cls, generator: Generator, discriminator: Discriminator, settings: IMSICSettings) -> Self:
        """Prepare the players for their first step."""
        own: dict[str, list[Tensor]] = {
            "generator": [*generator.parameters(), *discriminator.factors.parameters()],
            "discriminator": [*discriminator.own_parameters()],
        }
        rates = {"generator": settings.rate, "discriminator": settings.discriminator_rate}
        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(weights, rates[name], BETAS, fused=True) for name, weights in own.items()
        }
        return cls(generator, discriminator, copy.deepcopy(generator), optimizers, own)

    @property
    def learners(self) -> Learners:
        """All that changes, for checkpoints."""
        networks = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        return Learners(networks, self.optimizers)


def follow(players: Players, lesson: Lesson, settings: IMSICSettings, place: Place) -> list[Look]:
    """Take all steps, from a checkpoint where there is one, and return the looks.

    Raises:
        TrainingDiverged: a loss is no longer a number.
    """
    looks = list[Look]()
    if place.url and (notes := checkpoint.resume(place.url, players.learners, identity=place.identity)):
        looks = [Look(*look) for look in notes["looks"]]
        logger.info("%s: %s goes on from step %d", place.url, place.title, looks[-1].step)
    with StepProgress(place.title, settings.steps, logger) as progress:
        while (done := looks[-1].step if looks else 0) < settings.steps:
            last = min(done + settings.checkpoint_every, settings.steps)
            with seeded(*lesson.seed, done, device=lesson.rows_NW.device):
                since = [step(players, lesson, number, settings) for number in range(done, last)]
            means = course.means(Look._fields[1:], since, f"{place.title}: by step {last}")
            looks.append(Look(last, *means))
            progress.reach(last, _words(looks[-1]))
            if place.url:
                notes = {"looks": looks}
                checkpoint.save(place.url, players.learners, identity=place.identity, notes=notes)
    return looks


def step(players: Players, lesson: Lesson, number: int, settings: IMSICSettings) -> Tensor:
    """Take the discriminator's step and then the generator's, and return the five losses of a `Look`."""
    temperature = temperature_of(number, settings)
    judged = _discriminator_step(players, lesson, temperature, settings)
    made = _generator_step(players, lesson, temperature, settings)
    _average(players, number, settings.average)
    return torch.stack([*judged, *made])


def _discriminator_step(
    players: Players, lesson: Lesson, temperature: float, settings: IMSICSettings
) -> tuple[Tensor, Tensor]:
    """Tell real from generated rows, the classes of real ones apart, and the codes that rows were generated from.

    The trunk learns the codes here, the head of the factors in the generator's step: codes that the trunk does not heed
    are lost again while it learns other things. B.8 has a third, joint step for both, with optimizers that overlap.
    """
    discriminator, optimizer = players.discriminator, players.optimizers["discriminator"]
    rows_BW, labels_B = draw_rows(lesson, settings.batch_size)
    causes = draw_causes(lesson, settings)
    with torch.no_grad():
        fake_BW = players.generator(causes, temperature)
    real, fake, factors_BK = discriminator.compare(rows_BW, fake_BW)
    adversarial = losses.discriminator_loss(real.validity_B, fake.validity_B, settings.adversarial)
    classes = functional.cross_entropy(real.logits_BC, labels_B)
    found = structure.structure_loss(causes.codes_BK, factors_BK, lesson.structure, settings.forbidden_weight)
    optimizer.zero_grad()
    whole = adversarial + classes + lesson.structure_weight * found
    torch.autograd.backward(whole, inputs=players.own["discriminator"])
    optimizer.step()
    return adversarial.detach(), classes.detach()


def _generator_step(
    players: Players, lesson: Lesson, temperature: float, settings: IMSICSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Make rows that pass for real, for their class, and for what the graph says of their codes."""
    optimizer, causes = players.optimizers["generator"], draw_causes(lesson, settings)
    fake_BW = players.generator(causes, temperature)
    with _fixed(players.own["discriminator"]):
        opinion, factors_BK = players.discriminator.judge_and_extract(fake_BW)
    adversarial = losses.generator_loss(opinion.validity_B, settings.adversarial)
    classes = functional.cross_entropy(opinion.logits_BC, causes.labels_B)
    found = structure.structure_loss(causes.codes_BK, factors_BK, lesson.structure, settings.forbidden_weight)
    optimizer.zero_grad()
    whole = adversarial + classes + lesson.structure_weight * found
    torch.autograd.backward(whole, inputs=players.own["generator"])
    optimizer.step()
    return adversarial.detach(), classes.detach(), found.detach()


@contextmanager
def _fixed(weights: Sequence[Tensor]) -> Iterator[None]:
    """Let nothing be spent on the gradients of weights for what is computed inside.

    The `inputs` of a backward pass do not do so alone: steps whose gradients are by hand (`spectral`) do not see them.
    """
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def draw_rows(lesson: Lesson, rows: int) -> tuple[Tensor, Tensor]:
    """Draw real rows (B, W) and their class codes (B,), as many of each class as of any other."""
    which_B = _shares(lesson, rows)
    chance_B = torch.rand(rows, device=lesson.rows_NW.device, dtype=torch.float64)
    place_B = lesson.first_L[which_B] + (chance_B * lesson.count_L[which_B]).long()
    return lesson.rows_NW[place_B], lesson.labels_L[which_B]


def draw_causes(lesson: Lesson, settings: IMSICSettings) -> Causes:
    """Draw noise, as many of each class as of any other, and uniform codes."""
    rows, device = settings.batch_size, lesson.rows_NW.device
    return Causes(
        torch.randn((rows, settings.noise_dim), device=device),
        lesson.labels_L[_shares(lesson, rows)],
        2 * torch.rand((rows, len(lesson.structure.weights_KK)), device=device) - 1,
    )


def _shares(lesson: Lesson, rows: int) -> Tensor:
    classes, device = len(lesson.labels_L), lesson.rows_NW.device
    return (torch.arange(rows, device=device) + torch.randint(classes, (1,), device=device)) % classes


def temperature_of(number: int, settings: IMSICSettings) -> float:
    """Return the temperature of a step, which falls geometrically."""
    first, last = settings.temperatures
    return float(first * (last / first) ** (number / max(1, settings.steps - 1)))


def _average(players: Players, number: int, decay: float) -> None:
    share = 1 - min(decay, (1 + number) / (WARM_UP + number))
    with torch.no_grad():
        own, mean = players.generator, players.average
        torch._foreach_lerp_(_tensors(mean), _tensors(own), share)
        for kept, fresh in zip(mean.buffers(), own.buffers(), strict=True):
            kept.copy_(fresh)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [weight.data for weight in network.parameters()]


def _words(look: Look) -> str:
    return f"discriminator {look.discriminator:.2f}, generator {look.generator:.2f}, structure {look.structure:.2f}"
