"""Baselines on tables of many rows: fewer are learned from, all are held out, and threads make no difference."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.training.trainer_checks import SCHEMA
from training.baselines import fitting, forests
from training.baselines.forests import ExtraTrees, RandomForest
from training.baselines.kernel import KernelLogisticRegression
from training.reader import ArrayReader

TRAINERS = (
    (ExtraTrees, {"trees": 10, "rows_per_leaf": (5,)}),
    (RandomForest, {"trees": 10, "rows_per_leaf": (5,)}),
    (KernelLogisticRegression, {"landmarks": 20, "width": (3.0,), "C": (1.0,)}),
)


@pytest.fixture(scope="module")
def table():
    """600 labelled rows, 30 of them rare."""
    random = np.random.default_rng(0)
    rare = (np.arange(600) % 20 == 0).astype(np.int8)
    rows = random.normal(size=(600, len(SCHEMA.names))).astype(np.float32) + 1.5 * rare[:, None]
    return ArrayReader(rows.astype(np.float32), np.where(rare, SCHEMA.rare_code, 1 - SCHEMA.rare_code), SCHEMA)


@pytest.mark.parametrize(("trainer", "settings"), TRAINERS)
def test_of_many_rows_the_rare_ones_are_kept_and_all_are_held_out(table, trainer, settings):
    whole = trainer(**settings).fit(table).manifest
    few = trainer(**settings, table_rows=100).fit(table)
    assert few.manifest.history["learned_from"] == 100
    assert "learned_from" not in whole.history
    assert few.manifest.rows == whole.rows  # what was labelled, not what was learned from
    assert len(few.manifest.held_out.scores) == 600
    # All 30 rare rows among 100: were they drawn like the others, there would be five to rank 30 by.
    assert few.manifest.metrics["average_precision"]["value"] > 0.8 * whole.metrics["average_precision"]["value"]


@pytest.mark.parametrize(("trainer", "settings"), TRAINERS)
def test_what_was_left_out_is_not_learned_from(table, trainer, settings):
    """Of four rows that are not rare, with 70 of 570 learned from, a change of some changes nothing."""
    changed = 0
    one = trainer(**settings, table_rows=100).fit(table).predict(table.features)
    for part in range(4):
        rows = table.features.copy()
        place = np.flatnonzero(table.labels != SCHEMA.rare_code)[part]
        rows[place] += 50
        other = trainer(**settings, table_rows=100).fit(ArrayReader(rows, table.labels, SCHEMA))
        changed += not np.array_equal(other.predict(table.features), one)
    assert changed < 4


@pytest.mark.parametrize(("trainer", "settings"), TRAINERS[:2])
def test_threads_make_no_difference(table, trainer, settings, monkeypatch):
    monkeypatch.setattr(fitting, "SMALL_TABLE", 0)
    found = []
    for threads in (1, 3):
        with threadpool_limits(threads):
            assert forests._threads() == threads
            found.append(trainer(**settings).fit(table).predict(table.features))
    np.testing.assert_array_equal(*found)
