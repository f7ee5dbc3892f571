"""What a worker does to score entities: read row groups of the feature table, and ask the model, block by block.

Knows numpy and pyarrow alone; `inference/score.py` carries it to Spark's workers. A row's numbers depend on the row
alone, however the table is cut into files, row groups and tasks: the model sees blocks of one size and one layout, for
BLAS may round a row otherwise in a batch of another size, and has one thread. (Processors of another kind may round
otherwise still.)
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from threadpoolctl import threadpool_limits

from feature_extraction import publishing, storage, table_files
from feature_extraction.schema import ENTITY, LABEL, FeatureSchema, SchemaMismatch
from training import artifact as artifacts
from training.trainer import Artifact, Floats, StatesUncertainty

ROWS_PER_BLOCK = 1024
ROWS_PER_READ = 16 * ROWS_PER_BLOCK
ROWS_PER_TASK = 65_536
BUCKET, UNCERTAINTY = "bucket", "uncertainty"
BUCKET_SHIFT = 10


class Part(NamedTuple):
    """What one task reads: some row groups of one file."""

    url: str
    groups: tuple[int, ...]


def parts(url: str, schema: FeatureSchema) -> list[Part]:
    """Share a feature table out to tasks of about `ROWS_PER_TASK` rows.

    Raises:
        SchemaMismatch: a file lacks a column of the schema.
    """
    files = publishing.part_files(url)
    found = []
    for file, footer in zip(files, publishing.footers(files), strict=True):
        absent = sorted({ENTITY, LABEL, *schema.names} - set(footer.schema.names))
        if absent:
            raise SchemaMismatch(f"{file} lacks the columns {absent[:5]}; re-run jobs/extract_features.py")
        if not footer.num_rows:
            continue
        rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
        task = (np.cumsum(rows) - 1) // ROWS_PER_TASK
        found += [Part(file, tuple(np.flatnonzero(task == number).tolist())) for number in np.unique(task)]
    return found


@cache
def loaded(artifact_url: str) -> Artifact:
    """Load an artifact once a worker process, whose libraries get one thread: Spark runs one task a core."""
    model = artifacts.load(artifact_url)
    threadpool_limits(1)
    return model


def chance(code: int) -> str:
    """Name a column of the probabilities of a class by its position, as class names may be anything."""
    return f"p{code}"


def columns(classes: tuple[str, ...]) -> list[tuple[str, pa.DataType]]:
    """Return name and type of each column that `scored` gives."""
    own = [(ENTITY, pa.string()), (LABEL, pa.int8()), (BUCKET, pa.int32()), (UNCERTAINTY, pa.float32())]
    return own + [(chance(code), pa.float32()) for code in range(len(classes))]


def scored(part: Part, model: Artifact) -> Iterator[pa.RecordBatch]:
    """Score the rows of one part, a few thousand at a time."""
    with storage.open_file(part.url) as stream, storage.explained(part.url, "read"):
        file = parquet.ParquetFile(stream, pre_buffer=storage.is_s3(part.url))
        wanted = [ENTITY, LABEL, *model.schema.names]
        for rows in file.iter_batches(ROWS_PER_READ, list(part.groups), wanted, use_threads=False):
            yield scores_of(rows, model)


def scores_of(rows: pa.RecordBatch, model: Artifact) -> pa.RecordBatch:
    """Score feature rows: id and label, the score's bucket, uncertainty, and the probability of each class.

    `uncertainty` is the spread of the members' scores, NaN where the model states none.
    """
    chances, spread = predicted(model, table_files.stacked(rows, model.schema.names))
    values = [rows.column(ENTITY).cast(pa.string()), rows.column(LABEL).cast(pa.int8())]
    values += [pa.array(bucket(chances[:, model.classes.index(model.rare)])), pa.array(spread)]
    values += [pa.array(np.ascontiguousarray(column)) for column in chances.T]
    return pa.record_batch(values, schema=pa.schema(columns(model.classes)))


def predicted(model: Artifact, features: Floats) -> tuple[Floats, Floats]:
    """Return probabilities (rows, classes) and their spread (rows,), NaN where the model states none."""
    chances = np.empty((len(features), len(model.classes)), dtype=np.float32)
    spread = np.empty(len(features), dtype=np.float32)
    for first in range(0, len(features), ROWS_PER_BLOCK):
        block = features[first : first + ROWS_PER_BLOCK]
        rows, lacking = slice(first, first + len(block)), ROWS_PER_BLOCK - len(block)
        full = np.pad(block, ((0, lacking), (0, 0)), mode="edge") if lacking else block
        found, disagreement = _predicted_once(model, full)
        chances[rows], spread[rows] = found[: len(block)], disagreement[: len(block)]
    return chances, spread


def _predicted_once(model: Artifact, features: Floats) -> tuple[Floats, Floats]:
    if isinstance(model, StatesUncertainty):
        return model.predict_with_uncertainty(features)
    return model.predict(features), np.full(len(features), np.nan, dtype=np.float32)


def bucket(scores: Floats) -> NDArray[np.int32]:
    """Return the bucket of each score: a higher score never has a lower one.

    The bits of floats that are not negative rise with them. Without the last ten a bucket spans 1/8192 of its scores'
    size or less, so that few buckets hold many rows, and a histogram of them is small.
    """
    return np.ascontiguousarray(scores, dtype=np.float32).view(np.int32) >> BUCKET_SHIFT


def bucket_scores(buckets: NDArray[np.int32]) -> Floats:
    """Return the middle score of each bucket."""
    bits = (buckets.astype(np.int32) << BUCKET_SHIFT) | (1 << (BUCKET_SHIFT - 1))
    return np.minimum(bits.view(np.float32), np.float32(1))
