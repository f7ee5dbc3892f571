"""The extraction job: raw events to the feature table, with quarantine and a quality record that adds up."""

import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction import definitions, events, labels, prophet_library, publishing, storage
from feature_extraction.components import STATUSES, Calendar, Engine
from feature_extraction.features import feature_columns
from feature_extraction.prophet_map import engine
from feature_extraction.schema import ENTITY, FIT_STATUS, LABEL, UNLABELED, FeatureSchema
from feature_extraction.series import SeriesBatch, steps_of
from feature_extraction.settings import EventsSettings, FeaturesSettings, LabelsSettings, WindowSettings

logger = logging.getLogger(__name__)
ENGINES: dict[str, Engine] = {"map": engine.fit, "prophet": prophet_library.fit}
NUM_EVENTS = "num_events"
ENTITIES_PER_FILE = 32_000
FEWEST_FILES = 8


class ExtractionError(ValueError):
    """The events as a whole do not make a feature table, or a count does not add up."""


@dataclass(frozen=True)
class Extraction:
    """Everything the job is told: the run file's `[events]`, `[window]`, `[labels]` and `[features]`."""

    events: EventsSettings
    window: WindowSettings
    labels: LabelsSettings
    features: FeaturesSettings

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metric names in the run file's order."""
        return tuple(self.events.metrics)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns in table order."""
        return definitions.columns(self.metrics, self.features.last_residuals)

    def fingerprint(self) -> str:
        """Identity of the work: the settings, the input files and the code."""
        urls = [self.events.url, self.labels.url, self.labels.holdout_url]
        inputs = [publishing.input_identity(url) for url in urls if url]
        sections = (self.events, self.window, self.labels, self.features)
        return publishing.fingerprint([section.model_dump(mode="json") for section in sections], inputs)


def extract(spark: SparkSession, job: Extraction, run: publishing.Run, quarantine: publishing.Run) -> dict[str, Any]:
    """Write the feature table of `job` to `run` and its refused events to `quarantine`; return the quality record."""
    spark.conf.set("spark.sql.session.timeZone", job.events.time_zone)
    known = labels.read(job.labels)
    validated = events.validate(events.read(spark, job.events), job.events, job.window)
    counts = _count(validated, job)
    quarantine.start()
    _write_quarantine(validated, counts, quarantine.url)
    run.start()
    _write_features(validated, job, known, counts["counted_entities"], run.url)
    known = known.restricted(_known_entities(spark, known, run.url))
    schema = _schema(job, known)
    quality = counts | _quality(spark, job, schema, known, run.url)
    _check(quality, run.url)
    _write_frame(known.hidden, storage.join(run.url, "holdout.parquet"))
    if len(known.refused):
        _write_frame(known.refused, storage.join(quarantine.url, "labels.parquet"))
    storage.write_bytes(storage.join(run.url, "schema.json"), schema.to_json().encode())
    storage.write_bytes(storage.join(run.url, "quality.json"), json.dumps(quality, indent=1).encode())
    return quality


def _count(validated: DataFrame, job: Extraction) -> dict[str, Any]:
    """Count events by fate; too many refused, or none accepted, stops the job before anything costs time."""
    rows = validated.groupBy(events.REASON).agg(F.count(F.lit(1)).alias("n"), F.count_distinct(ENTITY).alias("e"))
    found = {row[events.REASON]: row for row in rows.collect()}
    accepted = found.pop(None, None)
    outside = found.pop(events.OUTSIDE, None)
    refused = {reason: row["n"] for reason, row in sorted(found.items())}
    read = sum(refused.values()) + (accepted["n"] if accepted else 0) + (outside["n"] if outside else 0)
    num_outside = outside["n"] if outside else 0
    if not accepted:
        raise ExtractionError(
            f"{job.events.url}: no usable event among {read:,}: {num_outside:,} outside the window "
            f"{job.window.start} to {job.window.end}, refused: {refused or 'none'}"
        )
    if sum(refused.values()) > job.events.max_refused * read:
        raise ExtractionError(
            f"{job.events.url}: {sum(refused.values()):,} of {read:,} events refused, more than events.max_refused = "
            f"{job.events.max_refused:g} allows: {refused}. Mend the log or the run file, or raise events.max_refused"
        )
    total = {
        "read": read,
        "accepted": accepted["n"],
        "outside_window": num_outside,
        "refused": sum(refused.values()),
    }
    logger.info("events: %s", ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in total.items()))
    return {"events": total, "refused": refused, "counted_entities": accepted["e"]}


def _write_quarantine(validated: DataFrame, counts: dict[str, Any], url: str) -> None:
    if not counts["refused"]:
        return
    refused = validated.where(F.col(events.REASON).isNotNull() & (F.col(events.REASON) != events.OUTSIDE))
    columns = [F.col(events.RAW).alias("event"), F.col(events.REASON).alias("reason")]
    refused.select(*columns).write.mode("overwrite").parquet(storage.spark_url(url))
    written = publishing.footer_rows(url)
    if written != counts["events"]["refused"]:
        raise ExtractionError(
            f"{url}: {written:,} refused events written, {counts['events']['refused']:,} counted; "
            "did the log change meanwhile?"
        )
    logger.warning("refused %s events, kept with their reason in %s: %s", f"{written:,}", url, counts["refused"])


def accepted_steps(validated: DataFrame, job: Extraction) -> DataFrame:
    """Return the accepted events summed up to steps, whole entities to a partition."""
    partitions = int(str(validated.sparkSession.conf.get("spark.sql.shuffle.partitions")))
    accepted = validated.where(F.col(events.REASON).isNull())
    return steps_of(accepted, job.events, job.window, partitions)


def _write_features(validated: DataFrame, job: Extraction, known: labels.Labels, entities: int, url: str) -> None:
    steps = accepted_steps(validated, job)
    rows = steps.mapInPandas(partition_features(job), spark_schema(job))
    codes = {name: code for code, name in enumerate(known.classes)}
    shown = known.shown.assign(**{LABEL: known.shown[LABEL].map(codes)})
    frame = validated.sparkSession.createDataFrame(
        list(zip(shown[ENTITY].tolist(), shown[LABEL].tolist(), strict=True)), f"{ENTITY} string, {LABEL} int"
    )
    label = F.coalesce(F.col(LABEL), F.lit(UNLABELED)).cast("byte").alias(LABEL)
    columns = [field.name for field in spark_schema(job) if field.name != ENTITY]
    table = rows.join(F.broadcast(frame), ENTITY, "left").select(ENTITY, label, *columns)
    # Sorted by entity in files named by its hash: the table is the same whatever ran where.
    files = max(FEWEST_FILES, -(-entities // ENTITIES_PER_FILE))
    table.repartition(files, ENTITY).sortWithinPartitions(ENTITY).write.parquet(storage.spark_url(url))


def spark_schema(job: Extraction) -> T.StructType:
    """Return the columns that `partition_features` gives, which are the table's but for the label."""
    fields = [T.StructField(ENTITY, T.StringType()), T.StructField(NUM_EVENTS, T.LongType())]
    fields += [T.StructField(definitions.column(metric, FIT_STATUS), T.StringType()) for metric in job.metrics]
    return T.StructType(fields + [T.StructField(name, T.FloatType()) for name in job.names])


