"""A trained MGVAE: one network for each rare class, which translates majority rows into rows of that class (B.1, B.6).

Takes raw rows and class codes to learn from; gives synthetic rows, pairs of a majority row and its translation, and
files that hold it all.

Shapes: B rows, M majority rows, W columns of an encoded row, Z size of the code.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from training.artifact import pack_arrays, unpack_arrays
from training.torch.augmentation import codec
from training.torch.augmentation.codec import Codec
from training.torch.augmentation.settings import steps_for
from training.torch.augmentation.task import Samples, Task
from training.torch.course import Place, seeded
from training.torch.devices import device_of
from training.torch.mgvae import course, objective
from training.torch.mgvae.course import Lesson, Look
from training.torch.mgvae.files import CODEC, NETWORKS, STORED, of_class
from training.torch.mgvae.judge import Judge
from training.torch.mgvae.networks import MajorityGuidedVAE
from training.torch.mgvae.objective import Anchor
from training.torch.mgvae.settings import MGVAESettings
from training.torch.mgvae.translator import Pairs
from training.trainer import Floats

NETWORK_STREAM, PRETRAIN_STREAM, FISHER_STREAM, FINETUNE_STREAM, STORED_STREAM, SAMPLE_STREAM, SPLIT_STREAM = range(7)
ROWS_AT_ONCE = 4096  # bounds the memory of a pass


@dataclass(frozen=True)
class Generator:
    """All that rows are made of.

    Attributes:
        codec: raw rows to encoded ones and back.
        networks: the fine-tuned network of each rare class, by code.
        judges: what tells each from the majority.
        stored: (M, d) raw majority rows to translate.
        settings: of the method.
    """

    codec: Codec
    networks: Mapping[int, MajorityGuidedVAE]
    judges: Mapping[int, Judge]
    stored: Floats
    settings: MGVAESettings

    def sample(self, code: int, rows: int, *, seed: int) -> Samples:
        """Translate randomly drawn majority rows, and keep the best by votes of `surplus` times as many."""
        random = np.random.default_rng([seed, SAMPLE_STREAM, code])
        tried = rows * self.settings.surplus
        chosen = _spread(len(self.stored), tried, random)
        made = self._made(code, self.stored[chosen], random)
        found = self.judges[code].judge(self.codec.encode(made))
        labels = np.full(tried, code, np.int64)
        order = np.argsort(-found.votes, kind="stable")[:rows]
        return Samples(made, labels, found.confidence, found.votes, found.quality).take(order)

    def translate(self, features: Floats, code: int, *, seed: int | None = None) -> Pairs:
        """Return each raw row as it would be in class `code`; without a seed at the middle of its component."""
        random = None if seed is None else np.random.default_rng([seed, SAMPLE_STREAM, code])
        return Pairs(np.asarray(features, np.float32), self._made(code, features, random), code)

    def _made(self, code: int, features: Floats, random: np.random.Generator | None) -> Floats:
        parts = [np.empty((0, features.shape[1]), np.float32)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            encoded = self.codec.encode(features[first : first + ROWS_AT_ONCE])
            parts.append(self.codec.decode(self._decoded(self.networks[code], encoded, random)))
        return np.concatenate(parts)

    def _decoded(self, vae: MajorityGuidedVAE, encoded: Floats, random: np.random.Generator | None) -> Floats:
        rows_BW, numbers = torch.from_numpy(encoded).to(vae.device), vae.layout.numbers
        with torch.no_grad():
            code_BZ = vae.encode(rows_BW).mean_BZ
            if random is not None:
                noise_BZ = objective.noise(random, len(encoded), self.settings, vae.device)
                code_BZ = code_BZ + noise_BZ * (0.5 * vae.prior_log_variance).exp()
            made = objective.hard(vae, vae.decode(code_BZ), random).cpu().numpy()
            if random is not None and self.settings.observation_noise:
                spread = self.settings.observation_noise * vae.variance_V.sqrt().cpu().numpy()
                made[:, :numbers] += spread * random.standard_normal((len(made), numbers), np.float32)
        return made

    def files(self) -> dict[str, bytes]:
        """Return the generator as files by name; `from_files` reads them back."""
        weights = {
            f"{code}.{name}": tensor.cpu().numpy()
            for code, network in self.networks.items()
            for name, tensor in network.state_dict().items()
        }
        stored: dict[str, NDArray[Any]] = {"rows": self.stored}
        for code, judge in self.judges.items():
            stored |= {f"{code}.{name}": array for name, array in judge.arrays().items()}
        return {CODEC: pack_arrays(self.codec.arrays()), NETWORKS: pack_arrays(weights), STORED: pack_arrays(stored)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], settings: MGVAESettings) -> Self:
        """Read what `files` gave."""
        found = codec.from_arrays(unpack_arrays(files[CODEC]))
        weights, stored = unpack_arrays(files[NETWORKS]), unpack_arrays(files[STORED])
        rows = stored.pop("rows")
        networks, judges = {}, {}
        for code in sorted({int(name.split(".")[0]) for name in weights}):
            network = _untrained(found, settings, seed=0)
            own = of_class(weights, code)
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in own.items()})
            networks[code], judges[code] = network, Judge.from_arrays(of_class(stored, code))
        return cls(found, networks, judges, rows, settings)


@dataclass(frozen=True)
class Trained:
    """A training's outcome: the `generator`, the `looks` of pre-training, and steps and last look of each class."""

    generator: Generator
    looks: list[Look]
    finetuned: dict[int, list[Look]]


