"""Read raw events of any supported format, tell the usable from the refused, and keep the refused as they came.

Takes `EventsSettings` and the window; gives one DataFrame with a column a metric, the entity, the time and `reason`:
null for an accepted event, `OUTSIDE` for one outside the window, else why it was refused.
"""

import difflib
import json
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction import storage
from feature_extraction.schema import ENTITY
from feature_extraction.settings import EventsSettings, MetricSettings, WindowSettings

OUTSIDE = "outside the window"
TIME, REASON, RAW = "_time", "_reason", "_raw"
CORRUPT = "_corrupt"
VALUE = "_value_"
NUMBERS = (T.NumericType, T.StringType, T.BooleanType)
JSON_SAMPLE_LINES = 1_000


class EventsError(ValueError):
    """The event log as a whole cannot be used: nothing there, a missing column, a wrong type."""


@dataclass(frozen=True)
class RawEvents:
    """Events as they lie: `frame` with the log's own columns, and `corrupt`, true where a line could not be parsed."""

    frame: DataFrame
    corrupt: Column
    raw: Column


def quoted(name: str) -> str:
    """Quote a column name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def read(spark: SparkSession, settings: EventsSettings) -> RawEvents:
    """Open the event log; raises `EventsError` for an empty location or a zero-byte Parquet file."""
    files = storage.list_files(settings.url)
    if not any(file.size for file in files):
        raise EventsError(f"{settings.url}: {len(files)} files, all empty; events.url must hold at least one event")
    if settings.format == "parquet":
        empty = [file.url for file in files if not file.size]
        if empty:
            raise EventsError(
                f"{empty[0]}: a Parquet file of 0 bytes, likely a write that died; remove it or repeat it"
            )
        frame = spark.read.parquet(storage.spark_url(settings.url))
        return RawEvents(frame, F.lit(False), _as_json(frame))
    return _read_csv(spark, settings, files) if settings.format == "csv" else _read_json(spark, settings)


def _as_json(frame: DataFrame) -> Column:
    return F.to_json(F.struct(*[F.col(quoted(name)) for name in frame.columns]), {"ignoreNullFields": "false"})


def _read_csv(spark: SparkSession, settings: EventsSettings, files: list[storage.File]) -> RawEvents:
    """Read CSV as text columns under the header's names; casting is validation's work."""
    first = next(file for file in files if file.size)
    url = storage.spark_url(first.url)
    names = spark.read.option("header", True).option("inferSchema", False).csv(url).columns
    schema = T.StructType([T.StructField(name, T.StringType()) for name in [*names, CORRUPT]])
    # enforceSchema=False compares every file's header with the first one's: columns are matched by name, not by luck.
    options: dict[str, str | bool] = {
        "header": True,
        "enforceSchema": False,
        "columnNameOfCorruptRecord": CORRUPT,
        "escape": '"',
    }
    frame = spark.read.options(**options).schema(schema).csv(storage.spark_url(settings.url))
    raw = F.coalesce(F.col(CORRUPT), _as_json(frame.drop(CORRUPT)))
    return RawEvents(frame, F.col(CORRUPT).isNotNull(), raw)


def _read_json(spark: SparkSession, settings: EventsSettings) -> RawEvents:
    lines = spark.read.text(storage.spark_url(settings.url)).where("length(trim(value)) > 0")
    names = _json_keys([row.value for row in lines.limit(JSON_SAMPLE_LINES).collect()])
    if not names:
        raise EventsError(
            f"{settings.url}: no line of the first {JSON_SAMPLE_LINES} is a JSON object; check events.format"
        )
    schema = T.StructType([T.StructField(name, T.StringType()) for name in [*names, CORRUPT]])
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT}
    parsed = lines.select(F.col("value").alias(RAW), F.from_json("value", schema, options).alias("_event"))
    frame = parsed.select(RAW, "_event.*")
    return RawEvents(frame, F.col(CORRUPT).isNotNull(), F.col(RAW))


def _json_keys(lines: list[str]) -> list[str]:
    names: dict[str, None] = {}
    for line in lines:
        try:
            parsed = json.loads(line)
        except json.JSONDecodeError:
            continue  # refused later, with its reason, like every other line that is not an object
        if isinstance(parsed, dict):
            names |= dict.fromkeys(parsed)
    return list(names)


def validate(raw: RawEvents, settings: EventsSettings, window: WindowSettings) -> DataFrame:
    """Return one row an event: `ENTITY`, `TIME`, a `_value_<metric>` column a metric, `REASON` and `RAW`.

    A metric's value is null where the event does not concern it. Raises `EventsError` for a missing column or one of a
    type that cannot hold what is asked of it.
    """
    check_columns(raw.frame, settings)
    time = _time(raw.frame, settings)
    refusals: list[tuple[Column, str]] = [
        (raw.corrupt, "not a readable line"),
        (_blank(settings.entity), "entity is missing"),
        (F.col(quoted(settings.time)).isNull(), "time is missing"),
        (time.isNull(), "time cannot be read"),
    ]
    values = {}
    for name, metric in settings.metrics.items():
        concerns = _concerns(name, metric, settings)
        values[name], wrong = _value(raw.frame, metric, settings, concerns)
        refusals += wrong
    refusals.append(((time < _instant(window, "start")) | (time >= _instant(window, "end")), OUTSIDE))
    reason = F.coalesce(*[F.when(condition, F.lit(text)) for condition, text in refusals])
    frame = raw.frame.select(
        F.col(quoted(settings.entity)).cast("string").alias(ENTITY),
        time.alias(TIME),
        *[value.alias(VALUE + name) for name, value in values.items()],
        reason.alias(REASON),
        raw.raw.alias(RAW),
        *[F.col(quoted(column)).cast("string").alias(f"_key_{i}") for i, column in enumerate(settings.key)],
    )
    return _refuse_duplicates(frame, settings) if settings.key else frame


def check_columns(frame: DataFrame, settings: EventsSettings) -> None:
    """Raise `EventsError` unless every column the settings name is there and of a usable type."""
    needed = {"entity": settings.entity, "time": settings.time} | {f"key[{i}]": c for i, c in enumerate(settings.key)}
    if settings.type:
        needed |= {"type": settings.type, "value": settings.value}
    needed |= {f"metrics.{name}.column": metric.column for name, metric in settings.metrics.items() if metric.column}
    found = [name for name in frame.columns if name not in (CORRUPT, RAW)]
    for field, column in needed.items():
        if column not in found:
            near = difflib.get_close_matches(column, found, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise EventsError(
                f"{settings.url}: events.{field} names the column {column!r}, which is not there{hint} "
                f"Found: {', '.join(found)}"
            )
    for name, metric in settings.metrics.items():
        source = settings.value if settings.type else metric.column
        if metric.aggregate in ("count", "nunique") or not source:
            continue
        kind = frame.schema[source].dataType
        if not isinstance(kind, NUMBERS):
            raise EventsError(
                f"{settings.url}: metric {name!r} takes the {metric.aggregate} of column {source!r}, which is "
                f"{kind.simpleString()}; expected a number, or text that holds one"
            )


def _blank(column: str) -> Column:
    text = F.col(quoted(column)).cast("string")
    return text.isNull() | (F.trim(text) == "")


def _time(frame: DataFrame, settings: EventsSettings) -> Column:
    """Parse the time column; text without an offset is read in the session's zone, which is `events.time_zone`."""
    name, kind = quoted(settings.time), frame.schema[settings.time].dataType
    if settings.time_format != "auto":
        divisor = 1_000 if settings.time_format == "epoch_milliseconds" else 1
        return F.expr(f"timestamp_micros(cast(try_cast({name} as double) * {1_000_000 // divisor} as bigint))")
    if isinstance(kind, T.TimestampType | T.TimestampNTZType | T.DateType | T.StringType):
        return F.expr(f"try_cast({name} as timestamp)")
    raise EventsError(
        f"{settings.url}: time column {settings.time!r} is {kind.simpleString()}; expected a timestamp, a date or ISO "
        "8601 text; for numbers set events.time_format to epoch_seconds or epoch_milliseconds"
    )


