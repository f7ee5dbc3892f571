"""Progress of a long loop: a bar on a terminal, a log line about every tenth of the way elsewhere.

Where log lines are asked for as JSON there is no bar, which no program could read.

Takes counts and short texts; gives nothing back.
"""

import logging
import os
import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

LINES = 10


class StepProgress:
    """A context that follows a loop of `total` steps under one title."""

    def __init__(self, title: str, total: int, logger: logging.Logger) -> None:
        """Show a bar if standard error is a terminal and lines are for people, else write to `logger`."""
        self._title, self._total, self._logger = title, total, logger
        self._said = 0
        self._bar: Progress | None = None
        if sys.stderr.isatty() and os.environ.get("SCARCE_LOG") != "json":
            name = TextColumn(title, table_column=Column(min_width=len(title), no_wrap=True))
            columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[text]}"), console=Console(stderr=True))
            self._task = self._bar.add_task(title, total=total, text="")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def reach(self, step: int, text: str) -> None:
        """Tell that `step` steps are done; `text` says what there is to say of them."""
        if self._bar:
            self._bar.update(self._task, completed=step, text=text)
        elif step * LINES // self._total > self._said:
            self._said = step * LINES // self._total
            self._logger.info("%s step %d/%d: %s", self._title, step, self._total, text)
