"""The ledger of finished measurements: `qast.csv`, one row a (table, split, seed, learner, arm).

Takes jobs; does those whose row is absent or was made by other settings or data, cheap tables first.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from tests.benchmarks.qast_results import arms, tables
from tests.benchmarks.qast_results.arms import Job
from tests.benchmarks.results import ledger
from tests.benchmarks.results.ledger import Ledger

LEDGER = Ledger(
    file="qast.csv",
    keys=Job._fields[:5],
    figures=(
        *arms.MEASURES,
        *("synthetic_rows", "shortfall", "sources", "epochs", "cpu_seconds", "failure", "fingerprint", "code"),
    ),
    texts=("table", "split", "learner", "arm", "sources", "failure", "fingerprint", "code"),
    order=(*tables.TABLES, *arms.ARMS),
)

logger = logging.getLogger("tests.benchmarks.qast")


def plan(
    names: Sequence[str], seeds: int, chosen: Sequence[str], learners: Sequence[str], epochs: int | None = None
) -> list[Job]:
    """Return all jobs in their order.

    The resplit tables come first, then the BLSTM's table, then the other tables; everywhere one seed after the other,
    so that a stopped run knows something of each table.
    """
    first = [name for name in names if name in tables.RESPLIT_TABLES]
    blocks = [(name, split, seed, arms.BOOSTING) for seed in range(seeds) for name in first for split in tables.SPLITS]
    blocks += [
        (name, tables.SUPPLIED, seed, arms.BLSTM)
        for name in names
        for seed in range(seeds)
        if name in tables.BLSTM_TABLES
    ]
    rest = [name for name in names if name not in first]
    blocks += [(name, tables.SUPPLIED, seed, arms.BOOSTING) for seed in range(seeds) for name in rest]
    jobs = [Job(*block, arm, epochs) for block in blocks for arm in chosen]
    # The BLSTM takes no weights.
    return [job for job in jobs if job.learner in learners and (job.learner, job.arm) != (arms.BLSTM, arms.WEIGHTS)]


def missing(jobs: Sequence[Job], rows: pd.DataFrame, *, code: str = "") -> list[Job]:
    """Return the jobs without a row by the same settings and data, and, where `code` is given, by that code."""
    return LEDGER.missing(jobs, rows[rows["code"] == code] if code else rows, fingerprint)


def fingerprint(job: Job) -> str:
    """Return the digits that a row by these settings and data has."""
    return arms.fingerprint(job, tables.read(job.table))


def work_off(
    jobs: Sequence[Job],
    folder: str,
    *,
    processes: int,
    measure: Callable[[Job], dict[str, Any]],
    after_block: Callable[[], None],
) -> None:
    """Do jobs, writing each row when it is there, and call `after_block` whenever a table's seed is complete."""
    waiting = [job[:4] for job in jobs]
    code, started = arms.code_digest(), time.monotonic()
    for number, (job, found) in enumerate(ledger.work_off(jobs, measure, processes=processes), start=1):
        LEDGER.add(folder, job, found | {"fingerprint": fingerprint(job), "code": code})
        waiting.remove(job[:4])
        if found.get("failure"):
            logger.warning("%s failed: %s", " ".join(map(str, job[:5])), found["failure"])
        passed = time.monotonic() - started
        logger.info(
            "%d of %d, %.0f s: %s: macro-F1 %.3f, G-mean %.3f, %.0f s of processor time",
            *(number, len(jobs), passed, " ".join(map(str, job[:5]))),
            *(found["macro_f1"], found["gmean"], found["cpu_seconds"]),
        )
        if job[:4] not in waiting:
            after_block()
