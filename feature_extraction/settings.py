"""Settings of feature extraction as frozen pydantic models: the run file's `[events]` to `[features]`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

Aggregate = Literal["sum", "count", "mean", "min", "max", "last", "nunique"]
ADDITIVE: tuple[Aggregate, ...] = ("sum", "count", "nunique")
# Metric names become column names and CSS anchors, so they stay plain; the separator "__" is not theirs to use.
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z](_?[a-z0-9])*$", max_length=40)]
Days = Annotated[float, Field(gt=0, le=1_000_000)]
Capacity = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_INSTANT, _DAYS = TypeAdapter[datetime](datetime), TypeAdapter[float](Days)


class Section(BaseModel):
    """A frozen section of the run file that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricSettings(Section):
    """One number that is followed over time for every entity."""

    column: str = Field("", description="Event column that is aggregated (wide form); not needed for count.")
    type: str = Field("", description="Event type this metric reads (long form); the metric's name if empty.")
    aggregate: Aggregate = Field("sum", description="How the events of one step become one number.")
    where: str = Field(
        "",
        description="SQL condition on the event's columns, which are text in CSV and JSON; other events do not count.",
    )
    minimum: float | None = Field(None, description="Smallest value an event may have; a smaller one is refused.")
    gaps: Literal["auto", "zero", "missing"] = Field(
        "auto",
        description="What a step without events holds: 0 or missing; auto is 0 for sum, count and nunique.",
    )

    @property
    def fills_zero(self) -> bool:
        """Whether a step without events is a true zero (nothing was spent) and not a missing measurement."""
        return self.gaps == "zero" or (self.gaps == "auto" and self.aggregate in ADDITIVE)


_ALMOST_A_DAY = timedelta(days=1) - timedelta.resolution
_METRIC_FIELDS = "; ".join(f"{name}: {field.description}" for name, field in MetricSettings.model_fields.items())


class EventsSettings(Section):
    """Where the raw events lie and how to read them."""

    url: str = Field(description="File or folder of events: a local path or s3://bucket/prefix.")
    format: Literal["parquet", "csv", "json"] = Field("parquet", description="File format; json is one object a line.")
    entity: str = Field("entity_id", description="Column that names the entity.")
    time: str = Field("ts", description="Column that holds the event's time.")
    time_format: Literal["auto", "epoch_seconds", "epoch_milliseconds"] = Field(
        "auto", description="How times are written; auto takes timestamps, dates and ISO 8601 text."
    )
    time_zone: str = Field("UTC", description="Zone of times written without one, and in which days begin.")
    where: str = Field(
        "",
        description="SQL condition on the part of the log that is read, such as dt >= '2024-01-01' where it lies in "
        "folders by date: no other folder is opened, nothing else of the log is counted. {start} and {end} stand for "
        "the dates of the window, as in dt >= '{start}' and dt < '{end}'.",
    )
    type: str = Field("", description="Column of the event type; naming it makes the log long form.")
    value: str = Field("value", description="Column of the value, in long form.")
    key: tuple[str, ...] = Field(
        (),
        description="Columns that identify an event; a second event with the same values is refused as a duplicate.",
    )
    max_refused: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of refused events above which extraction stops instead of going on.",
    )
    metrics: dict[MetricName, MetricSettings] = Field(
        min_length=1, description=f"The metrics by name, each a table [events.metrics.NAME]. {_METRIC_FIELDS}"
    )

    def within(self, window: "WindowSettings") -> "EventsSettings":
        """Return these settings with the window's dates in `where`; an end in the middle of a day is the day after."""
        days = {"{start}": window.start.date(), "{end}": (window.end + _ALMOST_A_DAY).date()}
        where = self.where
        for placeholder, day in days.items():
            where = where.replace(placeholder, day.isoformat())
        return self.model_copy(update={"where": where})

    def counts_all(self, name: str) -> bool:
        """Whether a metric counts every event, so that no column need be read for it."""
        metric = self.metrics[name]
        return metric.aggregate == "count" and not metric.where and not self.type

    @model_validator(mode="after")
    def _zone_exists(self) -> "EventsSettings":
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"events.time_zone = {self.time_zone!r} is no zone; use a name such as Europe/Berlin"
            ) from error
        return self

    @model_validator(mode="after")
    def _columns_given(self) -> "EventsSettings":
        for name, metric in self.metrics.items():
            if self.type and metric.column:
                raise ValueError(f"metric {name!r}: long form reads the column events.value; remove column")
            if not self.type and metric.type:
                raise ValueError(f"metric {name!r}: type needs long form; set events.type to the type column")
            if not self.type and not metric.column and metric.aggregate != "count":
                raise ValueError(f"metric {name!r}: {metric.aggregate} needs a column; set column")
        return self


