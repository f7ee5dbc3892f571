"""Raw events to the feature table.

python -m jobs.extract_features --config run.toml
spark-submit --py-files scarce.zip jobs/extract_features.py --config s3://bucket/run.toml
"""

import logging
import time

from feature_extraction import events
from feature_extraction.extract import extract
from feature_extraction.feature_rows import Extraction
from feature_extraction.publishing import Run
from feature_extraction.storage import File, list_files
from jobs import console, spark
from jobs.settings import RunSettings

logger = logging.getLogger("jobs.extract_features")


def run(settings: RunSettings) -> bool:
    """Extract and publish the features of this run, unless that is done already; return whether it was to be done."""
    started = time.monotonic()
    job = Extraction(settings.events, settings.window, settings.labels, settings.features)
    features = Run(settings.output.root, "features", settings.run_id)
    quarantine = Run(settings.output.root, "quarantine", settings.run_id)
    fingerprint = job.fingerprint(_files(job))
    if features.is_done(fingerprint):
        logger.info("features: %s is finished, with these settings and this input; nothing to do", features.url)
        features.point_again()
        quarantine.point_again()
        return False
    logger.info("features: %s, window %s to %s", settings.events.url, settings.window.start, settings.window.end)
    with spark.session("extract", settings.events.url, settings.output.root) as session:
        quality = extract(session, job, features, quarantine)
    # Pointed at last: a job killed before the features are whole must find both unfinished and do both again.
    quarantine.seal(fingerprint, {"refused": quality["refused"], "labels": quality["labels"]["refused"]})
    rows, seconds = quality["entities"]["total"], round(time.monotonic() - started, 3)
    features.finish(fingerprint, {"rows": rows, "features": len(job.names), "seconds": seconds})
    quarantine.point()
    counts = quality["events"] | {"entities": rows, "features": len(job.names)}
    logger.info("features: %s entities x %d features in %s", f"{rows:,}", len(job.names), features.url, extra=counts)
    return True


def _files(job: Extraction) -> list[File]:
    """List the input; where `events.where` leaves out a part of the log, Spark says which."""
    if not job.events.where:
        return list_files(job.events.url)
    with spark.session("input", job.events.url) as session:
        return events.files(session, job.events)


if __name__ == "__main__":
    console.run_job(run, "jobs.extract_features")
