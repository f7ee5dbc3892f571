"""Files and lines that are damaged, empty, or laid out in another way than the first one."""

import gzip

import pandas as pd
import pytest

from feature_extraction.events import EventsError
from feature_extraction.storage import StorageError
from tests.feature_extraction.event_logs import HEADER, fates, reasons, settings, text_file, write

pytestmark = pytest.mark.spark
UNREADABLE = "not a readable line"
FRAME = pd.DataFrame({"entity_id": ["a", "b"], "ts": "2024-01-05", "amount": [1.0, 2.0]})


def test_a_parquet_file_of_0_bytes_is_named(spark, tmp_path):
    place = write(FRAME, tmp_path / "log", "parquet")
    (place / "part-9.parquet").touch()
    with pytest.raises(EventsError, match="part-9.parquet: a Parquet file of 0 bytes"):
        fates(spark, settings(place, "parquet"))


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_text_file_of_0_bytes_among_others_is_harmless(spark, tmp_path, kind):
    place = write(FRAME, tmp_path / "log", kind)
    (place / f"part-.{kind}").touch()  # comes first
    (place / f"part-9.{kind}").touch()
    assert reasons(spark, settings(place, kind)) == ["", ""]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_nothing_but_empty_files_is_an_error(spark, tmp_path, kind):
    for number in range(2):
        (tmp_path / f"part-{number}.{kind}").touch()
    with pytest.raises(EventsError, match="2 files, all empty"):
        fates(spark, settings(tmp_path, kind))


def test_a_missing_folder_is_named(spark, tmp_path):
    with pytest.raises(StorageError, match="absent: nothing lies there"):
        fates(spark, settings(tmp_path / "absent"))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_part_file_without_rows_is_harmless(spark, tmp_path, kind):
    place = write(FRAME, tmp_path / "log", kind, parts=2)
    write(FRAME.head(0), tmp_path / "none", kind)  # pandas cannot tell the type of what is not there
    (tmp_path / f"none/part-0.{kind}").rename(place / f"part-.{kind}")  # comes first
    assert reasons(spark, settings(place, kind)) == ["", ""]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_files_in_subfolders_are_read(spark, tmp_path, kind):
    write(FRAME, tmp_path / "log/2024/01", kind)
    write(FRAME, tmp_path / "log/2024/02", kind)
    assert reasons(spark, settings(tmp_path / "log", kind)) == [""] * 4


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_folders_named_key_value_become_a_column(spark, tmp_path, kind):
    write(FRAME, tmp_path / "log/shop=north", kind)
    write(FRAME[["amount", "ts", "entity_id"]], tmp_path / "log/shop=south", kind)
    metrics = (
        {"amount": {"column": "amount", "where": "shop = 'north'"}} if kind != "json" else {"n": {"aggregate": "count"}}
    )
    assert reasons(spark, settings(tmp_path / "log", kind, metrics=metrics)) == [""] * 4


def test_half_partitioned_folders_are_refused_before_rows_are_lost(spark, tmp_path):
    place = write(FRAME, tmp_path / "log", "parquet")
    write(FRAME, place / "shop=south", "parquet")
    with pytest.raises(EventsError, match="some files lie in folders named key=value and others do not"):
        fates(spark, settings(place, "parquet"))


def test_csv_rows_with_too_many_or_too_few_fields_are_kept_aside_as_they_came(spark, tmp_path):
    lines = ["a,2024-01-05,1", "b,2024-01-05", "c,2024-01-05,1,2", "d,2024-01-05,"]
    found = fates(spark, settings(text_file(tmp_path / "log.csv", HEADER, *lines)))
    refused = found[found["reason"] != ""]
    assert sorted(refused["raw"]) == ["b,2024-01-05", "c,2024-01-05,1,2"]
    assert set(refused["reason"]) == {UNREADABLE}
    assert len(found) == 4


def test_csv_columns_are_matched_by_name_whatever_their_order(spark, tmp_path):
    text_file(tmp_path / "log/1.csv", HEADER, "a,2024-01-05,1")
    text_file(tmp_path / "log/2.csv", "amount,entity_id,ts", "2,b,2024-01-06", "3,c,2024-01-06,9")
    found = fates(spark, settings(tmp_path / "log"))
    accepted = found[found["reason"] == ""]
    assert sorted(zip(accepted["entity"], accepted["time"], strict=True)) == [
        ("a", "2024-01-05 00:00:00"),
        ("b", "2024-01-06 00:00:00"),
    ]
    assert found[found["reason"] != ""][["reason", "raw"]].values.tolist() == [[UNREADABLE, "3,c,2024-01-06,9"]]