class WindowSettings(Section):
    """The stretch of time that features are made of."""

    start: datetime = Field(description="First instant, inclusive; a date means its midnight.")
    days: Days | None = Field(
        None,
        exclude=True,  # told by start from then on
        description="Length in days of a window that moves with its end; in place of start.",
    )
    end: datetime = Field(description="End, exclusive; a date is its midnight, today the last in events.time_zone.")
    align: Literal["calendar", "last_event"] = Field(
        "calendar", description="What a series ends with: the window, or the entity's last event (in days: its week)."
    )
    step_days: Days = Field(1.0, description="Length of one step of the series, in days; a whole number of seconds.")

    @model_validator(mode="before")
    @classmethod
    def _start_of_days(cls, given: Any) -> Any:  # noqa: ANN401  (whatever the run file holds)
        if not isinstance(given, Mapping):
            return given
        if (given.get("start") is None) == (given.get("days") is None):
            raise ValueError("give one of window.start and window.days, which is its length and moves with its end")
        if given.get("days") is None:
            return given
        try:
            end, days = _INSTANT.validate_python(given.get("end")), _DAYS.validate_python(given["days"])
        except ValidationError:
            return {**given, "start": given.get("end")}  # the fields themselves say what is wrong
        if end.replace(tzinfo=None) - datetime.min < timedelta(days=days):
            raise ValueError(f"window.days = {days} before window.end {end} is before the calendar's first year")
        return {**given, "start": end - timedelta(days=days), "days": None}

    @model_validator(mode="after")
    def _whole_steps(self) -> "WindowSettings":
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("window.start and window.end are given in events.time_zone; write them without an offset")
        if self.start.microsecond or self.end.microsecond or not self.step or self.step % timedelta(seconds=1):
            raise ValueError(
                f"window.start {self.start}, window.end {self.end} and the step of {self.step} must be whole seconds"
            )
        if self.end <= self.start:
            raise ValueError(f"window.end {self.end} is not after window.start {self.start}")
        if (self.end - self.start) % self.step:
            raise ValueError(f"the window of {self.end - self.start} is not a whole number of steps of {self.step}")
        if self.num_steps > 20_000:
            raise ValueError(f"the window holds {self.num_steps} steps; 20,000 at most: choose a longer step_days")
        return self

    @property
    def step(self) -> timedelta:
        """Length of one step."""
        return timedelta(days=self.step_days)

    @property
    def num_steps(self) -> int:
        """Number of steps in the window."""
        return (self.end - self.start) // self.step


class LabelsSettings(Section):
    """What is known about a few entities."""

    url: str = Field("", description="Parquet, CSV or JSON lines file with one row a labelled entity; empty: none.")
    entity: str = Field("entity_id", description="Column that names the entity.")
    column: str = Field("label", description="Column of the class.")
    confidence: str = Field(
        "", description="Column of how far each label is to be trusted, 0 to 1; an empty field in it means 1."
    )
    rare: str = Field("", description="The class to be found, as written in the label column.")
    holdout_url: str = Field(
        "", description="Further labels that training never sees and evaluation uses, in the same form."
    )
    holdout_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Or: share of the labels, by class, that is hidden from training for evaluation.",
    )
    seed: int = Field(0, description="Seed of the choice of hidden labels.")

    @model_validator(mode="after")
    def _rare_named(self) -> "LabelsSettings":
        if self.url and not self.rare:
            raise ValueError("labels.url is given without labels.rare; name the class to be found")
        if self.holdout_url and self.holdout_share:
            raise ValueError("give labels.holdout_url or labels.holdout_share, not both")
        return self


