"""Read raw events of any supported format, tell the usable from the refused, and keep the refused as they came.

Takes `EventsSettings` and the window; gives one DataFrame with a column a metric, the entity, the time and `reason`:
null for an accepted event, `OUTSIDE` for one outside the window, else why it was refused.
"""

from dataclasses import dataclass, replace
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction import event_folders, storage
from feature_extraction.clock_changes import check_bounds
from feature_extraction.event_columns import CORRUPT, NUMBERS, RAW, check_columns, check_condition
from feature_extraction.event_files import EventsError, by_columns, by_header, folder_keys, json_keys, layout
from feature_extraction.schema import ENTITY
from feature_extraction.settings import EventsSettings, MetricSettings, WindowSettings

OUTSIDE = "outside the window"
TIME, REASON = "_time", "_reason"
VALUE = "_value_"
JSON_SAMPLE_LINES = 1_000
# Above this the sums of a step could not be exact; nothing that is counted or measured comes near.
LARGEST = 1e30
# Numbers of a size that no calendar has are in another unit than the settings say.
YEAR_10000 = 253_402_300_800
# By itself Spark leaves out what is null, and cuts times to milliseconds.
AS_IT_CAME = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


@dataclass(frozen=True)
class RawEvents:
    """Events as they lie.

    Attributes:
        frame: the log's own columns.
        corrupt: true where a line could not be parsed.
        raw: the event as text.
        num_rows: events of the whole log, where the files say so themselves.
    """

    frame: DataFrame
    corrupt: Column
    raw: Column
    num_rows: int | None = None


