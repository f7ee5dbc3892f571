"""The arms that are compared, each a way to treat small classes, and what their classifiers are worth on test rows.

Takes a `Job`; gives one row of results. Test rows are read by `scores` alone, after everything is fitted. All arms but
QAST's treat the classes that the authors declare small and fill them up to the published quota; QAST as published does
too, and repaired it finds the small classes by its own rule.
"""

import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.utils.class_weight import compute_sample_weight

from feature_extraction.schema import FeatureSchema
from tests.benchmarks.qast_results import tables
from tests.benchmarks.qast_results.tables import Halves, Table
from training.oversampling import oversample_numbers
from training.reader import ArrayReader
from training.torch import second_stage
from training.torch.qast.quota import quota
from training.torch.qast.settings import QASTSettings
from training.torch.second_stage_settings import SecondStageSettings

PLAIN, WEIGHTS, SMOTE, JITTER, PUBLISHED, REPAIRED = ("plain", "weights", "smote", "jitter", "published", "repaired")
ARMS = (PLAIN, WEIGHTS, SMOTE, JITTER, PUBLISHED, REPAIRED)
QAST_ARMS = (PUBLISHED, REPAIRED)
BOOSTING, BLSTM = "gradient_boosting", "blstm"
LEARNERS = (BOOSTING, BLSTM)
NEIGHBORS, JITTER_SD = 3, 0.1
MEASURES = ("macro_f1", "gmean", "minority_recall", "accuracy")
# The published test of the BLSTM names no epoch to stop at; both QAST arms get the classifier of the other arms.
SAME_BLSTM = {"blstm_validation": 0.2, "blstm_scaling": "standard"}
ROOT = Path(__file__).resolve().parents[3]


class Job(NamedTuple):
    """One thing to measure; `epochs` is None for those of the table's budget."""

    table: str
    split: str
    seed: int
    learner: str
    arm: str
    epochs: int | None = None


class Predicts(Protocol):
    """A fitted classifier."""

    def __call__(self, rows: NDArray[np.float32], /) -> NDArray[Any]:
        """Return the class code of each row."""
        ...


class Fitted(NamedTuple):
    """A classifier and what is to be known of the rows it learned from."""

    predict: Predicts
    facts: dict[str, Any]


def settings_of(job: Job, table: Table) -> dict[str, Any]:
    """Return all that makes a result what it is besides the table and the split, as JSON takes it."""
    if job.arm in QAST_ARMS:
        settings = _qast_settings(job, table)
        # What nothing reads does not make a finished measurement another one.
        unused = {"fallback_errors"} if settings.fallback == "off" else set()
        if settings.narrowed_to(table.features.shape[1]) is None:
            unused.add("features_at_most")
        return settings.model_dump(mode="json", exclude=unused)
    found: dict[str, Any] = SecondStageSettings(second_stage=job.learner).model_dump(mode="json")
    own: dict[str, dict[str, Any]] = {SMOTE: {"neighbors": NEIGHBORS}, JITTER: {"sd": JITTER_SD}}
    return found | own.get(job.arm, {}) | {"seed": job.seed}


