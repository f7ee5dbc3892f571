"""Fitted tree ensembles of scikit-learn as plain arrays: all trees of all rows walked at once, nothing to unpickle.

Takes a forest, gradient boosting or AdaBoost; gives the same probabilities as they do, many times faster on few rows,
and arrays for safetensors. `B` rows, `T` trees, `K` classes, `N` nodes of all trees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)

from training.artifact import ArtifactError
from training.trainer import Floats

Doubles = NDArray[np.float64]
Link = Literal["mean", "softmax", "classes"]
LINKS: tuple[Link, ...] = ("mean", "softmax", "classes")
CELLS_AT_ONCE = 4_000_000  # of (rows, trees, classes)
# Steps after which pairs of row and tree that are at a leaf are left alone: a forest's deepest leaf is several times as
# deep as the usual one.
LOOK_EVERY = 4


@dataclass(frozen=True, eq=False)
class Trees:
    """Groups of trees, each of which sums the values of its leaves.

    Under 'mean' and 'softmax' a leaf has a value for each class, and the probabilities are the mean over the groups:
    of their sums divided by their totals, or of the softmax of their sums. Under 'classes' a leaf has one value, the
    sums of the groups are the logits of the classes `codes`, and the softmax over these are the probabilities.

    Attributes:
        feature: (N,) feature that a node asks about; 0 at a leaf.
        threshold: (N,) largest value that goes left; infinite at a leaf.
        children: (N, 2) left and right node; a leaf is its own.
        values: (N, K or 1) what a leaf adds; any number at other nodes.
        roots: (groups, T) first node of each tree.
        start: (K,) what sums begin with; minus infinity for a class that is never given.
        codes: (groups,) class of each group under 'classes', else empty.
        link: how sums become probabilities.
        depth: steps to the deepest leaf.
        missing: (N,) whether a missing value goes right; empty where all go left.
    """

    feature: NDArray[np.int32]
    threshold: Doubles
    children: NDArray[np.int32]
    values: Doubles
    roots: NDArray[np.int32]
    start: Doubles
    codes: NDArray[np.int64]
    link: Link
    depth: int
    missing: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def predict_proba(self, rows: Floats) -> Doubles:
        """Return probabilities (B, K) of rows (B, features)."""
        given = np.ascontiguousarray(rows, np.float32)  # scikit-learn compares what was rounded to float32
        step = max(1, CELLS_AT_ONCE // self.roots.size // self.values.shape[1])
        parts = [self._block(given[at : at + step]) for at in range(0, len(given), step)]
        return np.concatenate([np.empty((0, len(self.start))), *parts])

    def sums(self, rows: Floats) -> Doubles:
        """Return what the leaves of each group add up to for float32 rows, (B, groups, K or 1)."""
        # `take` from flat arrays: twice as fast as indexing by pairs.
        node = np.tile(self.roots.ravel(), len(rows))
        cells, children = rows.ravel(), self.children.ravel()
        first = np.repeat(np.arange(len(rows)) * rows.shape[1], self.roots.size)
        going, at = np.arange(len(node)), node
        for step in range(self.depth):
            if step and step % LOOK_EVERY == 0:
                node[going] = at
                still = np.flatnonzero(children.take(2 * at) != at)  # no leaf
                going, at, first = going.take(still), at.take(still), first.take(still)
            asked = cells.take(first + self.feature.take(at))
            right = asked > self.threshold.take(at)
            if len(self.missing):
                right |= np.isnan(asked) & self.missing.take(at)
            at = children.take(2 * at + right)
        node[going] = at
        leaves = node.reshape(len(rows), *self.roots.shape)
        return np.asarray(self.values.take(leaves, axis=0).sum(axis=2))

    def _block(self, rows: Floats) -> Doubles:
        sums = self.sums(rows)
        if self.link == "classes":
            logits = np.tile(self.start, (len(rows), 1))
            logits[:, self.codes] += sums[:, :, 0]
            return np.asarray(softmax(logits, axis=1))
        sums += self.start
        if self.link == "softmax":
            return np.asarray(softmax(sums, axis=2).mean(axis=1))
        return np.asarray((sums / sums.sum(axis=2, keepdims=True)).mean(axis=1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        names = ("feature", "threshold", "children", "values", "roots", "start", "codes", "missing")
        return {name: getattr(self, name) for name in names} | {
            "facts": np.array([LINKS.index(self.link), self.depth], np.int64)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave; trees that claim more depth than they have nodes raise `ArtifactError`."""
        fields: dict[str, Any] = {name: array for name, array in arrays.items() if name != "facts"}
        link, depth = arrays["facts"].tolist()
        if not 0 <= depth <= len(arrays["feature"]):
            raise ArtifactError(f"trees of {len(arrays['feature'])} nodes claim to be {depth} deep; train again")
        return cls(**fields, link=LINKS[link], depth=depth)


