"""The extraction job on one dirty log, in every format: what it keeps, what it sets aside, and when it stops."""

import json

import pandas as pd
import pytest

from feature_extraction import definitions, publishing
from feature_extraction.tally import ExtractionError
from tests.feature_extraction.event_logs import HEADER, extracted, settings, text_file, write

pytestmark = pytest.mark.spark
ODD = ['the "quoted" one', "o'clock; DROP TABLE", "naïve Ωmega 日本 🦊", "back\\slash, comma", "=1+1", "x" * 10_000]
BAD = ("NaN", "inf", "Infinity", "-1", "abc")
DAMAGED = {"csv": ("entity_id,ts,amount,id", "bad,2024-01-05"), "json": ('{"entity_id": "bad", "ts": ',)}


def dirty_log():
    rows = [(entity, "2024-01-05T10:00:00", "2", number) for number, entity in enumerate(ODD)]
    rows += [(entity, "2024-01-05T11:00:00", "-1", 100 + number) for number, entity in enumerate(ODD)]
    rows += [("bad", "2024-01-06", value, 200 + number) for number, value in enumerate(BAD)]
    rows += [("bad", "not a time", "1", 300), ("", "2024-01-06", "1", 301), ("twice", "2024-01-07", "1", 302)]
    rows += [("twice", "2024-01-07", "1", 302), ("once", "2024-02-20", "7", 303), ("once", "2023-02-20", "7", 304)]
    return pd.DataFrame(rows, columns=["entity_id", "ts", "amount", "id"]).astype({"id": str})


@pytest.fixture(scope="module", params=["parquet", "csv", "json"])
def dirty(running_spark, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"dirty-{request.param}")
    place = write(dirty_log(), folder / "log", request.param, parts=3)
    if request.param in DAMAGED:
        text_file(place / f"part-9.{request.param}", *DAMAGED[request.param])
    return extracted(running_spark, folder / "out", settings(place, request.param, key=("id",)))


def test_every_event_is_accounted_for(dirty):
    lines = dirty.quality["refused"].get("not a readable line", 0)
    assert dirty.quality["events"] == {"read": 23 + lines, "accepted": 8, "outside_window": 1, "refused": 14 + lines}
    assert dirty.quality["refused"] == {
        "amount: NaN": 1,
        "amount: below its minimum 0": 7,
        "amount: infinite": 2,
        "amount: not a number": 1,
        "duplicate of an event with the same id": 1,
        "entity is missing": 1,
        "time cannot be read": 1,
    } | ({"not a readable line": 1} if lines else {})


def test_odd_ids_reach_the_table_unchanged(dirty):
    assert sorted(dirty.rows.index) == sorted([*ODD, "twice", "once"])
    assert (dirty.rows["num_events"] == 1).all()


def test_odd_ids_reach_the_quarantine_unchanged(dirty):
    parsed = dirty.quarantine[dirty.quarantine["reason"] != "not a readable line"]
    refused = [json.loads(event) for event in parsed["event"]]
    assert sorted(event["entity_id"] for event in refused if event["ts"].endswith("11:00:00")) == sorted(ODD)


def test_a_refused_event_is_kept_whole(dirty):
    event = dirty.quarantine.set_index("reason").loc["time cannot be read", "event"]
    assert json.loads(event) == {"entity_id": "bad", "ts": "not a time", "amount": "1", "id": "300"}


def test_a_damaged_line_is_kept_as_it_came(dirty, request):
    kind = request.node.callspec.params["dirty"]
    found = dirty.quarantine[dirty.quarantine["reason"] == "not a readable line"]["event"].tolist()
    assert found == list(DAMAGED.get(kind, ())[-1:])


def test_an_entity_of_one_event_has_what_needs_no_fit_and_nulls_for_the_rest(dirty):
    row = dirty.rows.loc["once"]
    assert row["amount__fit_status"] == "too_short"
    expected = {"level": 0.7, "peak": 7, "level_recent": 0.7, "history": 10, "recency": 9, "active_steps": 1}
    assert row[[f"amount__{name}" for name in expected]].tolist() == pytest.approx(list(expected.values()))
    fitted = [f"amount__{feature.name}" for feature in definitions.metric_features(2) if feature.fitted]
    assert row[fitted].isna().all()
    assert row[["amount__gap_mean", "amount__gap_max", "amount__recency_in_gaps", "amount__burstiness"]].isna().all()


def test_the_table_holds_the_schemas_columns_in_order(dirty):
    found = list(dirty.rows.columns)
    assert found == ["label", "num_events", "amount__fit_status", *dirty.schema.names]
    assert {str(kind) for kind in dirty.rows[list(dirty.schema.names)].dtypes} == {"float32"}
    assert dirty.rows["label"].dtype == "int8"
    assert (dirty.rows["label"] == -1).all()
    assert dirty.schema.classes == ()
    assert dirty.schema.rare == ""


def test_the_quality_record_counts_what_the_table_misses(dirty):
    shares = dirty.rows[list(dirty.schema.names)].isna().mean().round(4)
    assert dirty.quality["missing"] == pytest.approx(shares.to_dict(), abs=1e-4)
    assert dirty.quality["fit_status"] == {"amount": {"too_short": 8}}
    assert dirty.quality["entities"] == {"total": 8, "labelled": {}, "unlabelled": 8, "held_out": 0}


def test_too_many_refused_events_stop_the_job(spark, tmp_path):
    place = text_file(tmp_path / "log.csv", HEADER, "a,2024-01-05,1", "a,2024-01-06,1", "a,2024-01-07,-1")
    message = "1 of 3 events refused, more than events.max_refused = 0.3 allows: .*below its minimum 0"
    with pytest.raises(ExtractionError, match=message):
        extracted(spark, tmp_path / "out", settings(place, max_refused=0.3))
    left = {path.name for path in (tmp_path / "out").rglob("*.json") if path.parent.name != publishing.CLAIMS}
    assert not left  # nothing that a reader would follow
    assert not (tmp_path / "out" / "quarantine").exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,2024-05-05,1", "a,2024-01-05,-1"], "no usable event among 2: 1 outside the window 2024-01-01"),
        ([], "no usable event among 0"),
    ],
)
def test_no_usable_event_is_an_error(spark, tmp_path, lines, message):
    with pytest.raises(ExtractionError, match=message):
        extracted(spark, tmp_path / "out", settings(text_file(tmp_path / "log.csv", HEADER, *lines)))
