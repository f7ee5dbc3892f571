"""The unsupervised detectors of XGBOD as arrays: nothing of the library that fitted them is needed to score.

Takes detectors that PyOD has fitted; gives the same scores, and arrays for safetensors. Rows have no missing value.

Shapes: B rows, N rows that were learned from, F features; K, H, S and T detectors of a kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from training.baselines.isolation import lengths, path_length
from training.trees import Trees, joined

Doubles = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

NO_DISTANCE = 1e-10  # scikit-learn's, so that rows in one place have a density
NEAR = 0.5  # share of a bin's width that a value may lie beyond the first or last one, and count as in it: PyOD's
REGULARIZER = 0.1  # of a bin's density: PyOD's
FOREST = "forest."
ROWS_AT_ONCE = 2048


class _Known(NamedTuple):
    """What is known of the rows that were learned from: a search among them, (N, K) distances and densities."""

    search: NearestNeighbors
    reach: Doubles
    densities: Doubles


@dataclass(frozen=True, eq=False)
class Nearness:
    """Distances to the k-th nearest row, and local outlier factors (Breunig et al., SIGMOD 2000).

    Attributes:
        rows: (N, F) standardized rows.
        counts: (K,) numbers of nearest rows.
    """

    rows: Doubles
    counts: NDArray[np.int64]

    def scores(self, rows: Doubles) -> Doubles:
        """Return (B, 2K): distances, then factors."""
        distances, places = self._known.search.kneighbors(rows)
        factors = []
        for place, count in enumerate(self.counts.tolist()):
            near, reach = places[:, :count], self._known.reach[:, place]
            own = _density(distances[:, :count], reach[near])
            factors.append(self._known.densities[:, place][near].mean(axis=1) / own)
        return np.column_stack([distances[:, self.counts - 1], *factors])

    @cached_property
    def _known(self) -> _Known:
        search = NearestNeighbors(n_neighbors=int(self.counts.max())).fit(self.rows)
        distances, places = search.kneighbors()
        reach = distances[:, self.counts - 1]
        densities = [
            _density(distances[:, :count], reach[:, place][places[:, :count]])
            for place, count in enumerate(self.counts.tolist())
        ]
        return _Known(search, reach, np.column_stack(densities))


def _density(distances: Doubles, reach: Doubles) -> Doubles:
    """Return the density about rows, (n,), by their distances to near rows, (n, count), and the reach of these."""
    return np.asarray(1 / (np.maximum(distances, reach).mean(axis=1) + NO_DISTANCE))


@dataclass(frozen=True, eq=False)
class Histogram:
    """How rare a row's values are, feature by feature (Goldstein and Dengel, KI 2012).

    Attributes:
        edges: (bins + 1, F).
        logs: (bins, F) logarithm of each bin's density.
    """

    edges: Doubles
    logs: Doubles

    def scores(self, rows: Doubles) -> Doubles:
        """Return (B,)."""
        edges, last = self.edges, len(self.logs) - 1
        places = [np.searchsorted(edges[:, place], rows[:, place]) for place in range(rows.shape[1])]
        inside = np.clip(np.column_stack(places) - 1, 0, last)
        width = np.diff(edges[[0, 1, -2, -1]], axis=0)
        beyond = (rows < edges[0] - NEAR * width[0]) | (rows > edges[-1] + NEAR * width[2])
        found = np.where(beyond, self.logs.min(axis=0), np.take_along_axis(self.logs, inside, axis=0))
        return -np.asarray(found.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Boundary:
    """One-class support vector machines (Schölkopf et al., Neural Computation 2001) under one Gaussian kernel.

    Attributes:
        rows: (N, F) standardized rows.
        weights: (N, S).
        starts: (S,).
    """

    rows: Doubles
    weights: Doubles
    starts: Doubles

    def scores(self, rows: Doubles) -> Doubles:
        """Return (B, S)."""
        return -np.asarray(rbf_kernel(rows, self.rows) @ self.weights + self.starts)


@dataclass(frozen=True, eq=False)
class Isolation:
    """Isolation forests.

    Attributes:
        trees: those of all forests, each a group of its own, whose leaves hold lengths of paths.
        sizes: (T,) trees of each forest.
        usual: (T,) mean length of a path.
        offsets: (T,) what PyOD adds.
    """

    trees: Trees
    sizes: NDArray[np.int64]
    usual: Doubles
    offsets: Doubles

    def scores(self, rows: Doubles) -> Doubles:
        """Return (B, T)."""
        paths = self.trees.sums(np.ascontiguousarray(rows, np.float32))[:, :, 0]
        depths = np.add.reduceat(paths, np.cumsum(self.sizes) - self.sizes, axis=1) / self.sizes
        return np.asarray(2 ** (-depths / self.usual) + self.offsets)


@dataclass(frozen=True, eq=False)
class Detectors:
    """All detectors of a model.

    Attributes:
        mean: (F,) of the rows that were learned from.
        scale: (F,) their standard deviation.
        nearness: over standardized rows, as is the boundary.
        histograms: over rows as they are, as are the forests.
        boundary: of one-class support vector machines.
        isolation: of isolation forests.
    """

    mean: Doubles
    scale: Doubles
    nearness: Nearness
    histograms: tuple[Histogram, ...]
    boundary: Boundary
    isolation: Isolation

    @property
    def num(self) -> int:
        """Scores of a row."""
        several = (self.nearness.counts, self.nearness.counts, self.histograms, self.boundary.starts)
        return sum(len(of_a_kind) for of_a_kind in (*several, self.isolation.sizes))

    def scores(self, rows: Doubles) -> Doubles:
        """Return what each detector finds of rows, (B, num): the higher, the farther a row lies apart."""
        parts = [np.empty((0, self.num))]
        for first in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[first : first + ROWS_AT_ONCE]
            standard = (some - self.mean) / self.scale
            parts.append(
                np.column_stack(
                    [
                        self.nearness.scores(standard),
                        *(histogram.scores(some) for histogram in self.histograms),
                        self.boundary.scores(standard),
                        self.isolation.scores(some),
                    ]
                )
            )
        return np.concatenate(parts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        found: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "scale": self.scale,
            "rows": self.nearness.rows,
            "counts": self.nearness.counts,
            "weights": self.boundary.weights,
            "starts": self.boundary.starts,
            "sizes": self.isolation.sizes,
            "usual": self.isolation.usual,
            "offsets": self.isolation.offsets,
        }
        for place, histogram in enumerate(self.histograms):
            found |= {f"edges{place}": histogram.edges, f"logs{place}": histogram.logs}
        return found | {FOREST + name: array for name, array in self.isolation.trees.arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Read what `arrays` gave."""
        num = sum(name.startswith("edges") for name in arrays)
        trees = {name.removeprefix(FOREST): array for name, array in arrays.items() if name.startswith(FOREST)}
        return cls(
            mean=arrays["mean"],
            scale=arrays["scale"],
            nearness=Nearness(arrays["rows"], arrays["counts"]),
            histograms=tuple(Histogram(arrays[f"edges{place}"], arrays[f"logs{place}"]) for place in range(num)),
            boundary=Boundary(arrays["rows"], arrays["weights"], arrays["starts"]),
            isolation=Isolation(Trees.from_arrays(trees), *(arrays[name] for name in ("sizes", "usual", "offsets"))),
        )


