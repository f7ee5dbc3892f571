"""Labels as read: text whatever the file held, contradictions and blanks set aside, a fair share hidden."""

import pandas as pd
import pytest

from feature_extraction import labels
from feature_extraction.labels import LabelsError
from feature_extraction.settings import LabelsSettings
from tests.feature_extraction.event_logs import text_file

MANY = pd.DataFrame({"entity_id": [f"e{i}" for i in range(50)], "label": ["bad"] * 10 + ["good"] * 40})


def read(place, **fields):
    return labels.read(LabelsSettings(**{"url": str(place), "rare": "bad"} | fields))


def saved(frame, place):
    place.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(place, index=False)
    return place


def pairs(frame):
    return list(frame[["entity_id", "label"]].itertuples(index=False, name=None))


def test_the_held_out_share_is_that_of_every_class(tmp_path):
    found = read(saved(MANY, tmp_path / "labels.parquet"), holdout_share=0.3)
    assert found.hidden["label"].value_counts().to_dict() == {"good": 12, "bad": 3}
    assert sorted(pairs(found.shown) + pairs(found.hidden)) == sorted(pairs(MANY))
    assert found.classes == ("good", "bad")


def test_the_choice_does_not_depend_on_the_order_or_the_number_of_files(tmp_path):
    first = read(saved(MANY, tmp_path / "labels.parquet"), holdout_share=0.3)
    mixed = MANY.sample(frac=1, random_state=1)
    for number in range(3):
        saved(mixed.iloc[number::3], tmp_path / "many" / f"{number}.parquet")
    again = read(tmp_path / "many", holdout_share=0.3)
    pd.testing.assert_frame_equal(again.hidden, first.hidden)
    pd.testing.assert_frame_equal(again.shown, first.shown)
    other = read(tmp_path / "many", holdout_share=0.3, seed=1)
    assert pairs(other.hidden) != pairs(first.hidden)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_whole_numbers_come_as_text(tmp_path, kind):
    frame = pd.DataFrame({"entity_id": [7, 12], "label": [1, 0]})
    place = tmp_path / f"labels.{kind}"
    if kind == "parquet":
        saved(frame, place)
    elif kind == "csv":
        frame.to_csv(place, index=False)
    else:
        frame.to_json(place, orient="records", lines=True)
    found = read(place, rare="1")
    assert pairs(found.shown) == [("12", "0"), ("7", "1")]
    assert found.classes == ("0", "1")


def test_csv_ids_keep_their_spelling(tmp_path):
    ids = ["007", "1e5", "true", "2024-01-01", "1.50", "NA", "null", "12345678901234567890", 'a ""b""']
    place = text_file(tmp_path / "labels.csv", "entity_id,label", *[f'"{entity}",bad' for entity in ids])
    assert set(read(place).shown["entity_id"]) == {*ids[:-1], 'a "b"'}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_blank_entities_and_labels_are_refused(tmp_path, kind):
    place = tmp_path / f"labels.{kind}"
    if kind == "csv":
        text_file(place, "entity_id,label", "a,bad", "b,", ",good", "c,  ", 'd,""')
    else:
        frame = {"entity_id": ["a", "b", None, "c", "d"], "label": ["bad", None, "good", "  ", ""]}
        saved(pd.DataFrame(frame), place)
    found = read(place)
    assert pairs(found.shown) == [("a", "bad")]
    assert found.classes == ("bad",)
    assert found.refused["reason"].tolist() == ["entity or label is missing"] * 4
    assert found.num_read == 5


def test_whole_numbers_with_gaps_stay_whole(tmp_path):
    frame = pd.DataFrame({"entity_id": pd.array([1, 2, None], "Int64"), "label": pd.array([1, None, 0], "Int64")})
    found = read(saved(frame, tmp_path / "labels.parquet"), rare="1")
    assert pairs(found.shown) == [("1", "1")]
    assert len(found.refused) == 2


def test_a_holdout_file_that_contradicts_the_labels_is_a_conflict(tmp_path):
    shown = text_file(tmp_path / "labels.csv", "entity_id,label", "a,bad", "b,good", "c,good")
    hidden = text_file(tmp_path / "holdout.csv", "entity_id,label", "b,bad", "c,good", "d,good")
    found = read(shown, holdout_url=str(hidden))
    assert (pairs(found.shown), pairs(found.hidden)) == ([("a", "bad"), ("c", "good")], [("d", "good")])
    assert sorted(pairs(found.refused)) == [("b", "bad"), ("b", "good")]
    assert (found.num_read, found.num_repeated) == (6, 1)


def test_no_url_means_no_labels():
    found = labels.read(LabelsSettings())
    assert (len(found.shown), len(found.hidden), found.classes, found.num_read) == (0, 0, (), 0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.csv", "entity,label\na,bad\n", "labels.entity names 'entity_id', not there; did you mean 'entity'?"),
        ("labels.csv", "entity_id,class\na,bad\n", "labels.column names 'label', not there"),
        ("labels.csv", "", "an empty file"),
        ("labels.csv", "entity_id,label\na,bad,1\n", "not a readable .csv file"),
        ("labels.jsonl", "nonsense\n", "not a readable .jsonl file"),
        ("labels.parquet", "nonsense\n", "not a readable .parquet file"),
        ("labels.txt", "a bad\n", "labels are read from .parquet, .csv, .json, .jsonl files; found '.txt'"),
    ],
)
def test_a_label_file_that_cannot_be_used_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelsError) as caught:
        read(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_folder_without_files_is_an_error(tmp_path):
    with pytest.raises(LabelsError, match="a folder without files"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "says"), [(("bad", "Bad"), "differ in case alone"), (("bad", "Unknown"), "rename it")]
)
def test_class_names_that_scores_could_not_tell_apart_are_refused(tmp_path, names, says):
    frame = pd.DataFrame({"entity_id": ["a", "b"], "label": names})
    with pytest.raises(LabelsError, match=says):
        read(saved(frame, tmp_path / "labels.parquet"))