def partition_features(job: Extraction) -> Callable[[Iterable[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Return the function that turns a partition's steps into feature rows; it knows no Spark."""

    def run(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for rows in whole_entities(batches):
            yield feature_rows(rows, job)

    return run


def whole_entities(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Cut batches sorted by entity anew, so that no entity is split between two."""
    held: list[pd.DataFrame] = []
    for batch in batches:
        if batch.empty:
            continue
        ids = batch[ENTITY].to_numpy()
        cut = int(np.searchsorted(ids == ids[-1], True))  # where the last entity of the batch begins
        if cut or (held and held[-1][ENTITY].iloc[-1] != ids[0]):
            yield from _joined([*held, batch.iloc[:cut]])
            held = []
        held.append(batch.iloc[cut:])
    yield from _joined(held)


def _joined(parts: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    filled = [part for part in parts if len(part)]
    if filled:
        yield pd.concat(filled, ignore_index=True)


def feature_rows(steps: pd.DataFrame, job: Extraction) -> pd.DataFrame:
    """Turn the steps of whole entities into their feature rows."""
    calendar = Calendar.of(job.window)
    batch = SeriesBatch.of(steps, calendar, job.events)
    columns: dict[str, Any] = {ENTITY: batch.entities, NUM_EVENTS: batch.num_events}
    features: dict[str, Any] = {}
    for metric, values in batch.values.items():
        components = ENGINES[job.features.engine](values, calendar, job.features)
        columns[definitions.column(metric, FIT_STATUS)] = components.status
        made = feature_columns(values, batch.first, components, job.features)
        features |= {definitions.column(metric, name): column for name, column in made.items()}
    return pd.DataFrame(columns | features)


def _known_entities(spark: SparkSession, known: labels.Labels, url: str) -> "pd.Series[str]":
    """Return the labelled entities that the table holds."""
    ids = pd.concat([known.shown[ENTITY], known.hidden[ENTITY]])
    frame = spark.createDataFrame([(entity,) for entity in ids], f"{ENTITY} string")
    table = spark.read.parquet(*map(storage.spark_url, publishing.part_files(url)))
    found = table.select(ENTITY).join(F.broadcast(frame), ENTITY, "leftsemi").collect()
    return pd.Series([row[ENTITY] for row in found], dtype=object)


def _schema(job: Extraction, known: labels.Labels) -> FeatureSchema:
    return FeatureSchema(
        names=job.names,
        classes=known.classes,
        rare=job.labels.rare if job.labels.rare in known.classes else "",
        window_start=job.window.start.isoformat(),
        window_end=job.window.end.isoformat(),
        step_seconds=round(job.window.step.total_seconds()),
        time_zone=job.events.time_zone,
    )


def _quality(
    spark: SparkSession, job: Extraction, schema: FeatureSchema, known: labels.Labels, url: str
) -> dict[str, Any]:
    """Describe the written table, from what was written."""
    table = spark.read.parquet(*map(storage.spark_url, publishing.part_files(url)))
    missing = [F.avg(F.col(name).isNull().cast("int")).alias(name) for name in job.names]
    status = {m: definitions.column(m, FIT_STATUS) for m in job.metrics}
    statuses = [
        F.count_if(F.col(column) == s).alias(f"{metric}:{s}") for metric, column in status.items() for s in STATUSES
    ]
    row = table.agg(F.count(F.lit(1)).alias("rows"), F.sum(NUM_EVENTS).alias("events"), *missing, *statuses).first()
    by_label = {r[LABEL]: r["count"] for r in table.groupBy(LABEL).count().collect()}
    assert row is not None  # an aggregate without groups has one row
    refused = {str(reason): int(n) for reason, n in known.refused["reason"].value_counts().items()}
    return {
        "entities": {
            "total": row["rows"],
            "labelled": {name: by_label.get(code, 0) for code, name in enumerate(schema.classes)},
            "unlabelled": by_label.get(UNLABELED, 0),
            "held_out": len(known.hidden),
        },
        "labels": {
            "read": known.num_read,
            "used": len(known.shown) + len(known.hidden),
            "repeated": known.num_repeated,
            "refused": refused,
        },
        "written_events": row["events"],
        "fit_status": {m: {s: row[f"{m}:{s}"] for s in STATUSES if row[f"{m}:{s}"]} for m in job.metrics},
        "missing": {name: round(float(row[name]), 4) for name in job.names},
    }


def _check(quality: dict[str, Any], url: str) -> None:
    """Raise unless rows and events in equal rows and events out."""
    written, accepted = quality.pop("written_events"), quality["events"]["accepted"]
    rows, footers, entities = (
        quality["entities"]["total"],
        publishing.footer_rows(url),
        quality.pop("counted_entities"),
    )
    used = quality["labels"]["used"] + quality["labels"]["repeated"] + sum(quality["labels"]["refused"].values())
    problems = [
        (written != accepted, f"{accepted:,} events accepted, {written:,} in the table"),
        (rows != footers, f"{rows:,} rows read back, {footers:,} by the Parquet footers"),
        (rows != entities, f"{entities:,} entities among the accepted events, {rows:,} rows in the table"),
        (
            used != quality["labels"]["read"],
            f"{quality['labels']['read']:,} labels read, {used:,} accounted for",
        ),
    ]
    wrong = [text for failed, text in problems if failed]
    if wrong:
        raise ExtractionError(
            f"{url} is not published, its counts do not add up: {'; '.join(wrong)}; run the job again"
        )


def _write_frame(frame: pd.DataFrame, url: str) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    storage.write_bytes(url, buffer.getvalue())
