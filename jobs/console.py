"""What a person sees of a job: plain log lines, no library noise, and one clear sentence when it fails."""

import logging
import os
import sys
import time
from collections.abc import Callable

from feature_extraction.publishing import PublishError
from feature_extraction.storage import StorageError

logger = logging.getLogger("jobs")
OUR_PACKAGES = ("feature_extraction", "training", "inference", "jobs")
# Read by TensorFlow and its libraries when they are imported, so set before any of them is.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}


def set_up() -> None:
    """Log our own packages at INFO and everybody else at ERROR, to standard error, one line an event."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for name in OUR_PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO)


def main(work: Callable[[], None]) -> None:
    """Run a job's work; a user's mistake ends with exit status 2 and a sentence, anything else with its trace."""
    set_up()
    started = time.monotonic()
    try:
        work()
    except (ValueError, StorageError, PublishError) as error:
        logger.error("stopped: %s", error)
        sys.exit(2)
    logger.info("done in %.0f s", time.monotonic() - started)
