"""Events whose values, times or keys are bad: each refused with its own reason, none lost, none changed."""

import itertools
import math

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction.settings import WindowSettings
from tests.feature_extraction.event_logs import HEADER, extracted, fates, reasons, settings, text_file, write

pytestmark = pytest.mark.spark
DAY = "2024-01-05"


def log(tmp_path, *lines, header=HEADER):
    return text_file(tmp_path / "log.csv", header, *lines)


@pytest.mark.parametrize("time", ["yesterday", "2024-13-05", "2024-01-32", "12:30", "05.01.2024", "1704412800"])
def test_a_time_that_cannot_be_read_is_refused_and_kept(spark, tmp_path, time):
    found = fates(spark, settings(log(tmp_path, f"a,{DAY},1", f"b,{time},1")))
    assert found["reason"].tolist() == ["", "time cannot be read"]
    assert found["raw"][1] == f'{{"entity_id":"b","ts":"{time}","amount":"1"}}'


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1.7e12])
def test_an_epoch_number_out_of_any_calendar_is_refused(spark, tmp_path, number):
    frame = pd.DataFrame({"entity_id": ["a", "b"], "ts": [1_704_412_800.25, number], "amount": 1.0})
    chosen = settings(write(frame, tmp_path / "log", "parquet"), "parquet", time_format="epoch_seconds")
    found = fates(spark, chosen)
    assert found["reason"].tolist() == ["", "time cannot be read"]
    assert found["time"][0] == "2024-01-05 00:00:00.25"


def test_epoch_milliseconds_are_read(spark, tmp_path):
    chosen = settings(log(tmp_path, "a,1704412800250,1", "b,,1"), time_format="epoch_milliseconds")
    found = fates(spark, chosen)
    assert found["time"][0] == "2024-01-05 00:00:00.25"
    assert found["reason"].tolist() == ["", "time is missing"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "amount: NaN"),
        ("Infinity", "amount: infinite"),
        ("-Infinity", "amount: infinite"),
        ("1e999", "amount: infinite"),
        ("-3", "amount: below its minimum 0"),
        ("twelve", "amount: not a number"),
    ],
)
def test_a_bad_value_is_refused_by_its_own_name(spark, tmp_path, value, reason):
    found = fates(spark, settings(log(tmp_path, f"a,{DAY},0", f"b,{DAY},{value}")))
    assert found["reason"].tolist() == ["", reason]


def test_nan_and_infinity_in_numeric_columns_are_refused(spark, tmp_path):
    frame = pd.DataFrame({"entity_id": list("abcd"), "ts": DAY, "amount": [1.0, math.inf, -math.inf, -1.0]})
    place = write(frame, tmp_path / "log", "parquet")
    nan = pa.table({"entity_id": ["e"], "ts": [DAY], "amount": pa.array([math.nan])})  # pandas would write null
    parquet.write_table(nan, place / "nan.parquet")
    expected = ["", "amount: NaN", "amount: below its minimum 0", "amount: infinite", "amount: infinite"]
    assert reasons(spark, settings(place, "parquet")) == expected


def test_a_bad_value_does_not_matter_where_the_condition_leaves_the_event_out(spark, tmp_path):
    metrics = {"amount": {"column": "amount", "minimum": 0, "where": "kind = 'sale'"}}
    place = log(tmp_path, f"a,{DAY},-1,refund", f"b,{DAY},-1,sale", header=f"{HEADER},kind")
    assert fates(spark, settings(place, metrics=metrics))["reason"].tolist() == ["", "amount: below its minimum 0"]


def test_an_empty_cell_is_no_value_in_wide_form_and_refused_in_long_form(spark, tmp_path):
    place = log(tmp_path, f"a,{DAY},,sale", header=f"{HEADER},kind")
    assert reasons(spark, settings(place)) == [""]
    chosen = settings(place, type="kind", value="amount", metrics={"sale": {}})
    assert reasons(spark, chosen) == ["amount: missing"]


@pytest.mark.parametrize("entity", ["", "   "])
def test_an_event_without_entity_is_refused(spark, tmp_path, entity):
    assert reasons(spark, settings(log(tmp_path, f"{entity},{DAY},1"))) == ["entity is missing"]


def test_one_of_the_events_with_one_key_is_kept_whatever_the_order_of_the_files(spark, tmp_path):
    lines = [f"a,{DAY},1,k1", f"a,{DAY},2,k1", "a,2024-01-04,3,k1", f"a,{DAY},4,k2", f"a,{DAY},-1,k2"]
    outcomes = set()
    for number, order in enumerate(itertools.islice(itertools.permutations(lines), 0, 120, 37)):
        for part, line in enumerate(order):
            text_file(tmp_path / f"{number}/part-{part}.csv", f"{HEADER},id", line)
        found = fates(spark, settings(tmp_path / str(number), key=("id",)))
        outcomes.add(tuple(zip(found["raw"], found["reason"], strict=True)))
    assert len(outcomes) == 1
    kept = [raw for raw, reason in outcomes.pop() if reason == ""]
    assert [raw.split('"amount":')[1][1] for raw in kept] == ["3", "4"]


def test_events_without_a_key_are_not_taken_for_duplicates(spark, tmp_path):
    place = log(tmp_path, f"a,{DAY},1,", f"b,{DAY},2,", f"c,{DAY},2,k", header=f"{HEADER},id")
    missing = "id: missing, and it is part of events.key"
    assert reasons(spark, settings(place, key=("id",))) == ["", missing, missing]


def test_times_outside_the_window_are_counted_and_not_quarantined(spark, tmp_path):
    times = ["2023-12-31T23:59:59.999", "2024-01-01", "2024-02-29T23:59:59.999", "2024-03-01", "1999-01-01"]
    result = extracted(spark, tmp_path / "out", settings(log(tmp_path, *[f"a,{time},1" for time in times])))
    assert result.quality["events"] == {"read": 5, "accepted": 2, "outside_window": 3, "refused": 0}
    assert result.rows.loc["a", ["num_events", "amount__active_steps", "amount__recency"]].tolist() == [2, 2.0, 0.0]


def test_offsets_and_naive_times_meet_at_the_zones_midnight(spark, tmp_path):
    window = WindowSettings(start="2024-03-30", end="2024-04-01")  # Berlin loses an hour on the 31st
    times = {
        "a": "2024-03-30T23:30:00",  # naive, the 30th
        "b": "2024-03-30T23:30:00Z",  # 00:30 of the 31st
        "c": "2024-03-31T21:59:59Z",  # 23:59:59 of the 31st, an hour after what a 24-hour day would have
        "d": "2024-03-31T22:00:00Z",  # the 1st: outside
        "e": "2024-03-29T23:00:00Z",  # 00:00 of the 30th
        "f": "2024-03-30T00:30:00+02:00",  # 23:30 of the 29th: outside
        "g": "2024-03-31 23:30:00",
    }
    place = log(tmp_path, *[f"{entity},{time},1" for entity, time in times.items()])
    chosen = settings(place, time_zone="Europe/Berlin")
    rows = extracted(spark, tmp_path / "out", chosen, window=window).rows
    assert rows["amount__history"].to_dict() == {"a": 2, "b": 1, "c": 1, "e": 2, "g": 1}
