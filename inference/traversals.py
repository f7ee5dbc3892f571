"""What the codes of a generator change: rows of a class in which one code is led from -1 to 1, all else as it was.

Takes a trained model that has codes, such as IMSIC's; gives plain values for the page on which a person accepts the
graph or edits it.

Shapes: K factors and codes, V values of a code, R rows, F features.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from matplotlib import image
from numpy.typing import NDArray

from feature_extraction.schema import FEATURE_SEPARATOR, FeatureSchema
from inference.edges import Edge, judged
from training.artifact import Manifest
from training.torch.imsic.graph import Factor, Graph
from training.trainer import Floats

Doubles = NDArray[np.float64]

VALUES = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of a code
ROWS, PICTURES = 400, 8  # that each value is given to: rows of a table, or pictures
FRESH = 4000  # rows that correlations are taken over
MOST_FEATURES = 3  # of a metric that are shown
FRAME = 2  # pixels between pictures
# What the page says of a model besides, by the name it has in the model's history.
FACTS = {"structure_weight": "weight of the structure loss", "augmentation": "synthetic rows in the classifier"}


class Swept(Protocol):
    """Rows of which one code was led through values."""

    @property
    def features(self) -> Floats:
        """Raw rows, (V, R, F)."""
        ...


@runtime_checkable
class HasCodes(Protocol):
    """What an artifact may also be: a generator whose codes have names and a graph."""

    schema: FeatureSchema
    manifest: Manifest

    @property
    def graph(self) -> Graph:
        """The graph it was trained with."""
        ...

    def correlations(self, *, rows: int, seed: int) -> Doubles:
        """Return the correlation of each factor (row) with each code (column) over fresh rows, (K, K)."""
        ...

    def traverse(self, label: str, factor: str, *, values: Sequence[float], rows: int, seed: int) -> Swept:
        """Lead one code through values in rows of a class."""
        ...


@dataclass(frozen=True)
class Moved:
    """A feature's mean at the code's first and last value, and the difference in standard deviations of all rows."""

    feature: str
    low: float | None
    high: float | None
    spreads: float


@dataclass(frozen=True)
class MetricMoves:
    """What a code changes in a metric: its features' mean move, in standard deviations, and those that move most."""

    metric: str
    spreads: float
    most: list[Moved]


@dataclass(frozen=True)
class FactorMoves:
    """What one code changes.

    Attributes:
        factor: the factor of that code, with its parents and columns.
        metrics: moves by metric, the largest first; none of images.
        own_share: share of all features' moves that is of the factor's own columns; None where it has none.
        picture: PNG of a grid with a row for each place and a column for each value; empty of tables.
    """

    factor: Factor
    metrics: list[MetricMoves]
    own_share: float | None = None
    picture: bytes = b""


@dataclass(frozen=True)
class Traversals:
    """All that the page shows.

    Attributes:
        trainer: name of the method.
        model: URL of the model.
        label: the class whose rows were made.
        graph: the graph it was trained with.
        edges: by factor, then by code.
        factors: what each code changes.
        rows: places that each value was given to.
        facts: further facts of the model by name.
    """

    trainer: str
    model: str
    label: str
    graph: Graph
    edges: tuple[tuple[Edge, ...], ...]
    factors: list[FactorMoves]
    rows: int
    facts: Mapping[str, str]

    @property
    def asked(self) -> list[Edge]:
        """The edges of which something is asked."""
        return [edge for row in self.edges for edge in row if edge.kind != "free"]

    @property
    def failed(self) -> list[Edge]:
        """The edges that do not hold."""
        return [edge for edge in self.asked if not edge.holds]

    def to_json(self) -> str:
        """Return the edges with their verdicts, for programs."""
        said = [asdict(edge) | {"holds": edge.holds} for edge in self.asked]
        return json.dumps({"graph": self.graph.digest(), "holds": not self.failed, "edges": said}, indent=1)


