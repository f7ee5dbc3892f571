"""A stand-in for a trained generator with codes: what each changes is written down, so that pages can be checked."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from feature_extraction.schema import FeatureSchema
from training.torch.imsic.graph import Factor, Graph

GRAPH = Graph(
    factors=(
        Factor(name="visits", columns=("baskets",)),
        Factor(name="bargains", columns=("discount_share",)),
        Factor(name="basket size", columns=("spend", "units"), parents=("basket size", "visits")),
    )
)
METRICS = ("spend", "baskets", "units", "discount_share")
NAMES = tuple(f"{metric}__{part}" for metric in METRICS for part in ("last", "trend_slope"))
PIXELS = tuple(f"pixel{number}" for number in range(28 * 28))
IMAGE = (1, 28, 28)


@dataclass(frozen=True)
class Model:
    """One whose correlations are as given; a code moves its factor's columns by one for each, and others by nothing."""

    schema: FeatureSchema
    manifest: SimpleNamespace
    graph: Graph
    found: np.ndarray

    def correlations(self, *, rows, seed):
        return self.found

    def traverse(self, label, factor, *, values, rows, seed):
        noise = np.random.default_rng(seed).normal(size=(rows, len(self.schema.names)))
        columns = self.graph.columns(self.schema.names)[self.graph.names.index(factor)]
        moved = noise[None] + np.array(values)[:, None, None] * columns
        if self.manifest.settings["image"]:
            moved = self._drawn(factor, values, rows)
        return SimpleNamespace(features=moved.astype(np.float32))

    def _drawn(self, factor, values, rows):
        """A bar whose place, length or brightness is the code."""
        down, across = np.mgrid[:28, :28]
        kind = self.graph.names.index(factor) % 3
        grown = np.array(values)[:, None, None, None] * np.eye(3)[kind].reshape(3, 1, 1, 1, 1)
        start = np.arange(rows)[None, :, None, None]
        bar = (np.abs(down - 14 - 8 * grown[0]) < 3) & (np.abs(across - 14 - start % 3) < 8 + 5 * grown[1])
        return (bar * (160 + 90 * grown[2])).reshape(len(values), rows, -1)


def model(correlations=None, graph=GRAPH, image=None) -> Model:
    """Return one with the correlations that the graph asks for, or with others."""
    names = PIXELS if image else NAMES
    manifest = SimpleNamespace(
        trainer="imsic",
        settings={"image": image, "brightest": 255.0, "steps": 3000},
        history={"structure_weight": 1.0, "augmentation": "1 : 1"},
    )
    schema = FeatureSchema(names, ("steady", "fading"), "fading")
    return Model(schema, manifest, graph, graph.effects if correlations is None else correlations)


def of_images() -> Model:
    """Return one that makes pictures, by the graph of the method's checks; two of its edges do not hold."""
    named = [Factor(name=name) for name in ("height", "length", "light")]
    graph = Graph(factors=(*named, Factor(name="style", parents=("length", "light", "style"))))
    correlations = graph.effects.copy()
    correlations[0, 0], correlations[0, 2] = 0.61, -0.34
    return model(correlations, graph, IMAGE)
