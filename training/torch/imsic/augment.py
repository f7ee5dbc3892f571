"""Which structure weight and how many of IMSIC's rows, compared on held-out rows with other ways to balance.

Takes a task, a graph and settings; gives the arms, and the best of them.
"""

from collections.abc import Callable

from training.torch.augmentation import gate
from training.torch.augmentation.gate import WITHOUT_GENERATOR, Arm, Maker, Verdict
from training.torch.augmentation.task import Task
from training.torch.course import Place
from training.torch.imsic import generator
from training.torch.imsic.generator import Trained
from training.torch.imsic.graph import Graph
from training.torch.imsic.settings import IMSICSettings

Learn = Callable[[Task, int, Place], Trained]

SOURCE = "imsic"


def sources(settings: IMSICSettings) -> dict[str, float]:
    """Return the structure weights by the names of the generators that learn with them."""
    weights = settings.structure_weights
    return {SOURCE if len(weights) == 1 else f"{SOURCE}_structure_{weight:g}": weight for weight in weights}


def arms(settings: IMSICSettings) -> list[Arm]:
    """Return the arms to compare: so many generated rows for each real one of a small class, by each generator."""
    made = [Arm(source, ratio, "real") for source in sources(settings) for ratio in sorted(settings.ratios)]
    return [*WITHOUT_GENERATOR, *made]


def learner(weight: float, graph: Graph, settings: IMSICSettings) -> Learn:
    """Return what trains a generator with a structure weight."""

    def learn(task: Task, seed: int, place: Place) -> Trained:
        return generator.train(task, graph=graph, structure_weight=weight, settings=settings, seed=seed, place=place)

    return learn


def validate(task: Task, graph: Graph, *, rare_code: int, settings: IMSICSettings, place: Place) -> Verdict:
    """Find the best arm; a class with fewer than two rows raises `ValueError`.

    The arms' order is seen after fewer steps than a generator needs whose every edge holds, as one that is kept must.
    """
    brief = settings.model_copy(update={"steps": min(settings.steps, settings.fold_steps or settings.steps)})
    generators = {source: _maker(source, learner(weight, graph, brief)) for source, weight in sources(settings).items()}
    compared = arms(settings)
    return gate.validate(task, generators, compared, rare_code=rare_code, settings=settings, place=place)


def _maker(source: str, learn: Learn) -> gate.Train:
    def train(task: Task, seed: int, place: Place) -> Maker:
        return learn(task, seed, place if source == SOURCE else place.of(source)).generator

    return train
