"""IMSIC, the same generator without structure, SMOTE, copies, weights and ERM on long-tailed MNIST and Fashion-MNIST.

    python tests/benchmarks/imsic.py [--quick | --full] [--data mnist,fashion] [--seeds 3] [--arms erm,imsic]
                                     [--out docs/results]

A schedule that suits a CPU, with 3 seeds; `--full` is the paper's size, with 5 seeds, for a GPU; `--quick` shows that
all works, on 600 rows with one seed. Writes `imsic.csv` after each measurement, `imsic.md` with it; a run that was
stopped goes on where it was, and what other settings gave is done again. Last line of stdout: one JSON object.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from tests.benchmarks.imsic_results import arms, page
from tests.benchmarks.imsic_results.arms import Job
from tests.benchmarks.results import image_command
from tests.benchmarks.results.ledger import Ledger

LEDGER = Ledger(
    "imsic.csv", Job._fields, (*arms.MEASURES, *arms.RECALLS, *arms.OF_GENERATORS, "cpu_seconds", "fingerprint")
)


def run(
    arguments: Sequence[str] | None = None, measure: Callable[[Job], dict[str, Any]] = arms.measure
) -> dict[str, Any]:
    """Measure what is missing, write page and ledger, and return the figures of the last line."""
    given = _read(arguments)
    plan = image_command.plan_of(given)
    jobs = [
        Job(data, seed, arm, plan)
        for seed in image_command.seeds_of(given)
        for data in given.data
        for arm in given.arms
    ]
    rows, seconds = image_command.fill(
        LEDGER, given.out, jobs, measure=measure, fingerprint=arms.fingerprint, page=page.text
    )
    return figures(rows, plan) | {"seconds": seconds}


def figures(rows: pd.DataFrame, plan: str) -> dict[str, float]:
    """Return the mean recall of the five rarest classes in percent, of each arm on each set that was measured."""
    return image_command.percent(
        rows[rows["plan"] == plan].groupby(["data", "arm"], sort=False)["rarest_recall"].mean()
    )


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    quick, full = "one seed, 600 rows and few steps", "the paper's networks, 300 epochs, 5 seeds"
    parser = image_command.parser(__doc__.splitlines()[0], "imsic", arms=arms.ARMS, quick=quick, full=full)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    image_command.main(run)
