"""The part files of a feature table: which count, what their footers promise, and petastorm's passes over them.

Takes the URL of the folder and its schema; gives `PartFiles`, whose `batches` are numpy blocks, one a row group.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import pyarrow as pa
from pyarrow import filesystem as legacy
from pyarrow import parquet

from feature_extraction import publishing, storage, table_files
from feature_extraction.schema import (
    CONFIDENCE,
    FEATURE_SEPARATOR,
    FIT_STATUS,
    LABEL,
    UNLABELED,
    FeatureSchema,
    SchemaMismatch,
)
from training.trainer import Batch, Floats

Shard = tuple[int, int]
WHOLE: Shard = (0, 1)
# What pyarrow 14 says of calls inside petastorm 0.12.1; both versions are pinned, so nobody can act on it.
PETASTORM_NOISE = (
    r"Passing 'use_legacy_dataset=True' to get the legacy behaviour is deprecated"
    r"|Specifying the 'metadata_nthreads' argument is deprecated"
    r"|'ParquetDataset\.\w+' attribute is deprecated"
    r"|ParquetDatasetPiece is deprecated"
)


class PartFiles(legacy.FileSystem):  # type: ignore[misc]  # pyarrow publishes no types
    """The parts that hold rows, as the one kind of filesystem that petastorm 0.12.1 takes with pyarrow 14.

    Given s3fs or pyarrow's own S3 filesystem directly, petastorm fails in pyarrow's new dataset code.

    Attributes:
        columns: the label and then the features, the columns that are read.
    """

    def __init__(self, url: str, schema: FeatureSchema) -> None:
        """List the parts, read their footers and check their columns.

        Raises:
            SchemaMismatch: a part does not hold the schema's columns and a label.
            ValueError: no part holds a row.
        """
        self._url, self.columns = url, [LABEL, *schema.names]
        files = [file.url for file in storage.list_files(url, ".parquet")]
        parts = [file for file in files if file.removeprefix(storage.join(url, "")).startswith("part-")]
        paths = [storage.filesystem(part)[1] for part in parts]
        self._urls = dict(zip(paths, parts, strict=True))
        footers = publishing.footers(parts)
        for part, footer in zip(parts, footers, strict=True):
            _check_columns(footer.schema.to_arrow_schema(), schema, part)
        filled = [(path, footer) for path, footer in zip(paths, footers, strict=True) if footer.num_rows]
        if not filled:
            raise ValueError(
                f"{url}: found no rows in {len(parts)} files part-*.parquet; re-run jobs/extract_features.py"
            )
        self._paths = [path for path, _ in filled]
        self._rated = all(CONFIDENCE in footer.schema.names for _, footer in filled)
        self._group_rows = [f.row_group(i).num_rows for _, f in filled for i in range(f.num_row_groups)]

    def check_shard(self, shard: Shard) -> None:
        """Raise ValueError unless there is such a shard and every shard has a row group to read."""
        index, total = shard
        if not 0 <= index < total:
            raise ValueError(f"shard is {shard}; expected (index, count) with 0 <= index < count")
        if len(self._group_rows) < total:
            raise ValueError(
                f"{self._url} holds {len(self._group_rows)} row groups, expected at least one for each "
                f"of {total} shards; write the table with more row groups, or read it with fewer shards"
            )

    def rows(self, shard: Shard) -> int:
        """Count a shard's rows; petastorm deals the row groups out in turn, in the order of the files."""
        return sum(self._group_rows[shard[0] :: shard[1]])

    def batches(
        self, shard: Shard, workers: int, shuffle: tuple[int, ...] = ()
    ) -> AbstractContextManager[Iterator[Batch]]:
        """Open one pass over a shard, a batch for each of its row groups.

        Args:
            shard: (index, count).
            workers: reading threads; with one the order of the row groups is fixed.
            shuffle: seed of the order of the row groups; none gives the order of the files.
        """
        from petastorm.reader import Reader
        from petastorm.workers_pool.thread_pool import ThreadPool

        # Set for the process, not by catch_warnings, because worker threads warn as well.
        warnings.filterwarnings("ignore", PETASTORM_NOISE, FutureWarning, r"petastorm\.")
        logging.getLogger("petastorm").setLevel(logging.WARNING)
        with storage.explained(self._url, "read"):  # petastorm looks at the footers once more
            reader = Reader(
                self,
                self._paths,
                schema_fields=["^(?:" + "|".join(map(re.escape, self.columns)) + ")$"],
                reader_pool=ThreadPool(workers),
                worker_class=_RowGroups,
                is_batched_reader=True,
                cur_shard=shard[0],
                shard_count=shard[1],
                shuffle_row_groups=bool(shuffle),
                seed=int(np.random.SeedSequence(shuffle).generate_state(1)[0]) if shuffle else None,
            )
        return cast(AbstractContextManager[Iterator[Batch]], reader)

    def confidences(self) -> Floats:
        """Return the confidence in each label, (labelled rows,) in the table's order: 1 where none is stated."""
        columns = [LABEL, CONFIDENCE] if self._rated else [LABEL]
        with storage.explained(self._url, "read"):
            tables = [self.parquet_file(path).read(columns=columns) for path in self._paths]
        labeled = np.concatenate([table[LABEL].to_numpy() for table in tables]) != UNLABELED
        if not self._rated:
            return np.ones(int(labeled.sum()), np.float32)
        stated = np.concatenate([table[CONFIDENCE].to_numpy() for table in tables])[labeled]
        return np.asarray(np.where(np.isnan(stated), 1, stated), dtype=np.float32)

    def isdir(self, path: str) -> bool:
        """Say no: only part files are known here."""
        return False

    def isfile(self, path: str) -> bool:
        """Say yes: the files have just been listed, and a missing one fails to open."""
        return True

    def open(self, path: str, mode: str = "rb") -> pa.NativeFile:
        """Open a part for reading."""
        return storage.open_file(self._urls[path])

    def parquet_file(self, path: str) -> parquet.ParquetFile:
        """Open a part and parse its footer; from a bucket, the columns of a row group come in few requests."""
        with storage.explained(self._urls[path], "read"):
            return parquet.ParquetFile(self.open(path), pre_buffer=storage.is_s3(self._url))

    def read_row_group(self, file: parquet.ParquetFile, path: str, group: int) -> pa.Table:
        """Read the columns of a row group of a part that is open."""
        with storage.explained(self._urls[path], "read"):
            return file.read_row_group(group, columns=self.columns)


