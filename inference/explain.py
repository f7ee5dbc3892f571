"""Gather what the report shows, and write it: `report.html`, `metrics.json` and `reasons.parquet`."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from feature_extraction import definitions, storage
from feature_extraction.schema import ENTITY, FEATURE_SEPARATOR, LABEL, FeatureSchema
from inference import report, table
from inference.evaluate import Evaluation
from inference.training_course import course_of
from training.artifact import Manifest

INTERVALS = "95 % percentile bootstrap over the held-out entities, 1,000 resamples drawn within rare and regular ones."
DEFINITIONS = {feature.name: feature for feature in definitions.metric_features(last_residuals=30)}
# Spelled out, so that a list without reasons, or without a value, is stored with the same types.
REASONS = pa.schema(
    [
        (ENTITY, pa.string()),
        ("rank", pa.int64()),
        ("place", pa.int64()),
        ("feature", pa.string()),
        ("value", pa.float64()),
        ("contribution", pa.float64()),
        ("typical", pa.float64()),
        ("unit", pa.string()),
        ("definition", pa.string()),
    ]
)


@dataclass(frozen=True)
class Findings:
    """What the earlier stages found.

    Attributes:
        run_id: name of the run.
        title: heading of the report.
        settings: the run file, nested.
        features_url: the feature table.
        scores: the scores table, by rank; without a column `uncertainty` the report shows none.
        manifest: what is known of the model.
        evaluation: measures on hidden labels, if there are any.
        stories: series of the first few alerts.
    """

    run_id: str
    title: str
    settings: Mapping[str, Any]
    features_url: str
    scores: pd.DataFrame
    manifest: Manifest
    evaluation: Evaluation | None
    stories: Sequence[report.EntityStory]


def explain(findings: Findings, url: str) -> list[report.Alert]:
    """Write the report of a run to the folder `url`; return the alerts it lists."""
    alerts = _alerts(findings)
    page = report.Report(
        run=_run(findings),
        quality=table.quality(findings.features_url),
        evaluation=_evaluation(findings.evaluation),
        curves=_curves(findings.evaluation),
        alerts=alerts,
        stories=findings.stories,
        glossary=_glossary(alerts),
        course=course_of(findings.manifest),
    )
    measured = findings.evaluation.to_json() if findings.evaluation else None
    facts = {"run": findings.run_id, "evaluation": measured, "validation": findings.manifest.metrics}
    storage.write_bytes(storage.join(url, "metrics.json"), json.dumps(facts, indent=1, allow_nan=False).encode())
    storage.write_bytes(storage.join(url, "reasons.parquet"), _reasons_table(alerts))
    storage.write_bytes(storage.join(url, "report.html"), report.render(page).encode())
    return alerts


def _run(findings: Findings) -> report.Run:
    schema, manifest = table.schema(findings.features_url), findings.manifest
    rows = dict(manifest.rows)
    rows.pop("unlabeled", None)  # counts draws, not entities
    validation = manifest.metrics.get("average_precision", {})
    return report.Run(
        id=findings.run_id,
        title=findings.title,
        created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        trainer=manifest.trainer,
        rare=manifest.rare,
        window_start=schema.window_start,
        window_end=schema.window_end,
        step_seconds=schema.step_seconds,
        labeled=rows,
        unlabeled=table.quality(findings.features_url)["entities"]["unlabelled"],
        best_step=manifest.history.get("best_step"),
        validation_average_precision=validation.get("value") if isinstance(validation, dict) else None,
        settings=findings.settings,
        versions=manifest.versions,
    )


def _alerts(findings: Findings) -> list[report.Alert]:
    listed = findings.scores[findings.scores["alert"]].sort_values("rank")
    named = sorted({reason["feature"] for reasons in listed["reasons"] for reason in reasons})
    typical = _typical(findings.features_url, named)
    return [
        report.Alert(
            rank=int(row["rank"]),
            entity_id=row[ENTITY],
            score=float(row["score"]),
            verdict=row["verdict"],
            reasons=[_reason(reason, typical) for reason in row["reasons"]],
            uncertainty=_known(row.get("uncertainty")),
        )
        for row in listed.to_dict("records")
    ]


def _reason(reason: Mapping[str, Any], typical: Mapping[str, float | None]) -> report.Reason:
    metric, name = reason["feature"].split(FEATURE_SEPARATOR, 1)
    feature = DEFINITIONS[name]
    return report.Reason(
        feature=reason["feature"],
        value=_known(reason["value"]),
        contribution=float(reason["contribution"]),
        metric=metric,
        definition=feature.definition,
        unit=feature.unit,
        typical=typical[reason["feature"]],
    )


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _typical(url: str, names: list[str]) -> dict[str, float | None]:
    """Median of each feature over the labelled entities that are not rare; None where none has it."""
    schema: FeatureSchema = table.schema(url)
    frame = table.rows(url, [LABEL, *names])
    codes = [code for code, name in enumerate(schema.classes) if name != schema.rare]
    medians = frame.loc[frame[LABEL].isin(codes), names].median()
    return {str(name): None if pd.isna(value) else float(value) for name, value in medians.items()}


def _glossary(alerts: Sequence[report.Alert]) -> dict[str, tuple[str, str]]:
    used = {reason.feature.split(FEATURE_SEPARATOR, 1)[1] for alert in alerts for reason in alert.reasons}
    return {name: (DEFINITIONS[name].unit, DEFINITIONS[name].definition) for name in sorted(used)}


def _evaluation(found: Evaluation | None) -> report.Evaluation | None:
    if found is None:
        return None
    methods = []
    for name, measures in found.methods.items():
        estimates = {measure: report.Estimate(**estimate) for measure, estimate in measures.items()}
        recalls = {f"recall_{kind}": report.Estimate(value) for kind, value in found.class_recall[name].items()}
        methods.append(report.Method(name, estimates | recalls))
    return report.Evaluation(methods, found.rows, found.rare_rows, found.budget, INTERVALS)


def _curves(found: Evaluation | None) -> list[report.Curve]:
    if found is None:
        return []
    truth = found.truth.astype(int).tolist()
    return [report.Curve(name, truth, scores.tolist()) for name, scores in found.scores.items()]


def _reasons_table(alerts: Sequence[report.Alert]) -> bytes:
    rows = [
        {ENTITY: alert.entity_id, "rank": alert.rank, "place": place} | asdict(reason)
        for alert in alerts
        for place, reason in enumerate(alert.reasons, 1)
    ]
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, REASONS), buffer)
    return buffer.getvalue()
