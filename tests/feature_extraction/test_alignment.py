"""Series that end with each entity's own last event: moved whole, their weekdays and their numbers kept."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_extraction.components import Calendar
from feature_extraction.series import KEY, series_batches, step_bits
from feature_extraction.settings import EventsSettings, WindowSettings
from tests.feature_extraction.event_logs import extracted

START = datetime(2024, 1, 1)
SETTINGS = EventsSettings(
    url="log", metrics={"visits": {"aggregate": "count"}, "price": {"column": "x", "aggregate": "mean"}}
)


def laid_out(steps_of, *, step_days, num_steps, align):
    """Return entity -> (first step, visits, price, steps moved); entity i has events in the steps `steps_of[i]`."""
    window = WindowSettings(
        start=START, end=START + num_steps * timedelta(days=step_days), step_days=step_days, align=align
    )
    rows = [(entity, step) for entity, steps in enumerate(steps_of) for step in sorted(steps)]
    entities, steps = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    batch = pa.RecordBatch.from_pydict(
        {
            KEY: entities * 2 ** step_bits(num_steps) + steps,
            "entity_id": pa.array([f"e{entity}" for entity in entities]),
            "_value_price": steps + 1.0,
        }
    )
    found = {}
    for series in series_batches([batch], Calendar.of(window), SETTINGS, len(steps_of)):
        for row, entity in enumerate(series.entities):
            found[entity] = (
                series.first[row],
                series.values["visits"][row],
                series.values["price"][row],
                series.moved[row],
            )
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sets(st.integers(0, 29), min_size=1), min_size=1, max_size=6),
    st.sampled_from([(1.0, 7), (7.0, 1), (2.0, 1), (1 / 24, 1)]),
)
def test_a_series_is_moved_whole_as_far_as_its_week_allows(steps_of, step):
    step_days, week = step
    still = laid_out(steps_of, step_days=step_days, num_steps=30, align="calendar")
    moved = laid_out(steps_of, step_days=step_days, num_steps=30, align="last_event")
    for number, steps in enumerate(steps_of):
        later = (29 - max(steps)) // week * week
        first, visits, price, by = moved[f"e{number}"]
        assert (by, still[f"e{number}"][3]) == (later, 0)
        assert first == min(steps) + later == still[f"e{number}"][0] + later
        for found, before in ((visits, still[f"e{number}"][1]), (price, still[f"e{number}"][2])):
            np.testing.assert_array_equal(found[later:], before[: 30 - later])
            assert np.isnan(found[:first]).all()
        assert visits[first:].sum() == len(steps)


@pytest.mark.spark
def test_recency_is_counted_from_the_last_event_and_weekdays_stay(spark, tmp_path):
    days = pd.date_range("2024-01-01", periods=28)  # from a Monday to a Sunday
    times = [*days, *(days + pd.Timedelta(weeks=13))]
    frame = pd.DataFrame({"entity_id": ["early"] * 28 + ["late"] * 28, "ts": times})
    frame["amount"] = frame["ts"].dt.dayofweek + 1.0
    frame.to_csv(tmp_path / "log.csv", index=False)
    chosen = EventsSettings(url=str(tmp_path / "log.csv"), format="csv", metrics={"amount": {"column": "amount"}})
    window = {"start": "2024-01-01", "end": "2024-05-06"}
    own = extracted(spark, tmp_path / "own", chosen, window=WindowSettings(**window, align="last_event"))
    both = extracted(spark, tmp_path / "both", chosen, window=WindowSettings(**window))
    assert own.rows["amount__recency"].to_dict() == {"early": 0, "late": 0}
    assert both.rows["amount__recency"].to_dict() == {"early": 98, "late": 7}
    assert own.rows["amount__weekly_peak_day"].to_dict() == {"early": 6, "late": 6}
    names = list(own.schema.names)
    early, late = own.rows.loc[["early", "late"], names].to_numpy(dtype=float)
    np.testing.assert_array_equal(early, late)
