"""Scores to the report: metrics, the ranked list with reasons, and the series behind the first of it.

python -m jobs.explain --config run.toml
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from feature_extraction import publishing
from feature_extraction.feature_rows import Extraction
from feature_extraction.publishing import Run
from feature_extraction.settings import ADDITIVE
from inference import published_scores, stories, table
from inference.calibration_report import calibration_of
from inference.drift import drift_of
from inference.evaluate import evaluate
from inference.explain import Findings, explain
from inference.report_alerts import EntityStory
from inference.report_data import Drift
from jobs import console, models, record, spark, summary
from jobs.settings import RunSettings
from training import artifact as artifacts

logger = logging.getLogger("jobs.explain")


def run(settings: RunSettings, scores: Run | None = None) -> bool:
    """Publish the report on `scores`, or on those published last; return whether there was anything to do."""
    root = settings.output.root
    scored = scores or publishing.own_or_latest(root, "scores", settings.run_id)
    facts = scored.manifest()
    if facts is None:
        raise publishing.PublishError(f"{scored.url} is not a finished run; run jobs/score.py first")
    features, report = Run(root, "features", facts["features"]), Run(root, "reports", settings.run_id)
    fingerprint = publishing.fingerprint(settings.model_dump(mode="json"), facts["fingerprint"])
    is_done = report.is_done(fingerprint)
    if is_done:
        logger.info("explain: %s is finished, on these scores; nothing to do", report.url)
        report.point_again()
    else:
        _write(settings, scored, facts, features, report)
        report.finish(fingerprint, {"scores": scored.id})
    summary.write(report, published_scores.alerts(scored.url), settings.train.trainer)
    return not is_done


def _write(settings: RunSettings, scored: Run, facts: Mapping[str, Any], features: Run, report: Run) -> None:
    folder = report.start()  # first: a second process that makes this report is to hear so at once
    listed, model = published_scores.alerts(scored.url), artifacts.load(facts["model"])
    manifest, _ = artifacts.load_files(facts["model"])
    hidden = published_scores.of_entities(scored.url, table.holdout(features.url)["entity_id"].tolist())
    others: dict[str, str] = {
        name: models.of(settings, name).url for name in settings.train.compare if name != settings.train.trainer
    }
    found = evaluate(features.url, hidden, settings.train.trainer, others, manifest.seed)
    first = listed.head(settings.score.stories)["entity_id"].tolist()
    logger.info("explain: %d alerts, the series of the first %d", len(listed), len(first))
    findings = Findings(
        run_id=settings.run_id,
        title=f"{manifest.rare.capitalize()} entities to review",
        settings=settings.model_dump(mode="json"),
        features_url=features.url,
        scores=listed,
        model=model,
        manifest=manifest,
        evaluation=found,
        stories=_stories(settings, first),
        score=settings.score,
        additive=frozenset(name for name, metric in settings.events.metrics.items() if metric.aggregate in ADDITIVE),
        recent_steps=settings.features.recent_steps,
        unknown=published_scores.unknown_share(scored.url, model.classes),
        calibration=calibration_of(features.url, hidden, facts.get("calibration")),
        drift=_drift(scored, facts.get("before")),
        record=record.of_stages(features, scored),
    )
    explain(findings, folder)


def _drift(scored: Run, before: str | None) -> Drift | None:
    return drift_of(scored, Run(scored.root, scored.stage, before)) if before else None


def _stories(settings: RunSettings, entities: Sequence[str]) -> list[EntityStory]:
    job = Extraction(settings.events, settings.window, settings.labels, settings.features)
    with spark.session("explain", settings.events.url) as session:
        return stories.tell(session, job, entities)


if __name__ == "__main__":
    console.run_job(run, "jobs.explain")
