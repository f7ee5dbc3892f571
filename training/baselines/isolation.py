"""Isolation forest: what lies apart is called rare. Liu, Ting and Zhou, ICDM 2008.

It learns from all rows of the table and from no label, but for where the threshold lies: the labelled rows that are
not rare say it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import ensemble
from threadpoolctl import threadpool_limits

from training import artifact
from training.artifact import Manifest
from training.baseline_settings import IsolationForestSettings
from training.baselines.fitting import LIBRARIES, SMALL_TABLE, unlabeled_rows
from training.baselines.forests import without_empty
from training.baselines.trees_artifact import TreesArtifact
from training.metrics import held_out_rows, held_out_summary
from training.settings import FOLDS
from training.splits import check_labels, folds
from training.trainer import Floats, Reader
from training.trees import Trees, joined
from training.two_classes import rare_or_not

Doubles = NDArray[np.float64]

LEAST_SPREAD = 1e-6


class IsolationForest(IsolationForestSettings):
    """Isolation forest over labelled and unlabelled rows.

    The log-odds of the rare class are how much shorter than at the threshold the mean path is that isolates a row, in
    standard deviations of the labelled rows that are not rare. The order of rows is that of the published score.
    """

    def fit(self, reader: Reader) -> TreesArtifact:
        """Learn from all rows; one class of labels only, or a class of one row, raises `ValueError`.

        Returns:
            An artifact over two classes: the rare one and, by its name if there is but one, what is not rare.
        """
        rows, schema = reader.labeled(), reader.schema
        check_labels(rows.labels, schema)
        unlabeled = unlabeled_rows(reader, max(1, self.table_rows - len(rows.labels)), seed=self.seed)
        everything = without_empty(np.concatenate([rows.features, unlabeled]))
        with threadpool_limits(1 if everything.size < SMALL_TABLE else None):
            model = ensemble.IsolationForest(
                n_estimators=self.trees, max_samples=min(self.rows_per_tree, len(everything)), random_state=self.seed
            ).fit(everything)
        classes = rare_or_not(schema)
        shortness, truth = _shortness(model, rows.features), rows.labels == schema.rare_code
        parts = []
        for training, held_out in folds(rows.labels, FOLDS, seed=self.seed, names=schema.classes):
            usual = _usual(shortness[training][~truth[training]], self.alarm_share)
            parts.append((held_out, _chance(shortness[held_out], usual)))
        known = {name: int((rows.labels == code).sum()) for code, name in enumerate(schema.classes)}
        manifest = Manifest(
            trainer="isolation_forest",
            settings=self.model_dump(),
            schema=schema,
            classes=classes,
            rare=schema.rare,
            rows=known | {"unlabeled": len(unlabeled)},
            metrics=held_out_summary(truth, parts, seed=self.seed),
            seed=self.seed,
            versions=artifact.package_versions(*LIBRARIES),
            held_out=held_out_rows(truth, parts),
        )
        usual = _usual(shortness[~truth], self.alarm_share)
        return TreesArtifact.of(manifest, _trees(model, usual, classes.index(schema.rare)), rows)


class _Usual(NamedTuple):
    """Shortness of the paths of rows that are not rare: where few are above, and the standard deviation."""

    threshold: float
    spread: float


def _usual(shortness: Doubles, alarm_share: float) -> _Usual:
    return _Usual(float(np.quantile(shortness, 1 - alarm_share)), max(float(shortness.std()), LEAST_SPREAD))


def _chance(shortness: Doubles, usual: _Usual) -> Doubles:
    return np.asarray(expit((shortness - usual.threshold) / usual.spread))


def _shortness(model: ensemble.IsolationForest, rows: Floats) -> Doubles:
    """Return minus the mean length of the paths that isolate each row, (rows,)."""
    return np.asarray(np.log2(-model.score_samples(rows)) * path_length(np.array([model.max_samples_]))[0])


def _trees(model: ensemble.IsolationForest, usual: _Usual, code: int) -> Trees:
    """Return the forest as trees whose sum is the log-odds of class `code` of two."""
    scale = usual.spread * len(model.estimators_)
    leaves = [-lengths(tree.tree_)[:, None] / scale for tree in model.estimators_]
    start = np.zeros(2)
    start[code] = -usual.threshold / usual.spread
    return joined([model.estimators_], [leaves], start, "classes", [code])


def lengths(tree: Any) -> Doubles:  # noqa: ANN401  (a scikit-learn tree)
    """Return the length of the path to each node, and what is expected to follow for the rows that end there."""
    return np.asarray(tree.compute_node_depths() - 1 + path_length(tree.n_node_samples), dtype=np.float64)


def path_length(rows: NDArray[Any]) -> Doubles:
    """Return the mean path length of an unsuccessful search among so many rows, the paper's c(n)."""
    many = np.maximum(rows, 3).astype(np.float64)
    length = 2 * (np.log(many - 1) + np.euler_gamma) - 2 * (many - 1) / many
    return np.asarray(np.where(rows > 2, length, np.where(rows == 2, 1.0, 0.0)), dtype=np.float64)
