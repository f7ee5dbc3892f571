"""Read a published table without Spark: its schema, its quality record, and the few rows that are asked for.

No function here holds more than what it returns: tables are read in batches, and what is not wanted is dropped on the
way.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray
from pyarrow import parquet

from feature_extraction import publishing, storage, table_files
from feature_extraction.schema import ENTITY, FeatureSchema

# What pyarrow reads ahead by default, 16 batches of each of 4 files, is gigabytes of a wide table.
READAHEAD = {"batch_size": 16_384, "batch_readahead": 2, "fragment_readahead": 2}


def schema(url: str) -> FeatureSchema:
    """Return the schema of the feature table at `url`."""
    return FeatureSchema.from_json(storage.read_text(storage.join(url, "schema.json")))


def quality(url: str) -> dict[str, Any]:
    """Return the quality record of the feature table at `url`."""
    return dict(json.loads(storage.read_text(storage.join(url, "quality.json"))))


def holdout(url: str) -> pd.DataFrame:
    """Return the labels kept from training: `entity_id` and `label`, a class name."""
    data = storage.read_bytes(storage.join(url, "holdout.parquet"))
    frame: pd.DataFrame = parquet.read_table(table_files.reader(data)).to_pandas()
    return frame


def column_names(url: str) -> list[str]:
    """Name the columns of the table at `url`."""
    return list(_dataset(url).schema.names)


def select(url: str, columns: Sequence[str], where: pc.Expression | None = None) -> pd.DataFrame:
    """Return `entity_id` and some columns of the rows that fulfil a condition, in no order."""
    with storage.explained(url, "read"):
        found = _dataset(url).scanner(columns=[ENTITY, *columns], filter=where, **READAHEAD).to_table()
    frame: pd.DataFrame = found.to_pandas()
    return frame


def count(url: str, where: pc.Expression) -> int:
    """Count the rows that fulfil a condition."""
    with storage.explained(url, "read"):
        return int(_dataset(url).scanner(filter=where, **READAHEAD).count_rows())


def batches(url: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Give some columns of all rows, a few thousand rows at a time."""
    with storage.explained(url, "read"):
        yield from _dataset(url).scanner(columns=list(columns), **READAHEAD).to_batches()


def rows(url: str, columns: Sequence[str], entities: Sequence[str] | None = None) -> pd.DataFrame:
    """Return some columns of the table, of some entities or of all, indexed by entity in the order asked for.

    An entity that the table does not hold raises `ValueError`.
    """
    if entities is None:
        return select(url, columns).set_index(ENTITY)
    frame = select(url, columns, ds.field(ENTITY).isin(pa.array(entities, pa.string()))).set_index(ENTITY)
    absent = sorted(set(entities) - set(frame.index))
    if absent:
        raise ValueError(
            f"{url} does not hold {len(absent):,} of the {len(entities):,} entities asked for, such as "
            f"{absent[0]!r:.80}; ask for those of this table, or extract the features again"
        )
    return frame.loc[list(entities)]


def features(url: str, names: Sequence[str], entities: Sequence[str]) -> NDArray[np.float32]:
    """Return the feature rows (len(entities), len(names)) of the entities, in their order; NaN for missing."""
    return np.ascontiguousarray(rows(url, names, entities).to_numpy(dtype=np.float32))


def _dataset(url: str) -> ds.Dataset:
    store, _ = storage.filesystem(url)
    places = [storage.filesystem(file)[1] for file in publishing.part_files(url)]
    with storage.explained(url, "read"):
        return ds.dataset(places, filesystem=store)
