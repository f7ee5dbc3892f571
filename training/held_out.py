"""Labelled rows and their scores by models that did not learn from them: what scores are calibrated by.

Takes truth and scores; gives `HeldOut`, which lies beside an artifact's weights as a small Parquet file.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from pyarrow import parquet

from feature_extraction import table_files

FILE = "held_out.parquet"
COLUMNS = pa.schema([("is_rare", pa.bool_()), ("score", pa.float64())])


@dataclass(frozen=True)
class HeldOut:
    """Rows that were held out, without their names.

    A score is that of the one model (a fold's, or a member's of an ensemble) that did not learn from the row, or the
    mean of several such. The scores that are published come of all members, or of a model that learned from all
    rows; as everywhere in cross-validation, the two are taken to be alike.

    Attributes:
        is_rare: whether each row is of the rare class, (rows,).
        scores: probability of the rare class as the artifact states it, (rows,) in [0, 1].
    """

    is_rare: tuple[bool, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.is_rare) != len(self.scores) or not all(0 <= score <= 1 for score in self.scores):
            raise ValueError(
                f"{len(self.is_rare)} labels and {len(self.scores)} scores of held-out rows; expected as many of each, "
                "and scores from 0 to 1: train again"
            )

    @classmethod
    def of(cls, is_rare: ArrayLike, scores: ArrayLike) -> "HeldOut":
        """Make it of arrays; a row whose score is NaN was learned from by every model, and is left out."""
        truth, found = np.asarray(is_rare, dtype=bool), np.asarray(scores, dtype=np.float64)
        there = ~np.isnan(found)
        return cls(tuple(truth[there].tolist()), tuple(found[there].tolist()))

    @classmethod
    def mean(cls, parts: Sequence["HeldOut"]) -> "HeldOut | None":
        """Average the scores of the same rows by several artifacts; None where they did not hold out the same rows."""
        if not parts or any(part.is_rare != parts[0].is_rare for part in parts):
            return None
        return cls.of(parts[0].is_rare, np.mean([part.scores for part in parts], axis=0))

    def to_parquet(self) -> bytes:
        """Return the rows as the bytes of a Parquet file."""
        table = pa.table([pa.array(self.is_rare, pa.bool_()), pa.array(self.scores, pa.float64())], schema=COLUMNS)
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
        return buffer.getvalue()

    @classmethod
    def from_parquet(cls, data: bytes) -> "HeldOut":
        """Read what `to_parquet` wrote; other columns raise `ValueError`."""
        table = parquet.read_table(table_files.reader(data))
        if table.schema != COLUMNS:
            raise ValueError(f"{FILE} holds {table.schema.names}, expected {COLUMNS.names}; train again")
        return cls(*(tuple(column.to_pylist()) for column in table.columns))
