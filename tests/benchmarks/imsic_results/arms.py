"""The arms, each from a split and a seed to measures on test rows; all have the same classifier and the same rows.

Rows are made up to the same number in every class, and of IMSIC's in two smaller amounts as well. Nothing looks at test
rows but the final measure.
"""

import hashlib
import json
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, recall_score

from inference.edges import judged
from tests.benchmarks.imsic_results import convnet, images
from tests.benchmarks.imsic_results.convnet import Size
from tests.benchmarks.imsic_results.images import Split
from tests.benchmarks.results import mnist
from training.oversampling import oversample_numbers
from training.torch.augmentation.dense import class_weights
from training.torch.augmentation.task import Task
from training.torch.course import Place
from training.torch.imsic import generator
from training.torch.imsic.graph import Factor, Graph
from training.torch.imsic.settings import IMSICSettings

Rows = NDArray[np.float32]
Codes = NDArray[np.int64]

ERM, WEIGHTS, ROS, SMOTE, CONDITIONAL, IMSIC = ("erm", "class_weights", "ros", "smote", "conditional_gan", "imsic")
AS_MANY, HUNDRED = "imsic_as_many", "imsic_hundred"
ARMS = (ERM, WEIGHTS, ROS, SMOTE, CONDITIONAL, IMSIC, AS_MANY, HUNDRED)
# Weight of the structure loss: of 1 and 3 the one under which all edges of the graph hold, on MNIST with seed 0.
STRUCTURE = {CONDITIONAL: 0.0, IMSIC: 3.0, AS_MANY: 3.0, HUNDRED: 3.0}
# Rows made of a class: what it lacks to the largest one's, as many as its real ones, or the published hundred.
AMOUNTS = {CONDITIONAL: "lacking", IMSIC: "lacking", AS_MANY: "real", HUNDRED: "100"}
NEIGHBORS = 5
ATTEMPTS = 4  # candidates at most for each row wanted
NOISE = {"mnist": 0.5, "fashion": 0.2}  # standard deviation of the noise that rows are made from, as published
CLASSES = 10
BATCH, BATCHES = 64, 141  # of the generator, and how many of them make an epoch of the 9,000 rows
MEASURES = ("acsa", "gmean", "macro_f1", "rarest_recall", "average_precision", "rarest_precision")
RECALLS = tuple(f"recall_{digit}" for digit in range(CLASSES))
# What is known of a generator: its class head's share of right ones, rows it could not make, and its graph.
OF_GENERATORS = ("class_accuracy", "shortfall", "least_own", "most_forbidden", "edges_that_hold")
# The first three codes have a factor of their own; the fourth factor depends on the last three codes.
GRAPH = Graph(
    factors=(
        *(Factor(name=name) for name in ("first", "second", "third")),
        Factor(name="mixed", parents=("second", "third", "mixed")),
    )
)


class Plan(NamedTuple):
    """How long and how large: epochs and channels of the generator, the classifier, rows of a class, and the tail."""

    epochs: float
    channels: dict[str, tuple[int, ...]]
    classifier: Size
    rows_per_class: int
    tail: tuple[int, ...]
    changes: dict[str, Any]


PAPERS = {"generator_channels": (128, 64), "trunk_channels": (16, 32, 64, 128)}
# A schedule this short needs larger steps and a discriminator that forgets nothing.
SMALL = PAPERS | {"generator_channels": (32, 16)}
SHORT = {"rate": 6e-4, "discriminator_rate": 6e-4, "dropout": 0.0}
PLANS = {
    "quick": Plan(0.5, SMALL, Size(8, 16, 64, 150), 200, (200, 100, 80, 60, 50, 40, 30, 20, 12, 8), SHORT),
    "cpu": Plan(20, SMALL, Size(16, 32, 128, 4000), 4000, images.TAIL, SHORT),
    "full": Plan(300, PAPERS, Size(32, 64, 1000, 16_000), 4000, images.TAIL, {}),
}


class Job(NamedTuple):
    """One measurement."""

    data: str
    seed: int
    arm: str
    plan: str


def settings_of(job: Job) -> IMSICSettings:
    """Return the generator's settings."""
    plan = PLANS[job.plan]
    return IMSICSettings(
        image=mnist.SHAPE,
        network="convolutional",
        noise_dim=62,
        attempts=ATTEMPTS,
        batch_size=BATCH,
        steps=max(1, round(plan.epochs * BATCHES)),
        graph=GRAPH,
        structure_weights=(STRUCTURE.get(job.arm, 0.0),),
        forbidden_weight=0.5,
        noise_spread=NOISE[job.data],
        **plan.channels | plan.changes,
    )


def fingerprint(job: Job) -> str:
    """Return a digest of what a job is, for the ledger."""
    own = [settings_of(job).model_dump(mode="json"), AMOUNTS[job.arm]] if job.arm in STRUCTURE else None
    text = json.dumps([job, PLANS[job.plan], own])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def measure(job: Job) -> dict[str, Any]:
    """Do a job and return its measures, and the processor seconds it took."""
    torch.set_num_threads(1)
    plan, before = PLANS[job.plan], _known(_origin(job)).cpu_seconds if job.arm in STRUCTURE else 0.0
    started = time.process_time()
    split = images.split(job.data, job.seed, plan.tail)
    rows, labels, facts = _table(job, split)
    weights = class_weights(labels, CLASSES) if job.arm == WEIGHTS else None
    chances = convnet.predictions(rows, labels, split.test_rows, size=plan.classifier, weights=weights, seed=job.seed)
    seconds = round(before + time.process_time() - started, 1)
    return scores(split.test_labels, chances) | facts | {"cpu_seconds": seconds}


