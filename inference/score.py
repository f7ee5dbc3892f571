"""Score every entity on Spark: probabilities, rank, alerts inside the review budget, and the alerts' reasons.

Takes a published feature table and an artifact; gives the scores table. The artifact is named by URL and loaded once
a worker; what runs on a partition knows numpy and pandas alone.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction import publishing, storage
from feature_extraction.events import quoted
from feature_extraction.schema import ENTITY, FEATURE_SEPARATOR, LABEL, UNLABELED, FeatureSchema, SchemaMismatch
from inference import table
from inference.settings import ScoreSettings
from training import artifact as artifacts
from training.trainer import Artifact, Floats, StatesUncertainty

ROWS_PER_BIN = 100_000
ROWS_PER_BLOCK = 1024
ROWS_PER_FILE = 500_000
REASON = T.StructType(
    [
        T.StructField("feature", T.StringType()),
        T.StructField("value", T.FloatType()),
        T.StructField("contribution", T.FloatType()),
    ]
)


class ScoringError(ValueError):
    """The scores cannot be made, or do not have a row for every entity."""


@cache
def _loaded(url: str) -> Artifact:
    """Load an artifact once a worker process."""
    return artifacts.load(url)


def probability(name: str) -> str:
    """Name the column of a class's probability."""
    return f"p_{name}"


