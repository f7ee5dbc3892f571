"""Read a published feature table: its schema, its quality record, and single entities' rows without Spark."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray
from pyarrow import BufferReader, parquet

from feature_extraction import publishing, storage
from feature_extraction.schema import ENTITY, FeatureSchema


def schema(url: str) -> FeatureSchema:
    """Return the schema of the feature table at `url`."""
    return FeatureSchema.from_json(storage.read_text(storage.join(url, "schema.json")))


def quality(url: str) -> dict[str, Any]:
    """Return the quality record of the feature table at `url`."""
    return dict(json.loads(storage.read_text(storage.join(url, "quality.json"))))


def holdout(url: str) -> pd.DataFrame:
    """Return the labels kept from training: `entity_id` and `label`, a class name."""
    data = storage.read_bytes(storage.join(url, "holdout.parquet"))
    frame: pd.DataFrame = parquet.read_table(BufferReader(data)).to_pandas()
    return frame


def rows(url: str, columns: Sequence[str], entities: Sequence[str] | None = None) -> pd.DataFrame:
    """Return some columns of the table, of some entities or of all, indexed by entity in the order asked for.

    An entity that the table does not hold raises `ValueError`.
    """
    store, _ = storage.filesystem(url)
    table = ds.dataset([storage.filesystem(file)[1] for file in publishing.part_files(url)], filesystem=store)
    chosen = None if entities is None else ds.field(ENTITY).isin(pa.array(entities, pa.string()))
    frame: pd.DataFrame = table.to_table(columns=[ENTITY, *columns], filter=chosen).to_pandas().set_index(ENTITY)
    if entities is None:
        return frame
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
