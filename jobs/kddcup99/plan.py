"""The plan of a measurement: one TOML file that names setups, methods and what is asked of them.

Takes a file or URL; gives `Plan`, or raises `PlanError` with everything that is wrong.
"""

import tomllib
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from feature_extraction import storage
from training.kddcup99.setups import Number, Setup
from training.settings import Settings
from training.trainer import TRAINERS, Trainer, load_class

# Needed for the comparison alone: it makes no artifact that could be scored with.
BESIDE = {"isolation_forest": "jobs.kddcup99.anomalies:IsolationForest"}


class PlanError(ValueError):
    """The plan's file does not fit."""


class Method(Settings):
    """One trainer with its settings, measured at every seed."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Short name, in the table of results.")
    trainer: str = Field(description="Name of the trainer, or isolation_forest.")
    note: str = Field("", description="What sets it apart, for people.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings that differ from the trainer's own.")
    candidates: tuple[dict[str, Any], ...] = Field(
        (),
        description="Further settings to choose from at each seed, by average precision on training rows that were "
        "held out; of equal ones the first.",
    )
    scaled: bool = Field(True, description="Features drawn to [0, 1] beforehand; else raw ones.")
    reference: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Numbers of the reference by setup and measure, as they were given."
    )

    def trainers(self, seed: int) -> list[Trainer]:
        """Build the trainer of each candidate; a setting that does not fit raises `PlanError`."""
        places = BESIDE | TRAINERS
        if self.trainer not in places:
            raise PlanError(f"method {self.name}: no trainer {self.trainer!r}; expected one of {sorted(places)}")
        made = load_class(places[self.trainer])
        try:
            return [made(**{**self.settings, **candidate}, seed=seed) for candidate in self.candidates or ({},)]
        except ValidationError as error:
            raise PlanError(f"method {self.name}: {error}") from error


class Bar(Settings):
    """What the mean of a measure over the seeds must reach."""

    setup: str = Field(description="The setup.")
    method: str = Field(description="The method.")
    measure: str = Field(description="The measure.")
    at_least: float = Field(description="The value, or the factor where `times` names a measure.")
    times: str = Field("", description="Measure whose mean is multiplied with `at_least`.")


class AnomalyTables(Settings):
    """Anomaly detectors beside each other on KDD Cup 1999 and on tables of ADBench."""

    setups: tuple[str, ...] = Field(description="Setups of this plan that they are measured on.")
    tables: tuple[str, ...] = Field(description="Files of ADBench, without the ending .npz.")
    labeled: dict[str, Number] = Field(
        {"normal": 100, "rare": 10}, description="Labelled training rows of each of an ADBench table's classes."
    )
    test_share: float = Field(0.3, gt=0, lt=1, description="Share of an ADBench table's rows that is tested on.")
    methods: tuple[Method, ...] = Field(min_length=1, description="The detectors.")


class Plan(Settings):
    """All that one call of the command measures."""

    setups: tuple[Setup, ...] = Field(min_length=1, description="The tasks.")
    methods: tuple[Method, ...] = Field(min_length=1, description="The methods, each run on every setup.")
    compare_to: tuple[str, ...] = Field((), description="Methods that the others' differences are given to.")
    bars: tuple[Bar, ...] = Field((), description="What must be reached.")
    anomalies: AnomalyTables | None = Field(None, description="Comparison of anomaly detectors.")

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        setups = [setup.name for setup in self.setups]
        detectors = self.anomalies.methods if self.anomalies else ()
        methods = [method.name for method in (*self.methods, *detectors)]
        for names in (setups, methods):
            if len(set(names)) < len(names):
                raise ValueError(f"found names {names}, expected each once")
        asked = {bar.method for bar in self.bars} | set(self.compare_to)
        if strange := sorted(asked - set(methods)):
            raise ValueError(f"bars and compare_to name {strange}, expected some of {methods}")
        of = {bar.setup for bar in self.bars} | set(self.anomalies.setups if self.anomalies else ())
        of |= {name for method in self.methods for name in method.reference}
        if strange := sorted(of - set(setups)):
            raise ValueError(f"bars, anomalies and references name the setups {strange}, expected some of {setups}")
        return self


def read(url: str) -> Plan:
    """Read a plan; unknown keys, names that do not fit and settings that no trainer takes raise `PlanError`."""
    try:
        plan = Plan(**tomllib.loads(storage.read_text(url)))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise PlanError(f"{url}: {error}") from error
    for method in (*plan.methods, *(plan.anomalies.methods if plan.anomalies else ())):
        method.trainers(seed=0)
    return plan