@dataclass(frozen=True)
class Pretrained:
    """What is learned of the majority, for any rare classes: the network, the `looks`, and what EWC holds on to."""

    codec: Codec
    network: MajorityGuidedVAE
    majority_MW: torch.Tensor
    looks: list[Look]
    anchor: Anchor


def train(task: Task, *, settings: MGVAESettings, seed: int, place: Place) -> Trained:
    """Pre-train on the majority and fine-tune on each rare class.

    Args:
        task: what to learn from; no other row is read.
        settings: of the method.
        seed: of whatever is drawn.
        place: title and checkpoints.
    """
    return finetune(pretrain(task, settings=settings, seed=seed, place=place), task, settings, seed, place)


def pretrain(task: Task, *, settings: MGVAESettings, seed: int, place: Place) -> Pretrained:
    """Learn the majority; arguments as those of `train`."""
    found = codec.fit(task.features, settings=settings, names=task.names)
    vae = _untrained(found, settings, seed=seed)
    majority_MW = torch.from_numpy(found.encode(task.features[task.labels == task.majority])).to(vae.device)
    steps = steps_for(len(majority_MW), settings.pretrain_steps, settings.steps_per_row)
    lesson = Lesson(majority_MW, majority_MW, steps, settings.rate, (seed, PRETRAIN_STREAM))
    looks = course.follow(vae, lesson, settings, place.of("pre-training"))
    return Pretrained(found, vae, majority_MW, looks, _anchor(vae, lesson, settings, seed))


def finetune(known: Pretrained, task: Task, settings: MGVAESettings, seed: int, place: Place) -> Trained:
    """Learn each rare class from what is known of the majority, which stays as it is; arguments as those of `train`."""
    majority = known.majority_MW.cpu().numpy()
    networks, judges, finetuned = {}, {}, {}
    for code in task.minority:
        encoded = known.codec.encode(task.features[task.labels == code])
        own = Lesson(
            torch.from_numpy(encoded).to(known.network.device),
            known.majority_MW,
            settings.finetune_steps,
            settings.finetune_rate,
            (seed, FINETUNE_STREAM, code),
            known.anchor,
        )
        networks[code], finetuned[code] = _finetuned(known.network, own, settings, place.of(task.classes[code]))
        judges[code] = Judge.fit(encoded, majority, seed=seed)
    stored = _stored(task.features[task.labels == task.majority], settings, seed)
    return Trained(Generator(known.codec, networks, judges, stored, settings), known.looks, finetuned)


def _untrained(found: Codec, settings: MGVAESettings, *, seed: int) -> MajorityGuidedVAE:
    device = device_of(settings.device)
    with seeded(seed, NETWORK_STREAM, device=device):
        return MajorityGuidedVAE(found.layout, settings).to(device)


def _anchor(vae: MajorityGuidedVAE, lesson: Lesson, settings: MGVAESettings, seed: int) -> Anchor:
    weights = [weight.detach().clone() for weight in vae.parameters()]
    if not settings.ewc_weight or not settings.pretrain_steps:  # nothing was learned that could be lost
        return Anchor(weights, [torch.zeros_like(weight) for weight in weights])
    random = np.random.default_rng([seed, FISHER_STREAM])
    return Anchor(weights, objective.fisher_information(vae, lesson.exemplars_MW, settings, random=random))


def _finetuned(
    vae: MajorityGuidedVAE, lesson: Lesson, settings: MGVAESettings, place: Place
) -> tuple[MajorityGuidedVAE, list[Look]]:
    """Return the network of a class, trained on all its rows, and how that went."""
    network = copy.deepcopy(vae)
    steps = _chosen_steps(network, lesson, settings)
    return network, course.follow(network, replace(lesson, steps=steps), settings, place)


def _chosen_steps(vae: MajorityGuidedVAE, lesson: Lesson, settings: MGVAESettings) -> int:
    rows = len(lesson.rows_NW)
    most = steps_for(rows, lesson.steps, settings.steps_per_row)
    held_out = round(settings.held_out * rows)
    if not held_out:
        return most
    order = torch.from_numpy(np.random.default_rng([*lesson.seed, SPLIT_STREAM]).permutation(rows))
    probe = replace(lesson, rows_NW=lesson.rows_NW[order[held_out:]], steps=most)
    return course.best_steps(vae, probe, lesson.rows_NW[order[:held_out]], settings)


def _stored(majority: Floats, settings: MGVAESettings, seed: int) -> Floats:
    if len(majority) <= settings.stored_rows:
        return majority
    chosen = np.random.default_rng([seed, STORED_STREAM]).choice(len(majority), settings.stored_rows, replace=False)
    return majority[np.sort(chosen)]


def _spread(num_rows: int, wanted: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Draw positions, each as often as every other before one is drawn once more."""
    passes = [random.permutation(num_rows) for _ in range(-(-wanted // num_rows))]
    return np.asarray(np.concatenate([np.empty(0, np.intp), *passes])[:wanted], np.intp)
