"""MGVAE and the paper's baselines on MNIST and Fashion-MNIST at ratios of 100 and 600.

    python tests/benchmarks/mgvae.py [--quick | --full] [--data mnist,fashion] [--ratios 100,600] [--seeds 3]
                                     [--arms erm,mgvae] [--out docs/results]

A schedule that suits a CPU; `--full` is the paper's, with 5 seeds, for a GPU; `--quick` shows that all works, on 2,000
majority rows with one seed. Writes `mgvae.csv` after each measurement, `mgvae.md` with it; a run that was stopped goes
on where it was, and what other settings gave is done again. Last line of stdout: one JSON object.
"""

import argparse
import io
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from feature_extraction import storage
from jobs import console
from tests.benchmarks.mgvae_results import arms, images, page
from tests.benchmarks.mgvae_results.arms import Job

PAGE, TWIN = "mgvae.md", "mgvae.csv"
KEYS = list(Job._fields)
COLUMNS = [*KEYS, *arms.MEASURES, "cpu_seconds", "fingerprint"]
SEEDS = {"quick": 1, "cpu": 3, "full": 5}

logger = logging.getLogger("tests.benchmarks.mgvae")


def run(
    arguments: Sequence[str] | None = None, measure: Callable[[Job], dict[str, Any]] = arms.measure
) -> dict[str, Any]:
    """Measure what is missing, write page and ledger, and return the figures of the last line."""
    given = _read_arguments(arguments)
    plan = "quick" if given.quick else "full" if given.full else "cpu"
    jobs = [
        Job(data, ratio, seed, arm, plan)
        for seed in range(given.seeds or SEEDS[plan])
        for data in given.data
        for ratio in given.ratios
        for arm in given.arms
    ]
    started, todo = time.monotonic(), missing(jobs, read(given.out))
    logger.info("%d measurements, %d of them to do", len(jobs), len(todo))
    for number, job in enumerate(todo, start=1):
        found = measure(job)
        add(given.out, job._asdict() | found | {"fingerprint": arms.fingerprint(job)}, jobs)
        passed = time.monotonic() - started
        logger.info("%d of %d, %.0f s: %s: %s", number, len(todo), passed, " ".join(map(str, job)), found)
    return figures(read(given.out), plan) | {"seconds": round(time.monotonic() - started)}


def figures(rows: pd.DataFrame, plan: str) -> dict[str, Any]:
    """Return the mean B-ACC in percent of each arm on each task that was measured."""
    means = 100 * rows[rows["plan"] == plan].groupby(["data", "ratio", "arm"], sort=False)["b_acc"].mean()
    return {"_".join(map(str, key)): round(float(value), 2) for key, value in means.items()}


def read(folder: str) -> pd.DataFrame:
    """Return the rows of the ledger in a folder, none where there is no ledger."""
    place = storage.join(folder, TWIN)
    if not storage.exists(place):
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(io.BytesIO(storage.read_bytes(place)), dtype={"fingerprint": str})


def missing(jobs: Sequence[Job], rows: pd.DataFrame) -> list[Job]:
    """Return the jobs without a row by the same settings."""
    done = {tuple(row[:-1]): row[-1] for row in rows[[*KEYS, "fingerprint"]].itertuples(index=False, name=None)}
    return [job for job in jobs if done.get(tuple(job)) != arms.fingerprint(job)]


def add(folder: str, row: dict[str, Any], jobs: Sequence[Job]) -> None:
    """Write a row to the ledger, in place of an older one of the same keys, and the page anew."""
    before = read(folder)
    same = (before[KEYS] == pd.Series({key: row[key] for key in KEYS})).all(axis=1)
    fresh = pd.DataFrame([row], columns=COLUMNS)
    after = pd.concat([before[~same], fresh], ignore_index=True) if len(before) else fresh
    storage.write_bytes(storage.join(folder, TWIN), after.to_csv(index=False, float_format="%.6g").encode())
    storage.write_bytes(storage.join(folder, PAGE), page.text(after, jobs).encode())


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option = parser.add_argument
    add_option("--quick", action="store_true", help="one seed, 2,000 majority rows and few steps")
    add_option("--full", action="store_true", help="the paper's schedule, 5 seeds")
    add_option("--data", type=_some_of(images.SETS), default=list(images.SETS), help=",".join(images.SETS))
    add_option("--ratios", type=_ratios, default=list(images.ROWS_PER_CLASS), help="100,600")
    add_option("--arms", type=_some_of(arms.ARMS), default=list(arms.ARMS), help=f"some of {','.join(arms.ARMS)}")
    add_option("--seeds", type=int, default=0, help="seeds, counted from 0; by default those of the plan")
    add_option("--out", default="docs/results", help="folder of mgvae.md and mgvae.csv")
    return parser.parse_args(arguments)


def _ratios(text: str) -> list[int]:
    return [int(one) for one in _some_of([str(ratio) for ratio in images.ROWS_PER_CLASS])(text)]


def _some_of(known: Sequence[str] | dict[str, str]) -> Callable[[str], list[str]]:
    def read_names(text: str) -> list[str]:
        asked = text.split(",")
        if strange := sorted(set(asked) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(strange)}; known: {', '.join(known)}")
        return [name for name in known if name in asked]

    return read_names


def main() -> None:
    console.set_up()
    logger.setLevel(logging.INFO)
    logging.getLogger("training").setLevel(logging.WARNING)
    if not images.FOLDER.exists():
        logger.error("%s is absent, so nothing is measured", images.FOLDER)
        return
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
