"""What is found without labels: pseudo-labels, importance and losses, as rows of figures.

Each function gives dicts with `section`, `data`, `method`, `seed` and its measures.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    normalized_mutual_info_score,
    roc_auc_score,
)
from sklearn.mixture import GaussianMixture

from tests.benchmarks.importance_results import tables
from tests.benchmarks.importance_results.tables import Table
from training.dense_network import softmax
from training.torch.importance import published, rarity
from training.torch.importance.discovery import discover
from training.torch.importance.encoder import Encoder
from training.torch.importance.settings import ImportanceVectorSettings as Settings
from training.trainer import Floats

Row = dict[str, Any]
DATA = ("biopsy", "biopsy 10 %", "biopsy 5 %", "biopsy 2 %", "biopsy, 3 levels", *tables.ADBENCH)
SLOW = tuple(tables.ADBENCH)  # on which only the methods that are no networks of the report's run
FAST, FASTER = 0.02, "trained number, 20 x its rate"
SCALINGS = ("standard", "minmax", "maxabs", "robust")


def figures(rare: NDArray[np.bool_], found: NDArray[np.bool_], score: NDArray[np.floating[Any]]) -> Row:
    """Compare what was found rare, and how rare each row was thought, with the truth."""
    return {
        "nmi": normalized_mutual_info_score(rare, found),
        "f1": f1_score(rare, found, zero_division=0.0),
        "average_precision": average_precision_score(rare, score),
        "auroc": roc_auc_score(rare, score),
        "share_found": found.mean(),
    }


def pseudo_labels(seeds: int) -> Iterator[Row]:
    """Compare pseudo-labels by all methods on all tables."""
    for name in DATA:
        for seed in range(seeds):
            table = tables.read(name, seed)
            for method, row in _methods(table, seed, published_too=name not in SLOW):
                yield {"section": "pseudo_labels", "data": name, "method": method, "seed": seed, **row}


def _methods(table: Table, seed: int, *, published_too: bool) -> Iterator[tuple[str, Row]]:
    found = discover(table.features, settings=Settings(seed=seed))
    inputs = found.encoder.encode(table.features)
    smaller = int(found.clusters.shares.argmin())
    yield "repaired", figures(table.rare, found.labels == smaller, found.importance)
    yield "k-means", k_means(table, inputs, found.clusters.kmeans)
    mixture = GaussianMixture(2, covariance_type="diag", n_init=5, reg_covar=1e-4, random_state=seed).fit(inputs)
    yield "Gaussian mixture", _of_clusters(table, mixture.predict_proba(inputs))
    random = np.random.default_rng(seed).permutation(len(inputs)) / len(inputs)
    yield "random", figures(table.rare, random < np.mean(found.labels == smaller), -random)
    if published_too:
        yield from _published_methods(table, seed)


def _published_methods(table: Table, seed: int) -> Iterator[tuple[str, Row]]:
    settings = Settings.as_published(seed=seed)
    encoder = Encoder.fit(table.features, settings=settings)
    inputs = encoder.encode(table.features)
    alone = settings.model_copy(update={"classifier_epochs": settings.epochs})
    networks = published.retrain(inputs, np.zeros(len(inputs), np.int64), settings=alone)
    yield "information alone", _of_clusters(table, softmax(networks[0].logits(inputs)))
    done = published.run(table.features, encoder.encode, settings=settings)
    yield "published: importance", figures(table.rare, done.rare, done.first.importance.mean(axis=0))
    chances = softmax(done.networks[0].logits(inputs))
    yield "published: retrained", figures(table.rare, chances.argmax(axis=1) == 1, chances[:, 1])


def k_means(table: Table, inputs: Floats, labels: NDArray[np.int64]) -> Row:
    """Score k-means: by how much nearer than the other mean that of the smaller cluster is."""
    smaller = int(np.bincount(labels, minlength=2).argmin())
    distances = [((inputs - inputs[labels == code].mean(axis=0)) ** 2).sum(axis=1) for code in (0, 1)]
    return figures(table.rare, labels == smaller, distances[1 - smaller] - distances[smaller])


def _of_clusters(table: Table, chances: NDArray[np.floating[Any]]) -> Row:
    smaller = int(np.bincount(chances.argmax(axis=1), minlength=2).argmin())
    return figures(table.rare, chances.argmax(axis=1) == smaller, chances[:, smaller])


def scalings(seeds: int) -> Iterator[Row]:
    """Compare the area under the curve of both kinds of importance under scalings of the features."""
    for with_id in (False, True):
        table = tables.biopsy(with_id=with_id)
        for scaling in SCALINGS:
            data = f"{scaling}{' with ID' if with_id else ''}"
            trained = _trained(table, seeds, scaling=scaling)
            for seed in range(seeds):
                found = discover(table.features, settings=Settings(seed=seed, scaling=scaling)).importance
                for method, importance in (("trained number", trained[seed]), ("cluster", found)):
                    measures = {"auroc": roc_auc_score(table.rare, importance)} | _cuts(table, method, importance)
                    yield {"section": "scalings", "data": data, "method": method, "seed": seed, **measures}
    for seed, importance in enumerate(_trained(table, seeds, scaling="maxabs", importance_rate=FAST)):
        measures = {"auroc": roc_auc_score(table.rare, importance)} | _cuts(table, FASTER, importance)
        yield {"section": "scalings", "data": "maxabs with ID", "method": FASTER, "seed": seed, **measures}


def _trained(table: Table, seeds: int, **changes: Any) -> NDArray[np.float64]:
    settings = Settings.as_published(members=seeds, **changes)
    inputs = Encoder.fit(table.features, settings=settings).encode(table.features)
    return published.train_with_importance(inputs, settings=settings).importance


def _cuts(table: Table, method: str, importance: NDArray[np.float64]) -> Row:
    if method == "cluster":
        return {}
    rules = ("third", "midpoint", "kmeans", "mixture", "otsu")
    return {f"f1_{rule}": f1_score(table.rare, importance > rarity.cut(importance, rule)) for rule in rules}


def entropy_losses(seeds: int) -> Iterator[Row]:
    """Compare both readings of the report's entropy loss: agreement with the truth by epoch."""
    table = tables.biopsy()
    for entropy in ("information", "conditional"):
        settings = Settings.as_published(members=seeds, entropy=entropy)
        inputs, course = Encoder.fit(table.features, settings=settings).encode(table.features), []

        def note(epoch: int, networks: Any, inputs: Any = inputs, course: Any = course) -> None:
            labels = [network.logits(inputs).argmax(axis=1) for network in networks]
            course.append([normalized_mutual_info_score(table.rare, one) for one in labels])

        published.train_with_importance(inputs, settings=settings, after_epoch=note)
        for seed, nmi in enumerate(np.array(course).T):
            measures = {"nmi_first": nmi[0], "nmi_best": nmi.max(), "nmi": nmi[-1]}
            yield {"section": "losses", "data": "biopsy", "method": entropy, "seed": seed, **measures}


