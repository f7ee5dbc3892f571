"""The ledger of finished measurements: `qast.csv`, one row a (table, split, seed, learner, arm).

Takes jobs; does those whose row is absent or was made by other settings or data, cheap tables first.
"""

import io
import logging
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import pandas as pd

from feature_extraction import storage
from tests.benchmarks.qast_results import arms, tables
from tests.benchmarks.qast_results.arms import Job

TWIN = "qast.csv"
KEYS = ["table", "split", "seed", "learner", "arm"]
COLUMNS = [
    *KEYS,
    *arms.MEASURES,
    *("synthetic_rows", "shortfall", "sources", "epochs", "cpu_seconds", "failure", "fingerprint", "code"),
]
TEXTS = {name: str for name in ("table", "split", "learner", "arm", "sources", "failure", "fingerprint", "code")}

logger = logging.getLogger("tests.benchmarks.qast")


def plan(
    names: Sequence[str], seeds: int, chosen: Sequence[str], learners: Sequence[str], epochs: int | None = None
) -> list[Job]:
    """Return all jobs in their order.

    The resplit tables come first, one seed after the other, so that a stopped run knows something of each of them;
    then the BLSTM's table; then the other tables, each with all its seeds.
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
    blocks += [(name, tables.SUPPLIED, seed, arms.BOOSTING) for name in rest for seed in range(seeds)]
    jobs = [Job(*block, arm, epochs) for block in blocks for arm in chosen]
    # The BLSTM takes no weights.
    return [job for job in jobs if job.learner in learners and (job.learner, job.arm) != (arms.BLSTM, arms.WEIGHTS)]


def read(folder: str) -> pd.DataFrame:
    """Return the rows of the ledger in a folder, none where there is no ledger."""
    place = storage.join(folder, TWIN)
    if not storage.exists(place):
        return pd.DataFrame(columns=COLUMNS)
    # As text: pandas would take some digests for numbers.
    frame = pd.read_csv(io.BytesIO(storage.read_bytes(place)), dtype=TEXTS)
    return frame.reindex(columns=COLUMNS).fillna(dict.fromkeys(TEXTS, ""))


def add(folder: str, row: dict[str, Any]) -> None:
    """Write a row to the ledger, in place of an older one of the same keys."""
    before = read(folder)
    same = (before[KEYS] == pd.Series({key: row[key] for key in KEYS})).all(axis=1)
    fresh = pd.DataFrame([row], columns=COLUMNS)
    kept = before[~same]
    after = pd.concat([kept, fresh], ignore_index=True) if len(kept) else fresh
    order = {name: number for names in (tables.TABLES, arms.ARMS) for number, name in enumerate(names)}
    after = after.sort_values(KEYS, key=lambda column: column.map(lambda value: order.get(value, value)))
    text = after.to_csv(index=False, float_format="%.6g")
    storage.write_bytes(storage.join(folder, TWIN), text.encode())


def missing(jobs: Iterable[Job], rows: pd.DataFrame, *, code: str = "") -> list[Job]:
    """Return the jobs without a row by the same settings and data, and, where `code` is given, by that code."""
    kept = rows[rows["code"] == code] if code else rows
    done = {tuple(row[:5]): row[5] for row in kept[[*KEYS, "fingerprint"]].itertuples(index=False, name=None)}
    return [job for job in jobs if done.get(job[:5]) != arms.fingerprint(job, tables.read(job.table))]


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
    for number, (job, found) in enumerate(_results(jobs, processes, measure), start=1):
        own = {"fingerprint": arms.fingerprint(job, tables.read(job.table)), "code": code}
        add(folder, dict(zip(KEYS, job[:5], strict=True)) | found | own)
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


def _results(
    jobs: Sequence[Job], processes: int, measure: Callable[[Job], dict[str, Any]]
) -> Iterator[tuple[Job, dict[str, Any]]]:
    if processes == 1:
        yield from ((job, measure(job)) for job in jobs)
        return
    # Forked children of a process with torch's threads would hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(measure, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
