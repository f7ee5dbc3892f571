"""A ledger of finished measurements, one row each, as a `.csv` beside the page that is made of it.

Takes jobs, which are named tuples; says which of them have no row by the same settings, and does them, here or in
several processes. A benchmark that was stopped goes on where it was.
"""

import io
import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from feature_extraction import storage

FINGERPRINT = "fingerprint"  # the column that says by which settings and data a row was made
logger = logging.getLogger(__name__)
Job = TypeVar("Job", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Ledger:
    """What a benchmark's ledger holds.

    Attributes:
        file: its name in the folder of results.
        keys: columns that tell rows apart: the first fields of a job.
        figures: the other columns, `fingerprint` last or among them.
        texts: columns that are text and not numbers.
        order: values of keys in the order in which rows stand; none: as they were measured.
    """

    file: str
    keys: tuple[str, ...]
    figures: tuple[str, ...]
    texts: tuple[str, ...] = (FINGERPRINT,)
    order: tuple[str, ...] = ()

    def read(self, folder: str) -> pd.DataFrame:
        """Return the rows of the ledger in a folder, none where there is no ledger."""
        place, columns = storage.join(folder, self.file), [*self.keys, *self.figures]
        if not storage.exists(place):
            return pd.DataFrame(columns=columns)
        # As text: pandas would take some digests for numbers.
        frame = pd.read_csv(io.BytesIO(storage.read_bytes(place)), dtype=dict.fromkeys(self.texts, str))
        return frame.reindex(columns=columns).fillna(dict.fromkeys(self.texts, ""))

    def add(self, folder: str, job: tuple[Any, ...], found: dict[str, Any]) -> None:
        """Write the row of a job, in place of an older one of the same keys."""
        keys, before = list(self.keys), self.read(folder)
        row = dict(zip(keys, job, strict=False)) | found
        kept = before[~(before[keys] == pd.Series({key: row[key] for key in keys})).all(axis=1)]
        fresh = pd.DataFrame([row], columns=before.columns)
        after = pd.concat([kept, fresh], ignore_index=True) if len(kept) else fresh
        if self.order:
            places = {name: number for number, name in enumerate(self.order)}
            after = after.sort_values(keys, key=lambda column: column.map(lambda value: places.get(value, value)))
        text = after.to_csv(index=False, float_format="%.6g")
        storage.write_bytes(storage.join(folder, self.file), text.encode())

    def missing(self, jobs: Sequence[Job], rows: pd.DataFrame, fingerprint: Callable[[Job], str]) -> list[Job]:
        """Return the jobs without a row by the same settings and data."""
        done = self.done(rows)
        return [job for job in jobs if done.get(job[: len(self.keys)]) != fingerprint(job)]

    def fill(
        self,
        folder: str,
        jobs: Sequence[Job],
        *,
        measure: Callable[[Job], dict[str, Any]],
        fingerprint: Callable[[Job], str],
        page: Callable[[pd.DataFrame], str],
    ) -> pd.DataFrame:
        """Do the jobs that lack a row, writing the row and the page when it is there, and return all rows.

        Args:
            folder: local or s3://bucket/prefix.
            jobs: those that are wanted.
            measure: does a job and returns its figures, all of them numbers.
            fingerprint: digits over the settings and data of a job.
            page: Markdown of all rows, kept beside the ledger.
        """
        todo = self.missing(jobs, self.read(folder), fingerprint)
        logger.info("%d measurements, %d of them to do", len(jobs), len(todo))
        started, rows = time.monotonic(), self.read(folder)
        if not todo:
            self._write_page(folder, page(rows))  # which may say more than when the last row was made
        for number, (job, found) in enumerate(work_off(todo, measure), start=1):
            self.add(folder, job, found | {FINGERPRINT: fingerprint(job)})
            rows = self.read(folder)
            self._write_page(folder, page(rows))
            said = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            passed = time.monotonic() - started
            logger.info("%d of %d, %.0f s: %s: %s", number, len(todo), passed, " ".join(map(str, job)), said)
        return rows

    def _write_page(self, folder: str, text: str) -> None:
        storage.write_bytes(storage.join(folder, self.file.replace(".csv", ".md")), text.encode())

    def done(self, rows: pd.DataFrame) -> dict[tuple[Any, ...], str]:
        """Return the fingerprint of each row by its keys."""
        return {tuple(row[:-1]): row[-1] for row in rows[[*self.keys, FINGERPRINT]].itertuples(index=False, name=None)}


def work_off(
    jobs: Sequence[Job], measure: Callable[[Job], dict[str, Any]], *, processes: int = 1
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Do jobs and give each with what was found when it is there."""
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