def several_classes(seeds: int) -> Iterator[Row]:
    """Find three blobs with the number of clusters given, and chosen."""
    for seed in range(seeds):
        features, truth = tables.blobs(seed)
        for method, num in (("three given", 3), ("number chosen", 0)):
            found = discover(features, settings=Settings(seed=seed), num_clusters=num)
            counts = np.bincount(found.balanced(features)[1])
            row = {"f1": matched_f1(truth, found.labels), "clusters": len(found.clusters.shares)}
            row |= {"small": len(found.small), "rows_of_smallest": int(counts.min())}
            yield {"section": "several_classes", "data": "blobs", "method": method, "seed": seed, **row}


def matched_f1(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Return the mean F1 of classes, clusters being matched to classes one to one for the most rows in common."""
    table = confusion_matrix(truth, found)
    rows, columns = linear_sum_assignment(-table)
    match = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    renamed = np.array([match[code] for code in found.tolist()])
    return float(f1_score(truth, renamed, labels=np.unique(truth), average="macro"))


ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "alpha 0": {"prior_weight": 0.0},
    "alpha 1": {"prior_weight": 1.0},
    "beta 0": {"consistency": 0.0},
    "beta 1": {"consistency": 1.0},
    "sizes forgotten by 0.95": {"prior_memory": 0.95},
    "no warm start": {"warm_start": 0, "agreement": 0.0},
    "batch of 32": {"batch_size": 32},
    "standard scaling": {"scaling": "standard"},
}


def ablations(seeds: int) -> Iterator[Row]:
    """Change one setting of the repaired clusters at a time."""
    for name in ("biopsy", "biopsy 5 %"):
        for seed in range(seeds):
            table = tables.read(name, seed)
            for method, changes in ABLATIONS.items():
                found = discover(table.features, settings=Settings(seed=seed, **changes))
                smaller = int(found.clusters.shares.argmin())
                row = figures(table.rare, found.labels == smaller, found.importance)
                yield {"section": "ablations", "data": name, "method": method, "seed": seed, **row}
