"""How fast and how complete the feature-table reader is: `python tests/benchmarks/reader.py`.

Speed: one pass over 2 million rows of 60 float32 columns and a label, in row groups of 8,000 to 64,000
rows. A bare pyarrow scan is the faster of the two ways pyarrow 14 offers to bring the same columns of the
same files into Arrow memory, with its default threads and nothing done to them after: `pyarrow.dataset`
batches, and `ParquetFile` row groups one after the other. Ours is `FeatureReader.scan()` as it streams a
table too large for memory, so it also checks the footers and stacks each row group to one C-contiguous
block. All three take turns within each round; the ratio is the median over the rounds.

Completeness: finite passes over a table of 20 row groups, 1,000 for each of 1, 2 and 10 workers; all rows
are counted here as well, so `rows_lost` does not rest on the reader's own check. Last line of stdout: one
JSON object.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa
import pyarrow.dataset
from pyarrow import parquet

from feature_extraction.schema import FeatureSchema
from training.reader import FeatureReader, IncompleteRead

FEATURES = 60
SCHEMA = FeatureSchema(tuple(f"metric{i // 10}__feature{i % 10}" for i in range(FEATURES)), ("no", "yes"), "yes")
COLUMNS = ["label", *SCHEMA.names]
PARTS = ((250_000, 8_000), (250_000, 16_000), (250_000, 32_000), (250_000, 64_000)) * 2
ROUNDS = 7
EPOCHS = 1_000
WORKERS = (1, 2, 10)


def write_table(folder: Path, parts: tuple[tuple[int, int], ...]) -> int:
    generator = np.random.default_rng(0)
    (folder / "schema.json").write_text(SCHEMA.to_json())
    for number, (rows, group_rows) in enumerate(parts):
        columns = {"entity_id": [f"entity-{number}-{row}" for row in range(rows)]}
        columns["label"] = generator.choice(np.array([-1, 0, 1], np.int8), rows, p=[0.98, 0.015, 0.005])
        columns |= {name: generator.standard_normal(rows, np.float32) for name in SCHEMA.names}
        parquet.write_table(pa.table(columns), folder / f"part-{number:05}.parquet", row_group_size=group_rows)
    return sum(rows for rows, _ in parts)


def arrow_dataset(folder: Path) -> int:
    files = sorted(map(str, folder.glob("part-*.parquet")))
    return sum(batch.num_rows for batch in pyarrow.dataset.dataset(files).to_batches(columns=COLUMNS))


def arrow_row_groups(folder: Path) -> int:
    rows = 0
    for path in sorted(folder.glob("part-*.parquet")):
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows += file.read_row_group(group, columns=COLUMNS).num_rows
    return rows


def our_scan(folder: Path) -> int:
    return sum(len(batch.features) for batch in FeatureReader(str(folder), memory_limit_mb=0).scan())


def speeds(folder: Path, rows: int) -> dict[str, list[float]]:
    ways: tuple[Callable[[Path], int], ...] = (arrow_dataset, arrow_row_groups, our_scan)
    found: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way in ways:
            started = time.perf_counter()
            if way(folder) != rows:
                raise IncompleteRead(f"{way.__name__} did not read {rows} rows")
            if number:  # the first round warms the page cache
                found[way.__name__].append(rows / (time.perf_counter() - started))
    return found


def rows_lost(folder: Path, rows: int, workers: int) -> int:
    reader = FeatureReader(str(folder), memory_limit_mb=0, workers=workers)
    lost = 0
    for _ in range(EPOCHS):
        found = 0
        try:
            for batch in reader.scan():
                found += len(batch.labels)
        except IncompleteRead as error:
            print(error)
        lost += abs(rows - found)
    return lost


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        big, small = Path(name, "big"), Path(name, "small")
        big.mkdir()
        small.mkdir()
        measured = speeds(big, write_table(big, PARTS))
        rounds = zip(*measured.values(), strict=True)
        result: dict[str, object] = {
            "arrow_ratio": round(statistics.median(ours / max(bare) for *bare, ours in rounds), 3),
            "rows_per_second": {way: round(statistics.median(found)) for way, found in measured.items()},
        }
        rows = write_table(small, ((500, 50), (500, 50)))
        lost = {workers: rows_lost(small, rows, workers) for workers in WORKERS}
    result |= {"epochs": EPOCHS * len(WORKERS), "rows_lost": sum(lost.values()), "rows_lost_by_workers": lost}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
