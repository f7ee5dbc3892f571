"""Every fit of a plan, done once: what is finished lies in a folder and is not done again.

Takes data sets and a plan; gives one row of results for each fit, those that failed among them. Fits run in processes
of their own, several at a time; a run that is killed goes on where it was.

A fit is found again by a digest over all it depends on: the method's settings, source and libraries, the table, the
rows and the labels it sees. Failures are kept as well; they are tried again where the limit that they hit is wider
now, where a library was installed meanwhile, and where that is asked for.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd

from jobs.arena.data_sets import DataSet, Table
from jobs.arena.fit import DONE, FAILED, NOT_INSTALLED, Answer
from jobs.arena.measures import NAMES, measure
from jobs.arena.plan import Plan
from jobs.arena.prepared import Opened, Prepared, identity
from jobs.arena.processes import OVER_MEMORY, OVER_TIME, Limits, Run, forked
from jobs.arena.splits import TooFewLabels
from training.progress import StepProgress

logger = logging.getLogger("jobs.benchmark")
KEYS = ["data", "features", "trainer", "budget", "seed"]
LEFT_OUT, NOT_RUN = "left out", "not run"
COLUMNS = [
    *(*KEYS, "kind", "main", "method", "outcome", "error", *NAMES),
    *("rows", "rare", "training_rows", "labeled_rows", "labeled_rare", "num_features"),
    *("seconds", "cpu_seconds", "process_seconds", "peak_mb", "start_mb", "feature_seconds", "chosen", "digest"),
]


@dataclass(frozen=True)
class Arena:
    """Where and how fits are run.

    Attributes:
        folder: of splits and finished fits, on a local disk.
        load: gives the table of a data set and a feature set.
        limits: of each fit.
        processes: fits at a time; 0: none is run, and only what is finished is given.
        retry: do failed fits again.
        fits: gives what runs a fit in a process of its own, while the context lasts.
    """

    folder: Path
    load: Callable[[DataSet, str], Table]
    limits: Limits = Limits()
    processes: int = 1
    retry: bool = False
    fits: Callable[[Limits], AbstractContextManager[Run]] = forked


def run(sets: Sequence[DataSet], plan: Plan, arena: Arena) -> tuple[pd.DataFrame, int]:
    """Run all fits of a plan that are not finished; return a row for each fit of the plan, and how many were run.

    A data set that cannot be read, or with too few labels for a budget, gives rows that say so.
    """
    rows: list[dict[str, Any]] = []
    todo: list[Prepared] = []
    for found in (found for data in sets for found in _prepared(data, plan, arena)):
        known = _finished(found, arena) if isinstance(found, Prepared) else found
        if known is not None:
            rows.append(known)
        elif isinstance(found, Prepared):
            todo.append(found)
    logger.info("%s fits, %s of them not finished before", f"{len(rows) + len(todo):,}", f"{len(todo):,}")
    rows += _run_all(todo, arena)
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(KEYS, kind="stable", ignore_index=True), len(todo)


def _prepared(data: DataSet, plan: Plan, arena: Arena) -> Iterator[Prepared | dict[str, Any]]:
    """Give each fit on a data set ready to be run, or the row that says why there is none."""
    entities: list[str] | None = None
    for features in plan.sets_of(data):
        fits = list(plan.fits_of(data, features))
        try:
            table = arena.load(data, features)
            entities = _same_entities(entities, table, data, features)
            opened = Opened.of(data, table, arena.folder)
        except ValueError as error:
            logger.warning("%s, %s: left out: %s", data.name, features, error)
            yield from (identity(fit, data) | _said(LEFT_OUT, error) for fit in fits)
            continue
        for fit in fits:
            try:
                yield opened.prepared(fit, plan)
            except TooFewLabels as error:
                yield identity(fit, data) | _said(LEFT_OUT, error)


def _same_entities(before: list[str] | None, table: Table, data: DataSet, features: str) -> list[str]:
    """Return a table's entities; in another order than another feature set's they raise `ValueError`."""
    own: list[str] = table.entities.tolist()
    if before is not None and own != before:
        raise ValueError(
            f"the rows of {data.name}'s feature set {features!r} are not those of its other sets in the same order, so "
            "one split would not be the same for both"
        )
    return own


def _said(outcome: str, error: object) -> dict[str, Any]:
    return {"outcome": outcome, "error": " ".join(str(error).split())}


def _finished(found: Prepared, arena: Arena) -> dict[str, Any] | None:
    """Return the row of a fit that was done before; None where it is to be done, or done again."""
    place = Path(found.request.answer)
    if not place.exists():
        return found.facts | _said(NOT_RUN, "") if arena.processes == 0 else None
    answer = Answer(**json.loads(place.read_text()))
    return None if arena.processes and _is_to_be_tried_again(answer, arena) else _row(found, answer)


def _is_to_be_tried_again(answer: Answer, arena: Arena) -> bool:
    is_wider = {
        OVER_TIME: (answer.limit or 0) < arena.limits.seconds,
        OVER_MEMORY: (answer.limit or 0) < arena.limits.memory_mb,
        NOT_INSTALLED: arena.retry,
        FAILED: arena.retry,
    }
    return is_wider.get(answer.outcome, False)


def _run_all(todo: Sequence[Prepared], arena: Arena) -> Iterator[dict[str, Any]]:
    if not todo:
        return
    pool, stop = ThreadPoolExecutor(max(1, arena.processes)), Event()
    with arena.fits(arena.limits) as run_fit, StepProgress("arena", len(todo), logger) as progress:
        try:
            futures = {pool.submit(_run_one, found, run_fit, stop): found for found in todo}
            for number, future in enumerate(as_completed(futures), start=1):
                fit = futures[future].fit
                row = future.result()
                _tell(row)
                progress.reach(number, f"{fit.data}, {fit.trainer}, labels {fit.budget}, seed {fit.seed}")
                yield row
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _tell(row: dict[str, Any]) -> None:
    if row["outcome"] != DONE:
        named = (str(row[key]) for key in KEYS)
        logger.warning("%s: %s: %s", ", ".join(named), row["outcome"], row["error"])


def _run_one(found: Prepared, run_fit: Run, stop: Event) -> dict[str, Any]:
    place = Path(found.request.answer)
    place.parent.mkdir(parents=True, exist_ok=True)
    answer = run_fit(found.request, stop)
    place.with_suffix(".part").write_text(json.dumps(asdict(answer)))
    place.with_suffix(".part").rename(place)
    return _row(found, answer)


def _row(found: Prepared, answer: Answer) -> dict[str, Any]:
    own = {name: value for name, value in asdict(answer).items() if name != "limit"}
    measured = measure(found.is_rare, np.load(found.request.scores)) if answer.outcome == DONE else {}
    return found.facts | own | measured
