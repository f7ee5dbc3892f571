"""What a person or a scheduler sees of a job: log lines, one clear sentence when it fails, and the exit status.

Status 0: done. 1: failed. 2: bad input or settings; trying again does not help. 3: there was nothing to do, for all of
this very work is finished already; `SCARCE_EXIT_NOTHING_TO_DO=0` makes that 0, for schedulers that know success and
failure alone.

`SCARCE_LOG=json` in the environment makes every log line a JSON object. It stands in no run file: how a job is watched
does not change what it makes.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from jobs import failures
from jobs.settings import RunSettings, load

logger = logging.getLogger("jobs")
# Spark writes a JSON line to standard error for every query that it refuses; our error says it in words.
SPARK_QUERY_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
OUR_PACKAGES = ("feature_extraction", "training", "inference", "jobs")
# Read by TensorFlow and its libraries when they are imported, so set before any of them is.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}
DONE, FAILED, BAD_INPUT, NOTHING_TO_DO = 0, 1, 2, 3
# What every log record carries; all else was given by `extra` and is written as a field.
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def wants_json() -> bool:
    """Whether log lines are to be JSON objects; raises `ValueError` for anything but `json` and `text`."""
    asked = os.environ.get("SCARCE_LOG", "text")
    if asked not in ("json", "text"):
        raise ValueError(f"SCARCE_LOG is {asked!r}; set it to json or text, or leave it unset for text")
    return asked == "json"


class JsonFormatter(logging.Formatter):
    """Writes one JSON object a line; what a record carries by `extra` becomes a field beside the others."""

    def __init__(self, job: str) -> None:
        """Name the job; `facts`, such as the run's id, may be added when they are known."""
        super().__init__()
        self.facts: dict[str, Any] = {"job": job}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON: time (UTC), level, logger, message, job, run and its own fields."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= self.facts | {name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


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
    if wants_json():
        handler.setFormatter(JsonFormatter(Path(sys.argv[0]).stem))
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").setLevel(logging.WARNING)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the moment: a progress bar stands in for it while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        self.setStream(sys.stderr)
        super().emit(record)


def tell(**facts: object) -> None:
    """Write these facts with every further JSON line."""
    for handler in logging.root.handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.formatter.facts |= facts


def run_job(run: Callable[[RunSettings], bool], job: str) -> None:
    """Run a job on the run file that the command line names; `run` tells whether there was anything to do."""

    def work() -> bool:
        settings = load(job=job)
        tell(run=settings.run_id)
        return run(settings)

    main(work)


def main(work: Callable[[], bool | None]) -> None:
    """Run a job's work and exit with its status; a user's mistake is told in a sentence, anything else with its trace.

    Args:
        work: returns False where there was nothing to do.
    """
    started = time.monotonic()
    try:
        set_up()
        status = NOTHING_TO_DO if work() is False else DONE
    except Exception as error:  # noqa: BLE001  (a scheduler needs a status for whatever went wrong)
        status = _told(error)
    seconds = round(time.monotonic() - started, 3)
    text = {DONE: "done in %.0f s", NOTHING_TO_DO: "nothing to do: all of it was finished before (%.0f s)"}
    if status in text:
        logger.info(text[status], seconds, extra={"exit_status": status, "seconds": seconds})
    if status == NOTHING_TO_DO:
        status = int(os.environ.get("SCARCE_EXIT_NOTHING_TO_DO", status))
    if status:
        sys.exit(status)


def _told(error: Exception) -> int:
    """Log what went wrong and return the status that says so."""
    if isinstance(error, ValueError) and _is_ours(error):
        logger.error("stopped: %s", error, extra={"exit_status": BAD_INPUT})
        return BAD_INPUT
    logger.error("failed: %s", failures.sentence(error), exc_info=error, extra={"exit_status": FAILED})
    return FAILED


def _is_ours(error: BaseException) -> bool:
    """Whether our own code raised the error: a library's ValueError is no sentence for a user."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raiser = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return raiser == "__main__" or raiser.split(".")[0] in OUR_PACKAGES
