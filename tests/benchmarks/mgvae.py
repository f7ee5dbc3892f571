"""MGVAE and the paper's baselines on MNIST and Fashion-MNIST at ratios of 100 and 600.

    python tests/benchmarks/mgvae.py [--quick | --full] [--data mnist,fashion] [--ratios 100,600] [--seeds 3]
                                     [--arms erm,mgvae] [--out docs/results]

A schedule that suits a CPU; `--full` is the paper's, with 5 seeds, for a GPU; `--quick` shows that all works, on 2,000
majority rows with one seed. Writes `mgvae.csv` after each measurement, `mgvae.md` with it; a run that was stopped goes
on where it was, and what other settings gave is done again. Last line of stdout: one JSON object.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from jobs import console
from tests.benchmarks.mgvae_results import arms, images, page
from tests.benchmarks.mgvae_results.arms import Job
from tests.benchmarks.results import mnist
from tests.benchmarks.results.command import some_of
from tests.benchmarks.results.ledger import Ledger

LEDGER = Ledger("mgvae.csv", Job._fields, (*arms.MEASURES, "cpu_seconds", "fingerprint"))
SEEDS = {"quick": 1, "cpu": 3, "full": 5}

logger = logging.getLogger("tests.benchmarks")


def run(
    arguments: Sequence[str] | None = None, measure: Callable[[Job], dict[str, Any]] = arms.measure
) -> dict[str, Any]:
    """Measure what is missing, write page and ledger, and return the figures of the last line."""
    given = _read(arguments)
    plan = "quick" if given.quick else "full" if given.full else "cpu"
    jobs = [
        Job(data, ratio, seed, arm, plan)
        for seed in range(given.seeds or SEEDS[plan])
        for data in given.data
        for ratio in given.ratios
        for arm in given.arms
    ]
    started = time.monotonic()
    rows = LEDGER.fill(
        given.out,
        jobs,
        measure=measure,
        fingerprint=arms.fingerprint,
        page=lambda found: page.text(found, jobs),
    )
    return figures(rows, plan) | {"seconds": round(time.monotonic() - started)}


def figures(rows: pd.DataFrame, plan: str) -> dict[str, Any]:
    """Return the mean B-ACC in percent of each arm on each task that was measured."""
    means = 100 * rows[rows["plan"] == plan].groupby(["data", "ratio", "arm"], sort=False)["b_acc"].mean()
    return {"_".join(map(str, key)): round(float(value), 2) for key, value in means.items()}


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option = parser.add_argument
    add_option("--quick", action="store_true", help="one seed, 2,000 majority rows and few steps")
    add_option("--full", action="store_true", help="the paper's schedule, 5 seeds")
    add_option("--data", type=some_of(mnist.SETS), default=list(mnist.SETS), help=",".join(mnist.SETS))
    add_option("--ratios", type=_ratios, default=list(images.ROWS_PER_CLASS), help="100,600")
    add_option("--arms", type=some_of(arms.ARMS), default=list(arms.ARMS), help=f"some of {','.join(arms.ARMS)}")
    add_option("--seeds", type=int, default=0, help="seeds, counted from 0; by default those of the plan")
    add_option("--out", default="docs/results", help="folder of mgvae.md and mgvae.csv")
    return parser.parse_args(arguments)


def _ratios(text: str) -> list[int]:
    return [int(one) for one in some_of([str(ratio) for ratio in images.ROWS_PER_CLASS])(text)]


def main() -> None:
    console.set_up()
    logger.setLevel(logging.INFO)
    logging.getLogger("training").setLevel(logging.WARNING)
    if not mnist.FOLDER.exists():
        logger.error("%s is absent, so nothing is measured", mnist.FOLDER)
        return
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