def examine(model: HasCodes, url: str, *, label: str, rows: int = 0, seed: int = 0) -> Traversals:
    """Look at what the codes of a model change, and whether its graph holds.

    Args:
        model: one with codes.
        url: where it lies.
        label: name of the class to make rows of.
        rows: places that each value is given to; 0: 400 rows of a table, 8 pictures.
        seed: one seed gives one result.
    """
    graph, manifest = model.graph, model.manifest
    places = rows or (PICTURES if manifest.settings.get("image") else ROWS)
    swept = [
        np.asarray(model.traverse(label=label, factor=name, values=VALUES, rows=places, seed=seed).features)
        for name in graph.names
    ]
    known = {title: str(manifest.history[name]) for name, title in FACTS.items() if name in manifest.history}
    return Traversals(
        trainer=manifest.trainer,
        model=url,
        label=label,
        graph=graph,
        edges=judged(graph, model.correlations(rows=FRESH, seed=seed)),
        factors=moves(graph, swept, model.schema.names, manifest.settings),
        rows=places,
        facts=known | {"steps of training": str(manifest.settings["steps"]), "seed of this page": str(seed)},
    )


def moves(
    graph: Graph, swept: Sequence[Floats], names: Sequence[str], settings: Mapping[str, Any]
) -> list[FactorMoves]:
    """Return what each code changes, from rows (V, R, F) for each factor: pictures of images, else means by metric."""
    if settings.get("image"):
        shape, brightest = tuple(settings["image"]), float(settings["brightest"])
        return [
            FactorMoves(one, [], picture=_grid(rows, shape, brightest))
            for one, rows in zip(graph.factors, swept, strict=True)
        ]
    spread = _spread(np.concatenate([rows.reshape(-1, len(names)) for rows in swept]))
    columns = graph.columns(names)
    return [_tabled(*given, names, spread) for given in zip(graph.factors, swept, columns, strict=True)]


def _spread(rows: Floats) -> Doubles:
    """Return the standard deviation of each feature, 1 where it does not vary."""
    deviations = np.array([np.std(column[~np.isnan(column)]) if (~np.isnan(column)).any() else 0 for column in rows.T])
    return np.where(deviations > 0, deviations, 1.0)


def _mean(rows: Floats) -> Doubles:
    known = ~np.isnan(rows)
    total = np.where(known, rows, 0).sum(axis=0, dtype=np.float64)
    return np.divide(total, known.sum(axis=0), out=np.full(rows.shape[1], np.nan), where=known.any(axis=0))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _tabled(
    factor: Factor, rows: Floats, columns: NDArray[np.bool_], names: Sequence[str], spread: Doubles
) -> FactorMoves:
    low, high = _mean(rows[0]), _mean(rows[-1])
    spreads = np.nan_to_num((high - low) / spread)
    moved = [
        Moved(name, _known(before), _known(after), float(size))
        for name, before, after, size in zip(names, low, high, spreads, strict=True)
    ]
    by_metric: dict[str, list[Moved]] = {}
    for one in moved:
        by_metric.setdefault(one.feature.split(FEATURE_SEPARATOR)[0], []).append(one)
    metrics = [_of_metric(metric, own) for metric, own in by_metric.items()]
    total = float(np.abs(spreads).sum())
    share = float(np.abs(spreads[columns]).sum()) / total if total and factor.columns else None
    return FactorMoves(factor, sorted(metrics, key=lambda one: -one.spreads), share)


def _of_metric(metric: str, moved: Sequence[Moved]) -> MetricMoves:
    ordered = sorted(moved, key=lambda one: -abs(one.spreads))
    return MetricMoves(metric, float(np.mean([abs(one.spreads) for one in moved])), ordered[:MOST_FEATURES])


def _grid(rows: Floats, shape: tuple[int, ...], brightest: float) -> bytes:
    """Return a PNG of pictures (V, R, F), a row for each place."""
    channels, height, width = shape
    values, places = rows.shape[:2]
    step_y, step_x = height + FRAME, width + FRAME
    grid = np.full((places * step_y - FRAME, values * step_x - FRAME, 3), 0.5)
    pictures = np.clip(np.nan_to_num(rows) / brightest, 0, 1).reshape(values, places, channels, height, width)
    for value in range(values):
        for place in range(places):
            picture = np.moveaxis(pictures[value, place], 0, -1)  # one channel is shown as gray
            grid[place * step_y :, value * step_x :][:height, :width] = picture[..., :3]
    file = io.BytesIO()
    image.imsave(file, grid, format="png", metadata={"Software": ""})
    return file.getvalue()