def quoted(name: str) -> str:
    """Quote a column name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def files(spark: SparkSession, settings: EventsSettings) -> list[storage.File]:
    """List the files of the log that are read: those in folders that `events.where` asks for."""
    # Before anything is cast: folders may be named by times.
    spark.conf.set("spark.sql.session.timeZone", settings.time_zone)
    return event_folders.asked_for(spark, settings, storage.list_files(settings.url))


def read(spark: SparkSession, settings: EventsSettings) -> RawEvents:
    """Open the event log; raises `EventsError` for an empty location or a zero-byte Parquet file."""
    found = files(spark, settings)
    if not any(file.size for file in found):
        raise EventsError(f"{settings.url}: {len(found)} files, all empty; events.url must hold at least one event")
    found = [file for file in found if file.size] if settings.format == "csv" else found
    readers = {"parquet": _read_parquet, "csv": _read_csv, "json": _read_json}
    raw = readers[settings.format](spark, settings, found)
    return _restricted(raw, settings, found[0]) if settings.where else raw


def _places(settings: EventsSettings, urls: list[str]) -> list[str]:
    """Spell for Spark what to read: the log as a whole, or single files where some of it is left out."""
    is_whole = len(urls) == len(storage.list_files(settings.url))
    return [storage.spark_url(url) for url in ([settings.url] if is_whole else urls)]


def _restricted(raw: RawEvents, settings: EventsSettings, file: storage.File) -> RawEvents:
    """Leave out what does not meet `events.where`; a damaged line stays, unless its folder alone decides."""
    check_condition(raw.frame, "events.where", settings.where, settings.url)
    condition = F.expr(settings.where)
    # A frame of its own: Spark would look for a column that was not selected in the frame it was selected from.
    keys = T.StructType([raw.frame.schema[key] for key in folder_keys(settings.url, file)])
    if settings.format != "parquet" and not event_folders.is_decided_by(keys, settings.where, raw.frame.sparkSession):
        condition = F.coalesce(condition, raw.corrupt)
    return replace(raw, frame=raw.frame.where(condition), num_rows=None)


def inside(raw: RawEvents, settings: EventsSettings, window: WindowSettings) -> RawEvents:
    """Let Spark skip what lies outside the window where the files tell how many events that leaves out."""
    kind = raw.frame.schema[settings.time].dataType if settings.time in raw.frame.columns else None
    if raw.num_rows is None or settings.time_format != "auto" or not isinstance(kind, T.TimestampType):
        return raw
    time = F.col(quoted(settings.time))
    within = (time >= _instant(window, "start")) & (time < _instant(window, "end"))
    return replace(raw, frame=raw.frame.where(time.isNull() | within))


def _read_parquet(spark: SparkSession, settings: EventsSettings, files: list[storage.File]) -> RawEvents:
    empty = [file.url for file in files if not file.size]
    if empty:
        raise EventsError(f"{empty[0]}: a Parquet file of 0 bytes, likely a write that died; remove it or repeat it")
    # pandas writes nanoseconds, which Spark takes as plain numbers or not at all.
    spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")
    reader = spark.read.options(**layout(settings.url, files))
    groups = by_columns(settings.url, files)
    frames = []
    for columns, urls, _ in groups:
        untyped = {field.name for field in columns if pa.types.is_null(field.type)}
        kinds = [kind for kind in spark.read.parquet(storage.spark_url(urls[0])).schema if kind.name not in untyped]
        frame = reader.schema(T.StructType(kinds)).parquet(*_places(settings, urls))
        frames.append(_with_microseconds(frame, columns, settings.time_zone))
    frame = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
    return RawEvents(frame, F.lit(False), _as_json(frame), sum(rows for _, _, rows in groups))


def _with_microseconds(frame: DataFrame, columns: pa.Schema, time_zone: str) -> DataFrame:
    for field in columns:
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            time = F.expr(f"timestamp_micros({quoted(field.name)} div 1000)")
            local = time if field.type.tz else F.to_utc_timestamp(time, time_zone)
            frame = frame.withColumn(field.name, local)
    return frame


def _as_json(frame: DataFrame) -> Column:
    return F.to_json(F.struct(*[F.col(quoted(name)) for name in frame.columns]), AS_IT_CAME)


def _read_csv(spark: SparkSession, settings: EventsSettings, files: list[storage.File]) -> RawEvents:
    """Read CSV as text columns under each file's own header; casting is validation's work."""
    # enforceSchema=False holds every file against the header that was read here.
    options = layout(settings.url, files) | {"header": True, "enforceSchema": False, "escape": '"'}
    options["columnNameOfCorruptRecord"] = CORRUPT
    frames = []
    groups = by_header(files)
    for names, urls in groups.items():
        schema = T.StructType([T.StructField(name, T.StringType()) for name in [*names, CORRUPT]])
        reader = spark.read.options(**options).schema(schema)
        frames.append(reader.csv(_places(settings, urls)))
    frame = reduce(DataFrame.unionByName, frames)
    raw = F.coalesce(F.col(CORRUPT), _as_json(frame.drop(CORRUPT)))
    return RawEvents(frame, F.col(CORRUPT).isNotNull(), raw)


def _read_json(spark: SparkSession, settings: EventsSettings, files: list[storage.File]) -> RawEvents:
    text = spark.read.options(**layout(settings.url, files)).text(_places(settings, [file.url for file in files]))
    lines, folders = text.where("length(trim(value)) > 0"), text.columns[1:]
    names = json_keys([row.value for row in lines.select("value").limit(JSON_SAMPLE_LINES).collect()])
    names = [name for name in names if name not in folders]  # the folder decides, as in the other formats
    if not names:
        raise EventsError(f"{settings.url}: none of {JSON_SAMPLE_LINES} lines is a JSON object; check events.format")
    event = T.StructType([T.StructField(name, T.StringType()) for name in names])
    # Parsed as a list: of two objects on one line, Spark would keep the first and say nothing of the second.
    listed = F.from_json(F.concat(F.lit("["), "value", F.lit("]")), T.ArrayType(event))
    single = F.trim("value").startswith("{") & (F.size(listed) == 1)
    keys = [quoted(name) for name in folders]
    parsed = lines.select(F.col("value").alias(RAW), F.when(single, listed[0]).alias("_event"), *keys)
    frame = parsed.select(RAW, F.col("_event").isNull().alias(CORRUPT), "_event.*", *keys)
    return RawEvents(frame, F.col(CORRUPT), F.col(RAW))


def validate(raw: RawEvents, settings: EventsSettings, window: WindowSettings) -> DataFrame:
    """Return one row an event: `ENTITY`, `TIME`, a `_value_<metric>` column a metric, `REASON` and `RAW`.

    A metric's value is null where the event does not concern it. Raises `EventsError` for a missing column or one of a
    type that cannot hold what is asked of it, and for a window that the zone's clock does not begin or end once.
    """
    check_columns(raw.frame, settings)
    check_bounds(window, settings.time_zone)
    time = _time(raw.frame, settings)
    refusals: list[tuple[Column, str]] = [
        (raw.corrupt, "not a readable line"),
        (F.col(quoted(settings.time)).isNull(), "time is missing"),
        (time.isNull(), "time cannot be read"),
        # Whatever else is wrong with it: a long log is not to fill the quarantine of a short window.
        ((time < _instant(window, "start")) | (time >= _instant(window, "end")), OUTSIDE),
        (_blank(settings.entity), "entity is missing"),
    ]
    values = {}
    for name, metric in settings.metrics.items():
        concerns = _concerns(name, metric, settings)
        values[name], wrong = _value(raw.frame, metric, settings, concerns)
        refusals += wrong
    refusals += [(F.col(quoted(key)).isNull(), f"{key}: missing, and it is part of events.key") for key in settings.key]
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


def _blank(column: str) -> Column:
    text = F.col(quoted(column)).cast("string")
    return text.isNull() | (F.trim(text) == "")


def _time(frame: DataFrame, settings: EventsSettings) -> Column:
    """Parse the time column; text without an offset is read in the session's zone, which is `events.time_zone`."""
    name, kind = quoted(settings.time), frame.schema[settings.time].dataType
    if settings.time_format != "auto" and isinstance(kind, NUMBERS):
        divisor = 1_000 if settings.time_format == "epoch_milliseconds" else 1
        seconds = f"(try_cast({name} as double) / {divisor})"
        micros = f"cast(round({seconds} * 1000000) as bigint)"
        return F.expr(f"case when abs({seconds}) < {YEAR_10000} then timestamp_micros({micros}) end")
    if settings.time_format == "auto" and isinstance(kind, T.StringType):
        # Spark would read 12:30 as half past twelve of the day on which the job runs.
        return F.expr(f"case when trim({name}) rlike '^[0-9]{{4}}(-|$)' then try_cast({name} as timestamp) end")
    if settings.time_format == "auto" and isinstance(kind, T.TimestampType | T.TimestampNTZType | T.DateType):
        return F.expr(f"try_cast({name} as timestamp)")
    expected = "a number" if settings.time_format != "auto" else "a timestamp, a date or ISO 8601 text"
    raise EventsError(
        f"{settings.url}: time column {settings.time!r} is {kind.simpleString()}; with events.time_format = "
        f"{settings.time_format} it must be {expected}. Numbers are read by epoch_seconds or epoch_milliseconds"
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
        (concerns & (F.abs(number) > LARGEST), f"{source}: beyond {LARGEST:g}"),
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
