"""The extraction job: raw events to the feature table, with quarantine and a quality record that adds up."""

import io
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction import definitions, events, labels, publishing, storage, table_files, tally
from feature_extraction.components import Calendar
from feature_extraction.event_columns import RAW
from feature_extraction.feature_rows import NUM_EVENTS, Extraction, partition_features
from feature_extraction.schema import CONFIDENCE, ENTITY, FIT_STATUS, LABEL, FeatureSchema
from feature_extraction.series import KEY, SeriesBatch, events_of, series_batches
from feature_extraction.tally import ExtractionError

logger = logging.getLogger(__name__)
# A partition becomes one file of the table, and is what one task works on: the size of its events, packed.
BYTES_PER_PARTITION = 16 << 20
FEWEST_PARTITIONS = 8


def extract(spark: SparkSession, job: Extraction, run: publishing.Run, quarantine: publishing.Run) -> dict[str, Any]:
    """Write the feature table of `job` to `run` and its refused events to `quarantine`; return the quality record."""
    spark.conf.set("spark.sql.session.timeZone", job.events.time_zone)
    known = labels.read(job.labels)
    log = events.inside(events.read(spark, job.events), job.events, job.window)
    validated = events.validate(log, job.events, job.window)
    run.start()
    seen = Observation("events")
    files = _write_features(validated.observe(seen, *tally.fates()), job, known, run.url)
    table = _read_back(spark, job, files)
    written = tally.table_counts(table, job, len(known.classes))
    total = tally.counts(_observed(seen, validated, written), log.num_rows, job.events)
    tally.check_usable(validated, total, job)
    quarantine.start(over=True)  # the features are ours to make, so what lies there is left of some that were deleted
    refused = _write_quarantine(validated, total["refused"], quarantine.url)
    known = known.restricted(_known_entities(table, known))
    # Of all that lies there, as readers will find it, and not only of what the tasks say they wrote.
    schema, footers = _schema(job, known), publishing.footers(publishing.part_files(run.url))
    described = tally.quality(written, job, schema, known, footers)
    quality = {"events": total, "refused": refused} | described
    tally.check(quality, written, footers, run.url)
    _write_frame(known.hidden, storage.join(run.url, "holdout.parquet"))
    if len(known.refused):
        _write_frame(known.refused, storage.join(quarantine.url, "labels.parquet"))
    storage.write_bytes(storage.join(run.url, "schema.json"), schema.to_json().encode())
    storage.write_bytes(storage.join(run.url, "quality.json"), json.dumps(quality, indent=1).encode())
    return quality


def _observed(seen: Observation, validated: DataFrame, written: Mapping[str, int]) -> dict[str, int]:
    """Return what was counted on the way; counted anew where the table disagrees: a task done twice counts twice."""
    if written["events"]:  # Spark plans an empty log away, and who asks what was seen of it waits forever
        observed = seen.get
        if observed["accepted"] == written["events"]:
            return observed
        logger.warning("events: %s counted, %s in the table; counting again", observed["accepted"], written["events"])
    row = validated.agg(*tally.fates()).first()
    assert row is not None  # an aggregate without groups has one row
    return row.asDict()


def _write_quarantine(validated: DataFrame, num_refused: int, url: str) -> dict[str, int]:
    """Keep the refused events as they came, and return their number by reason, as written."""
    if not num_refused:
        return {}
    columns = [F.col(RAW).alias("event"), F.col(events.REASON).alias("reason")]
    tally.only_refused(validated).select(*columns).write.mode("overwrite").parquet(storage.spark_url(url))
    written = publishing.footer_rows(url)
    if written != num_refused:
        raise ExtractionError(
            f"{url}: {written:,} refused events written, {num_refused:,} counted; did the log change meanwhile?"
        )
    found = validated.sparkSession.read.parquet(*map(storage.spark_url, publishing.part_files(url)))
    reasons = tally.by_reason(found, "reason")
    logger.warning("refused %s events, kept with their reason in %s: %s", f"{written:,}", url, reasons)
    return reasons


def events_by_entity(validated: DataFrame, job: Extraction) -> DataFrame:
    """Return the accepted events, those of an entity in one partition and one after another."""
    size = sum(file.size for file in storage.list_files(job.events.url))
    partitions = max(FEWEST_PARTITIONS, -(-size // BYTES_PER_PARTITION))
    accepted = validated.where(F.col(events.REASON).isNull())
    return events_of(accepted, job.events, job.window, partitions)


def series_of(validated: DataFrame, job: Extraction) -> SeriesBatch:
    """Return the series of all accepted events at once, on the driver: for a few entities."""
    rows = events_by_entity(validated, job).toPandas().sort_values(KEY, kind="stable", ignore_index=True)
    events_at_once = pa.Table.from_pandas(rows, preserve_index=False).combine_chunks().to_batches()
    entities, calendar = rows[ENTITY].nunique(), Calendar.of(job.window)
    found = list(series_batches(events_at_once, calendar, job.events, entities))
    return found[0] if found else SeriesBatch.empty(calendar, job.metrics)


def _write_features(validated: DataFrame, job: Extraction, known: labels.Labels, url: str) -> list[str]:
    """Write the feature table to the folder `url`; return its files."""
    codes = {name: code for code, name in enumerate(known.classes)}
    rows = zip(known.shown[ENTITY], known.shown[LABEL].map(codes), known.shown[CONFIDENCE], strict=True)
    shown = {entity: (code, confidence) for entity, code, confidence in rows}
    make = partition_features(job, validated.sparkSession.sparkContext.broadcast(shown))
    folder = storage.spark_url(url)  # a bare path would be another one for a worker with another working directory

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None  # Spark's worker has one
        names = list(table_files.write(make(batches), folder, context.partitionId()))
        yield pa.RecordBatch.from_pydict({"file": pa.array(names, pa.string())})

    written = events_by_entity(validated, job).mapInArrow(write, "file string").collect()
    return sorted(storage.join(url, row["file"]) for row in written)


def _read_back(spark: SparkSession, job: Extraction, files: list[str]) -> DataFrame:
    if not files:
        return spark.createDataFrame([], spark_schema(job))
    return spark.read.schema(spark_schema(job)).parquet(*map(storage.spark_url, files))


def spark_schema(job: Extraction) -> T.StructType:
    """Return the table's columns, which are what `partition_features` gives."""
    fields = [T.StructField(ENTITY, T.StringType()), T.StructField(LABEL, T.ByteType())]
    if job.labels.confidence:
        fields.append(T.StructField(CONFIDENCE, T.FloatType()))
    fields.append(T.StructField(NUM_EVENTS, T.LongType()))
    fields += [T.StructField(definitions.column(metric, FIT_STATUS), T.StringType()) for metric in job.metrics]
    return T.StructType(fields + [T.StructField(name, T.FloatType()) for name in job.names])


def _known_entities(table: DataFrame, known: labels.Labels) -> "pd.Series[str]":
    """Return the labelled entities that the table holds."""
    ids = pd.concat([known.shown[ENTITY], known.hidden[ENTITY]])
    if ids.empty:
        return pd.Series(dtype=object)
    frame = table.sparkSession.createDataFrame([(entity,) for entity in ids], f"{ENTITY} string")
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


def _write_frame(frame: pd.DataFrame, url: str) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    storage.write_bytes(url, buffer.getvalue())
