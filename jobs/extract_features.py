"""Raw events to the feature table.

python -m jobs.extract_features --config run.toml
spark-submit --py-files scarce.zip jobs/extract_features.py --config s3://bucket/run.toml
"""

import logging

from feature_extraction.extract import extract
from feature_extraction.feature_rows import Extraction
from feature_extraction.publishing import Run
from jobs import console, spark
from jobs.settings import RunSettings, load

logger = logging.getLogger("jobs.extract_features")


def run(settings: RunSettings) -> None:
    """Extract and publish the features of this run, unless that is done already."""
    job = Extraction(settings.events, settings.window, settings.labels, settings.features)
    features = Run(settings.output.root, "features", settings.run_id)
    quarantine = Run(settings.output.root, "quarantine", settings.run_id)
    fingerprint = job.fingerprint()
    if features.is_done(fingerprint):
        logger.info("features: %s is finished, with these settings and this input; nothing to do", features.url)
        features.point()
        return
    logger.info("features: %s, window %s to %s", settings.events.url, settings.window.start, settings.window.end)
    with spark.session("extract", settings.events.url, settings.output.root) as session:
        quality = extract(session, job, features, quarantine)
    quarantine.finish(fingerprint, {"refused": quality["refused"], "labels": quality["labels"]["refused"]})
    features.finish(fingerprint, {"rows": quality["entities"]["total"], "features": len(job.names)})
    entities = quality["entities"]
    logger.info("features: %s entities x %d features in %s", f"{entities['total']:,}", len(job.names), features.url)


if __name__ == "__main__":
    console.main(lambda: run(load(job="jobs.extract_features")))
