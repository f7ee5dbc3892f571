"""Members of the committee once fitted, as plain arrays: quick on few rows, and nothing to unpickle.

Takes scikit-learn's fitted models; gives the probabilities of the softmax of their margins, class by class in the
order of codes, and arrays for safetensors. `B` rows, `K` classes, `p` inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

from training.trainer import Floats

Codes = NDArray[np.int64]
Doubles = NDArray[np.float64]
CELLS_AT_ONCE = 1_000_000  # of (rows, vectors): larger blocks leave the cache


class Member(Protocol):
    """A fitted member."""

    def predict_proba(self, rows: Floats, /) -> NDArray[np.floating[Any]]:
        """Return probabilities (B, K) of rows (B, p)."""
        ...

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what the member can be rebuilt from."""
        ...


@dataclass(frozen=True, eq=False)
class Linear:
    """Margins that are linear in the inputs.

    Attributes:
        weights: (p, K).
        offsets: (K,), minus infinity for a class that was not learned.
    """

    weights: Doubles
    offsets: Doubles

    @classmethod
    def of(cls, model: LinearSVC | LogisticRegression, classes: int) -> Self:
        """Convert a linear model; `classes` is K, of which the model's own `classes_` are codes."""
        coefficients, intercepts = model.coef_, np.broadcast_to(model.intercept_, len(model.coef_))
        if len(coefficients) == 1:  # scikit-learn keeps one row for two classes: that of the second
            half = 0.5 if isinstance(model, LogisticRegression) else 1.0
            coefficients = half * np.vstack([-coefficients, coefficients])
            intercepts = half * np.concatenate([-intercepts, intercepts])
        weights, offsets = np.zeros((coefficients.shape[1], classes)), np.full(classes, -np.inf)
        weights[:, model.classes_], offsets[model.classes_] = coefficients.T, intercepts
        return cls(weights, offsets)

    def predict_proba(self, rows: Floats, /) -> Doubles:
        """Return probabilities (B, K) of rows (B, p)."""
        return np.asarray(softmax(np.asarray(rows, np.float64) @ self.weights + self.offsets, axis=1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {"weights": self.weights, "offsets": self.offsets}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(arrays["weights"], arrays["offsets"])


@dataclass(frozen=True, eq=False)
class Kernel:
    """A support vector machine with a Gaussian kernel, one machine for each pair of classes.

    Attributes:
        vectors: (v, p) support vectors.
        weights: (v, pairs) of each vector in each machine.
        offsets: (pairs,).
        pairs: (pairs, 2) codes of the class for positive and for negative values.
        facts: gamma of the kernel, and K.
    """

    vectors: Doubles
    weights: Doubles
    offsets: Doubles
    pairs: Codes
    facts: Doubles

    @classmethod
    def of(cls, model: SVC, classes: int) -> Self:
        """Convert a machine; `classes` is K, of which the model's own `classes_` are codes."""
        codes, own = model.classes_, np.repeat(np.arange(len(model.classes_)), model.n_support_)
        first, second = np.triu_indices(len(codes), 1)
        dual, places = model.dual_coef_, np.arange(len(own))
        # A vector of class i stands in the machine (i, j) under row j - 1, one of class j under row i.
        weights = np.where(own[:, None] == first, dual[second[None] - 1, places[:, None]], 0.0)
        weights += np.where(own[:, None] == second, dual[first[None], places[:, None]], 0.0)
        sign = -1.0 if len(codes) == 2 else 1.0  # of two classes scikit-learn's own attributes have the other sign
        pairs = np.column_stack([codes[first], codes[second]]).astype(np.int64)
        facts = np.array([model._gamma, classes], np.float64)
        return cls(
            np.asarray(model.support_vectors_, np.float64), sign * weights, sign * model.intercept_, pairs, facts
        )

    def predict_proba(self, rows: Floats, /) -> Doubles:
        """Return probabilities (B, K) of rows (B, p)."""
        step = max(1, CELLS_AT_ONCE // len(self.vectors))
        parts = [self._margins(np.asarray(rows[at : at + step], np.float64)) for at in range(0, len(rows), step)]
        return np.asarray(softmax(np.concatenate([np.empty((0, int(self.facts[1]))), *parts]), axis=1))

    def _margins(self, rows: Doubles) -> Doubles:
        closeness = squared_distances(rows, self.vectors)
        closeness *= -self.facts[0]
        values = np.exp(closeness, out=closeness) @ self.weights + self.offsets
        first, second = np.eye(int(self.facts[1]))[self.pairs.T]
        if len(self.offsets) == 1:
            margins = values @ (first - second)
        else:  # pairwise wins, and within equal ones by how much, as scikit-learn has it
            total = values @ (first - second)
            margins = (values >= 0) @ first + (values < 0) @ second + total / (3 * (np.abs(total) + 1))
        margins[:, ~(first + second).any(axis=0)] = -np.inf
        return np.asarray(margins)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {name: getattr(self, name) for name in ("vectors", "weights", "offsets", "pairs", "facts")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(**arrays)


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The classes of the nearest rows, each row counting by how few its class has.

    Attributes:
        rows: (n, p) the rows learned.
        shares: (n, K) one over the rows of its class in the column of its class, else 0.
        nearest: (1,) how many neighbors.
    """

    rows: Floats
    shares: Doubles
    nearest: Codes

    @classmethod
    def of(cls, rows: Floats, labels: Codes, classes: int, nearest: int) -> Self:
        """Learn rows (n, p) with their labels; `classes` is K."""
        shares = np.eye(classes)[labels] / np.bincount(labels, minlength=classes)[labels, None]
        return cls(np.asarray(rows, np.float32), shares, np.array([min(nearest, len(rows))]))

    def predict_proba(self, rows: Floats, /) -> Doubles:
        """Return probabilities (B, K) of rows (B, p)."""
        step = max(1, CELLS_AT_ONCE // len(self.rows))
        parts = [self._shares(rows[at : at + step]) for at in range(0, len(rows), step)]
        return np.concatenate([np.empty((0, self.shares.shape[1])), *parts])

    def _shares(self, rows: Floats) -> Doubles:
        number = int(self.nearest[0])
        near = np.argpartition(squared_distances(rows, self.rows), number - 1, axis=1)[:, :number]
        sums = self.shares[near].sum(axis=1)
        return np.asarray(sums / sums.sum(axis=1, keepdims=True))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {"rows": self.rows, "shares": self.shares, "nearest": self.nearest}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(**arrays)


def squared_distances(rows: NDArray[Any], others: NDArray[Any]) -> Doubles:
    """Return the squared distance of each of rows (B, p) from each of others (n, p), (B, n)."""
    here, there = np.asarray(rows, np.float64), np.asarray(others, np.float64)
    squares = np.asarray(here @ there.T)
    squares *= -2
    squares += (here**2).sum(axis=1)[:, None]
    squares += (there**2).sum(axis=1)
    return np.maximum(squares, 0.0, out=squares)