def test_csv_files_with_other_columns_are_named(spark, tmp_path):
    text_file(tmp_path / "log/1.csv", HEADER, "a,2024-01-05,1")
    text_file(tmp_path / "log/2.csv", "entity_id,ts,amont", "b,2024-01-06,2")
    with pytest.raises(
        EventsError, match=r"2.csv: its header differs from .*1.csv: missing \['amount'\], .*\['amont'\]"
    ):
        fates(spark, settings(tmp_path / "log"))


def test_a_csv_column_that_occurs_twice_is_named(spark, tmp_path):
    place = text_file(tmp_path / "log.csv", f"{HEADER},Amount", "a,2024-01-05,1,2")
    with pytest.raises(EventsError, match="a column name occurs twice in the header entity_id, ts, amount, Amount"):
        fates(spark, settings(place))


def test_csv_with_a_byte_order_mark_and_compressed_is_read(spark, tmp_path):
    (tmp_path / "1.csv").write_bytes(f"{HEADER}\na,2024-01-05,1\n".encode("utf-8-sig"))
    (tmp_path / "2.csv.gz").write_bytes(gzip.compress(f"{HEADER}\nb,2024-01-05,1\n".encode()))
    found = fates(spark, settings(tmp_path))
    assert sorted(found["entity"]) == ["a", "b"]
    assert set(found["reason"]) == {""}


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        '{"entity_id": "b", "ts": "2024-01-05"',
        '{"entity_id": "b", "ts": "2024-01-05"} {"entity_id": "c", "ts": "2024-01-05"}',
        '{"entity_id": "b", "ts": "2024-01-05"}, {"entity_id": "c", "ts": "2024-01-05"}',
        '[{"entity_id": "b", "ts": "2024-01-05"}]',
        "null",
        "5",
        '"b"',
    ],
)
def test_a_line_that_is_no_json_object_is_kept_aside_as_it_came(spark, tmp_path, line):
    place = text_file(tmp_path / "log.jsonl", '{"entity_id": "a", "ts": "2024-01-05", "amount": 1}', line, "")
    found = fates(spark, settings(place, "json"))
    assert found[found["reason"] != ""][["reason", "raw"]].values.tolist() == [[UNREADABLE, line]]
    assert len(found) == 2


def test_a_json_log_without_any_object_is_an_error(spark, tmp_path):
    with pytest.raises(EventsError, match="is a JSON object; check events.format"):
        fates(spark, settings(text_file(tmp_path / "log.csv", HEADER, "a,2024-01-05,1"), "json"))


def test_parquet_files_without_any_row_are_an_error(spark, tmp_path):
    with pytest.raises(EventsError, match="1 files without a row"):
        fates(spark, settings(write(FRAME.head(0), tmp_path / "log", "parquet"), "parquet"))


def test_parquet_files_whose_writer_guessed_other_types_are_read_alike(spark, tmp_path):
    place = tmp_path / "log"
    guessed = {"whole": [1, 2], "fraction": [0.5, 2.0], "nothing": [None, None], "text": ["3", "x"]}
    for name, amount in guessed.items():
        FRAME.assign(entity_id=name, amount=amount).to_parquet(write(FRAME, place / name, "parquet") / "part-0.parquet")
    for name, kind in (("early", "datetime64[s]"), ("late", "datetime64[ns]")):
        frame = FRAME.assign(entity_id=name, ts=pd.to_datetime(FRAME["ts"]).astype(kind))
        frame.to_parquet(write(FRAME, place / name, "parquet") / "part-0.parquet")
    found = fates(spark, settings(place, "parquet"))
    assert len(found) == 12
    assert sorted(set(found["entity"])) == sorted([*guessed, "early", "late"])
    assert found[found["reason"] != ""][["entity", "reason"]].values.tolist() == [["text", "amount: not a number"]]
    assert {time[:19] for time in found["time"]} == {"2024-01-05 00:00:00"}
