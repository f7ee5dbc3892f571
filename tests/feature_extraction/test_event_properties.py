"""More than 10,000 bad events of every kind, among good ones: each in quarantine as it came, for its own reason."""

import json
from collections import Counter

import numpy as np
import pytest
from pyarrow import parquet

from tests.feature_extraction import generated_events as drawn
from tests.feature_extraction.event_logs import extracted, settings, text_file

pytestmark = pytest.mark.spark
ROWS = 4_500
AMOUNT, HEIGHT = {"column": "amount", "minimum": 0}, {"column": "height", "aggregate": "max"}
ZONE = {"time_zone": "Europe/Berlin"}
FILES = 3


def text_files(folder, lines, kind, *head):
    for number in range(FILES):
        text_file(folder / f"part-{number}.{kind}", *head, *lines[number::FILES])
    return folder


def check(result, log):
    """Hold what was left against what was drawn: every event once, by reason and in numbers."""
    fates = Counter(log.fates)
    assert result.quality["events"] == {
        "read": len(log.rows),
        "accepted": fates[""],
        "outside_window": fates[drawn.OUTSIDE],
        "refused": len(log.rows) - fates[""] - fates[drawn.OUTSIDE],
    }
    assert result.quality["refused"] == log.by_reason
    assert result.rows["num_events"].sum() == fates[""]
    assert fates[""] > 100
    assert fates[drawn.OUTSIDE] > 100


def kept(result, reason=None):
    frame = result.quarantine
    return Counter(frame["event"] if reason is None else frame["event"][frame["reason"] == reason])


def expected(log, reason):
    return [row for row, fate in zip(log.rows, log.fates, strict=True) if fate == reason]


def from_csv(spark, folder):
    log = drawn.wide_text(ROWS)
    header = ["entity_id", "ts", "amount", "height", "kind", "id"]
    lines = [row if isinstance(row, str) else drawn.csv_line(row) for row in log.rows]
    place = text_files(folder / "log", lines, "csv", ",".join(header))
    metrics = {"amount": AMOUNT, "height": HEIGHT | {"where": "kind = 'measure'"}, "logins": {"aggregate": "count"}}
    chosen = settings(place, metrics=metrics, key=("id",), **ZONE)
    result = extracted(spark, folder / "out", chosen, window=drawn.WINDOW)
    check(result, log)
    for reason in log.by_reason:
        rows = expected(log, reason)
        if reason != drawn.LOST:
            rows = [json.dumps(dict(zip(header, [c or None for c in row], strict=True))) for row in rows]
            found = Counter(json.dumps(json.loads(event)) for event in kept(result, reason).elements())
        else:
            found = kept(result, reason)
        assert found == Counter(rows), reason
    return result


def from_json(spark, folder):
    log = drawn.long_json(ROWS)
    place = text_files(folder / "log", log.rows, "json")
    metrics = {"visit": {"aggregate": "count"}, "spend": {"minimum": 0}, "heat": {"aggregate": "mean"}}
    chosen = settings(place, "json", type="type", metrics=metrics, time_format="epoch_seconds", **ZONE)
    result = extracted(spark, folder / "out", chosen, window=drawn.WINDOW)
    check(result, log)
    for reason in log.by_reason:
        assert kept(result, reason) == Counter(expected(log, reason)), reason
    return result


def from_parquet(spark, folder, *, numeric_time):
    log = drawn.wide_parquet(ROWS, numeric_time=numeric_time)
    table = drawn.as_table(log, numeric_time=numeric_time)
    (folder / "log").mkdir()
    for number, part in enumerate(np.array_split(np.arange(ROWS), FILES)):
        parquet.write_table(table.take(part), folder / f"log/part-{number}.parquet", row_group_size=200)
    form = {"time_format": "epoch_milliseconds"} if numeric_time else {}
    chosen = settings(folder / "log", "parquet", metrics={"amount": AMOUNT, "height": HEIGHT}, **form, **ZONE)
    result = extracted(spark, folder / "out", chosen, window=drawn.WINDOW)
    check(result, log)
    for reason in log.by_reason:
        found = [drawn.as_read(event) for event in kept(result, reason).elements()]
        if not numeric_time:
            found = [(entity, drawn.micros(time), *values) for entity, time, *values in found]
        assert Counter(map(repr, found)) == Counter(map(repr, expected(log, reason))), reason
    return result


def test_thousands_of_bad_events_in_every_form_end_in_quarantine_as_they_came(spark, tmp_path):
    results = []
    for name, make, options in [
        ("csv", from_csv, {}),
        ("json", from_json, {}),
        ("timestamps", from_parquet, {"numeric_time": False}),
        ("milliseconds", from_parquet, {"numeric_time": True}),
    ]:
        (tmp_path / name).mkdir()
        results.append(make(spark, tmp_path / name, **options))
    assert sum(result.quality["events"]["refused"] for result in results) > 10_000
    reasons = Counter()
    for result in results:
        reasons.update(result.quality["refused"])
    assert min(reasons.values()) >= 10
    assert len(reasons) >= 20
