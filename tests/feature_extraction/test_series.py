"""Events streamed in batches cut anywhere, in any order, even with keys that entities share: the plain sums."""

import math
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_extraction.components import Calendar
from feature_extraction.series import FEWEST_ENTITIES, KEY, series_batches, step_bits
from feature_extraction.settings import EventsSettings, WindowSettings

DAYS = 6
WINDOW = WindowSettings(start=datetime(2024, 1, 1), end=datetime(2024, 1, 1 + DAYS))
METRICS = {
    "visits": {"aggregate": "count"},
    "spend": {"column": "x"},
    "price": {"column": "x", "aggregate": "mean"},
    "low": {"column": "x", "aggregate": "min"},
    "high": {"column": "x", "aggregate": "max"},
    "state": {"column": "x", "aggregate": "last"},
    "sales": {"aggregate": "count", "where": "x is not null"},
}
SETTINGS = EventsSettings(url="log", metrics=METRICS)
VALUES = st.one_of(st.none(), st.floats(-1e30, 1e30), st.sampled_from([0.1, 0.2, 0.3, -0.3, 1e16, 1.0, -1e16]))


@st.composite
def logs(draw):
    """Events of entities, of which some share a key, sorted by key alone."""
    entities = draw(st.integers(1, 3 * FEWEST_ENTITIES))
    shared = draw(st.integers(1, entities))
    rows = draw(st.lists(st.tuples(st.integers(0, entities - 1), st.integers(0, DAYS - 1), VALUES), max_size=60))
    frame = pd.DataFrame(rows, columns=["number", "_step", "x"]).astype({"x": float})
    frame["entity_id"] = [f"e{number}" for number in frame["number"]]
    frame[KEY] = frame["number"] % shared - 1
    frame["_time"] = np.arange(len(frame)) % 7
    return frame.sort_values(KEY, kind="stable", ignore_index=True)


def batches(frame, cuts=()):
    columns = {KEY: pa.int64(), "entity_id": pa.string(), "_time": pa.int64()}
    values = {f"_value_{name}": frame["x"] for name in METRICS if name not in ("visits", "sales")}
    keys = frame[KEY] * 2 ** step_bits(DAYS) + frame["_step"]
    table = frame.assign(**values, **{KEY: keys}, _value_sales=np.where(frame["x"].isna(), np.nan, 1.0))
    schema = pa.schema(list(columns.items()) + [(name, pa.float64()) for name in [*values, "_value_sales"]])
    whole = pa.RecordBatch.from_pandas(table, schema=schema, preserve_index=False)
    places = [0, *sorted(min(cut, len(frame)) for cut in cuts), len(frame)]
    return [whole.slice(a, b - a) for a, b in zip(places, places[1:], strict=False)]


def laid_out(parts, most=1):
    """Return entity -> (num_events, metric -> series); every entity once."""
    found = {}
    for batch in series_batches(parts, Calendar.of(WINDOW), SETTINGS, most):
        assert len(batch.entities) <= max(most, FEWEST_ENTITIES)
        for row, entity in enumerate(batch.entities):
            assert entity not in found
            found[entity] = batch.num_events[row], {name: panel[row] for name, panel in batch.values.items()}
    return found


def plain(frame):
    """Return the same by a loop, with Python's exact sum."""
    found = {}
    for entity, events in frame.groupby("entity_id"):
        first = events["_step"].min()
        series = {name: np.full(DAYS, np.nan) for name in METRICS}
        for step in range(first, DAYS):
            here = events[events["_step"] == step]
            x = here.dropna(subset="x")
            series["visits"][step] = len(here)
            series["sales"][step] = len(x)
            series["spend"][step] = math.fsum(x["x"])
            if len(x):
                series["price"][step] = math.fsum(x["x"]) / len(x)
                series["low"][step], series["high"][step] = x["x"].min(), x["x"].max()
                series["state"][step] = x.sort_values(["_time", "x"])["x"].iloc[-1]
        found[entity] = len(events), series
    return found


@settings(deadline=None)  # the first example compiles
@given(logs(), st.lists(st.integers(0, 60), max_size=8))
def test_streamed_series_are_those_of_a_plain_loop(frame, cuts):
    found, expected = laid_out(batches(frame, cuts)), plain(frame)
    assert set(found) == set(expected)
    for entity, (number, series) in expected.items():
        assert found[entity][0] == number
        for name, values in series.items():
            # An exact sum is rounded limb by limb at the end: a few units in the last place of its largest part.
            largest = frame["x"].abs().fillna(0).max()
            np.testing.assert_allclose(found[entity][1][name], values, rtol=1e-15, atol=1e-21 + 1e-15 * largest)


@settings(deadline=None)  # the first example compiles
@given(logs(), st.randoms(use_true_random=False), st.lists(st.integers(0, 60), max_size=8))
def test_neither_order_nor_cuts_change_a_bit(frame, random, cuts):
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order].sort_values(KEY, kind="stable", ignore_index=True)
    one, other = laid_out(batches(frame), most=100), laid_out(batches(shuffled, cuts), most=9)
    assert set(one) == set(other)
    for entity in one:
        for name in METRICS:
            np.testing.assert_array_equal(one[entity][1][name], other[entity][1][name])


def test_small_values_survive_large_ones():
    frame = pd.DataFrame({"number": 0, "_step": 0, "x": [1e16, 1.0, -1e16, 0.25], "entity_id": "a", KEY: 5, "_time": 0})
    assert laid_out(batches(frame))["a"][1]["spend"][0] == 1.25


def test_a_finished_entity_is_given_before_the_next_batch_is_asked_for():
    asked = []

    def parts():
        for number in range(3):
            asked.append(number)
            ids = [f"e{number}-{i}" for i in range(FEWEST_ENTITIES + 2)]
            keys = [100 * number + i for i in range(len(ids))]
            yield from batches(pd.DataFrame({"_step": 0, "x": 1.0, "entity_id": ids, KEY: keys, "_time": 0}))

    first = next(series_batches(parts(), Calendar.of(WINDOW), SETTINGS, 1))
    assert first.entities.tolist() == [f"e0-{i}" for i in range(FEWEST_ENTITIES - 1)]
    assert asked == [0]


@pytest.mark.parametrize("most", [1, 1000])
def test_an_entity_with_many_events_takes_no_more_room(most):
    """One entity of 200,000 events in batches of 10,000 among others of one event each."""
    rows = 200_000
    ids = ["a", *["bot"] * rows, "z"]
    frame = pd.DataFrame({"_step": 0, "x": 0.1, "entity_id": ids, KEY: [1, *[2] * rows, 3], "_time": 0})
    found = laid_out(batches(frame, range(0, rows, 10_000)), most)
    assert {entity: number for entity, (number, _) in found.items()} == {"a": 1, "bot": rows, "z": 1}
    assert found["bot"][1]["spend"][0] == math.fsum([0.1] * rows)
