"""Score every entity on Spark: probabilities, rank, alerts inside the review budget, and the alerts' reasons.

Takes a published feature table and an artifact; gives the scores table. The artifact is named by URL and loaded once
a worker. Workers read and write Parquet by themselves, column by column (`scored_rows`, `score_files`): through Spark's
rows the features of an entity would take longer on their way than to be scored. Spark keeps what a model says of each
entity, a few numbers, and sorts it.

The table lies sorted by rank: that takes one shuffle of those few numbers, which the rank needs anyway, and readers of
the list find it in the first file.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_extraction import publishing
from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema, SchemaMismatch
from inference import alert_choice, ranking, score_files, scored_rows, table
from inference.ranking import Histogram
from inference.reasons import reasons_of
from inference.score_files import BIN, Publication
from inference.scored_rows import BUCKET, UNCERTAINTY, Part, chance
from inference.settings import ScoreSettings
from training import artifact as artifacts

logger = logging.getLogger(__name__)
Carried = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class ScoringError(ValueError):
    """The scores cannot be made, or do not have a row for every entity."""


@dataclass(frozen=True)
class Scored:
    """What scoring did.

    Attributes:
        rows: entities in the scores table.
        calibration: how probabilities were made, see `alert_choice.Reading.facts`.
        listed: where the list of alerts ended and what to expect of it, see `alert_choice.facts`.
    """

    rows: int
    calibration: dict[str, Any]
    listed: dict[str, Any]


def score(spark: SparkSession, features_url: str, artifact_url: str, settings: ScoreSettings, url: str) -> Scored:
    """Write the scores of every entity of a feature table to `url`.

    Raises:
        SchemaMismatch: the table does not hold the features that the artifact was trained on.
        NothingHeldOut: there is a threshold, and the model has no held-out rows.
        ScoringError: two classes would share a column, there is no row, or rows were lost on the way.
    """
    model = artifacts.load(artifact_url)
    manifest, _ = artifacts.load_files(artifact_url)
    _check_features(model.schema, table.schema(features_url), features_url)
    _check_classes(model.classes)
    parts = scored_rows.parts(features_url, model.schema)
    if not parts:
        raise ScoringError(f"{features_url} holds no entity to score; re-run jobs/extract_features.py")
    scored = _scored(spark, parts, artifact_url, model.classes).persist()
    try:
        histogram = _histogram(scored)
        reading = alert_choice.read(manifest.held_out, histogram, settings)
        line = alert_choice.line(reading, settings)
        code = model.classes.index(model.rare)
        alerts = choose_alerts(scored.withColumnRenamed(chance(code), "score"), settings, line)
        publication = Publication(
            classes=model.classes,
            rare=model.rare,
            before=ranking.bins(histogram).before,
            reasons=reasons_of(features_url, model, list(alerts), settings.reasons),
            calibration=reading.calibration,
        )
        _write(scored, histogram, publication, url)
    finally:
        scored.unpersist()
    _check_rows(features_url, histogram.total, url)
    found = alert_choice.facts(reading, settings, line, list(alerts.values()))
    return Scored(histogram.total, reading.facts(), found)


def _check_features(expected: FeatureSchema, found: FeatureSchema, url: str) -> None:
    expected.check(found.names, url)
    if found.step_seconds != expected.step_seconds:
        raise SchemaMismatch(
            f"{url} holds series in steps of {found.step_seconds:,} seconds, the model was trained on steps of "
            f"{expected.step_seconds:,}; extract the features with the model's window.step_days, or retrain"
        )


def _check_classes(classes: tuple[str, ...]) -> None:
    # Spark, and most of what reads its tables, does not tell `p_A` from `p_a`.
    folded = [name.lower() for name in classes]
    twins = [name for name in classes if folded.count(name.lower()) > 1]
    if twins:
        raise ScoringError(
            f"the classes {twins} would share a column of the scores table, where case does not count; "
            "rename one of them in the labels and train again"
        )


def _check_rows(features_url: str, scored: int, url: str) -> None:
    written, expected = publishing.footer_rows(url), publishing.footer_rows(features_url)
    if not written == scored == expected:
        raise ScoringError(
            f"{url} is not published: {expected:,} entities in {features_url}, {scored:,} scored, {written:,} written; "
            "run the job again"
        )


def _scored(spark: SparkSession, parts: Sequence[Part], artifact_url: str, classes: tuple[str, ...]) -> DataFrame:
    """Return what the model says of each entity, a task for each part of the table."""
    numbers = spark.range(0, len(parts), 1, len(parts))
    return numbers.mapInArrow(partition_scores(parts, artifact_url), _ddl(scored_rows.columns(classes)))


def partition_scores(parts: Sequence[Part], artifact_url: str) -> Carried:
    """Return the function that scores the parts whose numbers a task is given."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield from scored_rows.scored(parts[number], scored_rows.loaded(artifact_url))

    return run


