"""The run file: one TOML file, validated, with dotted overrides from the command line.

    python -m jobs.run --config demo.toml --train.trainer scarcegan --score.alerts 50

Read from a local path or an S3 URL. An unknown key, in the file or on the command line, is refused with the nearest
known one. `--help` lists every field.
"""

import difflib
import sys
import tomllib
from collections.abc import Sequence
from datetime import datetime
from types import UnionType
from typing import Any, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, CliSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableArgument

from feature_extraction import publishing, storage
from feature_extraction.settings import (
    EventsSettings,
    FeaturesSettings,
    LabelsSettings,
    Section,
    WindowSettings,
)
from inference.settings import ScoreSettings
from jobs.train_settings import TrainSettings

# How a run is carried out, which its results do not depend on: not part of its name.
OUTSIDE_THE_ID: dict[str, Any] = {"output": True, "train": {"workers", "gpus_per_model", "processes", "reader_threads"}}
# What no value is: pydantic-settings takes some text for "not given", by itself `None`, which may be a class's name.
NOTHING = "(none)"
# What may be typed without its section.
SHORTHANDS = {"--workers": "--train.workers"}


class SettingsError(ValueError):
    """The run file or an override does not fit."""


class OutputSettings(Section):
    """Where everything goes."""

    root: str = Field("out", description="Root of all that is written: a local folder or s3://bucket/prefix.")
    run: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Name of the run; from the window's end and the settings if empty.",
    )


class RunSettings(BaseSettings):
    """Scarce: find the few entities that matter in event logs in which almost nothing is labelled.

    Exit status of every job: 0 done, 1 failed, 2 bad input or settings, 3 nothing to do, as all of it is finished.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", cli_kebab_case=False)

    events: EventsSettings = Field(description="Where the raw events lie and how to read them.")
    window: WindowSettings = Field(description="The stretch of time that features are made of.")
    labels: LabelsSettings = Field(LabelsSettings(), description="What is known about a few entities.")
    features: FeaturesSettings = Field(FeaturesSettings(), description="How series become features.")
    train: TrainSettings = Field(TrainSettings(), description="Which method learns.")
    score: ScoreSettings = Field(ScoreSettings(), description="What reviewers can take on.")
    output: OutputSettings = Field(OutputSettings(), description="Where everything goes.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the file and the overrides alone: a run must not depend on the environment."""
        return (init_settings,)

    @model_validator(mode="after")
    def _cap_of_every_metric(self) -> "RunSettings":
        for name in self.events.metrics:
            self.features.of_metric(name)
        return self

    @model_validator(mode="after")
    def _holidays_have_dates(self) -> "RunSettings":
        if self.window.align == "last_event" and self.features.country_holidays:
            raise ValueError(
                "features.country_holidays are dates, and window.align = 'last_event' moves series to other dates; "
                "remove one of the two"
            )
        return self

    @property
    def run_id(self) -> str:
        """Name of the run: as given, or the window's end and eight digits over the settings that make the results."""
        digits = publishing.fingerprint(self.model_dump(mode="json", exclude=OUTSIDE_THE_ID))[:8]
        return self.output.run or f"{self.window.end:%Y-%m-%d}-{digits}"


def load(arguments: Sequence[str] | None = None, job: str = "jobs.run") -> RunSettings:
    """Read `--config FILE` and the overrides after it; raises `SettingsError` with everything that is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    overrides, url = _split_config([_in_full(token) for token in given])
    overrides, metrics = _split_metrics(overrides)
    _check_flags(overrides)
    file = _merged(read_toml(url), metrics) if url else {}
    given_values = _merged(file, _parsed(overrides, job))
    storage.refuse_credentials(given_values)  # before any of them is repeated in a message
    try:
        return RunSettings(**_dated(given_values))
    except ValidationError as error:
        raise SettingsError(explain(error, url or "command line")) from error


def _parsed(overrides: list[str], job: str) -> dict[str, Any]:
    try:
        source: CliSettingsSource[Any] = CliSettingsSource(
            RunSettings,
            cli_prog_name=f"python -m {job} --config FILE",
            cli_parse_args=overrides,
            cli_avoid_json=True,
            cli_exit_on_error=False,
            cli_parse_none_str=NOTHING,
        )
        return dict(source())
    except UnreadableArgument as error:
        raise SettingsError(f"command line: {error}") from error


def _dated(given: dict[str, Any]) -> dict[str, Any]:
    """Write the date in place of a window's end of `today`, which not every scheduler can fill in."""
    window, events = given.get("window"), given.get("events")
    if not isinstance(window, dict) or not isinstance(events, dict) or window.get("end") != "today":
        return given
    try:
        zone = ZoneInfo(events.get("time_zone", "UTC"))
    except (KeyError, TypeError, ValueError):
        return given  # the zone itself is refused
    return {**given, "window": {**window, "end": datetime.now(zone).date()}}