def from_fitted(rows: Doubles, detectors: Sequence[Any]) -> Detectors:
    """Convert detectors that PyOD has fitted to `rows`: by distance, by density and so on, as `Detectors` has them."""
    kinds: dict[str, list[Any]] = {}
    for detector in detectors:
        kinds.setdefault(type(detector).__name__, []).append(detector)
    scaler = StandardScaler().fit(rows)
    standard = scaler.transform(rows)
    return Detectors(
        mean=scaler.mean_,
        scale=scaler.scale_,
        nearness=Nearness(standard, np.array([detector.n_neighbors for detector in kinds["KNN"]])),
        histograms=tuple(
            Histogram(detector.bin_edges_, np.log2(detector.hist_ + REGULARIZER)) for detector in kinds["HBOS"]
        ),
        boundary=_boundary(standard, [detector.detector_ for detector in kinds["OCSVM"]]),
        isolation=_isolation([detector.detector_ for detector in kinds["IForest"]]),
    )


def _boundary(rows: Doubles, machines: Sequence[Any]) -> Boundary:
    weights = np.zeros((len(rows), len(machines)))
    for place, machine in enumerate(machines):
        weights[machine.support_, place] = machine.dual_coef_[0]
    return Boundary(rows, weights, np.array([machine.intercept_[0] for machine in machines]))


def _isolation(forests: Sequence[Any]) -> Isolation:
    trees = [tree for forest in forests for tree in forest.estimators_]
    leaves = [[lengths(tree.tree_)[:, None]] for tree in trees]
    return Isolation(
        trees=joined([[tree] for tree in trees], leaves, np.zeros(1), "mean"),
        sizes=np.array([len(forest.estimators_) for forest in forests]),
        usual=path_length(np.array([forest.max_samples_ for forest in forests])),
        offsets=np.array([forest.offset_ for forest in forests], dtype=np.float64),
    )
