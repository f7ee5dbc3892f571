"""Which synthetic rows the second stage learns from, and whether they help: quota, inner validation, fallback.

Takes a task and settings; gives augmented tables, and for each small class the source of its rows.
"""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from training.splits import Rows, folds
from training.torch import second_stage
from training.torch.course import Place
from training.torch.qast import seeds, stage
from training.torch.qast.members import unchecked
from training.torch.qast.sampling import Codes, Samples
from training.torch.qast.settings import QASTSettings
from training.torch.qast.stage import Task
from training.torch.second_stage import Classifier
from training.trainer import Floats

Doubles = NDArray[np.float64]
Source = Literal["generator", "smote", "none"]
BOOTSTRAP = 500


class Verdict(NamedTuple):
    """What the inner validation found.

    Attributes:
        sources: where the rows of each small class are to come from, by code.
        arm: the arm that they are of: 'generator' for all, 'by_class', or the fallback's name for none.
        f1: F1 of each class under each arm, (K,).
        held_out: for each fold, the rows held out and their scores for the rare class under that arm.
    """

    sources: dict[int, Source]
    arm: str
    f1: dict[str, Doubles]
    held_out: list[tuple[Rows, Doubles]]


class _Fold(NamedTuple):
    task: Task
    samples: Samples
    needed: Mapping[int, int]
    rows: Rows
    features: Floats


def augmented(
    task: Task,
    samples: Samples,
    needed: Mapping[int, int],
    *,
    sources: Mapping[int, Source],
    settings: QASTSettings,
    seed: int,
) -> tuple[Floats, Codes]:
    """Return real rows and then synthetic ones, and their labels (B.9).

    Args:
        task: the real rows.
        samples: generated rows, no more than needed.
        needed: synthetic rows by code, for every small class.
        sources: where those of each small class come from.
        settings: of SMOTE.
        seed: of SMOTE.
    """
    generated = samples.take(np.isin(samples.labels, _codes(sources, "generator")))
    parts, labels = [task.features, generated.features], [task.labels, generated.labels]
    by_smote = [code for code in _codes(sources, "smote") if needed.get(code)]
    if by_smote:
        pool = seeds.smote_pool(
            task.features, task.labels, minority=by_smote, classes=len(task.classes), settings=settings, seed=seed
        )
        chosen = np.concatenate([np.flatnonzero(pool.labels == code)[: needed[code]] for code in by_smote])
        parts.append(pool.features[chosen])
        labels.append(pool.labels[chosen])
    return np.concatenate(parts), np.concatenate(labels)


def second_stage_of(task: Task, features: Floats, labels: Codes, settings: QASTSettings) -> Classifier:
    """Fit the second stage to what `augmented` gave for a task."""
    synthetic = np.arange(len(labels)) >= len(task.labels)
    with unchecked():
        return second_stage.fit(
            features, labels, classes=len(task.classes), settings=settings, seed=settings.seed, synthetic=synthetic
        )