def _in_full(token: str) -> str:
    name, is_assigned, value = token.partition("=")
    return SHORTHANDS.get(name, name) + is_assigned + value


def _split_config(arguments: list[str]) -> tuple[list[str], str]:
    rest, url = [], ""
    tokens = iter(arguments)
    for token in tokens:
        if token == "--config":
            url = next(tokens, "")
        elif token.startswith("--config="):
            url = token.split("=", 1)[1]
        else:
            rest.append(token)
    if not url and not {"--help", "-h"} & set(rest):
        raise SettingsError(
            "no run file: give --config FILE, a local path or s3://bucket/run.toml; --help lists its fields"
        )
    return rest, url


def _split_metrics(arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Take out overrides of single metrics, `--events.metrics.NAME.FIELD`, whose names no parser knows beforehand."""
    rest: list[str] = []
    found: dict[str, Any] = {}
    tokens = iter(arguments)
    for token in tokens:
        name, is_assigned, value = token.partition("=")
        path = name.removeprefix("--").split(".")
        if path[:2] == ["events", "metrics"] and len(path) == 4:
            override = {path[2]: {path[3]: value if is_assigned else next(tokens, "")}}
            found = _merged(found, {"events": {"metrics": override}})
        else:
            rest.append(token)
    return rest, found


def read_toml(url: str) -> dict[str, Any]:
    """Read a TOML file; one that is none raises `SettingsError`."""
    data = storage.read_bytes(url)
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number or a nesting beyond any use
        raise SettingsError(f"{url}: not readable as TOML: {error}") from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another, key by key."""
    result = dict(below)
    for key, value in above.items():
        known = result.get(key)
        result[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def field_names(model: type[BaseModel] = RunSettings, prefix: str = "") -> list[str]:
    """Dotted names of all fields of the run file; `*` stands for a metric's name."""
    names = []
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if get_origin(kind) is UnionType:  # a section that may be left out
            kind = next(filter(_is_model, get_args(kind)), kind)
        names.append(prefix + name)
        if get_origin(kind) is dict and _is_model(get_args(kind)[1]):
            names += field_names(get_args(kind)[1], f"{prefix}{name}.*.")
        elif _is_model(kind):
            names += field_names(kind, f"{prefix}{name}.")
    return names


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _check_flags(overrides: list[str]) -> None:
    known = field_names()
    for token in overrides:
        name = token.removeprefix("--").split("=", 1)[0]
        if token.startswith("--") and name != "help" and name not in known:
            raise SettingsError(f"command line: unknown key {name!r}{_nearest(name, known)}")


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def explain(error: ValidationError, where: str, model: type[BaseModel] = RunSettings) -> str:
    """Say everything that is wrong with a file of `model`, a line each, unknown keys with the nearest known one."""
    lines = []
    for problem in error.errors():
        location = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {location!r}{_nearest(location, _siblings(problem['loc'], model))}")
        elif problem["type"] == "missing":
            lines.append(f"{location} is needed and not given")
        else:
            lines.append(f"{location}: {problem['msg']}; found {problem['input']!r}")
    return f"{where}: " + f"\n{where}: ".join(lines)


def _siblings(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Known keys beside an unknown one, spelled with the same parents."""
    parents = ".".join(str(part) for part in location[:-1])
    pattern = ["*" if i == 2 and location[:2] == ("events", "metrics") else str(p) for i, p in enumerate(location[:-1])]
    known = [name for name in field_names(model) if name.split(".")[:-1] == pattern]
    return [".".join(filter(None, [parents, name.split(".")[-1]])) for name in known]
