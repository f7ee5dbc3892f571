"""Which synthetic rows the classifier learns from, and how many: sources and amounts compared on held-out rows.

Takes a task and settings; gives augmented tables, and the arm that is best: real rows alone, copies, SMOTE, or MGVAE's
rows up to some share of what each class lacks. Whatever the arm, classes weigh the same in the dense classifier, so
there real rows alone are the method of class weights; the second stage's classifiers take no weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from training.splits import Rows, folds
from training.torch import second_stage
from training.torch.mgvae import classifier, generator
from training.torch.mgvae.generator import Codes, Generator, Task
from training.torch.mgvae.settings import MGVAESettings
from training.torch.qast.course import Place
from training.torch.qast.seeds import oversample
from training.torch.second_stage import Classifier
from training.trainer import Floats

Doubles = NDArray[np.float64]

REAL, COPIES, SMOTE = "real_rows", "copies", "smote"
NEIGHBORS = 5  # of SMOTE
COPY_STREAM = 10


class Arm(NamedTuple):
    """A source of synthetic rows, `real_rows` for none, and the share of what is lacking that they make up."""

    source: str
    ratio: float = 1.0

    @property
    def name(self) -> str:
        """How the manifest calls it."""
        return f"{self.source}_{self.ratio:g}" if self.source == "mgvae" else self.source


class Verdict(NamedTuple):
    """What the validation found.

    Attributes:
        arm: the best one.
        precision: mean average precision of each arm over the small classes, by name.
        held_out: for each fold, the rows held out and their scores for the rare class under the best arm.
    """

    arm: Arm
    precision: dict[str, float]
    held_out: list[tuple[Rows, Doubles]]


def arms(settings: MGVAESettings) -> list[Arm]:
    """Return the arms to compare, those without generated rows first: of equal ones the first is taken."""
    return [Arm(REAL, 0.0), Arm(COPIES), Arm(SMOTE), *(Arm("mgvae", ratio) for ratio in sorted(settings.ratios))]


def lacking(task: Task, ratio: float) -> dict[int, int]:
    """Return by class how many rows make up that share of what it lacks to the majority's size."""
    counts = np.bincount(task.labels, minlength=len(task.classes))
    return {code: round(ratio * max(0, int(counts[task.majority] - counts[code]))) for code in task.minority}


def augmented(task: Task, made: Generator, arm: Arm, *, seed: int) -> tuple[Floats, Codes]:
    """Return real rows and then those of the arm, and their labels."""
    wanted = {code: rows for code, rows in lacking(task, arm.ratio).items() if rows and arm.source != REAL}
    if arm.source == SMOTE and wanted:
        rows, codes = _smote(task, made, wanted, seed)
        return np.concatenate([task.features, rows]), np.concatenate([task.labels, codes])
    make = _copied if arm.source == COPIES else _generated
    parts = [task.features, *(make(task, made, code, rows, seed) for code, rows in wanted.items())]
    labels = [task.labels, *(np.full(rows, code, np.int64) for code, rows in wanted.items())]
    return np.concatenate(parts), np.concatenate(labels)


def _generated(task: Task, made: Generator, code: int, rows: int, seed: int) -> Floats:
    return made.sample(code, rows, seed=seed).features


def _copied(task: Task, made: Generator, code: int, rows: int, seed: int) -> Floats:
    own = np.flatnonzero(task.labels == code)
    return np.asarray(task.features[np.random.default_rng([seed, COPY_STREAM, code]).choice(own, rows)], np.float32)


def _smote(task: Task, made: Generator, wanted: dict[int, int], seed: int) -> tuple[Floats, Codes]:
    """Interpolate encoded rows, so that categories and what is missing go by the nearer of two rows."""
    targets = {code: rows + int((task.labels == code).sum()) for code, rows in wanted.items()}
    encoded = made.codec.encode(task.features)
    rows, codes = oversample(encoded, task.labels, targets, neighbors=NEIGHBORS, seed=seed)
    return made.codec.decode(rows.astype(np.float32)), codes


def fit_classifier(task: Task, features: Floats, labels: Codes, settings: MGVAESettings, *, seed: int) -> Classifier:
    """Fit the classifier that the settings name to what `augmented` gave for a task."""
    num_classes = len(task.classes)
    if settings.classifier == "mlp":
        return classifier.fit(features, labels, classes=num_classes, settings=settings, seed=seed)
    synthetic = np.arange(len(labels)) >= len(task.labels)
    return second_stage.fit(features, labels, classes=num_classes, settings=settings, seed=seed, synthetic=synthetic)


def validate(task: Task, *, rare_code: int, settings: MGVAESettings, place: Place) -> Verdict:
    """Find the arm under which the small classes of held-out rows rank best.

    For each fold generator and classifier are trained anew on the other rows. The choice leans the winner's figures a
    little to the good side.

    Raises:
        ValueError: a class has fewer than two rows.
    """
    parts = folds(task.labels.astype(np.int8), settings.folds, seed=settings.seed, names=task.classes)
    compared = arms(settings)
    found: dict[str, list[tuple[Rows, Doubles]]] = {arm.name: [] for arm in compared}
    for number, (training, held_out) in enumerate(parts):
        inner = task._replace(features=task.features[training], labels=task.labels[training])
        seed = settings.seed + 1 + number
        made = generator.train(inner, settings=settings, seed=seed, place=place.of(f"fold {number + 1}")).generator
        for arm in compared:
            rows, labels = augmented(inner, made, arm, seed=seed)
            fitted = fit_classifier(inner, rows, labels, settings, seed=seed)
            scores = np.asarray(fitted.predict_proba(task.features[held_out]), np.float64)
            found[arm.name].append((held_out, scores))
    precision = {name: _precision(task, folded) for name, folded in found.items()}
    best = max(compared, key=lambda arm: precision[arm.name])
    return Verdict(best, precision, [(rows, scores[:, rare_code]) for rows, scores in found[best.name]])


def _precision(task: Task, folded: Sequence[tuple[Rows, Doubles]]) -> float:
    """Return the mean over folds and small classes of the average precision of class against rest."""
    values = [
        average_precision_score(task.labels[rows] == code, scores[:, code])
        for rows, scores in folded
        for code in task.minority
    ]
    return float(np.mean(values))
