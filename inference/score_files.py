"""What a worker does to publish scores: give each row its rank, alert, verdict, probability and reasons; write files.

Knows numpy and pyarrow alone. The rows come in order of rank and cut into bins, stretches of the ranking; a file holds
rows of one bin, whichever task writes it, so that the files depend on the scores alone. `part-00000-000.parquet` is the
head of the list.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from feature_extraction import table_files
from feature_extraction.schema import ENTITY
from inference.reasons import Reason
from inference.scored_rows import UNCERTAINTY, chance
from training.calibration import Calibration
from training.trainer import Floats

BIN = "bin"
REASON = pa.struct([("feature", pa.string()), ("value", pa.float32()), ("contribution", pa.float32())])


@dataclass(frozen=True)
class Publication:
    """What makes rows of a model's output those of the scores table.

    Attributes:
        classes: class names, one per probability.
        rare: the class whose probability is the score.
        before: how many rows come before each bin's first.
        reasons: the alerts, with the reasons of each.
        calibration: of the probability of being rare; None leaves it null.
    """

    classes: tuple[str, ...]
    rare: str
    before: tuple[int, ...]
    reasons: Mapping[str, list[Reason]]
    calibration: Calibration | None

    def table(self, rows: pa.RecordBatch, first_rank: int) -> pa.RecordBatch:
        """Return rows of the scores table, of which the first has the rank given and each of the others the next."""
        chances = np.stack([rows.column(chance(code)).to_numpy() for code in range(len(self.classes))], axis=1)
        score = rows.column(chance(self.classes.index(self.rare)))
        entities = rows.column(ENTITY)
        columns: dict[str, pa.Array] = {
            ENTITY: entities,
            "score": score,
            "rank": pa.array(np.arange(first_rank, first_rank + len(rows), dtype=np.int64)),
            "alert": pc.is_in(entities, value_set=pa.array(list(self.reasons), pa.string())),
            "verdict": self._verdicts(chances),
            UNCERTAINTY: _null_for_nan(rows.column(UNCERTAINTY).to_numpy(zero_copy_only=False)),
            "probability": self._probability(score.to_numpy()),
        }
        columns |= {probability(name): rows.column(chance(code)) for code, name in enumerate(self.classes)}
        columns["reasons"] = self._reasons(columns["alert"], entities)
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def _verdicts(self, chances: Floats) -> pa.Array:
        """Return the likeliest class of each row, `unknown` among them where the model has it."""
        likeliest = pa.array(chances.argmax(axis=1).astype(np.int32))
        return pa.DictionaryArray.from_arrays(likeliest, pa.array(self.classes, pa.string())).cast(pa.string())

    def _probability(self, scores: Floats) -> pa.Array:
        if self.calibration is None:
            return pa.nulls(len(scores), pa.float32())
        return pa.array(self.calibration.probability(scores).astype(np.float32))

    def _reasons(self, alert: pa.Array, entities: pa.Array) -> pa.Array:
        """Return each row's reasons; one that is no alert has none."""
        told = [self.reasons[entity] for entity in entities.filter(alert).to_pylist()]
        counts = np.zeros(len(entities), dtype=np.int32)
        counts[alert.to_numpy(zero_copy_only=False)] = [len(reasons) for reasons in told]
        values = pa.array([reason._asdict() for reason in itertools.chain(*told)], REASON)
        return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)).astype(np.int32)), values)


def probability(name: str) -> str:
    """Name the column of a class's probability."""
    return f"p_{name}"


def write(batches: Iterable[pa.RecordBatch], publication: Publication, url: str) -> Iterator[int]:
    """Write rows that are sorted by rank to the folder `url`; give the number of each bin that is written.

    Args:
        batches: whole bins: what `scored_rows.columns` names, and the bin.
        publication: what the rows become.
        url: folder.
    """
    for number, pieces in itertools.groupby(_pieces(batches), key=lambda piece: piece[0]):
        rows = _published((piece for _, piece in pieces), publication, publication.before[number] + 1)
        for _ in table_files.write(rows, url, number):
            pass  # the files are found by their names
        yield number


def _published(pieces: Iterable[pa.RecordBatch], publication: Publication, first_rank: int) -> Iterator[pa.RecordBatch]:
    for piece in pieces:
        yield publication.table(piece, first_rank)
        first_rank += len(piece)


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Cut batches where the bin changes."""
    for batch in batches:
        bins: NDArray[np.int32] = batch.column(BIN).to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(bins)) + 1).tolist(), len(bins)]
        for first, end in itertools.pairwise(edges):
            if end > first:
                yield int(bins[first]), batch.slice(first, end - first)


def _null_for_nan(values: Floats) -> pa.Array:
    return pa.array(values, pa.float32(), from_pandas=True)
