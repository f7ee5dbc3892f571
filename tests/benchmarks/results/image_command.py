"""What the benchmarks on MNIST's two sets share: their options, their plans, and a run from ledger to page."""

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pandas as pd

from jobs import console
from tests.benchmarks.results import mnist
from tests.benchmarks.results.command import some_of
from tests.benchmarks.results.ledger import Ledger

SEEDS = {"quick": 1, "cpu": 3, "full": 5}
Job = TypeVar("Job", bound=tuple[Any, ...])

logger = logging.getLogger("tests.benchmarks")


def parser(description: str, page: str, *, arms: Sequence[str], quick: str, full: str) -> argparse.ArgumentParser:
    """Return the options of both; `quick` and `full` say what these plans are."""
    found = argparse.ArgumentParser(description=description)
    add_option = found.add_argument
    add_option("--quick", action="store_true", help=quick)
    add_option("--full", action="store_true", help=full)
    add_option("--data", type=some_of(mnist.SETS), default=list(mnist.SETS), help=",".join(mnist.SETS))
    add_option("--arms", type=some_of(arms), default=list(arms), help=f"some of {','.join(arms)}")
    add_option("--seeds", type=int, default=0, help="seeds, counted from 0; by default those of the plan")
    add_option("--out", default="docs/results", help=f"folder of {page}.md and {page}.csv")
    return found


def plan_of(given: argparse.Namespace) -> str:
    """Return the name of the plan that is asked for."""
    return "quick" if given.quick else "full" if given.full else "cpu"


def seeds_of(given: argparse.Namespace) -> range:
    """Return the seeds that are asked for, or those of the plan."""
    return range(given.seeds or SEEDS[plan_of(given)])


def fill(
    ledger: Ledger,
    folder: str,
    jobs: Sequence[Job],
    *,
    measure: Callable[[Job], dict[str, Any]],
    fingerprint: Callable[[Job], str],
    page: Callable[[pd.DataFrame, Sequence[Job]], str],
) -> tuple[pd.DataFrame, int]:
    """Measure what is missing, write page and ledger; return all rows, and the seconds it took."""
    started = time.monotonic()
    rows = ledger.fill(folder, jobs, measure=measure, fingerprint=fingerprint, page=lambda found: page(found, jobs))
    return rows, round(time.monotonic() - started)


def percent(means: "pd.Series[float]") -> dict[str, float]:
    """Return shares in percent under the words of their index, as the last line has them."""
    return {"_".join(map(str, key)): round(100 * float(value), 2) for key, value in means.items()}


def main(run: Callable[[], dict[str, Any]]) -> None:
    """Run a benchmark, where its images are at hand, and print its last line."""
    console.set_up()
    logger.setLevel(logging.INFO)
    logging.getLogger("training").setLevel(logging.WARNING)
    if not mnist.FOLDER.exists():
        logger.error("%s is absent, so nothing is measured", mnist.FOLDER)
        return
    print(json.dumps(run()))
