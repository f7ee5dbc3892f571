"""All stages in order: extract, train, score, explain.

    python -m jobs.run --config run.toml
    python -m jobs.run --config s3://bucket/run.toml --train.trainer scarcegan --score.alerts 50

A stage that is finished, with the same settings, input and code, is not done again: a run that was killed goes on where
it was when it is started again.
"""

import logging

from feature_extraction.publishing import Run
from jobs import console, explain, extract_features, score, train
from jobs.settings import RunSettings, load

logger = logging.getLogger("jobs.run")


def run(settings: RunSettings) -> None:
    """Run every stage of `settings` under one run id."""
    root, run_id = settings.output.root, settings.run_id
    logger.info("run %s under %s", run_id, root)
    features = Run(root, "features", run_id)
    extract_features.run(settings)
    train.run(settings, features)
    score.run(settings, features, train.model_run(settings, settings.train.trainer))
    explain.run(settings, Run(root, "scores", run_id))


if __name__ == "__main__":
    console.main(lambda: run(load(job="jobs.run")))
