"""What Spark need not read: folders that `events.where` leaves out, unused columns, times outside the window."""

import pandas as pd
import pytest

from feature_extraction import events, extract, tally
from feature_extraction.event_files import EventsError
from feature_extraction.feature_rows import Extraction
from tests.feature_extraction.event_logs import FEW_RESIDUALS, NO_LABELS, WINDOW, extracted, settings, text_file

pytestmark = pytest.mark.spark
LOG = pd.DataFrame(
    {
        "entity_id": ["a", "a", "b", "b", None, "c"],
        "ts": pd.to_datetime(["2024-01-05", "2024-02-05", "2023-01-05", "2024-02-29", "2023-01-05", None], utc=True),
        "amount": [1.0, 2.0, -4.0, 8.0, 1.0, 1.0],
        "comment": "never read",
    }
)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "log").mkdir()
    for number in range(2):
        part = LOG.iloc[number::2]
        part.to_parquet(tmp_path / "log" / f"{number}.parquet", index=False, coerce_timestamps="us")
    return tmp_path / "log"


def scan(spark, chosen):
    """Return the text of the plan's scan of the log."""
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    log = events.inside(events.read(spark, chosen), chosen, WINDOW)
    validated = events.validate(log, chosen, WINDOW)
    job = Extraction(chosen, WINDOW, NO_LABELS, FEW_RESIDUALS)
    rows = extract.events_by_entity(validated.observe("events", *tally.fates()), job)
    plan = rows._jdf.queryExecution().executedPlan().toString()
    return next(line for line in plan.splitlines() if "FileScan" in line)


def test_events_left_out_by_the_window_are_counted_by_the_footers(spark, place, tmp_path):
    found = extracted(spark, tmp_path / "out", settings(place, "parquet")).quality
    assert found["events"] == {"read": 6, "accepted": 3, "outside_window": 2, "refused": 1}
    assert found["refused"] == {"time is missing": 1}


def test_the_window_and_the_columns_reach_the_source(spark, place):
    found = scan(spark, settings(place, "parquet"))
    assert "GreaterThanOrEqual(ts" in found
    assert "amount" in found
    assert "comment" not in found


@pytest.fixture(params=["parquet", "csv"])
def folders(request, tmp_path):
    """A log in folders by day; the CSV one holds a damaged line in each."""
    for day, amount in (("2024-01-05", 1), ("2024-01-06", 2), ("2024-01-07", 4)):
        folder = tmp_path / "log" / f"dt={day}"
        if request.param == "csv":
            text_file(folder / "part.csv", "entity_id,ts,amount", f"a,{day},{amount}", f"bad,{day}")
        else:
            folder.mkdir(parents=True)
            pd.DataFrame({"entity_id": ["a"], "ts": [day], "amount": [amount]}).to_parquet(folder / "part.parquet")
    return settings(tmp_path / "log", request.param, where="dt >= '2024-01-06'")


def test_where_leaves_out_folders_before_they_are_opened(spark, folders):
    assert "PartitionFilters: [isnotnull(dt" in scan(spark, folders)


def test_what_where_leaves_out_is_not_counted(spark, folders, tmp_path):
    found = extracted(spark, tmp_path / "out", folders)
    damaged = 2 if folders.format == "csv" else 0
    assert found.quality["events"] == {"read": 2 + damaged, "accepted": 2, "outside_window": 0, "refused": damaged}
    assert found.rows.loc["a", "amount__peak"] == 4


def test_a_damaged_line_is_kept_where_the_condition_cannot_be_told(spark, tmp_path):
    place = text_file(tmp_path / "log.csv", "entity_id,ts,amount", "a,2024-01-05,1", "b,2024-01-05,7", "bad,2024-01-05")
    found = extracted(spark, tmp_path / "out", settings(place, where="amount > 5.0")).quality
    assert found["events"] == {"read": 2, "accepted": 1, "outside_window": 0, "refused": 1}


def test_a_condition_on_an_absent_column_is_refused(spark, place):
    with pytest.raises(EventsError, match="events.where = 'dz > 1' cannot be used"):
        events.read(spark, settings(place, "parquet", where="dz > 1"))


def test_a_value_too_large_for_exact_sums_is_refused(spark, tmp_path):
    place = text_file(tmp_path / "log.csv", "entity_id,ts,amount", "a,2024-01-05,1", "a,2024-01-05,1e31")
    assert extracted(spark, tmp_path / "out", settings(place)).quality["refused"] == {"amount: beyond 1e+30": 1}


def test_events_counted_twice_on_the_way_are_counted_again(spark, place, tmp_path, monkeypatch, caplog):
    class Repeated(extract.Observation):
        """What a task that ran twice leaves behind."""

        @property
        def get(self):
            return {name: 2 * number for name, number in super().get.items()}

    monkeypatch.setattr(extract, "Observation", Repeated)
    found = extracted(spark, tmp_path / "out", settings(place, "parquet")).quality
    assert found["events"] == {"read": 6, "accepted": 3, "outside_window": 2, "refused": 1}
    assert "6 counted, 3 in the table; counting again" in caplog.text


def test_entities_that_share_a_key_are_told_apart(spark, place, tmp_path, monkeypatch):
    """Were all hashes equal, the table would still be right."""
    plain = extracted(spark, tmp_path / "plain", settings(place, "parquet")).rows
    monkeypatch.setattr("feature_extraction.series.F.xxhash64", lambda *_: extract.F.lit(7).cast("bigint"))
    pd.testing.assert_frame_equal(
        extracted(spark, tmp_path / "out", settings(place, "parquet")).rows.sort_index(), plain.sort_index()
    )
