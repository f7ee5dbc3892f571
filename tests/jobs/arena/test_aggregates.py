"""Plain aggregates against pandas and against tsfresh's formulas written out, entity by entity."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.arena.aggregates import LongEvents, minimal, naive
from jobs.arena.names import slugs

DAY = 86_400_000_000
TYPES = ("HR", "K+")
END = 12 * DAY
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 9), st.integers(-1000, 1000).map(float)),
    min_size=1,
    max_size=40,
)


def long(rows):
    frame = pd.DataFrame(rows, columns=["entity", "type", "day", "value"])
    entity, kind, day = (frame[name].to_numpy(np.int64) for name in ("entity", "type", "day"))
    return frame, LongEvents(entity, 5, kind, TYPES, day * DAY, frame["value"].to_numpy(float), END)


def expected_naive(events):
    if not len(events):
        return {"count": 0, "mean": np.nan, "std": np.nan, "min": np.nan, "max": np.nan, "last": np.nan}
    found = events["value"].agg(["count", "mean", "std", "min", "max"]).to_dict()
    return found | {"last": events.sort_values("day", kind="stable")["value"].iloc[-1]}


def expected_minimal(events):
    x = events["value"].to_numpy()
    if not len(x):
        return {"length": 0}
    return {
        "length": len(x),
        "mean": np.mean(x),
        "median": np.median(x),
        "standard_deviation": np.std(x),
        "variance": np.var(x),
        "root_mean_square": np.sqrt(np.mean(np.square(x))),
        "maximum": np.max(x),
        "minimum": np.min(x),
        "sum_values": np.sum(x),
        "absolute_maximum": np.max(np.abs(x)),
    }


@pytest.mark.parametrize(("make", "expected"), [(naive, expected_naive), (minimal, expected_minimal)])
@settings(deadline=None, max_examples=60)
@given(rows=EVENTS)
def test_each_number_of_each_type_is_the_plain_one(make, expected, rows):
    frame, events = long(rows)
    names, features = make(events)
    found = pd.DataFrame(features, columns=names)
    for entity in range(5):
        for kind, slug in enumerate(slugs(TYPES)):
            own = expected(frame[(frame["entity"] == entity) & (frame["type"] == kind)])
            prefix = f"raw_{slug}__"
            for name in [name.removeprefix(prefix) for name in names if name.startswith(prefix)]:
                value = own.get(name, np.nan)
                np.testing.assert_allclose(found.loc[entity, prefix + name], value, rtol=1e-5, atol=1e-4)


def test_number_span_and_recency_of_all_events():
    names, features = naive(long([(0, 0, 3, 1.0), (0, 1, 7, 2.0), (2, 1, 9, 5.0)])[1])
    whole = pd.DataFrame(features, columns=names).filter(like="raw_events__")
    assert whole.loc[0].tolist() == [2, 4, 5]
    assert whole.loc[2].tolist() == [1, 0, 3]
    assert whole.loc[1, "raw_events__n"] == 0
    assert whole.loc[1].isna().tolist() == [False, True, True]


def test_the_last_value_is_the_latest_and_of_one_moment_the_latest_read():
    names, features = naive(long([(0, 0, 7, 1.0), (0, 0, 3, 2.0), (0, 0, 7, 3.0)])[1])
    assert pd.DataFrame(features, columns=names).loc[0, "raw_hr__last"] == 3.0


def test_names_are_plain_and_told_apart():
    texts = ("W_Call|END", "w call end", "w_call_end_2", "5 raw", "HR", "", "°C")
    assert slugs(texts) == ("w_call_end", "w_call_end_2", "w_call_end_2_2", "x5_raw", "hr", "x", "c")
