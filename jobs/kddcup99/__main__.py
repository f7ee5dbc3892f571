"""Measure the methods of a plan on KDD Cup 1999, print the table and write it.

python -m jobs.kddcup99 --data FOLDER --config jobs/configs/kddcup99_three_negatives.toml --seeds 8
"""

import argparse
import logging
import sys
from collections.abc import Sequence

import pandas as pd

from jobs import console
from jobs.kddcup99 import anomalies, fits, page
from jobs.kddcup99 import plan as plans
from jobs.kddcup99.plan import Plan, PlanError
from training.kddcup99 import duplicates, files
from training.kddcup99.setups import prepare

logger = logging.getLogger("jobs.kddcup99")


def run(arguments: Sequence[str] | None = None) -> None:
    """Measure, write `kddcup99.md` and `kddcup99.csv`, and print what was measured."""
    given = _parser().parse_args(arguments)
    if given.seeds < 1:
        raise PlanError(f"--seeds is {given.seeds}, expected at least 1")
    plan = plans.read(given.config)
    data = files.read(given.data)
    results = page.merged(given.out, _measure(plan, data, given))
    parts = page.sections(plan, results, duplicates.count(data))
    page.write(given.out, parts, results)
    sys.stdout.write("\n\n".join(parts.values()) + "\n")


def _measure(plan: Plan, data: files.KddCup99, given: argparse.Namespace) -> pd.DataFrame:
    found = []
    detectors = plan.anomalies.methods if plan.anomalies else ()
    tables = anomalies.read(given.adbench, plan.anomalies) if plan.anomalies and given.adbench else []
    if plan.anomalies and not tables:
        logger.info("no --adbench: the tables %s are left out", ", ".join(plan.anomalies.tables))
    for setup in plan.setups:
        compared = plan.anomalies is not None and setup.name in plan.anomalies.setups
        methods = [*plan.methods, *(detectors if compared else ())]
        found.append(fits.run([prepare(setup, data)], methods, given.seeds, given.cache))
    found.append(fits.run(tables, detectors, given.seeds, given.cache))
    return pd.concat(found, ignore_index=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobs.kddcup99", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="folder with kddcup.data_10_percent.gz and corrected.gz")
    add("--config", default="jobs/configs/kddcup99_three_negatives.toml", help="the plan, a TOML file")
    add("--seeds", type=int, default=8, help="how many seeds; each draws other rows")
    add("--out", default="docs/results", help="folder of kddcup99.md and kddcup99.csv")
    add("--cache", default="out/kddcup99", help="folder of finished fits, which are not done again")
    add("--adbench", default="", help="folder with the .npz files of ADBench, for the anomaly detectors")
    return parser


def _quietly() -> None:
    logging.getLogger("training").setLevel(logging.WARNING)  # hundreds of fits, each with its own progress
    run()


if __name__ == "__main__":
    console.main(_quietly)
