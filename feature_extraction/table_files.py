"""Files of the feature table and of the scores, written by the tasks that make their rows.

A task writes to `part-<partition>-<number>.parquet`, whole and in one step. Spark's partitions depend on the input
alone and the rows on nothing but their events, so a task that runs twice writes the same bytes to the same place.
Through Spark's own writer every number would pass from columns to rows and back: a fifth of an extraction's time.
"""

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from feature_extraction import storage

ROWS_PER_FILE = 65_536
# Readers share a table out by row groups, so these are not to be few, nor so small that each costs a request.
ROWS_PER_GROUP = 16_384
CACHED_ROWS = 8_192


def write(batches: Iterable[pa.RecordBatch], url: str, partition: int) -> Iterator[str]:
    """Write the rows of one partition to the folder `url`; give each file's name."""
    for number, table in enumerate(_tables(batches)):
        name = f"part-{partition:05d}-{number:03d}.parquet"
        storage.write_bytes(storage.join(url, name), _bytes(table))
        yield name


def reader(data: bytes) -> pa.BufferReader:
    """Return bytes as a file for Arrow's readers, in memory of Arrow's own.

    Memory of Python's own is let go of by whichever of Arrow's threads was last to need it; one that still does so
    while the interpreter ends takes the whole process with it, work done and all (SIGABRT, status 134).
    """
    sink = pa.BufferOutputStream()
    sink.write(data)
    return pa.BufferReader(sink.getvalue())


def stacked(rows: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.float32]:
    """Return some columns as one block (rows, names), NaN for missing."""
    columns = [rows.column(name).to_numpy(zero_copy_only=False) for name in names]
    block = np.empty((rows.num_rows, len(columns)), np.float32)
    # In pieces that stay in the processor's cache until their last column is written.
    for at in range(0, len(block), CACHED_ROWS):
        for target, column in enumerate(columns):
            block[at : at + CACHED_ROWS, target] = column[at : at + CACHED_ROWS]
    return block


def _tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches until they fill a file."""
    gathered: list[pa.RecordBatch] = []
    for batch in batches:
        gathered.append(batch)
        if sum(part.num_rows for part in gathered) >= ROWS_PER_FILE:
            yield pa.Table.from_batches(gathered)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)


def _bytes(table: pa.Table) -> bytes:
    groups = -(-table.num_rows // ROWS_PER_GROUP)
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    buffer = io.BytesIO()
    # Numbers that all differ gain nothing from a dictionary, and to find that out costs as much as to write them.
    parquet.write_table(table, buffer, row_group_size=-(-table.num_rows // groups), use_dictionary=texts)
    return buffer.getvalue()
