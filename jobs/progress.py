"""Shows how far Spark is: a bar on a terminal, a plain line now and then in a log."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from jobs.console import wants_json

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
SECONDS_A_LINE = 30.0


@contextmanager
def watched(context: Any, name: str) -> Iterator[None]:  # noqa: ANN401  (a SparkContext; no Spark import here)
    """Show the progress of the Spark work done inside, under `name`."""
    stop = threading.Event()
    watch = _draw if sys.stderr.isatty() and not wants_json() else _log
    thread = threading.Thread(target=watch, args=(context.statusTracker(), name, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def tasks(tracker: Any) -> tuple[int, int]:  # noqa: ANN401
    """Return the finished tasks and all tasks of the stages that run now."""
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    known = [stage for stage in stages if stage is not None]
    return sum(stage.numCompletedTasks for stage in known), sum(stage.numTasks for stage in known)


def _log(tracker: Any, name: str, stop: threading.Event) -> None:  # noqa: ANN401
    while not stop.wait(SECONDS_A_LINE):
        done, total = tasks(tracker)
        if total:
            logger.info("%s: %d of %d Spark tasks of this stage done", name, done, total)


def _draw(tracker: Any, name: str, stop: threading.Event) -> None:  # noqa: ANN401
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} tasks"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        while not stop.wait(POLL_SECONDS):
            done, total = tasks(tracker)
            if total:
                bar.update(task, completed=done, total=total)
