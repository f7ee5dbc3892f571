"""What scoring costs next to Spark's copy of the same table: `python tests/benchmarks/scoring.py`.

The copy reads the feature table and writes it again, `spark.read.parquet(...).write.parquet(...)`. The score is the
whole job on it: the probabilities of a ScarceGAN of default size, rank, alerts, their reasons, and the scores table,
written and counted. Both run by turns in one Spark session of two threads, on 5 million rows of 60 float32 features
(`--rows` for fewer) in files as extraction writes them, after one round of each on a small table that is not counted.
The networks have default settings but for their steps, since weights make no difference to the time; the small sample
that they learn from lacks values in every feature, so each has its indicator, as in the widest case.

`copy_ratio`: median over rounds of score / copy. `worker_peak_mb`: largest resident set of a Python worker, looked up
every 0.2 s. Last line of stdout: one JSON object.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYSPARK_SUBMIT_ARGS"] = "--master local[2] pyspark-shell"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from feature_extraction import publishing, table_files
from feature_extraction.schema import FeatureSchema
from inference.score import score
from inference.settings import ScoreSettings
from jobs import spark
from tests.benchmarks.extract import worker_memory
from training.keras.scarcegan import ScarceGAN
from training.reader import ArrayReader

NAMES = tuple(f"metric{number // 10}__feature{number % 10}" for number in range(60))
SCHEMA = FeatureSchema(NAMES, ("regular", "rare"), "rare")
ROWS, ROUNDS, WARM_UP_ROWS = 5_000_000, 3, 200_000
SAMPLE_ROWS, STEPS = 4_000, 50
MISSING = 0.02


def rows(number: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features, some of them missing, and labels, most of them unknown; rare rows lie apart."""
    labels = generator.choice(np.array([-1, 0, 1], np.int8), number, p=[0.9, 0.08, 0.02])
    rare = (labels == 1) | ((labels == -1) & (generator.random(number) < 0.01))
    features = generator.standard_normal((number, len(NAMES)), np.float32)
    features[rare, :10] += 1
    features[generator.random(features.shape, np.float32) < MISSING] = np.nan
    return features, labels


def write_table(folder: Path, number: int) -> None:
    folder.mkdir()
    (folder / "schema.json").write_text(SCHEMA.to_json())
    generator = np.random.default_rng(0)
    for part, first in enumerate(range(0, number, table_files.ROWS_PER_FILE)):
        features, labels = rows(min(table_files.ROWS_PER_FILE, number - first), generator)
        columns = {"entity_id": pa.array([f"player_{first + row:08d}" for row in range(len(labels))])}
        columns["label"] = pa.array(labels)
        columns |= {name: pa.array(values, from_pandas=True) for name, values in zip(NAMES, features.T, strict=True)}
        list(table_files.write(pa.table(columns).to_batches(), str(folder), part))


def write_model(folder: Path) -> None:
    features, labels = rows(SAMPLE_ROWS, np.random.default_rng(1))
    ScarceGAN(steps=STEPS, activity=NAMES[0]).fit(ArrayReader(features, labels, SCHEMA)).save(str(folder))


def copied(session: SparkSession, table: Path, out: Path) -> int:
    session.read.parquet(*publishing.part_files(str(table))).write.parquet(str(out))
    return publishing.footer_rows(str(out))


def scored(session: SparkSession, table: Path, out: Path) -> int:
    return score(session, str(table), str(table.parent / "model"), ScoreSettings(), str(out)).rows


def seconds(job: Callable[[SparkSession, Path, Path], int], session: SparkSession, table: Path, number: int) -> float:
    out = table.parent / "out"
    begin = time.perf_counter()
    found = job(session, table, out)
    spent = time.perf_counter() - begin
    shutil.rmtree(out)
    if found != number:
        raise ValueError(f"{job.__name__}: {found:,} rows of {number:,}")
    return spent


def measured(session: SparkSession, table: Path, number: int, rounds: int) -> dict[str, list[float]]:
    write_table(table, number)
    times: dict[str, list[float]] = {"copy": [], "score": []}
    for turn in range(rounds):
        times["copy"].append(seconds(copied, session, table, number))
        times["score"].append(seconds(scored, session, table, number))
        print(f"{number:,} rows, round {turn + 1}: " + ", ".join(f"{name} {s[-1]:.1f} s" for name, s in times.items()))
    return times


def main(number: int, rounds: int) -> None:
    folder, memory, stop = Path(tempfile.mkdtemp(prefix="scoring-")), [], threading.Event()
    threading.Thread(target=worker_memory, args=(memory, stop), daemon=True).start()
    try:
        write_model(folder / "model")
        with spark.session("benchmark") as session:
            measured(session, folder / "small", min(number, WARM_UP_ROWS), 1)  # compiles, on both sides
            times = measured(session, folder / "table", number, rounds)
    finally:
        stop.set()
        shutil.rmtree(folder, ignore_errors=True)
    ratios = [score / copy for score, copy in zip(times["score"], times["copy"], strict=True)]
    result = {
        "copy_ratio": statistics.median(ratios),
        "copy_ratio_worst": max(ratios),
        "copy_seconds": statistics.median(times["copy"]),
        "score_seconds": statistics.median(times["score"]),
        "rows": number,
        "features": len(NAMES),
        "worker_peak_mb": max(memory),
    }
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    main(arguments.rows, arguments.rounds)
