"""What memory QAST takes as its table grows: `python tests/benchmarks/qast_memory.py [--rows 10000,100000]`.

Each table has 50 columns (numbers with one or two modes, whole numbers, categories) and 1 % rare rows. It is trained on
to its end in a process of its own: encoder, committee, an adversarial epoch (memory does not grow with more), rows
up to the quota, second stage. Inner validation is off, as it repeats all this on fewer rows. Last line of stdout: one
JSON object, for each number of rows the most MiB that the process held, how many of them came with the fit, and the
processor's seconds; and MiB for each further thousand rows beside what they take themselves as float32.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FeatureSchema
from jobs.arena import processes
from jobs.arena.fit import DONE, Request
from jobs.arena.processes import Limits

COLUMNS, RARE_SHARE, TESTED, EPOCHS = 50, 0.01, 1_000, 1
SCHEMA = FeatureSchema(tuple(f"x{number}" for number in range(COLUMNS)), ("regular", "rare"), "rare")


def table(rows: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return features (rows, 50) and labels (rows,): 25 columns of numbers, 15 of counts, 10 of categories."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < RARE_SHARE).astype(np.int8)
    shift = labels[:, None] * random.normal(scale=0.7, size=COLUMNS)
    numbers = random.normal(size=(rows, 25)) + 6 * (random.random((rows, 25)) < 0.3) * (np.arange(25) % 2)
    counts = random.poisson(20, size=(rows, 15))
    categories = random.integers(0, 6, size=(rows, 10))
    features = np.hstack([numbers, counts, categories]) + np.hstack(
        [shift[:, :25], np.round(4 * shift[:, 25:40]), np.zeros((rows, 10))]
    )
    return features.astype(np.float32), labels


def measure(rows: int) -> dict[str, Any]:
    """Train on a table of that many rows and return what it took."""
    features, labels = table(rows + TESTED)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.save(place / "features.npy", features)
        np.savez(place / "split.npz", training=np.arange(rows), labels=labels[:rows], test=np.arange(rows, len(labels)))
        request = Request(
            trainer="qast",
            settings={"seed": 0, "device": "cpu", "epochs": EPOCHS, "fallback": "off", "features_at_most": None},
            features=str(place / "features.npy"),
            split=str(place / "split.npz"),
            schema=SCHEMA.to_json(),
            scores=str(place / "scores.npy"),
            answer=str(place / "answer.json"),
        )
        answer = processes.run(request, Limits(seconds=7_200, memory_mb=16_384), Event())
    if answer.outcome != DONE or answer.peak_mb is None or answer.start_mb is None:
        raise RuntimeError(f"{rows} rows: {answer.outcome}: {answer.error}")
    return {"peak_mb": answer.peak_mb, "fit_mb": answer.peak_mb - answer.start_mb, "cpu_seconds": answer.cpu_seconds}


def figures(found: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return the last line: what each number of rows took, and MiB for each further thousand rows."""
    least, most = min(found), max(found)
    line: dict[str, Any] = {f"{name}_{rows}": value for rows, one in found.items() for name, value in one.items()}
    if most > least:
        grown = found[most]["peak_mb"] - found[least]["peak_mb"]
        line["mb_per_1000_rows"] = round(grown / (most - least) * 1_000, 3)
        line["table_mb_per_1000_rows"] = round(1_000 * COLUMNS * 4 / 2**20, 3)
    return line


def run(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure each number of rows and return the figures of the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="10000,100000", help="numbers of training rows, by commas")
    given = parser.parse_args(arguments)
    return figures({rows: measure(rows) for rows in map(int, given.rows.split(","))})


if __name__ == "__main__":
    print(json.dumps(run()))
