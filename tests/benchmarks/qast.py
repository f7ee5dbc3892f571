"""QAST beside plain, class weights, SMOTE and jitter on its authors' forty tables.

    python tests/benchmarks/qast.py [--tables glass,CWRU_1_20] [--seeds 5] [--arms plain,repaired]
                                    [--learners gradient_boosting] [--epochs 60] [--jobs 8] [--out docs/results]

Supplied split with 5 seeds, 5 resplits of five tables, and the BLSTM on one. Writes `qast.md` and `qast.csv` after each
step of the plan; a run that was stopped goes on where it was, and only what other settings or data gave is done again
(`--anew`: also what other code gave). Last line of stdout: one JSON object.
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

import numpy as np

from jobs import console
from tests.benchmarks.qast_results import arms, compare, ledger, page, tables
from tests.benchmarks.qast_results.arms import Job
from tests.benchmarks.qast_results.ledger import LEDGER
from tests.benchmarks.results.command import some_of

logger = logging.getLogger("tests.benchmarks.qast")


def run(
    arguments: Sequence[str] | None = None, measure: Callable[[Job], dict[str, Any]] = arms.measure
) -> dict[str, Any]:
    """Measure what is missing, write page and ledger, and return the figures of the last line."""
    given = _read(arguments)
    started = time.monotonic()
    wanted = ledger.plan(given.tables, given.seeds, given.arms, given.learners, given.epochs)
    whole = ledger.plan(list(tables.TABLES), compare.SEEDS, arms.ARMS, arms.LEARNERS)
    todo = ledger.missing(wanted, LEDGER.read(given.out), code=arms.code_digest() if given.anew else "")
    logger.info("%d measurements, %d of them to do", len(wanted), len(todo))

    def write_page() -> None:
        page.write(given.out, LEDGER.read(given.out), whole)

    try:
        ledger.work_off(todo, given.out, processes=given.jobs, measure=measure, after_block=write_page)
    finally:
        write_page()
    return figures(LEDGER.read(given.out)) | {"seconds": round(time.monotonic() - started)}


def figures(rows: Any) -> dict[str, Any]:
    """Return the gains of QAST repaired, null where nothing was measured, and on how many tables it was."""
    cwru = compare.on_cwru(rows, "macro_f1")
    found: dict[str, Any] = {"cwru_1_20_macro_f1": float(cwru.mean()) if len(cwru) else float("nan")}
    found |= {name: gain.mean for name, gain in compare.gains(rows).items()}
    found = {name: None if np.isnan(value) else round(value, 4) for name, value in found.items()}
    return found | {"tables": int(rows[rows["arm"] == arms.REPAIRED]["table"].nunique())}


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--tables", type=some_of(tables.TABLES), default=list(tables.TABLES), help="names, by commas; all by default")
    add("--arms", type=some_of(arms.ARMS), default=list(arms.ARMS), help=f"some of {','.join(arms.ARMS)}")
    add("--learners", type=some_of(arms.LEARNERS), default=list(arms.LEARNERS), help=",".join(arms.LEARNERS))
    add("--seeds", type=int, default=compare.SEEDS, help="seeds of the supplied split, and resplits, counted from 0")
    add("--epochs", type=int, help="adversarial epochs of both QAST arms, instead of each table's budget")
    add("--jobs", type=int, default=1, help="processes")
    add("--out", default="docs/results", help="folder of qast.md and qast.csv")
    add("--anew", action="store_true", help="measure again what other code measured")
    return parser.parse_args(arguments)


def main() -> None:
    console.set_up()
    logger.setLevel(logging.INFO)
    logging.getLogger("training").setLevel(logging.WARNING)  # hundreds of trainings, each with its own progress
    if not tables.FOLDER.exists():
        logger.error("%s is absent, so nothing is measured", tables.FOLDER)
        return
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
