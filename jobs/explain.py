"""Scores to the report: metrics, the ranked list with reasons, and the series behind the first of it.

python -m jobs.explain --config run.toml
"""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from feature_extraction import publishing
from feature_extraction.feature_rows import Extraction
from feature_extraction.publishing import Run
from inference import stories, table
from inference.evaluate import evaluate
from inference.explain import Findings, explain
from jobs import console, spark, summary
from jobs.settings import RunSettings, load
from training.artifact import load_files

logger = logging.getLogger("jobs.explain")


def run(settings: RunSettings, scores: Run | None = None) -> None:
    """Write and publish the report on `scores`, or on the scores published last."""
    root = settings.output.root
    scored = scores or publishing.latest(root, "scores")
    facts = scored.manifest()
    if facts is None:
        raise publishing.PublishError(f"{scored.url} is not a finished run; run jobs/score.py first")
    features, report = Run(root, "features", facts["features"]), Run(root, "reports", settings.run_id)
    fingerprint = publishing.fingerprint(settings.model_dump(mode="json"), facts["fingerprint"])
    if report.is_done(fingerprint):
        logger.info("explain: %s is finished, on these scores; nothing to do", report.url)
        report.point()
    else:
        _write(settings, scored, facts, features, report)
        report.finish(fingerprint, {"scores": scored.id})
    summary.write(report, read_scores(scored.url), settings.train.trainer)


def _write(settings: RunSettings, scored: Run, facts: Mapping[str, Any], features: Run, report: Run) -> None:
    scores = read_scores(scored.url)
    others: dict[str, str] = {
        name: _model_url(settings, name) for name in settings.train.compare if name != settings.train.trainer
    }
    manifest, _ = load_files(facts["model"])
    found = evaluate(features.url, scores, settings.train.trainer, others, manifest.seed)
    job = Extraction(settings.events, settings.window, settings.labels, settings.features)
    first = scores[scores["alert"]].head(settings.score.stories)["entity_id"].tolist()
    logger.info("explain: %d alerts, the series of the first %d", int(scores["alert"].sum()), len(first))
    with spark.session("explain", settings.events.url) as session:
        told = stories.tell(session, job, first)
    findings = Findings(
        run_id=settings.run_id,
        title=f"{manifest.rare.capitalize()} entities to review",
        settings=settings.model_dump(mode="json"),
        features_url=features.url,
        scores=scores,
        manifest=manifest,
        evaluation=found,
        stories=told,
    )
    explain(findings, report.start())


def read_scores(url: str) -> pd.DataFrame:
    """Return the scores table, most likely rare first."""
    columns = ["score", "rank", "alert", "verdict", "uncertainty", "reasons"]
    return table.rows(url, columns).reset_index().sort_values("rank", ignore_index=True)


def _model_url(settings: RunSettings, name: str) -> str:
    return publishing.latest(settings.output.root, f"models/{name}").url


if __name__ == "__main__":
    console.main(lambda: run(load(job="jobs.explain")))
