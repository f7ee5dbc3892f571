"""How many of MGVAE's rows the classifier may learn from, compared on held-out rows with other ways to balance.

Takes a task and settings; gives the arms, and the best of them.
"""

from training.torch.augmentation import gate
from training.torch.augmentation.gate import WITHOUT_GENERATOR, Arm, Maker, Verdict
from training.torch.augmentation.task import Task
from training.torch.course import Place
from training.torch.mgvae import generator
from training.torch.mgvae.settings import MGVAESettings

SOURCE = "mgvae"


def arms(settings: MGVAESettings) -> list[Arm]:
    """Return the arms to compare: up to some share of what each class lacks to the majority's size."""
    return [*WITHOUT_GENERATOR, *(Arm(SOURCE, ratio) for ratio in sorted(settings.ratios))]


def validate(task: Task, *, rare_code: int, settings: MGVAESettings, place: Place) -> Verdict:
    """Find the best arm; a class with fewer than two rows raises `ValueError`."""

    def train(inner: Task, seed: int, own: Place) -> Maker:
        return generator.train(inner, settings=settings, seed=seed, place=own).generator

    return gate.validate(task, {SOURCE: train}, arms(settings), rare_code=rare_code, settings=settings, place=place)
