"""Files of the scores table, without Spark: ranks across batches and bins, names by bin, reasons of alerts alone."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction.schema import ENTITY
from inference.reasons import Reason
from inference.score_files import BIN, Publication, write
from inference.scored_rows import UNCERTAINTY, chance
from training.calibrating import fit
from training.held_out import HeldOut

REASONS = {"e3": [Reason("spend__level", 1.5, 0.25), Reason("spend__recency", None, 0.125)], "e5": []}


def ranked(rows, bins):
    """Rows of falling scores, the second class rare, cut into bins."""
    rare = np.linspace(0.9, 0.1, rows).astype(np.float32)
    columns = {ENTITY: [f"e{row}" for row in range(rows)], UNCERTAINTY: np.full(rows, 0.5, np.float32)}
    columns |= {chance(0): 1 - rare, chance(1): rare, BIN: np.sort(np.arange(rows) % bins).astype(np.int32)}
    return pa.Table.from_pydict(columns)


def publication(before, calibration=None):
    return Publication(("regular", "rare"), "rare", before, REASONS, calibration)


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
def test_ranks_go_on_over_batches_and_start_anew_with_a_bin(tmp_path, rows_at_once):
    table = ranked(12, 3)
    batches = table.to_batches(rows_at_once)
    assert list(write(batches, publication((0, 4, 1000)), str(tmp_path))) == [0, 1, 2]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["part-00000-000.parquet", "part-00001-000.parquet", "part-00002-000.parquet"]
    found = pa.concat_tables([parquet.read_table(tmp_path / name) for name in names])
    assert found["rank"].to_pylist() == [1, 2, 3, 4, 5, 6, 7, 8, 1001, 1002, 1003, 1004]
    assert found[ENTITY] == table[ENTITY]
    assert found["score"] == table[chance(1)]


def test_reasons_are_those_of_the_alerts():
    found = publication((0,)).table(ranked(8, 1).to_batches()[0].slice(2, 5), 3).to_pylist()
    told = {row[ENTITY]: row["reasons"] for row in found}
    assert told.pop("e3") == [reason._asdict() for reason in REASONS["e3"]]
    assert all(reasons == [] for reasons in told.values())
    assert [row[ENTITY] for row in found if row["alert"]] == ["e3", "e5"]
    assert [row["verdict"] for row in found] == ["rare"] * 2 + ["regular"] * 3


def test_a_probability_is_the_calibrations_or_null():
    rows = ranked(8, 1).to_batches()[0]
    calibration = fit(HeldOut.of([True, False, True, False], [0.8, 0.3, 0.6, 0.5])).of_population(0.02)
    found = publication((0,), calibration).table(rows, 1)
    expected = calibration.probability(rows.column(chance(1)).to_numpy()).astype(np.float32)
    assert (found["probability"].to_numpy() == expected).all()
    nothing = publication((0,)).table(rows, 1)
    assert nothing["probability"].null_count == 8
    assert nothing.schema == found.schema


def test_a_disagreement_that_is_not_stated_is_null():
    rows = ranked(3, 1).set_column(1, UNCERTAINTY, pa.array([0.5, np.nan, 0.0], pa.float32())).to_batches()[0]
    assert publication((0,)).table(rows, 1)["uncertainty"].to_pylist() == [0.5, None, 0.0]
