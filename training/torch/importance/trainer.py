"""Importance vector: how rare a row's group is, found without labels, for a balanced table to learn from.

After "Unsupervised data augmentation to generate a balanced training set", internship report, VIPLAB, IIT Kharagpur,
2021. As published each row has a trained number that multiplies it, and labels play no part; on the report's own table
that number does not mean rarity (see docs/results/importance.md). Repaired, the default:

1. Encode numbers, categories and gaps (`encoder`).
2. Find clusters by networks that start on k-means, or on the labels where these disagree with it, and that know
   the clusters' sizes and heed labels (`clusters`).
3. Give unlabelled rows a pseudo-label where the clusters are sure, and an importance, 1 / (K share of its cluster).
4. Fill small classes up by SMOTE, SMOTE-NC or SMOTEN (`oversampling`).
5. Train the same network without importances on the balanced table (`classifier`), if that beats labels alone, or
   labels with SMOTE, on held-out rows (`arms`).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FeatureSchema
from training.artifact import Manifest, package_versions
from training.baselines.fitting import unlabeled_rows
from training.dense_network import DenseNetwork
from training.held_out import HeldOut
from training.metrics import held_out_rows, held_out_summary
from training.splits import check_labels
from training.torch.importance import arms, published, rarity
from training.torch.importance.arms import Choice, Found, Task
from training.torch.importance.artifact import ImportanceVectorArtifact
from training.torch.importance.encoder import Encoder
from training.torch.importance.settings import ImportanceVectorSettings
from training.torch.member_networks import mean_chances
from training.trainer import Floats, Reader

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

NAME = "importance_vector"
SEEDS_OF_CLASS = 2000  # rows of a class kept for SMOTE at most
SEEDS_STREAM = 5


class _Learned(NamedTuple):
    encoder: Encoder
    classifier: tuple[DenseNetwork, ...]
    clusters: tuple[DenseNetwork, ...]
    shares: Doubles
    seeds: tuple[Floats, Codes]
    metrics: dict[str, Any]
    held_out: HeldOut | None
    history: dict[str, Any]


class ImportanceVector(ImportanceVectorSettings):
    """Importance of clusters, pseudo-labels and SMOTE before a small network."""

    def fit(self, reader: Reader) -> ImportanceVectorArtifact:
        """Learn from labelled and unlabelled rows.

        Raises:
            ValueError: no labelled row is rare, all are of one class, a class has too few rows, or, as published,
                there are more than two classes.
            TrainingDiverged: a loss is no longer a number.
        """
        labeled, schema = reader.labeled(), reader.schema
        check_labels(labeled.labels, schema)
        task = Task(
            features=labeled.features,
            labels=labeled.labels.astype(np.int64),
            unlabeled=unlabeled_rows(reader, self.unlabeled_rows, seed=self.seed),
            classes=schema.classes,
            names=schema.names,
        )
        _check(task)
        learned = (_published if self.mode == "as_published" else _repaired)(self, task, schema.rare_code)
        regular = learned.encoder.encode(task.features[task.labels != schema.rare_code])
        manifest = _manifest(self, task, schema, learned)
        reference = np.median(regular, axis=0).astype(np.float32)
        return ImportanceVectorArtifact(
            manifest, learned.encoder, learned.classifier, learned.clusters, learned.shares, reference, *learned.seeds
        )


def _check(task: Task) -> None:
    counts = rarity.sizes(task.labels, len(task.classes))
    if lacking := [name for name, rows in zip(task.classes, counts, strict=True) if not rows]:
        raise ValueError(
            f"classes {lacking} have 0 labelled rows; at least 1 of each is needed, and 2 to measure. "
            "Label some of each, or leave these classes out"
        )


def _repaired(settings: ImportanceVectorSettings, task: Task, rare_code: int) -> _Learned:
    choice = Choice("pseudo_labels" if len(task.unlabeled) else "smote", {}, [])
    metrics: dict[str, Any] = {"reason": "no row was held out (folds = 0)"}
    known: HeldOut | None = None
    if settings.folds:
        choice = arms.choose(task, rare_code=rare_code, settings=settings)
        metrics = held_out_summary(task.labels == rare_code, choice.held_out, seed=settings.seed)
        known = held_out_rows(task.labels == rare_code, choice.held_out)
        metrics |= {"arm": choice.arm, "arms": choice.average_precision}
    found = arms.find(task, settings)
    networks, made = arms.classify(task, found, choice.arm, settings)
    rows = arms.seeds(task, found, choice.arm, settings)
    return _Learned(
        encoder=found.encoder,
        classifier=networks,
        clusters=found.clusters.networks,
        shares=found.clusters.shares,
        seeds=_some(rows.features, rows.labels, settings.seed),
        metrics=metrics,
        held_out=known,
        history=_history(task, found, choice, made),
    )


def _history(task: Task, found: Found, choice: Choice, made: dict[int, int]) -> dict[str, Any]:
    importance = rarity.cluster_importance(found.clusters.shares)
    looks = found.clusters.looks
    pseudo = rarity.sizes(found.chances.argmax(axis=1), len(task.classes))
    classes = {
        name: {
            "share": round(float(found.clusters.shares[code]), 5),
            "importance": round(float(importance[code]), 4),
            "pseudo_labels": int(pseudo[code]),
            "synthesized": made.get(code, 0),
        }
        for code, name in enumerate(task.classes)
    }
    agreement = round(found.clusters.agreement, 4)
    return {
        "step": list(looks),
        "loss_clusters": list(looks.values()),
        "arm": choice.arm,
        "agreement_with_kmeans": agreement,
        "started_on": "labels" if found.clusters.on_labels else "k-means",
        "classes": classes,
    }


def _published(settings: ImportanceVectorSettings, task: Task, rare_code: int) -> _Learned:
    if len(task.classes) != published.CLUSTERS:
        raise ValueError(
            f"as published there are two groups, the table has the classes {list(task.classes)}; "
            "merge them into two, or train with mode = 'repaired'"
        )
    features = np.concatenate([task.features, task.unlabeled])
    encoder = Encoder.fit(features, settings=settings, names=task.names)
    done = published.run(features, encoder.encode, settings=settings)
    order = [0, 1] if rare_code == 1 else [1, 0]
    networks = tuple(published.reordered(network, order) for network in done.networks)
    scores = mean_chances(networks, encoder.encode(task.features))[:, rare_code]
    parts = [(np.arange(len(task.labels)), scores)]  # no label was learned from, so every row is held out
    labels = np.where(done.rare, rare_code, 1 - rare_code).astype(np.int64)
    importance = done.first.importance
    return _Learned(
        encoder=encoder,
        classifier=networks,
        clusters=(),
        shares=np.bincount(labels, minlength=published.CLUSTERS) / len(labels),
        seeds=_some(features, labels, settings.seed),
        metrics=held_out_summary(task.labels == rare_code, parts, seed=settings.seed),
        held_out=held_out_rows(task.labels == rare_code, parts),
        history={
            "importance_range": [round(float(importance.min()), 4), round(float(importance.max()), 4)],
            "pseudo_rare": int(done.rare.sum()),
            "synthesized": len(done.made),
        },
    )


def _some(features: Floats, labels: Codes, seed: int) -> tuple[Floats, Codes]:
    """Keep some rows of each class, in the table's order."""
    random = np.random.default_rng([seed, SEEDS_STREAM])
    members = [np.flatnonzero(labels == code) for code in np.unique(labels)]
    kept = [random.choice(rows, min(len(rows), SEEDS_OF_CLASS), replace=False) for rows in members]
    chosen = np.sort(np.concatenate(kept))
    return np.asarray(features[chosen], np.float32), labels[chosen]


def _manifest(settings: ImportanceVectorSettings, task: Task, schema: FeatureSchema, learned: _Learned) -> Manifest:
    rows = {name: int((task.labels == code).sum()) for code, name in enumerate(schema.classes)}
    return Manifest(
        trainer=NAME,
        settings=settings.model_dump(mode="json"),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows=rows | {"unlabeled": len(task.unlabeled)},
        metrics=learned.metrics,
        history=learned.history,
        seed=settings.seed,
        versions=package_versions("imbalanced-learn", "numpy", "safetensors", "scikit-learn", "torch"),
        held_out=learned.held_out,
    )