class _RowGroups:
    """Petastorm's worker: reads a row group and stacks it in its own thread, so that stacking runs in parallel.

    The worker that make_batch_reader fixes parses the footer twice for every row group and leaves the columns to be
    converted, one by one over pandas, in the consumer's thread: together more work than the reading itself.
    """

    def __init__(self, worker_id: int, publish_func: Callable[[Batch], None], args: Sequence[Any]) -> None:
        self.worker_id, self.publish_func = worker_id, publish_func
        self._parts: PartFiles = args[0]
        self._row_groups = args[4]
        self._path = ""
        self._file: Any = None

    @staticmethod
    def new_results_queue_reader() -> "_Results":
        return _Results()

    def process(self, piece_index: int, **_: object) -> None:
        row_group = self._row_groups[piece_index]
        if row_group.path != self._path:
            self._path, self._file = row_group.path, self._parts.parquet_file(row_group.path)
        table = self._parts.read_row_group(self._file, self._path, row_group.row_group)
        for rows in table.to_batches():
            self.publish_func(_stacked(rows, self._parts.columns[1:]))

    def shutdown(self) -> None:
        pass


class _Results:
    """Hands on what the workers publish."""

    batched_output = True

    def read_next(self, workers_pool: Any, schema: object, ngram: object) -> Batch:  # noqa: ANN401
        from petastorm.workers_pool import EmptyResultError

        try:
            return cast(Batch, workers_pool.get_results())
        except EmptyResultError:
            raise StopIteration from None


def _stacked(rows: pa.RecordBatch, names: Sequence[str]) -> Batch:
    if rows.column(LABEL).null_count:
        raise ValueError(f"the label column holds nulls; write {UNLABELED} for an unlabelled entity")
    return Batch(table_files.stacked(rows, names), np.array(rows.column(LABEL)))


def _check_columns(found: pa.Schema, schema: FeatureSchema, where: str) -> None:
    status = FEATURE_SEPARATOR + FIT_STATUS
    schema.check([name for name in found.names if FEATURE_SEPARATOR in name and not name.endswith(status)], where)
    types = {name: str(found.field(name).type) for name in found.names}
    expected = {LABEL: "int8"} | dict.fromkeys(schema.names, "float")
    wrong = [
        f"{name} is {types.get(name, 'missing')}, not {kind}"
        for name, kind in expected.items()
        if types.get(name) != kind
    ]
    if wrong:
        raise SchemaMismatch(f"{where}: column {'; '.join(wrong)}. Re-run jobs/extract_features.py")
