"""Stage 1 of QAST from labelled rows to a synthesizer: encoder, seeds, committee, adversarial epochs (A, 2 to 4).

Takes raw rows and their class codes; gives what makes and judges synthetic rows, as files too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from training.artifact import pack_arrays, unpack_arrays
from training.feature_choice import best_features
from training.rows_by_class import bounded
from training.torch.course import Place, seeded
from training.torch.devices import device_of
from training.torch.qast import batches, course, moves, quota, seeds
from training.torch.qast.batches import Plan
from training.torch.qast.committee import Committee
from training.torch.qast.course import Judge, Look, Pool, Table
from training.torch.qast.donors import Donors
from training.torch.qast.encoder import Encoder, check_named
from training.torch.qast.gate import Tally
from training.torch.qast.moves import Adversaries, Players
from training.torch.qast.network_member import NetworkMember
from training.torch.qast.networks import Classifier, Discriminator, Generator
from training.torch.qast.quota import Quota
from training.torch.qast.sampling import Codes, Outcome, Synthesizer
from training.torch.qast.seeds import Seeds
from training.torch.qast.settings import QASTSettings
from training.trainer import Floats

ENCODER, NETWORKS, DONORS = "encoder.safetensors", "networks.safetensors", "donors.safetensors"
POOL_ROWS = 50_000  # of a pool kept on the device; larger ones are thinned out evenly
JUDGED_AT_ONCE = 16_384
NETWORK_STREAM = 1

logger = logging.getLogger(__name__)


class Task(NamedTuple):
    """What is learned from.

    Attributes:
        features: raw labelled rows, (n, d) with NaN for missing.
        labels: class code of each, (n,).
        unlabeled: raw rows without label, (u, d); the encoder alone learns from them.
        classes: class names by code.
        names: of the features.
    """

    features: Floats
    labels: Codes
    unlabeled: Floats
    classes: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """Stage 1, done.

    Attributes:
        synthesizer: makes and judges rows.
        committee: what the synthesizer's judge asks.
        quota: what is to be synthesised.
        looks: how the epochs went.
    """

    synthesizer: Synthesizer
    committee: Committee
    quota: Quota
    looks: list[Look]

    def synthesize(self, rows: int, seed: int) -> Outcome:
        """Fill the quota of each small class, as far as the budget for a table of `rows` rows goes."""
        budget = self.synthesizer.adversaries.settings.rounds * rows
        return self.synthesizer.synthesize(self.quota.needed, budget=budget, seed=seed)

    def files(self) -> dict[str, bytes]:
        """Return the synthesizer as files by name; `synthesizer_from` reads them back."""
        adversaries = self.synthesizer.adversaries
        networks = {"generator": adversaries.generator, "discriminator": adversaries.discriminator}
        weights = {
            f"{name}.{part}": tensor.cpu().numpy()
            for name, network in networks.items()
            for part, tensor in network.state_dict().items()
        }
        arrays = self.synthesizer.encoder.arrays()
        files = {ENCODER: pack_arrays(arrays), NETWORKS: pack_arrays(weights)} | self.committee.files()
        donors = self.synthesizer.donors
        return files | {DONORS: pack_arrays(donors.arrays())} if donors else files


def train(task: Task, *, settings: QASTSettings, seed: int, place: Place) -> Trained:
    """Train all that makes rows.

    Args:
        task: what to learn from; no other row is read.
        settings: of the method.
        seed: of whatever is drawn.
        place: title and checkpoint of the adversarial epochs.
    """
    num_classes, device = len(task.classes), device_of(settings.device)
    counts = np.bincount(task.labels, minlength=num_classes)
    wanted = quota.class_quota(counts, classes=task.classes, settings=settings)
    whole, chosen = task, _chosen(task, settings, seed)
    if chosen:
        logger.info(
            "%s: rows are made in %d of %d features, those that tell classes best; real rows near give the others",
            place.title,
            len(chosen),
            len(task.names),
        )
        task, settings = _narrowed(task, settings, chosen)
    everything = np.concatenate([task.features, task.unlabeled])
    encoder = Encoder.fit(everything, settings=settings, seed=seed, names=task.names)
    committee = _committee(task, encoder, wanted, settings, seed)
    judge = _judge(encoder, committee, settings)
    table = _table(task, encoder, wanted, settings, seed)
    with seeded(seed, NETWORK_STREAM, device=device):
        adversaries = _adversaries(encoder, num_classes, settings)
        players = _players(adversaries, Classifier(encoder.width, num_classes).to(device), table.plan)
    looks = course.follow(table, players, judge, place)
    made = table.plan.noise_classes
    donors = Donors.of(whole.features, whole.labels, chosen=chosen, classes=made, seed=seed) if chosen else None
    synthesizer = Synthesizer(adversaries, encoder, judge, num_classes, made, donors)
    return Trained(synthesizer, committee, wanted, looks)


def synthesizer_from(
    files: Mapping[str, bytes], *, settings: QASTSettings, num_classes: int, noise_classes: tuple[int, ...]
) -> Synthesizer:
    """Read what `Trained.files` gave."""
    encoder = Encoder.from_arrays(unpack_arrays(files[ENCODER]))
    device = device_of(settings.device)
    committee = Committee.from_files(
        files, network=lambda arrays: NetworkMember.from_arrays(arrays, num_classes=num_classes, device=device)
    )
    with seeded(0, device=device):  # the weights drawn here are replaced by those of the file
        adversaries = _adversaries(encoder, num_classes, settings)
    weights = unpack_arrays(files[NETWORKS])
    for name, network in (("generator.", adversaries.generator), ("discriminator.", adversaries.discriminator)):
        own = {key.removeprefix(name): torch.from_numpy(part.copy()) for key, part in weights.items() if name in key}
        network.load_state_dict(own)
    donors = Donors.from_arrays(unpack_arrays(files[DONORS])) if DONORS in files else None
    return Synthesizer(adversaries, encoder, _judge(encoder, committee, settings), num_classes, noise_classes, donors)


def _chosen(task: Task, settings: QASTSettings, seed: int) -> tuple[int, ...]:
    """Return the positions of the features that rows are made in; empty: in all."""
    most = settings.narrowed_to(len(task.names))
    if most is None:
        return ()
    rows = bounded(task.labels, settings.committee_rows_at_most, seed=seed)
    return best_features(task.features[rows], task.labels[rows], most, seed=seed)


def _narrowed(task: Task, settings: QASTSettings, chosen: tuple[int, ...]) -> tuple[Task, QASTSettings]:
    """Return the task in some of its features, and settings that name none of the others."""
    check_named(settings.categorical, task.names)
    names = tuple(task.names[place] for place in chosen)
    own = tuple(name for name in settings.categorical if name in names)
    narrow = task._replace(features=task.features[:, chosen], unlabeled=task.unlabeled[:, chosen], names=names)
    return narrow, settings.model_copy(update={"categorical": own})


def _committee(task: Task, encoder: Encoder, wanted: Quota, settings: QASTSettings, seed: int) -> Committee:
    num_classes = len(task.classes)

    def network(rows: Floats, codes: Codes, seed: int) -> NetworkMember:
        return NetworkMember.fit(
            rows, codes, num_classes=num_classes, minority=wanted.minority, settings=settings, seed=seed
        )

    seen = encoder.encode(task.features) if settings.committee_rows == "encoded" else task.features
    return Committee.fit(seen, task.labels, classes=num_classes, settings=settings, seed=seed, network=network)


def _judge(encoder: Encoder, committee: Committee, settings: QASTSettings) -> Judge:
    def judge(encoded: Floats) -> Tally:
        parts = []
        for first in range(0, max(1, len(encoded)), JUDGED_AT_ONCE):
            rows = encoded[first : first + JUDGED_AT_ONCE]
            parts.append(committee.tally(rows if settings.committee_rows == "encoded" else encoder.decode(rows)))
        return Tally(*map(np.concatenate, zip(*parts, strict=True)))

    return judge


def _table(task: Task, encoder: Encoder, wanted: Quota, settings: QASTSettings, seed: int) -> Table:
    device, num_classes = device_of(settings.device), len(task.classes)
    pools = [
        _thinned(
            make(
                task.features, task.labels, minority=wanted.minority, classes=num_classes, settings=settings, seed=seed
            ),
            seed,
        )
        for make in (seeds.mixup_pool, seeds.smote_pool)
    ]
    plan = batches.plan(
        task.labels,
        [pool.labels for pool in pools],
        num_classes=num_classes,
        minority=wanted.minority,
        settings=settings,
        seed=seed,
    )
    rows = torch.from_numpy(encoder.encode(task.features)).to(device)
    labels = torch.eye(num_classes, device=device)[torch.from_numpy(task.labels).to(device)]
    return Table(rows, labels, _pool(pools[0], encoder, device), _pool(pools[1], encoder, device), plan)


def _thinned(pool: Seeds, seed: int) -> Seeds:
    if len(pool.labels) <= POOL_ROWS:
        return pool
    chosen = np.random.default_rng(seed).choice(len(pool.labels), POOL_ROWS, replace=False)
    return Seeds(pool.features[chosen], pool.labels[chosen], pool.soft[chosen])


def _pool(pool: Seeds, encoder: Encoder, device: torch.device) -> Pool:
    rows = torch.from_numpy(encoder.encode(pool.features))
    return Pool(rows.to(device), torch.from_numpy(pool.soft).to(device))


def _adversaries(encoder: Encoder, num_classes: int, settings: QASTSettings) -> Adversaries:
    device = device_of(settings.device)
    generator = Generator(
        encoder.blocks, num_classes, labels=settings.labels, initialization=settings.initialization
    ).to(device)
    return Adversaries(
        generator, Discriminator(encoder.width, num_classes, labels=settings.labels).to(device), settings
    )


def _players(adversaries: Adversaries, classifier: Classifier, plan: Plan) -> Players:
    small_K = torch.zeros(len(plan.real.counts), dtype=torch.bool, device=adversaries.generator.last.weight.device)
    small_K[list(plan.minority)] = True
    return moves.players(adversaries, classifier, small_K)
