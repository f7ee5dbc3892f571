"""What the extraction job costs next to the bare Spark job below it: `python tests/benchmarks/extract.py`.

The bare job sums the same events to daily series and writes them; ours makes every feature of the same metrics. Both
run by turns in one Spark session, on generated logs of 1, 10 and 50 million events of 10, 100 and 500 thousand
entities over 180 days (`--largest 10` leaves the last one out), after one round of each that is not counted.

`floor_ratio`: median over rounds of ours / bare at 10 M events. `linear_ratio`: seconds an event at the largest log
over those at 10 M (and `linear_ratio_1m` over those at 1 M, where a job's fixed costs weigh more). `worker_peak_mb`:
largest resident set of a Python worker, looked up every 0.2 s. Last line of stdout: one JSON object.
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
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from feature_extraction.extract import extract
from feature_extraction.feature_rows import Extraction
from feature_extraction.publishing import Run
from feature_extraction.settings import EventsSettings, FeaturesSettings, LabelsSettings, WindowSettings
from jobs import spark

MILLION, DAYS = 1_000_000, 180
ENTITIES = {1: 10_000, 10: 100_000, 50: 500_000}
ROUNDS = {1: 5, 10: 5, 50: 1}
METRICS = {"spend": {"column": "amount"}, "items": {"column": "items"}, "visits": {"aggregate": "count"}}
WINDOW = WindowSettings(start="2024-01-01", end="2024-06-29")


def write_log(folder: Path, millions: int) -> None:
    """Purchases at random times; what an entity buys of all varies by an exponential factor."""
    folder.mkdir()
    generator = np.random.default_rng(millions)
    number = ENTITIES[millions]
    share = np.cumsum(generator.gamma(1.0, 1.0, number) + 0.05)
    ids = pa.array([f"player_{i:07d}" for i in range(number)])
    start = np.datetime64(WINDOW.start, "us").astype(np.int64)
    for part in range(millions):
        entity = np.searchsorted(share, generator.random(MILLION) * share[-1]).astype(np.int32)
        seconds = generator.integers(0, DAYS * 86_400, MILLION)
        columns = {
            "entity_id": pa.DictionaryArray.from_arrays(pa.array(entity), ids).cast(pa.string()),
            "ts": pa.array(start + seconds * MILLION, pa.timestamp("us", tz="UTC")),
            "amount": generator.gamma(2, 10, MILLION).round(2),
            "items": generator.integers(1, 6, MILLION).astype(np.int32),
        }
        pq.write_table(pa.table(columns), folder / f"part-{part:03d}.parquet")


def bare(session: SparkSession, log: Path, out: Path) -> None:
    events = session.read.parquet(str(log)).where(F.col("ts").between(WINDOW.start, WINDOW.end))
    sums = [F.sum("amount").alias("spend"), F.sum("items").alias("items"), F.count(F.lit(1)).alias("visits")]
    events.groupBy("entity_id", F.to_date("ts").alias("day")).agg(*sums).write.parquet(str(out / "daily"))


def ours(session: SparkSession, log: Path, out: Path) -> None:
    settings = EventsSettings(url=str(log), metrics=METRICS)
    job = Extraction(settings, WINDOW, LabelsSettings(), FeaturesSettings())
    quality = extract(session, job, Run(str(out), "features", "x"), Run(str(out), "quarantine", "x"))
    print(json.dumps(quality["events"] | quality["entities"] | quality["fit_status"]["spend"]))


def seconds(job: Callable[[SparkSession, Path, Path], None], session: SparkSession, log: Path) -> float:
    out = Path(tempfile.mkdtemp(dir=log.parent))
    begin = time.perf_counter()
    job(session, log, out)
    spent = time.perf_counter() - begin
    shutil.rmtree(out)
    return spent


def worker_memory(found: list[float], stop: threading.Event) -> None:
    """Add the resident set (MB) of the largest Python worker again and again."""
    while not stop.wait(0.2):
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if b"pyspark.daemon" in (place / "cmdline").read_bytes():
                    pages = int((place / "statm").read_text().split()[1])
                    found.append(pages * os.sysconf("SC_PAGESIZE") / 2**20)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since


def measured(session: SparkSession, log: Path, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for number in range(rounds):
        for name, job in (("bare", bare), ("ours", ours)):
            times[name].append(seconds(job, session, log))
        print(f"{log.name} round {number + 1}: bare {times['bare'][-1]:.1f} s, ours {times['ours'][-1]:.1f} s")
    return times


def main(largest: int) -> None:
    folder, memory, stop = Path(tempfile.mkdtemp(prefix="extract-")), [], threading.Event()
    threading.Thread(target=worker_memory, args=(memory, stop), daemon=True).start()
    times = {}
    try:
        with spark.session("benchmark") as session:
            session.conf.set("spark.sql.session.timeZone", "UTC")
            for millions in (one for one in ENTITIES if one <= largest):
                log = folder / f"{millions}m"
                write_log(log, millions)
                if not times:
                    measured(session, log, 1)  # compiles, on both sides
                times[millions] = measured(session, log, ROUNDS[millions])
                shutil.rmtree(log)
    finally:
        stop.set()
        shutil.rmtree(folder, ignore_errors=True)
    cost = {millions: statistics.median(found["ours"]) / millions for millions, found in times.items()}
    ratios = [one / other for one, other in zip(times[10]["ours"], times[10]["bare"], strict=True)]
    floor = {f"ratio_{m}m": statistics.median(f["ours"]) / statistics.median(f["bare"]) for m, f in times.items()}
    result = {
        "floor_ratio": statistics.median(ratios),
        "linear_ratio": cost[max(cost)] / cost[10],
        "worker_peak_mb": max(memory),
        "linear_ratio_1m": cost[max(cost)] / cost[1],
        **floor,
        "seconds_10m": statistics.median(times[10]["ours"]),
        "floor_ratio_worst": max(ratios),
    }
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, choices=(10, 50), default=50, help="millions of events, at most")
    main(parser.parse_args().largest)
