"""Every method on every data set, beside what people would use instead: one table of results and the page it fills.

    python -m jobs.benchmark --quick
    python -m jobs.benchmark --folder ../logs --trainers auto gradient_boosting --budgets all 20 --processes 2

Data sets x trainers x label budgets x seeds. A folder holds NAME_events.parquet with NAME_labels.parquet, which go
through the whole pipeline by a run file NAME.toml, or tables with a column `label`; it may be anyone's. What is
finished is kept below `--out` and not done again, so a command that was stopped goes on, and one that asks for more
adds to the page.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from jobs import console
from jobs.arena import bundled, data_sets, page, runs
from jobs.arena import plan as plans
from jobs.arena.data_sets import DataSet, Table
from jobs.arena.plan import Plan, PlanError
from jobs.arena.processes import Limits
from jobs.arena.runs import Arena
from jobs.arena.splits import BUDGETS
from training.trainer import TRAINERS

logger = logging.getLogger("jobs.benchmark")
PAGES = "docs/results"
MOST_PROCESSES = 4  # by default: each may take the whole limit of memory
QUICK_LIMIT_SECONDS = 120.0


def run(arguments: Sequence[str] | None = None) -> bool:
    """Run what the command line asks for and write the page; return whether there was anything to do."""
    given = _parser().parse_args(arguments)
    folder = Path(given.out, "arena", "quick" if given.quick else "")
    sets, plan = _sets(given), _plan(given)
    arena = Arena(
        folder=folder,
        load=lambda data, features: _table(data, features, str(folder.parent if given.quick else folder)),
        limits=Limits(
            given.seconds or (QUICK_LIMIT_SECONDS if given.quick else Limits.seconds), given.memory_mb, given.threads
        ),
        processes=0 if given.page_only else given.processes or min(MOST_PROCESSES, os.cpu_count() or 1),
        retry=given.retry,
    )
    results, num_new = runs.run(sets, plan, arena)
    written = page.write(given.page or str(folder if given.quick else PAGES), folder, results, plan)
    logger.info("arena: %s", written)
    return num_new > 0 or given.page_only


def _sets(given: argparse.Namespace) -> list[DataSet]:
    """Return the data sets that are asked for, of all folders; without a folder those that are bundled."""
    found = {} if given.folder else bundled.available()
    for folder in given.folder:
        own = data_sets.available(folder)
        if twice := sorted(own.keys() & found.keys()):
            raise PlanError(f"{folder}: the data sets {twice} are in another --folder as well; rename their files")
        found |= own
    return [found[name] for name in plans.chosen(list(found), given.data, "data set")]


def _table(data: DataSet, features: str, cache: str) -> Table:
    return data_sets.table(data, features, cache=cache) if data.folder else bundled.table(data)


def _plan(given: argparse.Namespace) -> Plan:
    overrides = plans.read_settings(given.config) if given.config else {}
    if given.quick:
        quick = plans.quick_settings()
        overrides = {name: quick.get(name, {}) | overrides.get(name, {}) for name in TRAINERS}
    return Plan(
        trainers=tuple(plans.chosen(list(TRAINERS), given.trainers, "trainer")),
        budgets=tuple(given.budgets or (plans.QUICK_BUDGETS if given.quick else BUDGETS)),
        seeds=given.seeds or (plans.QUICK_SEEDS if given.quick else plans.SEEDS),
        features=tuple(given.features),
        overrides=overrides,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.benchmark",
        description="Compare every method with what people would use instead, on many data sets.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes, one budget, one seed: shows that all of it works")
    add("--folder", action="append", default=[], help="folder of data, may be repeated; bundled tables without any")
    add("--data", nargs="+", default=[], metavar="NAME", help="data sets, by name or pattern (adbench_*)")
    add("--trainers", nargs="+", default=[], metavar="NAME", help="methods, by name or pattern; all by default")
    add("--budgets", nargs="+", default=[], metavar="NAME", help=f"label budgets, of {', '.join(BUDGETS)}")
    add("--seeds", type=int, default=0, help=f"how many seeds, {plans.SEEDS} by default; five test each entity once")
    add("--features", nargs="+", default=[], metavar="SET", help="feature sets on which all methods are compared")
    add("--config", default="", help="run file whose [train.NAME] sections give settings of methods")
    add("--processes", type=int, default=0, help="fits at a time; as many as processors, but 4 at most, by default")
    add("--threads", type=int, default=1, help="threads of each fit's libraries")
    add(
        "--seconds",
        type=float,
        default=0,
        help="limit of each fit, seconds of a processor; 1,800, or 120 in a quick run",
    )
    add("--memory-mb", type=float, default=8_192, help="limit of each fit's memory, MiB")
    add("--retry", action="store_true", help="do failed fits again")
    add("--page-only", action="store_true", help="fit nothing; write the page from what is finished")
    add("--out", default="out", help="folder of features and finished fits")
    add("--page", default="", help=f"folder of arena.md and arena.csv; {PAGES}, or below --out for a quick run")
    return parser


def _quietly() -> bool:
    logging.getLogger("training").setLevel(logging.WARNING)
    return run()


if __name__ == "__main__":
    console.main(_quietly)
