"""What a classifier gains where few rows have labels: the importance vector beside ERM, weights, ROS and SMOTE.

All arms but logistic regression train the same network with the same settings on the same labelled rows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, recall_score

from feature_extraction.schema import UNLABELED, FeatureSchema
from tests.benchmarks.importance_results import tables
from training.baselines import LogisticRegression
from training.reader import ArrayReader
from training.torch.importance import arms, classifier
from training.torch.importance.arms import Found, Task
from training.torch.importance.settings import ImportanceVectorSettings as Settings
from training.torch.importance.trainer import ImportanceVector
from training.torch.member_networks import mean_chances
from training.trainer import Floats

Row = dict[str, Any]
DATA = ("biopsy", "biopsy 10 %", "cardio", "thyroid")
RARE, REGULAR = 10, 40


def few_labels(seeds: int) -> Iterator[Row]:
    """Measure every arm on the half of each table that was not trained on."""
    for name in DATA:
        for seed in range(seeds):
            table = tables.read(name, seed)
            training, test = _halves(table.rare, seed)
            labels = _some_labels(table.rare[training], seed)
            for method, score in _scores(table, training, test, labels, seed):
                row = {"section": "few_labels", "data": name, "method": method, "seed": seed}
                yield row | figures(table.rare[test], score)


def figures(rare: NDArray[np.bool_], score: Floats) -> Row:
    """Measure scores of test rows; above 0.5 a row counts as rare."""
    found = score > 0.5
    recalls = recall_score(rare, found, average=None)
    return {
        "average_precision": average_precision_score(rare, score),
        "f1": f1_score(rare, found, zero_division=0.0),
        "gmean": float(np.sqrt(recalls.prod())),
    }


def _halves(rare: NDArray[np.bool_], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    random = np.random.default_rng([seed, 1])
    orders = [random.permutation(np.flatnonzero(rare == kind)) for kind in (True, False)]
    return np.concatenate([rows[::2] for rows in orders]), np.concatenate([rows[1::2] for rows in orders])


def _some_labels(rare: NDArray[np.bool_], seed: int) -> NDArray[np.int8]:
    random, labels = np.random.default_rng([seed, 2]), np.full(len(rare), UNLABELED, np.int8)
    labels[random.choice(np.flatnonzero(rare), RARE, replace=False)] = 1
    labels[random.choice(np.flatnonzero(~rare), REGULAR, replace=False)] = 0
    return labels


def _scores(
    table: tables.Table,
    training: NDArray[np.intp],
    test: NDArray[np.intp],
    labels: NDArray[np.int8],
    seed: int,
) -> Iterator[tuple[str, Floats]]:
    names = tuple(f"table__f{number}" for number in range(table.features.shape[1]))
    schema = FeatureSchema(names=names, classes=("regular", "rare"), rare="rare")
    rows, settings = table.features[training], Settings(seed=seed)
    known = labels != UNLABELED
    task = Task(rows[known], labels[known].astype(np.int64), rows[~known], schema.classes, names)
    found = arms.find(task, settings)
    inputs = found.encoder.encode(table.features[test])
    for method, networks in _networks(task, found, settings):
        yield method, mean_chances(networks, inputs)[:, 1]
    yield "clusters themselves", found.clusters.chances(inputs)[:, 1]
    whole = Task(rows, table.rare[training].astype(np.int64), rows[:0], schema.classes, names)
    yield "all labels", mean_chances(arms.classify(whole, found, "labels", settings)[0], inputs)[:, 1]
    for method, trainer in (
        ("importance vector", ImportanceVector(seed=seed)),
        ("logistic regression", LogisticRegression(seed=seed)),
    ):
        yield method, trainer.fit(ArrayReader(rows, labels, schema)).predict(table.features[test])[:, 1]


def _networks(task: Task, found: Found, settings: Settings) -> Iterator[tuple[str, Any]]:
    inputs, labels = found.encoder.encode(task.features), task.labels
    chosen = {"num_classes": 2, "settings": settings, "embedded": found.encoder.embedded}
    yield "ERM", classifier.fit(inputs, labels, np.ones(len(labels)), **chosen)
    repeated = np.concatenate([np.resize(np.flatnonzero(labels == code), np.bincount(labels).max()) for code in (0, 1)])
    yield "ROS", classifier.fit(inputs[repeated], labels[repeated], np.ones(len(repeated)), **chosen)
    for method, arm in (("class weights", "labels"), ("SMOTE", "smote"), ("pseudo-labels", "pseudo_labels")):
        yield method, arms.classify(task, found, arm, settings)[0]
