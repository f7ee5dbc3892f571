"""The files a task writes: names by partition, even row groups, the same bytes whenever it runs."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction import table_files


def rows(number, start=0):
    values = np.arange(start, start + number, dtype=np.float32)
    values[::7] = np.nan
    ids = [f"e{i}" for i in range(start, start + number)]
    return pa.RecordBatch.from_pydict({"entity_id": ids, "x": pa.array(values, from_pandas=True)})


@pytest.mark.parametrize(("given", "files"), [([], []), ([5], [5]), ([30, 30, 30], [60, 30]), ([100, 1], [100, 1])])
def test_files_hold_what_was_given_in_order(tmp_path, monkeypatch, given, files):
    monkeypatch.setattr(table_files, "ROWS_PER_FILE", 60)
    batches = [rows(number, sum(given[:place])) for place, number in enumerate(given)]
    names = list(table_files.write(iter(batches), str(tmp_path), 3))
    assert names == [f"part-00003-{number:03d}.parquet" for number in range(len(files))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    found = [parquet.read_table(tmp_path / name) for name in names]
    assert [table.num_rows for table in found] == files
    if given:
        assert pa.concat_tables(found).equals(pa.Table.from_batches(batches))


def test_row_groups_are_even_and_count_their_nulls(tmp_path):
    number = 2 * table_files.ROWS_PER_GROUP + 1
    (name,) = table_files.write(iter([rows(number)]), str(tmp_path), 0)
    footer = parquet.read_metadata(tmp_path / name)
    groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
    assert [group.num_rows for group in groups] == [10_923, 10_923, 10_923]
    assert sum(group.column(1).statistics.null_count for group in groups) == -(-number // 7)


def test_a_task_that_runs_twice_writes_the_same_bytes_in_one_step(tmp_path):
    (name,) = table_files.write(iter([rows(100)]), str(tmp_path), 0)
    place = tmp_path / name
    first, data = place.stat().st_ino, place.read_bytes()
    list(table_files.write(iter([rows(60), rows(40, 60)]), str(tmp_path), 0))
    assert place.stat().st_ino != first  # a new file took the old one's place
    assert pa.concat_tables([parquet.read_table(place)]).num_rows == 100
    list(table_files.write(iter([rows(100)]), str(tmp_path), 0))
    assert place.read_bytes() == data


def test_what_arrow_reads_from_is_no_memory_of_pythons():
    data = bytes(range(250)) * 40
    holders = sys.getrefcount(data)
    reader = table_files.reader(data)
    assert sys.getrefcount(data) == holders
    assert reader.read() == data


def test_all_bytes_that_arrow_reads_are_given_to_it_so():
    root = Path(table_files.__file__).parents[1]
    packages = ("feature_extraction", "training", "inference", "jobs")
    sources = [path for package in packages for path in (root / package).rglob("*.py")]
    given = [path.name for path in sources if "BufferReader(" in path.read_text() or "py_buffer(" in path.read_text()]
    assert given == ["table_files.py"]