def scores(truth: Codes, chances: NDArray[np.float64]) -> dict[str, float]:
    """Return the measures of a classifier, and each class's recall.

    Args:
        truth: (n,) classes.
        chances: (n, K) of each class; the likeliest is what is given.

    Returns:
        Mean recall, its geometric mean, macro-F1, the mean recall of the five rarest, and the average precision of each
        class against the others, its mean over all classes and over the five rarest.
    """
    codes, given = list(range(CLASSES)), chances.argmax(axis=1)
    precisions = [float(average_precision_score(truth == code, chances[:, code])) for code in codes]
    recalls = recall_score(truth, given, labels=codes, average=None, zero_division=0.0)
    return {
        "acsa": float(recalls.mean()),
        "gmean": float(np.prod(recalls) ** (1 / CLASSES)),
        "macro_f1": float(f1_score(truth, given, labels=codes, average="macro", zero_division=0.0)),
        "rarest_recall": float(recalls[-images.RAREST :].mean()),
        "average_precision": float(np.mean(precisions)),
        "rarest_precision": float(np.mean(precisions[-images.RAREST :])),
    } | dict(zip(RECALLS, map(float, recalls), strict=True))


def _table(job: Job, split: Split) -> tuple[Rows, Codes, dict[str, Any]]:
    """Return real rows and those that an arm adds, with their labels, and what is known of its generator."""
    counts, wanted = np.bincount(split.labels, minlength=CLASSES), PLANS[job.plan].rows_per_class
    targets = {code: wanted for code in range(CLASSES) if counts[code] < wanted}
    random = np.random.default_rng([job.seed, 1])
    if job.arm == ROS:
        parts, facts = [_copies(split, code, wanted - int(counts[code]), random) for code in targets], {}
    elif job.arm == SMOTE:
        made, codes = oversample_numbers(split.rows, split.labels, targets, neighbors=NEIGHBORS, seed=job.seed)
        parts, facts = [(made.astype(np.float32), codes)], {}
    elif job.arm in STRUCTURE:
        asked = {code: amount(job.arm, int(counts[code]), wanted) for code in targets}
        parts, facts = _generated(job, split, asked, random)
    else:
        parts, facts = [], {}
    rows, labels = zip((split.rows, split.labels), *parts, strict=True)
    return np.concatenate(rows), np.concatenate(labels), facts


def amount(arm: str, rows: int, most: int) -> int:
    """Return how many rows an arm makes of a class with that many, where the largest has `most`."""
    amounts = {"lacking": most - rows, "real": min(rows, most - rows)}
    return amounts[AMOUNTS[arm]] if AMOUNTS[arm] in amounts else int(AMOUNTS[arm])


def _copies(split: Split, code: int, rows: int, random: np.random.Generator) -> tuple[Rows, Codes]:
    own = np.flatnonzero(split.labels == code)
    return split.rows[random.choice(own, rows)], np.full(rows, code)


def _generated(
    job: Job, split: Split, lacking: dict[int, int], random: np.random.Generator
) -> tuple[list[tuple[Rows, Codes]], dict[str, Any]]:
    """Make rows by a generator that knows the rows of the split alone; copies stand in for what it cannot make."""
    made = _known(_origin(job)).made
    parts, shortfall = [], 0
    for code, rows in lacking.items():
        found = made.sample(code, rows, seed=job.seed)
        parts.append((np.asarray(found.features, np.float32), np.asarray(found.labels, np.int64)))
        if len(found.labels) < rows:
            shortfall += rows - len(found.labels)
            parts.append(_copies(split, code, rows - len(found.labels), random))
    return parts, _facts(made, job.seed) | {"shortfall": shortfall}


def _origin(job: Job) -> Job:
    """Return the job whose generator is that of a job."""
    return job._replace(arm=IMSIC if STRUCTURE[job.arm] else CONDITIONAL)


@dataclass(frozen=True)
class _Known:
    """A trained generator, and the processor seconds it took."""

    made: generator.Generator
    cpu_seconds: float


@lru_cache(maxsize=2)
def _known(job: Job) -> _Known:
    """Train the generator of a job."""
    started, settings = time.process_time(), settings_of(job)
    split = images.split(job.data, job.seed, PLANS[job.plan].tail)
    _check_epoch(split, job)
    names = tuple(f"pixel{number}" for number in range(split.rows.shape[1]))
    classes = tuple(map(str, range(CLASSES)))
    task = Task(split.rows, split.labels, classes, names, 0, tuple(range(1, CLASSES)))
    weight = settings.structure_weights[0]
    trained = generator.train(
        task, graph=GRAPH, structure_weight=weight, settings=settings, seed=job.seed, place=Place(job.arm)
    )
    return _Known(trained.generator, time.process_time() - started)


def _check_epoch(split: Split, job: Job) -> None:
    """Refuse rows that are not those of the tail: a generator that saw more of them has seen what others may not."""
    batches = math.ceil(len(split.rows) / BATCH)
    expected = math.ceil(sum(PLANS[job.plan].tail) / BATCH)
    if batches != expected or (job.plan != "quick" and batches != BATCHES):
        raise ValueError(f"the generator would learn from {len(split.rows):,} rows, expected the tail alone")


def _facts(made: generator.Generator, seed: int) -> dict[str, Any]:
    edges = [edge for row in judged(GRAPH, made.correlations(seed=seed)) for edge in row]
    return {
        "class_accuracy": made.fresh(rows=2000, seed=seed)[2],
        "least_own": min(edge.correlation for edge in edges if edge.kind == "alone"),
        "most_forbidden": max(abs(edge.correlation) for edge in edges if edge.kind == "forbidden"),
        "edges_that_hold": float(np.mean([edge.holds for edge in edges if edge.kind != "free"])),
    }
