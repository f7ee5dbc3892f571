"""A window that moves along a log in folders by date: which folders are named, and that no other one is opened."""

import re
from datetime import datetime

import pandas as pd
import pytest

from feature_extraction import event_folders, events, storage
from feature_extraction.event_files import EventsError
from feature_extraction.feature_rows import Extraction
from feature_extraction.settings import WindowSettings
from tests.feature_extraction.event_logs import FEW_RESIDUALS, NO_LABELS, extracted, settings, write

DAYS = [f"2024-01-{day:02}" for day in range(1, 8)]
MOVING = "dt >= '{start}' and dt < '{end}'"
WINDOW = WindowSettings(end="2024-01-07", days=3)


@pytest.mark.parametrize(
    ("end", "days", "start"),
    [("2024-01-07", 3, "2024-01-04"), ("2024-03-01", 1, "2024-02-29"), ("2024-01-07T06:00:00", 0.25, "2024-01-07")],
)
def test_a_window_of_days_ends_where_it_is_told(end, days, start):
    found = WindowSettings(end=end, days=days, step_days=days)
    assert found.start == datetime.fromisoformat(start)
    assert found == WindowSettings(start=start, end=end, step_days=days)
    assert found == WindowSettings(**found.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"end": "2024-01-07"}, "give one of window.start and window.days"),
        ({"end": "2024-01-07", "start": "2024-01-01", "days": 6}, "give one of window.start and window.days"),
        ({"end": "2024-01-07", "days": 0}, "greater than 0"),
        ({"end": "2024-01-07", "days": "many"}, "valid number"),
        ({"end": "soon", "days": 3}, "valid datetime"),
        ({"days": 3}, "Field required"),
        ({"end": "2024-01-07", "days": 2.5}, "not a whole number of steps"),
        ({"end": "2024-01-07", "days": 999_999}, "before the calendar's first year"),
    ],
)
def test_a_window_that_cannot_be_is_refused(fields, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        WindowSettings(**fields)


@pytest.mark.parametrize(
    ("end", "dates"),
    [("2024-01-07", "2024-01-04 2024-01-07"), ("2024-01-07T00:00:01", "2024-01-04 2024-01-08")],
)
def test_where_holds_the_dates_of_the_window(end, dates):
    window = WindowSettings(end=end, days=3)
    chosen = settings("/log", where="'{start} {end}' rlike '[0-9]{4}'")
    assert Extraction(chosen, window, NO_LABELS, FEW_RESIDUALS).events.where == f"'{dates}' rlike '[0-9]{{4}}'"


@pytest.fixture(params=["csv", "json", "parquet"])
def log(request, tmp_path):
    """Seven days, and on the others what would stop any reader."""
    for number, day in enumerate(DAYS):
        frame = pd.DataFrame({"entity_id": ["a", "b"], "ts": [day, day], "amount": [1.0, float(number)]})
        write(frame, tmp_path / "log" / f"dt={day}", request.param)
    kind = request.param
    for day in ("2023-12-31", "2024-01-08"):
        folder = tmp_path / "log" / f"dt={day}"
        folder.mkdir()
        (folder / f"part-0.{kind}").write_bytes(
            {"csv": b"poison\n1\n", "json": b'{"poison": 1}\n'}.get(kind, b"poison")
        )
    return settings(tmp_path / "log", kind, where=MOVING)


@pytest.mark.spark
def test_only_the_folders_of_the_window_are_opened(spark, log, tmp_path):
    found = extracted(spark, tmp_path / "out", log.within(WINDOW), window=WINDOW)
    assert found.quality["events"] == {"read": 6, "accepted": 6, "outside_window": 0, "refused": 0}
    assert found.rows.loc["b", "amount__peak"] == 5


@pytest.mark.spark
def test_only_the_files_of_the_window_are_part_of_the_work(spark, log, tmp_path):
    chosen = log.within(WINDOW)
    job = Extraction(chosen, WINDOW, NO_LABELS, FEW_RESIDUALS)
    before = job.fingerprint(events.files(spark, chosen))
    place = tmp_path / "log/dt=2023-12-31"
    (place / "late").write_text("more")
    assert job.fingerprint(events.files(spark, chosen)) == before
    late = next((tmp_path / "log/dt=2024-01-05").iterdir())
    late.write_bytes(late.read_bytes() + b"\n")
    assert job.fingerprint(events.files(spark, chosen)) != before


@pytest.mark.spark
@pytest.mark.parametrize(
    ("where", "days"),
    [
        ("dt = '2024-01-03' or dt > date'2024-01-06'", ["2024-01-03", "2024-01-07"]),
        ("month(dt) = 1 and dayofmonth(dt) < 3", DAYS[:2]),
        ("dt >= '2024-01-06' and amount > 3.0", DAYS),
        ("DT < '2024-01-02'", DAYS[:1]),
    ],
)
def test_spark_says_which_folders_a_condition_names(spark, tmp_path, where, days):
    for day in DAYS:
        write(pd.DataFrame({"entity_id": ["a"], "ts": [day], "amount": [1.0]}), tmp_path / "log" / f"dt={day}", "csv")
    chosen = settings(tmp_path / "log", where=where)
    found = event_folders.asked_for(spark, chosen, storage.list_files(chosen.url))
    assert [file.url.split("dt=")[1][:10] for file in found] == days


@pytest.mark.spark
def test_folders_of_several_keys_with_strange_and_missing_values(spark, tmp_path):
    for name in ("region=eu%2Fwest/hour=1", "region=__HIVE_DEFAULT_PARTITION__/hour=2", "region=us/hour=03"):
        write(pd.DataFrame({"entity_id": ["a"], "ts": ["2024-01-05"], "amount": [1.0]}), tmp_path / "log" / name, "csv")
    wanted = {"region = 'eu/west'": [1], "region is null": [2], "hour > 1": [2, 3], "region <> 'us' and hour < 9": [1]}
    for where, hours in wanted.items():
        chosen = settings(tmp_path / "log", where=where)
        found = event_folders.asked_for(spark, chosen, storage.list_files(chosen.url))
        assert sorted(int(file.url.split("hour=")[1].split("/")[0]) for file in found) == hours, where
        read = events.read(spark, chosen).frame.select("hour").distinct().collect()
        assert sorted(row.hour for row in read) == hours, where


@pytest.mark.spark
def test_a_window_without_a_folder_is_told(spark, log):
    gone = WindowSettings(end="2030-01-01", days=3)
    with pytest.raises(EventsError, match="leaves none of its 9 folders.*mend the condition or the window"):
        events.read(spark, log.within(gone))
