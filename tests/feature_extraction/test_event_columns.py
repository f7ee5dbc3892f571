"""Columns that are missing or of a type that cannot hold what is asked of them: one sentence, before any work."""

import datetime

import pandas as pd
import pytest

from feature_extraction.events import EventsError
from tests.feature_extraction.event_logs import HEADER, fates, reasons, settings, text_file, write

pytestmark = pytest.mark.spark
GOOD = {"entity_id": ["a"], "ts": ["2024-01-05"], "amount": [1.0]}


def log(tmp_path, kind="parquet", **columns):
    return write(pd.DataFrame(GOOD | columns), tmp_path / "log", kind)


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
@pytest.mark.parametrize(
    ("wrong", "field", "near"),
    [
        ({"entity": "entity"}, "events.entity", "entity_id"),
        ({"time": "tss"}, "events.time", "ts"),
        ({"key": ("amont",)}, r"events.key\[0\]", "amount"),
        ({"metrics": {"spend": {"column": "amnt"}}}, "events.metrics.spend.column", "amount"),
        ({"type": "kind", "metrics": {"spend": {}}}, "events.type", None),
    ],
)
def test_a_missing_column_is_named_with_the_nearest(spark, tmp_path, kind, wrong, field, near):
    chosen = settings(log(tmp_path, kind), kind, **wrong)
    hint = f"; did you mean '{near}'\\?" if near else ""
    with pytest.raises(EventsError, match=f"{field} names the column '.*', which is not there{hint} Found: entity_id"):
        fates(spark, chosen)


def test_a_list_as_value_is_refused(spark, tmp_path):
    chosen = settings(log(tmp_path, amount=[[1.0, 2.0]]), "parquet")
    with pytest.raises(EventsError, match="metric 'amount' takes the sum of column 'amount', which is array<double>"):
        fates(spark, chosen)


def test_the_distinct_values_of_a_date_are_counted_but_not_summed(spark, tmp_path):
    place = log(tmp_path, amount=[datetime.date(2024, 1, 1)])
    metrics = {"days": {"column": "amount", "aggregate": "nunique"}}
    assert reasons(spark, settings(place, "parquet", metrics=metrics)) == [""]
    with pytest.raises(EventsError, match="which is date; expected a number"):
        fates(spark, settings(place, "parquet"))


def test_numeric_times_need_a_time_format(spark, tmp_path):
    place = log(tmp_path, ts=[1_704_412_800])
    with pytest.raises(EventsError, match="time column 'ts' is bigint; .* epoch_seconds"):
        fates(spark, settings(place, "parquet"))
    found = fates(spark, settings(place, "parquet", time_format="epoch_seconds"))
    assert found["time"].tolist() == ["2024-01-05 00:00:00"]


def test_a_list_as_time_is_refused(spark, tmp_path):
    place = log(tmp_path, ts=[[1]])
    for time_format in ("auto", "epoch_seconds"):
        with pytest.raises(EventsError, match="time column 'ts' is array<bigint>"):
            fates(spark, settings(place, "parquet", time_format=time_format))


def test_timestamps_are_no_epoch_numbers(spark, tmp_path):
    place = log(tmp_path, ts=[pd.Timestamp("2024-01-05")])
    with pytest.raises(EventsError, match="epoch_seconds it must be a number"):
        fates(spark, settings(place, "parquet", time_format="epoch_seconds"))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(("zone", "hour"), [(None, "03"), ("UTC", "04"), ("America/New_York", "09")])
def test_timestamps_of_any_unit_and_zone_are_read(spark, tmp_path, unit, zone, hour):
    time = pd.Series(pd.DatetimeIndex(["2024-01-05 03:00:00.5"]).tz_localize(zone).as_unit(unit))
    found = fates(spark, settings(log(tmp_path, ts=time), "parquet", time_zone="Europe/Berlin"))
    assert found["time"].str[:19].tolist() == [f"2024-01-05 {hour}:00:00"]
    assert found["reason"].tolist() == [""]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("kind = 'x'", "cannot be used: .*`kind` cannot be resolved"),
        ("amount = (", "cannot be used: .*[Ss]yntax error"),
        ("amount", "is string; expected a condition"),
        ("amount > 10", "makes whole numbers of the text column 'amount'.* amount > 10.0"),
    ],
)
def test_a_condition_that_is_none_is_named(spark, tmp_path, where, message):
    metrics = {"amount": {"column": "amount", "where": where}}
    with pytest.raises(EventsError, match=f"events.metrics.amount.where = .* {message}"):
        fates(spark, settings(text_file(tmp_path / "log.csv", HEADER, "a,2024-01-05,1"), metrics=metrics))


def test_a_zone_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="events.time_zone = 'Mars/Base' is no zone"):
        settings(tmp_path, time_zone="Mars/Base")


def test_conditions_on_text_compare_numbers_with_a_point_and_numbers_of_any_kind(spark, tmp_path):
    frame = pd.DataFrame({"entity_id": ["a", "b"], "ts": "2024-01-05", "amount": [10.5, 9.5]})
    for kind, where in [("csv", "amount > 10.0"), ("json", "amount > 10.0"), ("parquet", "amount > 10")]:
        metrics = {"bad": {"column": "ts", "where": where}}
        found = reasons(spark, settings(write(frame, tmp_path / kind, kind), kind, metrics=metrics))
        assert found == ["", "ts: not a number"], kind