def score(spark: SparkSession, features_url: str, artifact_url: str, settings: ScoreSettings, url: str) -> int:
    """Write the scores of every entity of a feature table to `url`; return their number.

    Raises:
        SchemaMismatch: the table does not hold the features that the artifact was trained on.
        ScoringError: two classes would share a column, or rows were lost on the way.
    """
    model = artifacts.load(artifact_url)
    _check_features(model.schema, table.schema(features_url), features_url)
    _check_classes(model.classes)
    parts = spark.read.parquet(*map(storage.spark_url, publishing.part_files(features_url)))
    names = list(model.schema.names)
    scored = parts.select(ENTITY, LABEL, *names).mapInPandas(
        partition_scores(artifact_url), scored_schema(model.classes)
    )
    scored = scored.persist()
    try:
        total = scored.count()
        alerts = choose_alerts(scored, settings)
        reasons = _reasons(spark, features_url, model, alerts, settings.reasons)
        _write(ranked(scored, total), reasons, max(1, total // ROWS_PER_FILE), model.classes, url)
    finally:
        scored.unpersist()
    written, expected = publishing.footer_rows(url), publishing.footer_rows(features_url)
    if not written == total == expected:
        raise ScoringError(
            f"{url} is not published: {expected:,} entities in {features_url}, {total:,} scored, {written:,} written; "
            "run the job again"
        )
    return written


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


def scored_schema(classes: tuple[str, ...]) -> T.StructType:
    """Return the columns that `partition_scores` gives."""
    fields = [T.StructField(ENTITY, T.StringType()), T.StructField(LABEL, T.ByteType())]
    fields += [T.StructField("score", T.FloatType()), T.StructField("verdict", T.StringType())]
    fields += [T.StructField("uncertainty", T.FloatType())]
    return T.StructType(fields + [T.StructField(probability(name), T.FloatType()) for name in classes])


def partition_scores(artifact_url: str) -> Callable[[Iterable[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Return the function that scores a partition's rows."""

    def run(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        model = _loaded(artifact_url)
        for batch in batches:
            yield scores_of(batch, model)

    return run


def scores_of(rows: pd.DataFrame, model: Artifact) -> pd.DataFrame:
    """Score feature rows; the verdict is the likeliest class, `unknown` among them where the model has it.

    `uncertainty` is the spread of the members' scores, and missing where the model states none.
    """
    features = rows[list(model.schema.names)].to_numpy(dtype=np.float32)
    chances, spread = _predicted(model, features)
    columns: dict[str, Any] = {ENTITY: rows[ENTITY].to_numpy(), LABEL: rows[LABEL].to_numpy()}
    columns["score"] = chances[:, model.classes.index(model.rare)]
    columns["verdict"] = np.array(model.classes, dtype=object)[chances.argmax(axis=1)]
    columns["uncertainty"] = spread
    return pd.DataFrame(columns | {probability(name): chances[:, i] for i, name in enumerate(model.classes)})


def _predicted(model: Artifact, features: Floats) -> tuple[Floats, Floats]:
    """Return probabilities (rows, classes) and their spread (rows,), NaN where the model states none.

    Blocks are of one size, for BLAS may round a row otherwise in a batch of another size.
    """
    chances = [np.empty((0, len(model.classes)), dtype=np.float32)]
    spreads = [np.empty(0, dtype=np.float32)]
    for first in range(0, len(features), ROWS_PER_BLOCK):
        block = features[first : first + ROWS_PER_BLOCK]
        full = np.pad(block, ((0, ROWS_PER_BLOCK - len(block)), (0, 0)), mode="edge")
        found, spread = _predicted_once(model, full)
        chances.append(found[: len(block)])
        spreads.append(spread[: len(block)])
    return np.concatenate(chances), np.concatenate(spreads)


def _predicted_once(model: Artifact, features: Floats) -> tuple[Floats, Floats]:
    if isinstance(model, StatesUncertainty):
        return model.predict_with_uncertainty(features)
    return model.predict(features), np.full(len(features), np.nan, dtype=np.float32)


def choose_alerts(scored: DataFrame, settings: ScoreSettings) -> list[str]:
    """Return the entities that fill the budget, most likely rare first; ties go by entity id."""
    candidates = scored if settings.review == "all" else scored.where(F.col(LABEL) == UNLABELED)
    top = candidates.orderBy(F.desc("score"), ENTITY).limit(settings.alerts)
    return [row[ENTITY] for row in top.select(ENTITY).collect()]


def ranked(scored: DataFrame, total: int) -> DataFrame:
    """Add `rank`, 1 for the highest score, ties by entity id.

    A window without partitions would pull every row into one task: scores are cut into bins first, ranked inside
    their bin, and moved up by the number of rows in the bins before.
    """
    bins = max(1, total // ROWS_PER_BIN)
    cuts = scored.approxQuantile("score", [i / bins for i in range(1, bins)], 0.1 / bins) if bins > 1 else []
    above = [F.when(F.col("score") < cut, 1).otherwise(0) for cut in sorted(set(cuts))]
    binned = scored.withColumn("_bin", sum(above, F.lit(0)))
    counts = {row["_bin"]: row["count"] for row in binned.groupBy("_bin").count().collect()}
    before, offsets = 0, []
    for number in sorted(counts):
        offsets += [F.lit(number), F.lit(before)]
        before += counts[number]
    place = F.row_number().over(Window.partitionBy("_bin").orderBy(F.desc("score"), ENTITY))
    return binned.withColumn("rank", (place + F.create_map(*offsets)[F.col("_bin")]).cast("long")).drop("_bin")


def _reasons(spark: SparkSession, features_url: str, model: Artifact, alerts: list[str], count: int) -> DataFrame:
    rows = [(entity, reasons) for entity, reasons in reasons_of(features_url, model, alerts, count).items()]
    schema = T.StructType([T.StructField(ENTITY, T.StringType()), T.StructField("reasons", T.ArrayType(REASON))])
    return spark.createDataFrame(rows, schema)


def reasons_of(
    features_url: str, model: Artifact, entities: list[str], count: int
) -> dict[str, list[tuple[str, float | None, float]]]:
    """Return each entity's `count` features that speak most for the rare class: (feature, value, contribution)."""
    if not entities:
        return {}
    names = model.schema.names
    values = table.features(features_url, names, entities)
    contributions = model.contributions(values)
    return {entity: _largest(names, values[row], contributions[row], count) for row, entity in enumerate(entities)}


def _largest(
    names: tuple[str, ...], values: Floats, contributions: Floats, count: int
) -> list[tuple[str, float | None, float]]:
    """Return one entity's largest reasons; what is said alike of several metrics is one fact, told once."""
    told: set[tuple[str, float | None]] = set()
    reasons: list[tuple[str, float | None, float]] = []
    for i in np.argsort(-contributions, kind="stable"):
        fact = (names[i].split(FEATURE_SEPARATOR)[-1], None if np.isnan(values[i]) else float(values[i]))
        if contributions[i] <= 0 or len(reasons) == count:
            break
        if fact not in told:
            told.add(fact)
            reasons.append((names[i], fact[1], float(contributions[i])))
    return reasons


def _write(ranks: DataFrame, reasons: DataFrame, files: int, classes: tuple[str, ...], url: str) -> None:
    columns = [ENTITY, "score", "rank", "alert", "verdict", "uncertainty", *map(probability, classes), "reasons"]
    empty = F.array().cast(T.ArrayType(REASON))
    full = (
        ranks.join(F.broadcast(reasons), ENTITY, "left")
        .withColumn("alert", F.col("reasons").isNotNull())
        .withColumn("reasons", F.coalesce("reasons", empty))
    )
    # Quoted, for a class may be named `1.0`.
    full = full.select(*[F.col(quoted(column)) for column in columns])
    full.repartition(files, "rank").sortWithinPartitions("rank").write.parquet(storage.spark_url(url))
