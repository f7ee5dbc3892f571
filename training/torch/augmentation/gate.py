"""Which synthetic rows the classifier learns from, and how many: sources and amounts compared on held-out rows.

Takes a task, settings and what trains generators; gives augmented tables, and the arm that is best: real rows alone,
copies, SMOTE, or a generator's rows in one of several amounts. Whatever the arm, classes weigh the same in the dense
classifier, so there real rows alone are the method of class weights; the second stage's classifiers take no weights.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from training.oversampling import oversample_numbers
from training.splits import Rows, folds
from training.torch import second_stage
from training.torch.augmentation import dense
from training.torch.augmentation.codec import Codec
from training.torch.augmentation.settings import AugmentationSettings, steps_for
from training.torch.augmentation.task import Codes, Samples, Task
from training.torch.course import Place
from training.torch.second_stage import Classifier
from training.trainer import Floats

Doubles = NDArray[np.float64]

logger = logging.getLogger(__name__)

REAL, COPIES, SMOTE = "real_rows", "copies", "smote"
NEIGHBORS = 5  # of SMOTE
COPY_STREAM = 10


class Arm(NamedTuple):
    """A source of synthetic rows, `real_rows` for none, and how many they are.

    Attributes:
        source: one of the three above, or the name of a generator.
        ratio: rows made, as a share.
        of: whether that is of what a class lacks to the majority's size, or of the real rows it has.
    """

    source: str
    ratio: float = 1.0
    of: Literal["lacking", "real"] = "lacking"

    @property
    def name(self) -> str:
        """How the manifest calls it."""
        return self.source if self.source in (REAL, COPIES, SMOTE) else f"{self.source}_{self.ratio:g}"


WITHOUT_GENERATOR = (Arm(REAL, 0.0), Arm(COPIES), Arm(SMOTE))  # of equal arms the first is taken


class Maker(Protocol):
    """A trained generator."""

    @property
    def codec(self) -> Codec:
        """Raw rows to encoded ones and back."""
        ...

    def sample(self, code: int, rows: int, *, seed: int) -> Samples:
        """Make rows of a class, fewer than asked for where it cannot make as many."""
        ...


Train = Callable[[Task, int, Place], Maker]  # of a task, a seed, and a title with the place of checkpoints


class Verdict(NamedTuple):
    """What the validation found.

    Attributes:
        arm: the best one.
        length: the best share of the classifier's steps.
        precision: mean average precision of each arm over the small classes, by name.
        held_out: for each fold, the rows held out and their scores for the rare class under the best arm.
    """

    arm: Arm
    length: float
    precision: dict[str, float]
    held_out: list[tuple[Rows, Doubles]]


def wanted(task: Task, arm: Arm) -> dict[int, int]:
    """Return by class how many rows an arm is to make, where it is any."""
    counts = np.bincount(task.labels, minlength=len(task.classes))
    share = {code: counts[code] if arm.of == "real" else counts[task.majority] - counts[code] for code in task.minority}
    rows = {code: round(arm.ratio * max(0, int(whole))) for code, whole in share.items()}
    return {code: many for code, many in rows.items() if many and arm.source != REAL}


def augmented(task: Task, made: Maker, arm: Arm, *, seed: int) -> tuple[Floats, Codes]:
    """Return real rows and then those of the arm, and their labels."""
    make = {SMOTE: _interpolated, COPIES: _copied}.get(arm.source, _generated)
    parts = make(task, made, wanted(task, arm), seed)
    labels = [task.labels, *(np.full(len(rows), code, np.int64) for code, rows in parts.items())]
    return np.concatenate([task.features, *parts.values()]), np.concatenate(labels)


def _generated(task: Task, made: Maker, rows: Mapping[int, int], seed: int) -> dict[int, Floats]:
    return {code: made.sample(code, many, seed=seed).features for code, many in rows.items()}


def _copied(task: Task, made: Maker, rows: Mapping[int, int], seed: int) -> dict[int, Floats]:
    return {
        code: task.features[
            np.random.default_rng([seed, COPY_STREAM, code]).choice(np.flatnonzero(task.labels == code), many)
        ]
        for code, many in rows.items()
    }


def _interpolated(task: Task, made: Maker, rows: Mapping[int, int], seed: int) -> dict[int, Floats]:
    """Interpolate encoded rows, so that categories and what is missing go by the nearer of two rows."""
    if not rows:
        return {}
    targets = {code: many + int((task.labels == code).sum()) for code, many in rows.items()}
    encoded = made.codec.encode(task.features)
    found, codes = oversample_numbers(encoded, task.labels, targets, neighbors=NEIGHBORS, seed=seed)
    return {code: made.codec.decode(found[codes == code].astype(np.float32)) for code in rows}


def fit_classifier(
    task: Task, features: Floats, labels: Codes, settings: AugmentationSettings, *, seed: int, length: float = 1.0
) -> Classifier:
    """Fit the classifier that the settings name to what `augmented` gave for a task.

    Args:
        task: the real rows.
        features: real rows and synthetic ones, raw.
        labels: their class codes.
        settings: of the classifier.
        seed: of the classifier.
        length: share of the dense network's steps that are taken.
    """
    num_classes = len(task.classes)
    if settings.classifier == "mlp":
        # Real rows count, so that all arms take as many steps.
        most = steps_for(len(task.labels), settings.classifier_steps, settings.classifier_steps_per_row)
        steps = max(1, round(length * most))
        settings = settings.model_copy(update={"classifier_steps": steps})
        return dense.fit(features, labels, classes=num_classes, settings=settings, seed=seed)
    synthetic = np.arange(len(labels)) >= len(task.labels)
    return second_stage.fit(features, labels, classes=num_classes, settings=settings, seed=seed, synthetic=synthetic)


def validate(
    task: Task,
    generators: Mapping[str, Train],
    arms: Sequence[Arm],
    *,
    rare_code: int,
    settings: AugmentationSettings,
    place: Place,
) -> Verdict:
    """Find the arm under which the small classes of held-out rows rank best.

    For each fold generators and classifier are trained anew on the other rows. How long the classifier learns is found
    first, by real rows alone, and is the same for all arms. Both choices lean the winner's figures a little to the good
    side.

    Args:
        task: all labelled rows.
        generators: what trains each generator that an arm names.
        arms: to compare; of equal ones the first is taken.
        rare_code: the class whose scores are kept.
        settings: folds, seed and classifier are read.
        place: title and checkpoints.

    Raises:
        ValueError: a class has fewer than two rows.
    """
    parts = folds(task.labels.astype(np.int8), settings.folds, seed=settings.seed, names=task.classes)
    inner = [
        _Fold(
            task._replace(features=task.features[training], labels=task.labels[training]),
            task.features[held_out],
            task.labels[held_out],
            settings.seed + 1 + number,
            place.of(f"fold {number + 1}"),
        )
        for number, (training, held_out) in enumerate(parts)
    ]
    length = _best_length(inner, settings)
    found: dict[str, list[tuple[Rows, Doubles]]] = {arm.name: [] for arm in arms}
    ranked: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for fold, (_, held_out) in zip(inner, parts, strict=True):
        made = {name: train(fold.task, fold.seed, fold.place) for name, train in generators.items()}
        anyone = next(iter(made.values()))
        for arm in arms:
            rows, labels = augmented(fold.task, made.get(arm.source, anyone), arm, seed=fold.seed)
            scores = fold.scores(rows, labels, settings, length)
            found[arm.name].append((held_out, scores[:, rare_code]))
            ranked[arm.name].append(fold.precision(scores))
            logger.info(
                "%s, %s: average precision %.3f on the rows held out", fold.place.title, arm.name, ranked[arm.name][-1]
            )
    precision = {name: float(np.mean(values)) for name, values in ranked.items()}
    best = max(arms, key=lambda arm: precision[arm.name])
    return Verdict(best, length, precision, found[best.name])


class _Fold(NamedTuple):
    """Rows to learn from, and raw rows held out with their class codes."""

    task: Task
    features: Floats
    labels: Codes
    seed: int
    place: Place

    def scores(self, rows: Floats, labels: Codes, settings: AugmentationSettings, length: float) -> Doubles:
        """Return the probabilities (held out, classes) of a classifier of given rows."""
        fitted = fit_classifier(self.task, rows, labels, settings, seed=self.seed, length=length)
        return np.asarray(fitted.predict_proba(self.features), np.float64)

    def precision(self, scores: Doubles) -> float:
        """Return the mean over the small classes of the average precision of class against rest."""
        return float(
            np.mean([average_precision_score(self.labels == code, scores[:, code]) for code in self.task.minority])
        )


def _best_length(parts: Sequence[_Fold], settings: AugmentationSettings) -> float:
    """Return the share of the classifier's steps after which real rows alone rank best; of equal ones the least."""
    lengths = sorted(settings.classifier_lengths)
    if len(lengths) == 1 or settings.classifier != "mlp":
        return lengths[-1]
    found = {
        length: np.mean(
            [fold.precision(fold.scores(fold.task.features, fold.task.labels, settings, length)) for fold in parts]
        )
        for length in lengths
    }
    return max(lengths, key=lambda length: found[length])
