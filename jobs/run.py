"""All stages in order: extract, train, score, explain.

    python -m jobs.run --config run.toml
    python -m jobs.run --config s3://bucket/run.toml --train.trainer scarcegan --score.alerts 50

A stage that is finished, with the same settings, input and code, is not done again: a run that was killed goes on where
it was when it is started again.
"""

import logging

from feature_extraction.publishing import Run
from jobs import console, explain, extract_features, score, train
from jobs.settings import RunSettings

logger = logging.getLogger("jobs.run")


def run(settings: RunSettings) -> bool:
    """Run every stage of `settings` under one run id; return whether there was anything to do."""
    root, run_id = settings.output.root, settings.run_id
    logger.info("run %s under %s", run_id, root)
    features = Run(root, "features", run_id)
    did_work = [
        extract_features.run(settings),
        train.run(settings, features),
        score.run(settings, features),
        explain.run(settings, Run(root, "scores", run_id)),
    ]
    return any(did_work)


if __name__ == "__main__":
    console.run_job(run, "jobs.run")