def _instant(window: WindowSettings, field: str) -> Column:
    """Write a bound of the window as SQL, so that the session's zone reads it and not the driver's."""
    return F.expr(f"timestamp'{getattr(window, field):%Y-%m-%d %H:%M:%S}'")


def _concerns(name: str, metric: MetricSettings, settings: EventsSettings) -> Column:
    conditions = [F.expr(f"({metric.where})")] if metric.where else []
    if settings.type:
        conditions.append(F.col(quoted(settings.type)).cast("string") == F.lit(metric.type or name))
    met = F.lit(True)
    for condition in conditions:
        met = met & condition
    return F.coalesce(met, F.lit(False))


def _value(
    frame: DataFrame, metric: MetricSettings, settings: EventsSettings, concerns: Column
) -> tuple[Column, list[tuple[Column, str]]]:
    """Return the metric's value in one event, and what would refuse the event on its account."""
    source = settings.value if settings.type else metric.column
    if metric.aggregate == "count":
        return F.when(concerns, F.lit(1.0)), []
    column = F.col(quoted(source))
    if metric.aggregate == "nunique":
        return F.when(concerns, column.cast("string")), []
    number = F.expr(f"try_cast({quoted(source)} as double)")
    wrong = [
        (concerns & column.isNotNull() & number.isNull(), f"{source}: not a number"),
        (concerns & F.isnan(number), f"{source}: NaN"),
        (concerns & (F.abs(number) == float("inf")), f"{source}: infinite"),
    ]
    if settings.type:
        # In long form the value is the event; in wide form an empty cell only says that this metric has none.
        wrong.append((concerns & column.isNull(), f"{source}: missing"))
    if metric.minimum is not None:
        wrong.append((concerns & (number < metric.minimum), f"{source}: below its minimum {metric.minimum:g}"))
    return F.when(concerns, number), wrong


def _refuse_duplicates(frame: DataFrame, settings: EventsSettings) -> DataFrame:
    """Keep one of the accepted events that share a key, the same one whatever the order of the files."""
    keys = [f"_key_{i}" for i in range(len(settings.key))]
    order = Window.partitionBy(*keys, F.col(REASON).isNull()).orderBy(TIME, RAW)
    duplicate = F.col(REASON).isNull() & (F.row_number().over(order) > 1)
    text = f"duplicate of an event with the same {', '.join(settings.key)}"
    return frame.withColumn(REASON, F.when(duplicate, F.lit(text)).otherwise(F.col(REASON))).drop(*keys)
