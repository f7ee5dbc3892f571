"""The importance vector, published and repaired, beside k-means, mixtures, ERM, weights, ROS and SMOTE.

    python tests/benchmarks/importance.py [--seeds 5] [--sections losses,scalings] [--out docs/results]

Writes `importance.md` after each section and `importance.csv` after each row of it; rows of sections that are not run
again stay. Last line of stdout: one JSON object.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from jobs import console
from tests.benchmarks.importance_results import labeled, page, tables, unlabeled
from tests.benchmarks.results.command import some_of

logger = logging.getLogger("tests.benchmarks.importance")

SECTIONS: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "losses": unlabeled.entropy_losses,
    "scalings": unlabeled.scalings,
    "pseudo_labels": unlabeled.pseudo_labels,
    "several_classes": unlabeled.several_classes,
    "few_labels": labeled.few_labels,
    "ablations": unlabeled.ablations,
}


def run(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure the sections, write page and rows, and return the figures of the last line."""
    given = _read(arguments)
    started, place = time.monotonic(), Path(given.out) / "importance.csv"
    rows = pd.read_csv(place) if place.exists() else pd.DataFrame({"section": []})
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for section in given.sections:
            others, found = rows[rows["section"] != section], list[dict[str, Any]]()
            for row in SECTIONS[section](given.seeds):
                found.append(row)
                rows = pd.concat([others, pd.DataFrame(found)], ignore_index=True)
                rows.round(5).to_csv(place, index=False)
            page.write(Path(given.out) / "importance.md", rows)
            logger.info("%s: %d rows after %.0f s", section, len(found), time.monotonic() - started)
    return page.figures(rows) | {"seconds": round(time.monotonic() - started)}


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="seeds, counted from 0")
    parser.add_argument(
        "--sections", type=some_of(SECTIONS), default=list(SECTIONS), help=f"some of {','.join(SECTIONS)}"
    )
    parser.add_argument("--out", default="docs/results", help="folder of importance.md and importance.csv")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the benchmark, where its tables are at hand."""
    console.set_up()
    logger.setLevel(logging.INFO)
    if not tables.ROOT.exists():
        logger.error("%s is absent, so nothing is measured", tables.ROOT)
        return
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