def fingerprint(job: Job, table: Table) -> str:
    """Sixteen hex digits over job, settings and data."""
    text = json.dumps([job[:5], settings_of(job, table), table.digest, table.known.minority], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_digest() -> str:
    """Eight hex digits over the code of QAST and of the classifiers."""
    digest, folder = hashlib.sha256(), ROOT / "training"
    learners = [folder / name for name in ("torch/second_stage.py", "trees.py", "torch/blstm.py")]
    for path in [*sorted((folder / "torch/qast").glob("*.py")), *learners]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def measure(job: Job) -> dict[str, Any]:
    """Fit an arm's classifier and score it on the test rows; an arm that refuses the table has a `failure` instead."""
    table = tables.read(job.table)
    halves = table.halves(job.split, job.seed)
    started = time.process_time()
    try:
        fitted = _qast(job, table, halves) if job.arm in QAST_ARMS else _simple(job, table, halves)
    except ValueError as error:  # a diverged training, say: a result too, and no reason to lose all others
        return dict.fromkeys(MEASURES, float("nan")) | {
            "failure": " ".join(str(error).split())[:300],
            "cpu_seconds": 0.0,
        }
    seconds = time.process_time() - started
    found = scores(halves.truth, fitted.predict(halves.tested), table.known.minority, len(table.classes))
    return found | fitted.facts | {"cpu_seconds": round(seconds, 2)}


def scores(truth: NDArray[Any], given: NDArray[Any], minority: tuple[int, ...], classes: int) -> dict[str, float]:
    """Return macro-F1, the geometric mean of the recalls, the small classes' mean recall, and accuracy."""
    codes = list(range(classes))
    recalls = recall_score(truth, given, labels=codes, average=None, zero_division=0.0)
    return {
        "macro_f1": float(f1_score(truth, given, labels=codes, average="macro", zero_division=0.0)),
        "gmean": float(np.prod(recalls) ** (1 / classes)),
        "minority_recall": float(recalls[list(minority)].mean()),
        "accuracy": float(accuracy_score(truth, given)),
    }


def _simple(job: Job, table: Table, halves: Halves) -> Fitted:
    rows, labels = halves.features, halves.labels
    if job.arm in (SMOTE, JITTER):
        made, codes = _filled(job.arm, table.known.minority, halves, job.seed)
        rows, labels = np.concatenate([rows, made.astype(np.float32)]), np.concatenate([labels, codes])
    facts = {"synthetic_rows": len(labels) - len(halves.labels)}
    settings = SecondStageSettings(second_stage=job.learner, device="cpu")
    if job.arm == WEIGHTS:
        return Fitted(_weighted(rows, labels, settings, job.seed), facts)
    synthetic = np.arange(len(labels)) >= len(halves.labels)
    model = second_stage.fit(
        rows, labels, classes=len(table.classes), settings=settings, seed=job.seed, synthetic=synthetic
    )
    return Fitted(lambda tested: model.predict_proba(tested).argmax(axis=1), facts)


def _weighted(rows: NDArray[Any], labels: NDArray[Any], settings: SecondStageSettings, seed: int) -> Predicts:
    model = GradientBoostingClassifier(
        n_estimators=settings.boosting_trees,
        max_depth=settings.boosting_depth,
        learning_rate=settings.boosting_rate,
        random_state=seed,
    )
    model.fit(rows, labels, sample_weight=compute_sample_weight("balanced", labels))
    return lambda tested: np.asarray(model.predict(tested))


def _filled(arm: str, minority: tuple[int, ...], halves: Halves, seed: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return rows that fill small classes up to the quota: by SMOTE among scaled rows, or copies with noise."""
    counts = np.bincount(halves.labels)
    wanted = quota(counts, minority)
    targets = {code: wanted for code in minority if 0 < counts[code] < wanted}
    mean, spread = halves.features.mean(axis=0, dtype=np.float64), halves.features.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1.0
    if arm == SMOTE:
        scaled = (halves.features - mean) / spread
        made, codes = oversample_numbers(scaled, halves.labels, targets, neighbors=NEIGHBORS, seed=seed)
        return made * spread + mean, codes
    random = np.random.default_rng(seed)
    codes = np.concatenate([np.full(rows - counts[code], code) for code, rows in targets.items()])
    copied = [
        random.choice(np.flatnonzero(halves.labels == code), rows - counts[code]) for code, rows in targets.items()
    ]
    noise = random.normal(scale=JITTER_SD, size=(len(codes), len(spread)))
    return halves.features[np.concatenate(copied)] + noise * spread, codes.astype(np.int64)


def _qast_settings(job: Job, table: Table) -> QASTSettings:
    changes: dict[str, Any] = {"seed": job.seed, "device": "cpu", "second_stage": job.learner}
    changes |= tables.budget(job.table, job.epochs)
    if job.arm == REPAIRED:
        return QASTSettings(**changes)
    changes |= {"folds": table.known.folds, "minority": [str(code) for code in table.known.minority]}
    return QASTSettings.as_published(**changes | (SAME_BLSTM if job.learner == BLSTM else {}))


def _qast(job: Job, table: Table, halves: Halves) -> Fitted:
    from training.torch.qast.trainer import QAST  # here, so that reading the page needs no torch

    names = tuple(f"x{number}" for number in range(halves.features.shape[1]))
    schema = FeatureSchema(names, table.classes, table.classes[int(np.bincount(halves.labels).argmin())])
    settings = _qast_settings(job, table)
    artifact = QAST(**settings.model_dump()).fit(ArrayReader(halves.features, halves.labels.astype(np.int8), schema))
    classes = artifact.manifest.history["synthesis"]["classes"].values()
    sources = Counter(found["source"] for found in classes if found["needed"])
    facts = {
        "synthetic_rows": sum(found["used"] for found in classes),
        "shortfall": sum(found["shortfall"] for found in classes),
        "sources": ", ".join(f"{source} {number}" for source, number in sorted(sources.items())),
        "epochs": settings.epochs,
    }
    return Fitted(lambda tested: artifact.predict(tested).argmax(axis=1), facts)
