"""Artifact and feature table to the scores table.

python -m jobs.score --config run.toml
spark-submit --py-files scarce.zip jobs/score.py --config s3://bucket/run.toml
"""

import logging

from feature_extraction import publishing
from feature_extraction.publishing import Run
from inference.score import score
from jobs import console, spark
from jobs.settings import RunSettings, load

logger = logging.getLogger("jobs.score")


def run(settings: RunSettings, features: Run | None = None, model: Run | None = None) -> None:
    """Score `features` with `model`, or what was published last of each."""
    root = settings.output.root
    table = features or publishing.latest(root, "features")
    artifact = model or publishing.latest(root, f"models/{settings.train.trainer}")
    scores = Run(root, "scores", settings.run_id)
    inputs = [(run.id, (run.manifest() or {}).get("fingerprint")) for run in (table, artifact)]
    fingerprint = publishing.fingerprint(settings.score.model_dump(mode="json"), inputs)
    if scores.is_done(fingerprint):
        logger.info("score: %s is finished, with these features and this model; nothing to do", scores.url)
        scores.point()
        return
    logger.info("score: %s with %s", table.url, artifact.url)
    with spark.session("score", root) as session:
        rows = score(session, table.url, artifact.url, settings.score, scores.start())
    scores.finish(fingerprint, {"rows": rows, "features": table.id, "model": artifact.url})
    logger.info("score: %s entities in %s", f"{rows:,}", scores.url)


if __name__ == "__main__":
    console.main(lambda: run(load(job="jobs.score")))
