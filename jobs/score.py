"""Artifact and feature table to the scores table.

python -m jobs.score --config run.toml
spark-submit --py-files scarce.zip jobs/score.py --config s3://bucket/run.toml
"""

import logging
import time
from dataclasses import asdict

from feature_extraction import publishing
from feature_extraction.publishing import Run
from inference.score import Scored, score
from jobs import console, models, spark
from jobs.settings import RunSettings

logger = logging.getLogger("jobs.score")
# Settings that the scores do not depend on.
FOR_THE_REPORT = {"stories", "neighbors", "counterfactual", "translation", "card"}


def run(settings: RunSettings, features: Run | None = None, model: Run | None = None) -> bool:
    """Score `features` with `model`, or this run's own, or those published last; return whether there was work."""
    started, root = time.monotonic(), settings.output.root
    table = features or publishing.own_or_latest(root, "features", settings.run_id)
    artifact = model or models.of(settings, settings.train.trainer)
    scores = Run(root, "scores", settings.run_id)
    before = publishing.published(root, "scores")
    inputs = [(run.id, (run.manifest() or {}).get("fingerprint")) for run in (table, artifact)]
    own = settings.score.model_dump(mode="json", exclude=FOR_THE_REPORT)
    fingerprint = publishing.fingerprint(own, inputs)
    if scores.is_done(fingerprint):
        logger.info("score: %s is finished, with these features and this model; nothing to do", scores.url)
        scores.point_again()
        return False
    logger.info("score: %s with %s", table.url, artifact.url)
    with spark.session("score") as session:
        found = score(session, table.url, artifact.url, settings.score, scores.start())
    facts = {"features": table.id, "model": artifact.url, "before": before.id if before else None}
    scores.finish(fingerprint, facts | asdict(found) | {"seconds": round(time.monotonic() - started, 3)})
    logger.info("score: %s entities in %s", f"{found.rows:,}", scores.url, extra={"scored": found.rows})
    _tell(found)
    return True


def _tell(found: Scored) -> None:
    """Log what was chosen and what is to be expected of it."""
    listed, calibration = found.listed, found.calibration
    if calibration["population_share"] is not None:
        logger.info(
            "score: calibration %s; %.3g of all entities taken to be rare (from %s)",
            calibration["method"],
            calibration["population_share"],
            calibration["population_share_from"],
        )
    if listed["expected_precision"] is None:
        logger.info("score: %d alerts, ended by %s", listed["alerts"], listed["ended_by"])
        return
    logger.info(
        "score: %d alerts, scores from %.4g up, ended by %s; by the held-out rows a share of %.2g of the entities down "
        "to there is to be expected to be rare, and a share of %.2g of all rare ones to be among them",
        listed["alerts"],
        listed["lowest_score"],
        listed["ended_by"],
        listed["expected_precision"],
        listed["expected_recall"],
    )


if __name__ == "__main__":
    console.run_job(run, "jobs.score")
