"""MGVAE and the paper's baselines on MNIST and Fashion-MNIST at ratios of 100 and 600.

    python tests/benchmarks/mgvae.py [--quick | --full] [--data mnist,fashion] [--ratios 100,600] [--seeds 3]
                                     [--arms erm,mgvae] [--out docs/results]

A schedule that suits a CPU; `--full` is the paper's, with 5 seeds, for a GPU; `--quick` shows that all works, on 2,000
majority rows with one seed. Writes `mgvae.csv` after each measurement, `mgvae.md` with it; a run that was stopped goes
on where it was, and what other settings gave is done again. Last line of stdout: one JSON object.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from tests.benchmarks.mgvae_results import arms, images, page
from tests.benchmarks.mgvae_results.arms import Job
from tests.benchmarks.results import image_command
from tests.benchmarks.results.command import some_of
from tests.benchmarks.results.ledger import Ledger

LEDGER = Ledger("mgvae.csv", Job._fields, (*arms.MEASURES, "cpu_seconds", "fingerprint"))


def run(
    arguments: Sequence[str] | None = None, measure: Callable[[Job], dict[str, Any]] = arms.measure
) -> dict[str, Any]:
    """Measure what is missing, write page and ledger, and return the figures of the last line."""
    given = _read(arguments)
    plan = image_command.plan_of(given)
    jobs = [
        Job(data, ratio, seed, arm, plan)
        for seed in image_command.seeds_of(given)
        for data in given.data
        for ratio in given.ratios
        for arm in given.arms
    ]
    rows, seconds = image_command.fill(
        LEDGER, given.out, jobs, measure=measure, fingerprint=arms.fingerprint, page=page.text
    )
    return figures(rows, plan) | {"seconds": seconds}


def figures(rows: pd.DataFrame, plan: str) -> dict[str, float]:
    """Return the mean B-ACC in percent, of each arm on each task that was measured."""
    return image_command.percent(
        rows[rows["plan"] == plan].groupby(["data", "ratio", "arm"], sort=False)["b_acc"].mean()
    )


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    quick, full = "one seed, 2,000 majority rows and few steps", "the paper's schedule, 5 seeds"
    parser = image_command.parser(__doc__.splitlines()[0], "mgvae", arms=arms.ARMS, quick=quick, full=full)
    parser.add_argument("--ratios", type=_ratios, default=list(images.ROWS_PER_CLASS), help="100,600")
    return parser.parse_args(arguments)


def _ratios(text: str) -> list[int]:
    return [int(one) for one in some_of([str(ratio) for ratio in images.ROWS_PER_CLASS])(text)]


if __name__ == "__main__":
    image_command.main(run)
