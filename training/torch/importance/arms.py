"""What the classifier learns from, and which of three ways is best on rows that were held out (F.6).

Labels of people are never replaced: a pseudo-label is given to unlabelled rows alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from training.dense_network import DenseNetwork
from training.metrics import held_out_scores
from training.oversampling import oversample
from training.splits import Rows, folds
from training.torch.importance import classifier, clusters, rarity
from training.torch.importance.clusters import Clusters, Known
from training.torch.importance.encoder import Encoder
from training.torch.importance.settings import ImportanceVectorSettings
from training.torch.member_networks import mean_chances
from training.trainer import Floats

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]
Arm = Literal["labels", "smote", "pseudo_labels"]

ARMS: tuple[Arm, ...] = ("labels", "smote", "pseudo_labels")  # of equal ones the one with fewer made-up rows


@dataclass(frozen=True)
class Task:
    """A table to learn from.

    Attributes:
        features: raw labelled rows, (L, d).
        labels: their class codes, (L,).
        unlabeled: raw unlabelled rows, (U, d).
        classes: class names by code.
        names: feature names.
    """

    features: Floats
    labels: Codes
    unlabeled: Floats
    classes: tuple[str, ...]
    names: tuple[str, ...]

    def part(self, rows: Rows) -> "Task":
        """Return the task with some of the labelled rows."""
        return Task(self.features[rows], self.labels[rows], self.unlabeled, self.classes, self.names)


@dataclass(frozen=True)
class Found:
    """Encoder and clusters of a task.

    Attributes:
        encoder: fitted on labelled and unlabelled rows.
        clusters: cluster k is class k.
        chances: membership of the unlabelled rows, (U, K).
    """

    encoder: Encoder
    clusters: Clusters
    chances: Doubles


class Seeds(NamedTuple):
    """Raw rows that SMOTE starts from, with `labels` and `weights`: 1 for those of people."""

    features: Floats
    labels: Codes
    weights: Doubles


class Choice(NamedTuple):
    """The best arm, the average precision of each, and each fold's held-out rows and their scores under the best."""

    arm: Arm
    average_precision: dict[str, float]
    held_out: list[tuple[Rows, Doubles]]


def find(task: Task, settings: ImportanceVectorSettings) -> Found:
    """Fit the encoder, and clusters that labelled rows hold to their classes."""
    everything = np.concatenate([task.features, task.unlabeled])
    encoder = Encoder.fit(everything, settings=settings, names=task.names)
    inputs = encoder.encode(everything)
    known = Known(inputs[: len(task.labels)], task.labels)
    found = clusters.fit(inputs, len(task.classes), settings=settings, known=known, embedded=encoder.embedded)
    return Found(encoder, found, found.chances(inputs[len(task.labels) :]))


def seeds(task: Task, found: Found, arm: Arm, settings: ImportanceVectorSettings) -> Seeds:
    """Return labelled rows and, with pseudo-labels, the unlabelled ones of which the clusters are sure enough."""
    ones = np.ones(len(task.labels))
    if arm != "pseudo_labels":
        return Seeds(task.features, task.labels, ones)
    sure = found.chances.max(axis=1) >= settings.confidence
    labels, chance = found.chances[sure].argmax(axis=1), found.chances[sure].max(axis=1)
    counts = rarity.sizes(task.labels, len(task.classes))
    totals = np.bincount(labels, weights=chance, minlength=len(counts))
    weights = settings.pseudo_weight * chance * (counts / np.maximum(totals, 1e-12))[labels]
    return Seeds(
        np.concatenate([task.features, task.unlabeled[sure]]),
        np.concatenate([task.labels, labels]).astype(np.int64),
        np.concatenate([ones, weights]),
    )


def classify(
    task: Task, found: Found, arm: Arm, settings: ImportanceVectorSettings
) -> tuple[tuple[DenseNetwork, ...], dict[int, int]]:
    """Train the classifier by one arm; return it and the rows that SMOTE added by class."""
    rows, num = seeds(task, found, arm, settings), len(task.classes)
    made, codes = rows.features[:0], rows.labels[:0]
    if arm != "labels":
        wanted = rarity.targets(rarity.sizes(rows.labels, num), settings.growth)
        made, codes = oversample(
            rows.features,
            rows.labels,
            wanted,
            categorical=found.encoder.categorical,
            neighbors=settings.neighbors,
            seed=settings.seed,
        )
    usual = np.bincount(rows.labels, weights=rows.weights, minlength=num) / np.bincount(rows.labels, minlength=num)
    labels = np.concatenate([rows.labels, codes])
    weights = classifier.balanced_weights(labels, np.concatenate([rows.weights, usual[codes]]))
    networks = classifier.fit(
        found.encoder.encode(np.concatenate([rows.features, made])),
        labels,
        weights,
        num_classes=num,
        settings=settings,
        embedded=found.encoder.embedded,
    )
    return networks, {code: int((codes == code).sum()) for code in range(num)}


def choose(task: Task, *, rare_code: int, settings: ImportanceVectorSettings) -> Choice:
    """Measure every arm on held-out rows by the rare class's average precision, and take the best.

    The choice leans the figure of the winner a little to the good side.

    Raises:
        ValueError: a class has fewer than two rows.
    """
    parts = folds(task.labels.astype(np.int8), settings.folds, seed=settings.seed, names=task.classes)
    arms = ARMS if len(task.unlabeled) else ARMS[:2]
    scores: dict[Arm, list[tuple[Rows, Doubles]]] = {arm: [] for arm in arms}
    for training, held_out in parts:
        inner = task.part(training)
        found = find(inner, settings)
        inputs = found.encoder.encode(task.features[held_out])
        for arm in arms:
            networks, _ = classify(inner, found, arm, settings)
            scores[arm].append((held_out, mean_chances(networks, inputs)[:, rare_code]))
    precision = {arm: _average_precision(task.labels == rare_code, scores[arm]) for arm in arms}
    best = max(arms, key=lambda arm: precision[arm])
    return Choice(best, {str(arm): value for arm, value in precision.items()}, scores[best])


def _average_precision(truth: NDArray[np.bool_], parts: Sequence[tuple[Rows, Doubles]]) -> float:
    scores = held_out_scores(len(truth), parts)
    covered = ~np.isnan(scores)
    return float(average_precision_score(truth[covered], scores[covered]))