def _ddl(columns: Sequence[tuple[str, pa.DataType]]) -> str:
    kinds = {pa.string(): "string", pa.int8(): "tinyint", pa.int32(): "int", pa.float32(): "float"}
    return ", ".join(f"{name} {kinds[kind]}" for name, kind in columns)


def _histogram(scored: DataFrame) -> Histogram:
    """Count rows by bucket: the one pass over the table, whose result stays with Spark."""
    unlabeled = F.sum((F.col(LABEL) == UNLABELED).cast("long"))
    counted = scored.groupBy(BUCKET).agg(F.count(LABEL), unlabeled).orderBy(F.desc(BUCKET)).collect()
    found = np.array([tuple(row) for row in counted], dtype=np.int64).reshape(-1, 3)
    return Histogram(found[:, 0].astype(np.int32), found[:, 1], found[:, 2])


def choose_alerts(scored: DataFrame, settings: ScoreSettings, line: float) -> dict[str, float]:
    """Return the entities on or above the line that fill the budget, most likely rare first, with their scores.

    Ties go by entity id.
    """
    candidates = scored if settings.review == "all" else scored.where(F.col(LABEL) == UNLABELED)
    top = candidates.where(F.col("score") >= F.lit(line)).orderBy(F.desc("score"), ENTITY).limit(settings.alerts)
    return {row[ENTITY]: row["score"] for row in top.select(ENTITY, "score").collect()}


def _write(scored: DataFrame, histogram: Histogram, publication: Publication, url: str) -> None:
    """Sort the rows by rank, 1 for the highest score and ties by entity id, and write them.

    A window without partitions would pull every row into one task: scores are cut into bins first, sorted inside
    their bin, and ranked after the rows of the bins before.
    """
    highest = ranking.bins(histogram).highest
    chances = [chance(code) for code in range(len(publication.classes))]
    binned = scored.select(ENTITY, UNCERTAINTY, *chances, bin_of(highest).alias(BIN))
    best_first = F.desc(chance(publication.classes.index(publication.rare)))
    ranked = binned.repartition(len(highest), BIN).sortWithinPartitions(best_first, ENTITY)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in score_files.write(batches, publication, url):
            yield pa.RecordBatch.from_pydict({BIN: pa.array([number], pa.int32())})

    found = sorted(row[BIN] for row in ranked.mapInArrow(run, f"{BIN} int").collect())
    if found != list(range(len(highest))):
        raise ScoringError(
            f"{url} is not published: {len(highest)} stretches of the ranking were to be written once each, and "
            f"Spark says it wrote {found}; run the job again"
        )


def bin_of(highest: Sequence[int], first: int = 0) -> Column:
    """Return the number of the bin that a bucket belongs to, by halving: as many steps as digits, not as bins.

    Args:
        highest: highest bucket of each bin, falling.
        first: number of the first of them.
    """
    if len(highest) == 1:
        return F.lit(first)
    middle = len(highest) // 2
    lower, upper = bin_of(highest[middle:], first + middle), bin_of(highest[:middle], first)
    return F.when(F.col(BUCKET) <= highest[middle], lower).otherwise(upper)
