"""What an ensemble learns from and is measured on: labelled rows, folds and soft targets; looks and metrics.

Takes a reader and the classifiers in numpy; gives the prepared table, and what its held-out rows show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from feature_extraction.schema import UNKNOWN, FeatureSchema
from training.dense_network import DenseNetwork, softmax
from training.held_out import HeldOut
from training.keras.course import Look
from training.keras.losses import TINY
from training.metrics import class_recall, held_out_rows, held_out_scores, held_out_summary
from training.scaler import Scaler
from training.settings import EnsembleSettings
from training.splits import Rows, folds
from training.trainer import Floats, Labels, Reader
from training.weak_labels import WeakLabels

SCALER_ROWS = 8192  # unlabelled rows that the scaler's quantiles are taken from


class Parts(NamedTuple):
    """Positions of labelled rows: those each member learns from, and those held out from it; none without folds."""

    training: list[Rows]
    held_out: list[Rows]


@dataclass(frozen=True)
class Table:
    """The labelled rows, ready for the networks.

    Attributes:
        schema: schema of the feature table.
        weak: labels over weak classes.
        classes: the classifier's classes, `weak.classes` first.
        scaler: raw features to inputs.
        inputs: scaled labelled rows, (rows, inputs).
        targets: soft target of each, (rows, classes).
        parts: who learns from what.
    """

    schema: FeatureSchema
    weak: WeakLabels
    classes: tuple[str, ...]
    scaler: Scaler
    inputs: Floats
    targets: Floats
    parts: Parts


class Judged(NamedTuple):
    """Held-out rows of all members one after the other: their labels and probabilities, and each member's share."""

    truth: Labels
    verdicts: NDArray[np.intp]
    scores: list[tuple[Rows, NDArray[np.float64]]]
    loss: float


def split(labels: Labels, settings: EnsembleSettings, names: Sequence[str]) -> Parts:
    """Deal the folds round the members."""
    if not settings.folds:
        everything = np.arange(len(labels))
        return Parts([everything] * settings.members, [])
    dealt = folds(labels, settings.folds, seed=settings.seed, names=names)
    mine = [dealt[number % settings.folds] for number in range(settings.members)]
    return Parts([training for training, _ in mine], [held_out for _, held_out in mine])


def fit_scaler(features: Floats, reader: Reader, settings: EnsembleSettings) -> Scaler:
    """Fit to unlabelled rows, and to the labelled ones `features` where none is held out from any member.

    With folds, another member holds out what one learns from, and all share the scaler.
    """
    if settings.scaling == "none":
        return Scaler.unchanged(features.shape[1])
    unlabeled = next(reader.unlabeled(SCALER_ROWS, seed=settings.seed))
    return Scaler.fit(unlabeled if settings.folds else np.concatenate([features, unlabeled]))


def look_at(table: Table, step: int, training: Mapping[str, float], networks: Sequence[DenseNetwork]) -> Look:
    """Measure the members on the rows held out from them, where there are some.

    The rows of all folds are ranked together: with few rare rows, the mean of a precision per fold is much noisier.
    """
    if not table.parts.held_out:
        return Look(step, training)
    found = _held_out(table, networks)
    scores = held_out_scores(len(table.weak.labels), found.scores)
    known = ~np.isnan(scores)
    precision = average_precision_score(table.weak.labels[known] == table.weak.rare_code, scores[known])
    return Look(step, training, float(precision), found.loss, **_verdicts(table, found))


def metrics(table: Table, networks: Sequence[DenseNetwork], seed: int) -> dict[str, Any]:
    """Measure the scores of labelled rows by the members that hold them out.

    The look was chosen by these rows too, so the figures lean a little to the good side; a single member ranks
    worse than the ensemble, so they lean to the bad side as well.
    """
    if not table.parts.held_out:
        return {"reason": "no row was held out (folds = 0)"}
    found = _held_out(table, networks)
    summary = held_out_summary(table.weak.labels == table.weak.rare_code, found.scores, seed=seed)
    return summary | _verdicts(table, found)


def held_out(table: Table, networks: Sequence[DenseNetwork]) -> HeldOut | None:
    """Return labelled rows and their scores by the members that hold them out; None where none does."""
    if not table.parts.held_out:
        return None
    return held_out_rows(table.weak.labels == table.weak.rare_code, _held_out(table, networks).scores)


def words(table: Table, look: Look) -> str:
    """Say what a look found, with the names of the classes."""
    training = ", ".join(f"{name} {value:.3f}" for name, value in look.training.items())
    if look.average_precision is None or look.loss is None:
        return f"loss {training}; no rows are held out"
    return (
        f"loss {training}; held-out rows: average precision of {table.weak.rare!r} {look.average_precision:.3f}, "
        f"loss {look.loss:.3f} over {', '.join(table.weak.classes)}"
    )


def _held_out(table: Table, networks: Sequence[DenseNetwork]) -> Judged:
    weak, scores, truth, verdicts, balanced = table.weak, [], [], [], []
    for rows, network in zip(table.parts.held_out, networks, strict=True):
        probabilities = softmax(network.logits(table.inputs[rows]))
        scores.append((rows, probabilities[:, weak.rare_code]))
        truth.append(weak.labels[rows])
        verdicts.append(probabilities.argmax(axis=1))
        balanced.append(_balanced_loss(probabilities, weak.labels[rows], table.targets[rows]))
    return Judged(np.concatenate(truth), np.concatenate(verdicts), scores, float(np.mean(balanced)))


def _verdicts(table: Table, found: Judged) -> dict[str, Any]:
    """Return recalls by class and the share of unknown, of all rows and of the rare ones."""
    code = table.classes.index(UNKNOWN) if UNKNOWN in table.classes else -1
    unknown, rare = found.verdicts == code, found.truth == table.weak.rare_code
    return {
        "class_recall": class_recall(found.truth, found.verdicts, table.weak.classes),
        "unknown_share": float(unknown.mean()),
        "rare_to_unknown": float(unknown[rare].mean()),
    }


def _balanced_loss(probabilities: NDArray[np.float64], labels: Labels, targets: Floats) -> float:
    """Return the supervised loss with every class weighing the same, as in training."""
    losses_B = -(targets * np.log(probabilities + TINY)).sum(axis=1)
    return float(np.mean([losses_B[labels == code].mean() for code in np.unique(labels)]))
