"""Tables of the arena that need no pipeline: ADBench's npz files, and Parquet or CSV files with a `label` column.

A table with more than two classes becomes one of two: its least frequent classes, the fewest that together hold
`FEWEST` rows, are the rare class and all others are not. A label of -1, or none, is no label.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyarrow import parquet

from feature_extraction.definitions import column
from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema
from jobs.arena.event_logs import ArenaDataError
from jobs.arena.names import slugs
from training.trainer import Floats, Labels

CLASSES = ("regular", "rare")
FEWEST = 20
# Columns that are no features: a row's name, its label, and which part of a published split it was in.
NO_FEATURES = (ENTITY, LABEL, "split")


class PlainTable(NamedTuple):
    """Features (rows, columns), labels (rows,), their schema and the names of the rows."""

    features: Floats
    labels: Labels
    schema: FeatureSchema
    entities: NDArray[np.str_]


def holds_a_table(path: Path) -> bool:
    """Tell, by its names alone, whether a file is such a table."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {"X", "y"} <= set(file.files)
    if path.suffix == ".parquet":
        return LABEL in parquet.read_schema(path).names
    return path.suffix == ".csv" and LABEL in pd.read_csv(path, nrows=0).columns


def read(path: Path) -> PlainTable:
    """Read a table; one whose columns are no numbers, or with one class alone, raises `ArenaDataError`."""
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".npz": _npz,
        ".parquet": pd.read_parquet,
        ".csv": pd.read_csv,
    }
    frame = readers[path.suffix](path)
    columns = [name for name in frame.columns if name not in NO_FEATURES]
    texts = [name for name in columns if not _is_number(frame[name])]
    if texts or not columns:
        raise ArenaDataError(
            f"{path}: the columns {texts or list(frame.columns)} are no numbers; write numbers, or leave them out"
        )
    entities = frame[ENTITY].astype(str) if ENTITY in frame else pd.Series(np.arange(len(frame)).astype(str))
    names = tuple(column(name, "value") for name in slugs([str(name) for name in columns]))
    labels = _two_classes(frame[LABEL], path)
    schema = FeatureSchema(names=names, classes=CLASSES, rare=CLASSES[1])
    return PlainTable(frame[columns].to_numpy(np.float32), labels, schema, entities.to_numpy(dtype=str))


def _npz(path: Path) -> pd.DataFrame:
    with np.load(path, allow_pickle=False) as file:
        features, labels = file["X"], file["y"]
    frame = pd.DataFrame(features, columns=[f"x{number + 1}" for number in range(features.shape[1])])
    return frame.assign(**{LABEL: labels.reshape(-1)})


def _is_number(values: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)


def _two_classes(given: "pd.Series[Any]", path: Path) -> Labels:
    names = pd.Series(given.to_numpy(dtype=str), given.index)
    known = given.notna() & (names.str.strip() != "") & (given != UNLABELED)
    sizes = names[known].value_counts()
    sizes = sizes.sort_index().sort_values(kind="stable")
    if len(sizes) < 2:
        raise ArenaDataError(f"{path}: its column {LABEL!r} holds the classes {list(sizes.index)}; two are needed")
    rare = sizes.index[: 1 + int(np.argmax(sizes.cumsum().to_numpy() >= FEWEST))][: len(sizes) - 1]
    labels: Labels = np.full(len(given), UNLABELED, np.int8)
    labels[known] = names[known].isin(rare).astype(np.int8)
    return labels