def from_forest(model: RandomForestClassifier | ExtraTreesClassifier, classes: int) -> Trees:
    """Convert a forest; `classes` is K, of which the model's own `classes_` are codes."""
    leaves = [_spread(_shares(tree), model.classes_, classes) for tree in model.estimators_]
    return joined([model.estimators_], [leaves], np.zeros(classes), "mean")


def from_boosting(model: GradientBoostingClassifier, classes: int) -> Trees:
    """Convert gradient boosting under its log loss."""
    stages = model.estimators_.T  # (classes, stages), or (1, stages) for two classes: those of the second
    leaves = [[model.learning_rate * tree.tree_.value[:, 0, :1] for tree in trees] for trees in stages]
    codes = model.classes_[-len(stages) :]
    start = _start(model.classes_, classes)
    start[codes] = model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0]
    return joined(stages, leaves, start, "classes", codes)


def from_adaboost(models: Sequence[AdaBoostClassifier], classes: int) -> Trees:
    """Convert several AdaBoosts of trees, all over the same two or more classes, whose probabilities are averaged."""
    codes = models[0].classes_
    scale = 1.0 if len(codes) == 2 else 1 / (len(codes) - 1)
    groups, leaves = [], []
    longest = max(len(model.estimators_) for model in models)
    for model in models:
        weights = model.estimator_weights_[: len(model.estimators_)]
        votes = [
            _ballot(tree, weight, scale)
            for tree, weight in zip(model.estimators_, weights / weights.sum(), strict=True)
        ]
        # A boost that ended early is filled up with trees that add nothing.
        fill = longest - len(votes)
        groups.append([*model.estimators_, *[model.estimators_[0]] * fill])
        leaves.append([_spread(one, codes, classes) for one in [*votes, *[np.zeros_like(votes[0])] * fill]])
    return joined(groups, leaves, _start(codes, classes), "softmax")


def _start(codes: NDArray[Any], classes: int) -> Doubles:
    start = np.full(classes, -np.inf)
    start[codes] = 0.0
    return start


def _ballot(tree: Any, weight: float, scale: float) -> Doubles:  # noqa: ANN401  (a scikit-learn tree)
    values = tree.tree_.value[:, 0]
    others = -1 / (values.shape[1] - 1)
    return np.where(np.arange(values.shape[1]) == values.argmax(axis=1)[:, None], 1.0, others) * weight * scale


def _shares(tree: Any) -> Doubles:  # noqa: ANN401  (a scikit-learn tree)
    values = tree.tree_.value[:, 0]
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def _spread(values: Doubles, codes: NDArray[Any], classes: int) -> Doubles:
    spread = np.zeros((len(values), classes))
    spread[:, codes] = values
    return spread


def joined(
    groups: Sequence[Sequence[Any]],
    leaves: Sequence[Sequence[Doubles]],
    start: Doubles,
    link: Link,
    codes: Sequence[int] = (),
) -> Trees:
    """Join groups of equally many fitted scikit-learn trees, (groups, T), with the values of their nodes, (n, K or 1).

    See `Trees` for `start`, `link` and `codes`.
    """
    trees = [tree.tree_ for group in groups for tree in group]
    sizes = np.array([tree.node_count for tree in trees])
    starts = np.cumsum(sizes) - sizes
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    offset, own = np.repeat(starts, sizes), np.arange(sizes.sum())
    leaf = left < 0
    return Trees(
        feature=np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=np.where(leaf, np.inf, np.concatenate([tree.threshold for tree in trees])),
        children=np.where(leaf[:, None], own[:, None], np.column_stack([left, right]) + offset[:, None]).astype(
            np.int32
        ),
        values=np.concatenate([values for group in leaves for values in group]),
        roots=starts.reshape(len(groups), -1).astype(np.int32),
        start=start,
        codes=np.asarray(codes, np.int64),
        link=link,
        depth=max(tree.max_depth for tree in trees),
        missing=np.concatenate([tree.missing_go_to_left == 0 for tree in trees]) & ~leaf,
    )
