"""Which deep-learning framework a run's methods need, if any: what decides on its image and its GPUs."""

from collections.abc import Iterable

from jobs.train_settings import TrainSettings
from training.auto.settings import NAME as AUTO
from training.trainer import TRAINERS

FRAMEWORKS = ("keras", "torch")


def methods_of(framework: str, named: Iterable[str], settings: TrainSettings) -> list[str]:
    """Return those of the named methods, and of `auto`'s members where it is named, that a framework trains."""
    names = tuple(named)
    names += settings.auto.all_members if AUTO in names else ()
    return [name for name in dict.fromkeys(names) if TRAINERS[name].startswith(f"training.{framework}.")]


def gpus_per_model(named: Iterable[str], settings: TrainSettings) -> int:
    """Return the GPUs that each of the named methods is to have: none where no framework trains one of them."""
    names = tuple(named)
    return settings.gpus_per_model if any(methods_of(one, names, settings) for one in FRAMEWORKS) else 0
