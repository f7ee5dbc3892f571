"""The books of an extraction: events by their fate, entities, labels, and whether rows in are rows out."""

import logging
from collections.abc import Mapping
from typing import Any

from pyarrow.parquet import FileMetaData
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_extraction import definitions, events, publishing
from feature_extraction.components import STATUSES
from feature_extraction.feature_rows import NUM_EVENTS, Extraction
from feature_extraction.labels import Labels
from feature_extraction.schema import ENTITY, FIT_STATUS, LABEL, UNLABELED, FeatureSchema
from feature_extraction.settings import EventsSettings

logger = logging.getLogger(__name__)


class ExtractionError(ValueError):
    """The events as a whole do not make a feature table, or a count does not add up."""


def fates() -> list[Column]:
    """What is counted of the validated events as they pass by: a pass of its own would read the log once more."""
    reason = F.col(events.REASON)
    return [
        F.count(F.lit(1)).alias("seen"),
        F.count(F.when(reason.isNull(), 1)).alias("accepted"),
        F.count(F.when(reason == events.OUTSIDE, 1)).alias("outside"),
    ]


def counts(observed: Mapping[str, int], num_rows: int | None, settings: EventsSettings) -> dict[str, int]:
    """Return the events by fate.

    Args:
        observed: what `fates` counted.
        num_rows: events of the whole log, where known; those that Spark did not read lie outside the window.
        settings: where the log lies.

    Raises:
        ExtractionError: more were seen than the files hold.
    """
    read = observed["seen"] if num_rows is None else num_rows
    outside = observed["outside"] + read - observed["seen"]
    refused = observed["seen"] - observed["accepted"] - observed["outside"]
    total = {"read": read, "accepted": observed["accepted"], "outside_window": outside, "refused": refused}
    logger.info("events: %s", ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in total.items()))
    if outside < 0:
        raise ExtractionError(
            f"{settings.url}: {observed['seen']:,} events seen, {read:,} by the Parquet footers; did the log change "
            "meanwhile? Run the job again"
        )
    return total


def only_refused(validated: DataFrame) -> DataFrame:
    """Return the refused events; those outside the window are counted only."""
    return validated.where(F.col(events.REASON).isNotNull() & (F.col(events.REASON) != events.OUTSIDE))


def by_reason(refused: DataFrame, reason: str) -> dict[str, int]:
    """Count refused events by the column `reason`."""
    return {row[reason]: row["count"] for row in sorted(refused.groupBy(reason).count().collect())}


def check_usable(validated: DataFrame, total: Mapping[str, int], job: Extraction) -> None:
    """Raise `ExtractionError` where no event was accepted, or more were refused than allowed."""
    settings, refused = job.events, total["refused"]
    if total["accepted"] and refused <= settings.max_refused * total["read"]:
        return
    reasons = by_reason(only_refused(validated), events.REASON) if refused else {}
    if not total["accepted"]:
        raise ExtractionError(
            f"{settings.url}: no usable event among {total['read']:,}: {total['outside_window']:,} outside the window "
            f"{job.window.start} to {job.window.end}, refused: {reasons or 'none'}"
        )
    raise ExtractionError(
        f"{settings.url}: {refused:,} of {total['read']:,} events refused, more than events.max_refused = "
        f"{settings.max_refused:g} allows: {reasons}. Mend the log or the run file, or raise events.max_refused"
    )


def table_counts(table: DataFrame, job: Extraction, num_classes: int) -> dict[str, int]:
    """Count what the written table holds: rows, entities, events, rows by label, and each metric's fits by status."""
    by_label = [
        F.count(F.when(F.col(LABEL) == code, 1)).alias(f"{LABEL}:{code}") for code in (UNLABELED, *range(num_classes))
    ]
    statuses = [
        F.count(F.when(F.col(definitions.column(metric, FIT_STATUS)) == status, 1)).alias(f"{metric}:{status}")
        for metric in job.metrics
        for status in STATUSES
    ]
    total = [
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct(ENTITY).alias("entities"),
        F.coalesce(F.sum(NUM_EVENTS), F.lit(0)).alias("events"),
    ]
    row = table.agg(*total, *by_label, *statuses).first()
    assert row is not None  # an aggregate without groups has one row
    return row.asDict()


def quality(
    written: Mapping[str, int], job: Extraction, schema: FeatureSchema, known: Labels, footers: list[FileMetaData]
) -> dict[str, Any]:
    """Describe the written table, from what was written."""
    missing = publishing.null_counts(footers, job.names)
    refused = {str(reason): int(n) for reason, n in known.refused["reason"].value_counts().items()}
    return {
        "entities": {
            "total": written["rows"],
            "labelled": {name: written[f"{LABEL}:{code}"] for code, name in enumerate(schema.classes)},
            "unlabelled": written[f"{LABEL}:{UNLABELED}"],
            "held_out": len(known.hidden),
        },
        "labels": {
            "read": known.num_read,
            "used": len(known.shown) + len(known.hidden),
            "repeated": known.num_repeated,
            "refused": refused,
        },
        "fit_status": {m: {s: written[f"{m}:{s}"] for s in STATUSES if written[f"{m}:{s}"]} for m in job.metrics},
        "missing": {name: round(missing[name] / written["rows"], 4) for name in job.names},
    }


def check(found: Mapping[str, Any], written: Mapping[str, int], footers: list[FileMetaData], url: str) -> None:
    """Raise `ExtractionError` unless rows, events and labels in equal rows, events and labels out."""
    accepted, read = found["events"]["accepted"], found["labels"]["read"]
    used = found["labels"]["used"] + found["labels"]["repeated"] + sum(found["labels"]["refused"].values())
    by_footers = sum(footer.num_rows for footer in footers)
    problems = [
        (written["events"] != accepted, f"{accepted:,} events accepted, {written['events']:,} in the table"),
        (written["rows"] != by_footers, f"{written['rows']:,} rows read back, {by_footers:,} by the Parquet footers"),
        (
            written["rows"] != written["entities"],
            f"{written['entities']:,} entities in {written['rows']:,} rows of the table",
        ),
        (used != read, f"{read:,} labels read, {used:,} accounted for"),
    ]
    wrong = [text for failed, text in problems if failed]
    if wrong:
        raise ExtractionError(
            f"{url} is not published, its counts do not add up: {'; '.join(wrong)}; run the job again"
        )
