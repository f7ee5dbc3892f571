"""What is compared: which methods with which settings, label budgets, seeds and feature sets.

Takes the names that a user gives; gives a `Plan`, whose `fits_of` names every fit that a data set asks for.
"""

import difflib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from jobs.arena import source
from jobs.arena.data_sets import DataSet
from jobs.arena.splits import BUDGETS
from jobs.settings import explain, read_toml
from jobs.train_settings import TrainSettings
from training.trainer import TRAINERS

BASELINES = ("training.baselines", "training.torch.devnet")  # where they lie
AUTO, REFERENCE = "auto", "gradient_boosting"  # ours by default, and what everybody would use instead
NAIVE = "naive"
SEEDS, QUICK_SEEDS = 5, 1
QUICK_BUDGETS = ("20",)
# Smallest sizes at which a method still does all that it does: a quick run shows that all of it works, no more.
QUICK: dict[str, int] = {
    "members": 2,
    "steps": 100,
    "evaluate_every": 50,
    "epochs": 5,
    "warm_start": 2,
    "trees": 20,
    "pretrain_steps": 100,
    "finetune_steps": 20,
    "steps_per_row": 1,
    "classifier_steps": 100,
    "classifier_epochs": 5,
    "network_steps": 50,
    "rounds": 10,
    "committee_folds": 0,
    "fallback_folds": 2,
}


class PlanError(ValueError):
    """What a user asked for cannot be compared."""


class Fit(NamedTuple):
    """One fit: what is varied, and nothing else."""

    data: str
    features: str
    trainer: str
    budget: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        trainers: names in `TRAINERS`.
        budgets: names in `BUDGETS`.
        seeds: how many, from 0.
        features: feature sets; empty for the main one with all trainers and the others with the reference alone.
        overrides: settings of single trainers that differ from the defaults.
        digests: of methods, as they are asked for.
    """

    trainers: tuple[str, ...] = tuple(TRAINERS)
    budgets: tuple[str, ...] = tuple(BUDGETS)
    seeds: int = SEEDS
    features: tuple[str, ...] = ()
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.trainers:
            _check_known(name, list(TRAINERS), "trainer")
        for name in self.budgets:
            _check_known(name, list(BUDGETS), "label budget")
        if self.seeds < 1:
            raise PlanError(f"--seeds is {self.seeds}, expected at least 1")

    def sets_of(self, data: DataSet) -> tuple[str, ...]:
        """Return the feature sets of a data set that are compared, the main one first."""
        asked = self.features or data.feature_sets
        return tuple(sorted(set(asked) & set(data.feature_sets), key=lambda name: (name != data.main, name)))

    def fits_of(self, data: DataSet, features: str) -> Iterator[Fit]:
        """Give every fit on one feature set of a data set; those of one seed one after the other."""
        is_study = not self.features and features != data.main
        trainers = [name for name in self.trainers if not is_study or name == REFERENCE]
        for seed in range(self.seeds):
            for budget in self.budgets:
                for name in trainers:
                    yield Fit(data.name, features, name, budget, seed)

    def settings(self, trainer: str, seed: int) -> dict[str, Any]:
        """Return the settings of a trainer at a seed."""
        own = dict(self.overrides.get(trainer, {}))
        try:
            section = TrainSettings.model_validate({trainer: own})
        except ValidationError as error:
            raise PlanError(explain(error, "settings of methods", TrainSettings)) from error
        found: dict[str, Any] = getattr(section, trainer).model_dump(mode="json")
        return found | {"seed": seed}

    def method(self, trainer: str) -> str:
        """Return eight digits over a trainer's settings, and over its source and libraries and those of its members."""
        if trainer not in self.digests:
            settings = self.settings(trainer, 0)
            sources = [source_of(name) for name in (trainer, *sorted(_named(settings) - {trainer}))]
            self.digests[trainer] = source.key(settings, sources)[:8]
        return self.digests[trainer]


def _named(value: object) -> set[str]:
    """Return the trainers that settings name, which are run as well."""
    if isinstance(value, dict):
        return _named([*value, *value.values()])
    if isinstance(value, list | tuple):
        return set().union(*(_named(part) for part in value))
    return {value} & TRAINERS.keys() if isinstance(value, str) else set()


@cache
def source_of(trainer: str) -> str:
    """Return the digest of the source that a trainer runs."""
    return source.digest(TRAINERS[trainer].split(":")[0])


def is_baseline(trainer: str) -> bool:
    """Whether a trainer is what people would use instead of ours."""
    return TRAINERS.get(trainer, "").startswith(BASELINES)


def quick_settings() -> dict[str, dict[str, Any]]:
    """Return the smallest sensible sizes of every trainer that has such sizes."""
    section = TrainSettings()
    found = {}
    for name in TRAINERS:
        fields = type(getattr(section, name)).model_fields
        found[name] = {key: value for key, value in QUICK.items() if key in fields and _is_number(section, name, key)}
    return found


def _is_number(section: TrainSettings, trainer: str, name: str) -> bool:
    return isinstance(getattr(getattr(section, trainer), name), int)


def read_settings(url: str) -> dict[str, dict[str, Any]]:
    """Read settings of trainers from a TOML file, `[train.NAME]` as in a run file."""
    found = read_toml(url).get("train", {})
    return {name: dict(value) for name, value in found.items() if isinstance(value, dict)}


def chosen(names: Sequence[str], patterns: Sequence[str], what: str) -> list[str]:
    """Return the names that any of the patterns fits, all without patterns; a pattern that fits none is an error."""
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            _check_known(pattern, names, what)
    return [name for name in names if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _check_known(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
        raise PlanError(
            f"there is no {what} {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
        )