class FeaturesSettings(Section):
    """How series become features."""

    engine: Literal["map", "prophet"] = Field(
        "map",
        description="What fits the series: our exact solver of Prophet's posterior, for whole batches; or the library.",
    )
    min_steps: int = Field(28, ge=14, description="Steps since the first event below which Prophet is not fitted.")
    min_active_steps: int = Field(5, ge=2, description="Steps with an observed, non-zero value it also needs.")
    recent_steps: int = Field(28, ge=2, description="Length of 'the last steps' in features that speak of them.")
    last_residuals: int = Field(5, ge=1, le=30, description="How many of the last residuals become features.")
    active_values: bool = Field(False, description="Whether plain numbers of active steps join: first, last, highest.")
    changepoints: int = Field(25, ge=0, description="Potential changepoints of the trend (Prophet's n_changepoints).")
    changepoint_range: float = Field(0.8, gt=0, le=1, description="Leading share of the series that may hold them.")
    changepoint_prior_scale: float = Field(0.05, gt=0, description="Flexibility of the trend (Prophet's).")
    seasonality_prior_scale: float = Field(10.0, gt=0, description="Flexibility of the seasonality (Prophet's).")
    interval_width: float = Field(0.8, gt=0, lt=1, description="Width of the interval around the fitted values.")
    growth: Literal["linear", "flat", "logistic"] = Field(
        "linear",
        description="Shape of the trend (Prophet's); logistic ends at cap, and costs a library fit.",
    )
    cap: Capacity | dict[MetricName, Capacity] | None = Field(
        None,
        description="What a metric can reach at most, in its units: a number, or a table by metric. For logistic only.",
    )
    seasonality_mode: Literal["additive", "multiplicative"] = Field(
        "additive",
        description="Whether seasonality adds to the trend or is a share of it (Prophet's).",
    )
    country_holidays: str = Field(
        "", description="Country whose public holidays enter the fit: its ISO 3166 code, such as US; empty: none."
    )

    @field_validator("country_holidays")
    @classmethod
    def _country_known(cls, country: str) -> str:
        if country and find_spec("holidays"):  # a GPU worker reads the run file without it
            from holidays import list_supported_countries

            if country not in list_supported_countries():
                raise ValueError(
                    f"features.country_holidays = {country!r} is no country the holidays package knows; "
                    "use its code of ISO 3166 in capitals, such as US"
                )
        return country

    @model_validator(mode="after")
    def _cap_fits_growth(self) -> "FeaturesSettings":
        if self.growth == "logistic" and not self.cap:
            raise ValueError(
                "features.growth = 'logistic' needs features.cap, what a metric can reach at most: "
                "a number for all metrics, or a table [features.cap] with one for each"
            )
        if self.growth != "logistic" and self.cap is not None:
            raise ValueError(
                f"features.cap is read by logistic growth alone, and features.growth is {self.growth!r}; "
                "remove cap or set growth = 'logistic'"
            )
        return self

    def of_metric(self, name: str) -> "FeaturesSettings":
        """Return the settings of one metric, whose `cap` is a number or None.

        Raises:
            ValueError: `cap` is a table without this metric.
        """
        if not isinstance(self.cap, dict):
            return self
        if name not in self.cap:
            raise ValueError(
                f"features.cap has no number for the metric {name!r}, only for {sorted(self.cap)}; "
                f"logistic growth needs one for every metric: add {name} to [features.cap]"
            )
        return self.model_copy(update={"cap": self.cap[name]})

    @property
    def capacity(self) -> float:
        """The cap of one metric, for logistic growth; a table of caps must go through `of_metric` first."""
        if not isinstance(self.cap, float):
            raise ValueError(f"cap is {self.cap}, one number is needed; take the settings from of_metric(name)")
        return self.cap
