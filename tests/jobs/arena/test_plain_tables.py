"""Tables in the forms that people have: what is read, what is a label, what is refused."""

import numpy as np
import pandas as pd
import pytest

from jobs.arena import data_sets
from jobs.arena.data_sets import TABLE
from jobs.arena.event_logs import ArenaDataError


def read(folder, name):
    return data_sets.table(data_sets.available(str(folder))[name], TABLE, cache=str(folder / "cache"))


def test_a_csv_file_with_names_missing_labels_and_missing_numbers(tmp_path):
    rows = [f"e{row},{row},{'' if row == 3 else row * 2},{'' if row == 5 else int(row % 4 == 0)}" for row in range(100)]
    (tmp_path / "mine.csv").write_text("\n".join(["entity_id,Load (kW),age,label", *rows]))
    table = read(tmp_path, "mine")
    assert table.schema.names == ("load_kw__value", "age__value")
    assert (table.schema.classes, table.schema.rare) == (("regular", "rare"), "rare")
    assert table.entities[:3].tolist() == ["e0", "e1", "e2"]
    assert np.isnan(table.features[3]).tolist() == [False, True]
    assert table.labels[:6].tolist() == [1, 0, 0, 0, 1, -1]
    assert table.features.dtype == np.float32
    assert table.groups is None


def test_collections_are_named_by_their_folder(tmp_path):
    for collection in ("adbench", "qast"):
        (tmp_path / collection).mkdir()
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 3)), np.arange(60) % 3 == 0
    np.savez(tmp_path / "adbench" / "6_cardio.npz", X=features, y=labels.astype(int))
    frame = pd.DataFrame(features, columns=["a", "b", "c"]).assign(label=labels.astype("int32"), split="train")
    frame.to_parquet(tmp_path / "qast" / "new-thyroid.parquet")
    pd.DataFrame({"name": ["x"], "n": [1]}).to_csv(tmp_path / "adbench" / "index.csv")
    assert list(data_sets.available(str(tmp_path / "adbench"))) == ["adbench_cardio"]
    one = read(tmp_path / "adbench", "adbench_cardio")
    other = read(tmp_path / "qast", "qast_new-thyroid")
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.labels.sum() == 20


@pytest.mark.parametrize(
    ("sizes", "rare"),
    [
        ((50, 30), {1}),
        ((50, 30, 25), {2}),
        ((50, 12, 9), {1, 2}),  # 21 rows together
        ((50, 40, 3, 4), {1, 2, 3}),  # the two smallest hold 7
        ((12, 5), {1}),  # not all classes, however few there are
    ],
)
def test_of_many_classes_the_smallest_are_rare_until_they_hold_twenty_rows(tmp_path, sizes, rare):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    pd.DataFrame({"x": np.arange(len(labels)), "label": labels}).to_parquet(tmp_path / "many.parquet")
    table = read(tmp_path, "many")
    assert set(labels[table.labels == 1].tolist()) == rare


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x": [1, 2], "city": ["a", "b"], "label": [0, 1]}, r"columns \['city'\] are no numbers"),
        ({"x": [1, 2], "label": [1, 1]}, r"holds the classes \['1'\]; two are needed"),
        ({"label": [0, 1]}, "are no numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, columns, said):
    pd.DataFrame(columns).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(ArenaDataError, match=said):
        read(tmp_path, "bad")


def test_a_folder_with_nothing_in_it_says_what_it_looked_for(tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ArenaDataError, match=r"neither an event log .* among its 1 files"):
        data_sets.available(str(tmp_path))
    with pytest.raises(ArenaDataError, match="no such folder"):
        data_sets.available(str(tmp_path / "absent"))
