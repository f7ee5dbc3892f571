"""What a person sees of a job: plain log lines, no library noise, and one clear sentence when it fails."""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

logger = logging.getLogger("jobs")
# Spark writes a JSON line to standard error for every query that it refuses; our error says it in words.
SPARK_QUERY_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
OUR_PACKAGES = ("feature_extraction", "training", "inference", "jobs")
# Read by TensorFlow and its libraries when they are imported, so set before any of them is.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}


def set_up() -> None:
    """Log our own packages at INFO and everybody else at ERROR, to standard error, one line an event."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    handler = _StandardError()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for name in OUR_PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO)
    for name in SPARK_QUERY_LOGGERS:
        logging.getLogger(name).disabled = True


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the moment: a progress bar stands in for it while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        self.setStream(sys.stderr)
        super().emit(record)


def main(work: Callable[[], None]) -> None:
    """Run a job's work; exit with 2 and a sentence for a user's mistake, with 1 and a trace for anything else."""
    set_up()
    started = time.monotonic()
    try:
        work()
    except ValueError as error:
        if not _is_ours(error):
            raise
        logger.error("stopped: %s", error)
        sys.exit(2)
    logger.info("done in %.0f s", time.monotonic() - started)


def _is_ours(error: BaseException) -> bool:
    """Whether our own code raised the error: a library's ValueError is no sentence for a user."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raiser = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return raiser == "__main__" or raiser.split(".")[0] in OUR_PACKAGES
