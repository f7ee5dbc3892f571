"""IMSIC, the same generator without structure, SMOTE, copies, weights and ERM on long-tailed MNIST and Fashion-MNIST.

    python tests/benchmarks/imsic.py [--quick | --full] [--data mnist,fashion] [--seeds 3] [--arms erm,imsic]
                                     [--out docs/results]

A schedule that suits a CPU, with 3 seeds; `--full` is the paper's size, with 5 seeds, for a GPU; `--quick` shows that
all works, on 600 rows with one seed. Writes `imsic.csv` after each measurement, `imsic.md` with it; a run that was
stopped goes on where it was, and what other settings gave is done again. Last line of stdout: one JSON object.
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
from tests.benchmarks.imsic_results import arms, page
from tests.benchmarks.imsic_results.arms import Job
from tests.benchmarks.results import mnist
from tests.benchmarks.results.command import some_of
from tests.benchmarks.results.ledger import Ledger

LEDGER = Ledger(
    "imsic.csv", Job._fields, (*arms.MEASURES, *arms.RECALLS, *arms.OF_GENERATORS, "cpu_seconds", "fingerprint")
)
SEEDS = {"quick": 1, "cpu": 3, "full": 5}

logger = logging.getLogger("tests.benchmarks")


def run(
    arguments: Sequence[str] | None = None, measure: Callable[[Job], dict[str, Any]] = arms.measure
) -> dict[str, Any]:
    """Measure what is missing, write page and ledger, and return the figures of the last line."""
    given = _read(arguments)
    plan = "quick" if given.quick else "full" if given.full else "cpu"
    jobs = [
        Job(data, seed, arm, plan)
        for seed in range(given.seeds or SEEDS[plan])
        for data in given.data
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
    """Return the mean recall of the five rarest in percent, of each arm on each set that was measured."""
    means = 100 * rows[rows["plan"] == plan].groupby(["data", "arm"], sort=False)["rarest_recall"].mean()
    return {"_".join(map(str, key)): round(float(value), 2) for key, value in means.items()}


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option = parser.add_argument
    add_option("--quick", action="store_true", help="one seed, 600 rows and few steps")
    add_option("--full", action="store_true", help="the paper's networks, 300 epochs, 5 seeds")
    add_option("--data", type=some_of(mnist.SETS), default=list(mnist.SETS), help=",".join(mnist.SETS))
    add_option("--arms", type=some_of(arms.ARMS), default=list(arms.ARMS), help=f"some of {','.join(arms.ARMS)}")
    add_option("--seeds", type=int, default=0, help="seeds, counted from 0; by default those of the plan")
    add_option("--out", default="docs/results", help="folder of imsic.md and imsic.csv")
    return parser.parse_args(arguments)


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