def validate(task: Task, *, rare_code: int, settings: QASTSettings, place: Place) -> Verdict:
    """Find the classes that gain by generated rows, on rows that neither stage learned from.

    For each fold both stages are trained anew on the other rows. By class, one keeps generated rows only where its F1
    over all held-out rows is above that under the fallback. Classes bear on each other, though, so what that gives is
    measured too, beside generated rows for all and the fallback for all. The best mean F1 over classes wins, of equal
    ones that with fewer generated rows, unless it is within `fallback_errors` standard errors of generated rows for
    all: where classes have few rows, it is mostly by chance which arm is ahead (the one-standard-error rule of Breiman
    et al., 1984, for the published arm). The choice leans the figures of the winner a little to the good side.

    Raises:
        ValueError: a class has fewer than two rows.
    """
    parts = folds(task.labels.astype(np.int8), settings.fallback_folds, seed=settings.seed, names=task.classes)
    trained = [_fold(task, *part, number, settings, place) for number, part in enumerate(parts)]
    truth = np.concatenate([task.labels[fold.rows] for fold in trained])
    small = sorted({code for fold in trained for code in fold.needed})
    fallback: Source = "smote" if settings.fallback == "smote" else "none"
    sources: dict[str, dict[int, Source]] = {fallback: dict.fromkeys(small, fallback)}
    sources["by_class"], sources["generator"] = {}, dict.fromkeys(small, "generator")
    found: dict[str, list[Doubles]] = {
        arm: _predicted(trained, sources[arm], settings) for arm in (fallback, "generator")
    }
    gains = _f1(truth, found["generator"]) > _f1(truth, found[fallback])
    sources["by_class"] = {code: "generator" if gains[code] else fallback for code in small}
    alike = [arm for arm in found if sources[arm] == sources["by_class"]]
    found["by_class"] = found[alike[0]] if alike else _predicted(trained, sources["by_class"], settings)
    f1 = {arm: _f1(truth, found[arm]) for arm in sources}
    best = max(sources, key=lambda arm: float(f1[arm].mean()))
    ahead = float(f1[best].mean() - f1["generator"].mean())
    if ahead < settings.fallback_errors * _error(truth, found[best], found["generator"], settings.seed):
        best = "generator"
    scores = [(fold.rows, one[:, rare_code]) for fold, one in zip(trained, found[best], strict=True)]
    return Verdict(sources[best], best, f1, scores)


def _fold(task: Task, training: Rows, held_out: Rows, number: int, settings: QASTSettings, place: Place) -> _Fold:
    inner = task._replace(features=task.features[training], labels=task.labels[training])
    seed = settings.seed + 1 + number
    done = stage.train(inner, settings=settings, seed=seed, place=place.of(f"fold {number + 1}"))
    samples = done.synthesize(len(training), seed).samples
    return _Fold(inner, samples, done.quota.needed, held_out, task.features[held_out])


def _predicted(trained: Collection[_Fold], sources: Mapping[int, Source], settings: QASTSettings) -> list[Doubles]:
    """Return the probabilities of each fold's held-out rows by a classifier with rows from the given sources."""
    found = []
    for fold in trained:
        rows, labels = augmented(
            fold.task, fold.samples, fold.needed, sources=sources, settings=settings, seed=settings.seed
        )
        classifier = second_stage_of(fold.task, rows, labels, settings)
        found.append(np.asarray(classifier.predict_proba(fold.features), np.float64))
    return found


def _f1(truth: Codes, found: list[Doubles]) -> Doubles:
    predicted, classes = np.concatenate(found).argmax(axis=1), found[0].shape[1]
    return np.asarray(f1_score(truth, predicted, labels=range(classes), average=None, zero_division=0.0))


def _error(truth: Codes, one: list[Doubles], other: list[Doubles], seed: int) -> float:
    """Return the bootstrap's standard error of the difference of two arms' mean F1, over the same held-out rows."""
    classes = one[0].shape[1]
    rows = np.stack([truth, *(np.concatenate(arm).argmax(axis=1) for arm in (one, other))])
    cells, counts = np.unique(rows, axis=1, return_counts=True)  # rows alike are drawn as one
    weights = np.random.default_rng(seed).multinomial(len(truth), counts / len(truth), BOOTSTRAP)
    first, second = (_mean_f1(cells[0], cells[arm], weights, classes) for arm in (1, 2))
    return float((first - second).std())


def _mean_f1(truth: Codes, predicted: Codes, weights: NDArray[np.int64], classes: int) -> Doubles:
    """Return the mean F1 over classes for each set of weights, (sets,), of weights (sets, rows)."""
    is_class, is_found = np.eye(classes)[truth], np.eye(classes)[predicted]
    right, rows, claimed = weights @ (is_class * is_found), weights @ is_class, weights @ is_found
    return np.asarray((2 * right / np.maximum(rows + claimed, 1)).mean(axis=1))


def _codes(sources: Mapping[int, Source], source: Source) -> list[int]:
    return [code for code, found in sources.items() if found == source]
