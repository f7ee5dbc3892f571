"""Gather what the report shows, and write it: `report.html`, `metrics.json`, `reasons.parquet`, `alerts.parquet`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from feature_extraction import storage
from feature_extraction.schema import FEATURE_SEPARATOR
from inference import machine_files, report, table
from inference.alerts import alerts_of
from inference.components import defined
from inference.evaluate import Evaluation
from inference.model_card import card_of
from inference.remarks import Wording
from inference.settings import ScoreSettings
from inference.training_course import course_of
from training.artifact import Manifest
from training.auto.facts import chosen_by
from training.trainer import AddsUp, Artifact

INTERVALS = "95 % percentile bootstrap over the held-out entities, 1,000 resamples drawn within rare and regular ones."


@dataclass(frozen=True)
class Findings:
    """What the earlier stages found.

    Attributes:
        run_id: name of the run.
        title: heading of the report.
        settings: the run file, nested, as the report shows it.
        features_url: the feature table.
        scores: rows of the scores table, those of the alerts at least; without a column `uncertainty` or
            `probability` the report shows none.
        model: what made the scores.
        manifest: what is known of the model.
        evaluation: measures on hidden labels, if there are any.
        stories: series of the first few alerts.
        score: what is said of each alert, and how much.
        additive: metrics whose values of several steps can be added up.
        recent_steps: how many steps "the last steps" are.
        unknown: share of all entities found `unknown`; None where the model has no such class.
        calibration: how far the probabilities can be taken at their word, if that was measured.
        drift: this run beside the one before, if there is one.
        record: what the stages counted and how long they took, for `metrics.json`.
    """

    run_id: str
    title: str
    settings: Mapping[str, Any]
    features_url: str
    scores: pd.DataFrame
    model: Artifact
    manifest: Manifest
    evaluation: Evaluation | None
    stories: Sequence[report.EntityStory]
    score: ScoreSettings = field(default_factory=ScoreSettings)
    additive: frozenset[str] = frozenset()
    recent_steps: int = 28
    unknown: float | None = None
    calibration: report.Calibration | None = None
    drift: report.Drift | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


def explain(findings: Findings, url: str) -> list[report.Alert]:
    """Write the report of a run to the folder `url`; return the alerts it lists."""
    page = report_of(findings)
    measured = findings.evaluation.to_json() if findings.evaluation else None
    found = {"alerts": len(page.alerts), "unknown": findings.unknown, "drift": page.drift and asdict(page.drift)}
    facts = {"run": findings.run_id, "evaluation": measured, "validation": findings.manifest.metrics} | found
    facts |= findings.record
    files = {
        "metrics.json": json.dumps(facts, indent=1, allow_nan=False).encode(),
        "reasons.parquet": machine_files.reasons_file(page.alerts),
        "alerts.parquet": machine_files.alerts_file(page.alerts),
        "report.html": report.render(page).encode(),
    }
    for name, data in files.items():
        storage.write_bytes(storage.join(url, name), data)
    return list(page.alerts)


def report_of(findings: Findings) -> report.Report:
    """Return all that the report says."""
    schema = table.schema(findings.features_url)
    wording = Wording(schema.step_seconds, findings.recent_steps, findings.additive)
    alerts = alerts_of(
        findings.features_url, findings.scores, findings.model, findings.score, findings.stories, wording
    )
    page = report.Report(
        run=_run(findings),
        quality=table.quality(findings.features_url),
        evaluation=_evaluation(findings.evaluation),
        curves=_curves(findings.evaluation),
        alerts=alerts,
        stories=findings.stories,
        glossary=_glossary(alerts),
        course=course_of(findings.manifest),
        calibration=findings.calibration,
        drift=findings.drift,
        unknown=findings.unknown,
    )
    adds_up = isinstance(findings.model, AddsUp)
    return replace(page, card=card_of(page, schema, findings.score.card, adds_up=adds_up))


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
        chosen=chosen_by(manifest),
        settings=findings.settings,
        versions=manifest.versions,
    )


def _glossary(alerts: Sequence[report.Alert]) -> dict[str, tuple[str, str]]:
    columns = {reason.feature for alert in alerts for reason in alert.reasons}
    columns |= {change.feature for alert in alerts if alert.counterfactual for change in alert.counterfactual.changes}
    columns |= {move.feature for alert in alerts if alert.translation for move in alert.translation.moves}
    named = {column.split(FEATURE_SEPARATOR, 1)[1]: defined(column)[1] for column in columns}
    return {name: (feature.unit, feature.definition) for name, feature in sorted(named.items())}


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
