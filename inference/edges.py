"""Whether the edges of a generator's graph hold: each code against each factor, by their correlation.

Takes a graph and a matrix of correlations; gives an `Edge` for each pair, with what was asked of it.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.torch.imsic.graph import Graph

Kind = Literal["alone", "shared", "forbidden", "free"]

ALONE = 0.95  # least correlation of a factor with the one code it depends on
# A factor that depends on several codes goes with each as far as its weight says, within these shares of it: for three
# equal parents, whose weight is 0.577, from 0.45 to 0.70.
LEAST_SHARE, MOST_SHARE = 0.45 * math.sqrt(3), 0.70 * math.sqrt(3)
FORBIDDEN = 0.10  # greatest correlation, of either sign, with a code that must not show


@dataclass(frozen=True)
class Edge:
    """A code and a factor, and how far they go together.

    Attributes:
        code: the code.
        factor: the factor.
        kind: the factor depends on this code `alone`, on it and others (`shared`), must not show it (`forbidden`), or
            nothing is asked (`free`).
        correlation: over fresh rows.
        least: least correlation that is asked.
        most: greatest correlation that is asked.
    """

    code: str
    factor: str
    kind: Kind
    correlation: float
    least: float
    most: float

    @property
    def holds(self) -> bool:
        """Whether the correlation is as asked."""
        return self.least <= self.correlation <= self.most


def judged(graph: Graph, correlations: NDArray[np.float64]) -> tuple[tuple[Edge, ...], ...]:
    """Return the edges by factor and then by code, from the correlation of each factor (row) with each code (column).

    Raises:
        ValueError: there is not one correlation for each factor and code.
    """
    size = len(graph.names)
    if correlations.shape != (size, size):
        raise ValueError(
            f"{correlations.shape} correlations were found, the graph has {size} factors; train the model again"
        )
    return tuple(tuple(_edge(graph, at, code, correlations) for code in range(size)) for at in range(size))


def _edge(graph: Graph, factor: int, code: int, correlations: NDArray[np.float64]) -> Edge:
    effects = graph.effects[factor]
    kind, least, most = _asked(float(effects[code]), int((effects != 0).sum()), bool(graph.forbidden()[factor, code]))
    names = graph.names
    return Edge(names[code], names[factor], kind, float(correlations[factor, code]), least, most)


def _asked(effect: float, parents: int, forbidden: bool) -> tuple[Kind, float, float]:
    """Return the kind of an edge and the bounds of its correlation."""
    if forbidden:
        return "forbidden", -FORBIDDEN, FORBIDDEN
    if not effect:
        return "free", -1.0, 1.0
    kind: Kind = "alone" if parents == 1 else "shared"
    bounds = (ALONE, 1.0) if parents == 1 else (LEAST_SHARE * abs(effect), min(1.0, MOST_SHARE * abs(effect)))
    least, most = bounds if effect > 0 else (-bounds[1], -bounds[0])
    return kind, least, most
