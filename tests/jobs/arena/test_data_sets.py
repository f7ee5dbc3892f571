"""Data sets of a folder: logs through the whole pipeline, tables as they are, the same rows for each feature set."""

import logging

import numpy as np
import pandas as pd
import pytest

from feature_extraction.schema import UNLABELED
from jobs.arena import data_sets, event_logs
from jobs.arena.data_sets import BOTH, MINIMAL, NAIVE, OURS, PROPHET, PUBLISHED
from jobs.arena.event_logs import ArenaDataError
from jobs.settings import SettingsError

RUN_FILE = """
[events]
url = "toy_events.parquet"
type = "event_type"

[events.metrics.pulse]
type = "HR"
aggregate = "mean"

[events.metrics.doses]
type = "dose"

[window]
start = 2024-01-01
end = 2024-02-05

[features]
active_values = true

[labels]
url = "toy_labels.parquet"
rare = "1"
"""


def write_log(folder, *, run_file=True):
    """Twelve entities with events, of which one has no label, and one label whose entity has no events."""
    random = np.random.default_rng(0)
    rows = []
    for entity in range(12):
        for day in np.flatnonzero(random.random(35) < 0.7):
            time = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(day), hours=int(random.integers(24)))
            rows.append((f"p{entity}", time, "HR", random.normal(80, 5)))
            rows.append((f"p{entity}", time, "dose", float(random.integers(1, 4))))
    rows.append(("p0", pd.Timestamp("2024-03-01"), "HR", 1e6))  # after the window
    frame = pd.DataFrame(rows, columns=["entity_id", "ts", "event_type", "value"])
    frame["ts"] = frame["ts"].astype("datetime64[us]")
    frame.to_parquet(folder / "toy_events.parquet", index=False)
    names = [f"p{entity}" for entity in range(11)] + ["silent"]
    labels = pd.DataFrame({"entity_id": names, "label": np.arange(12, dtype=np.int8) % 3 == 0, "age": 50})
    labels.astype({"label": "int8"}).to_parquet(folder / "toy_labels.parquet", index=False)
    if run_file:
        (folder / "toy.toml").write_text(RUN_FILE)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_log(folder)
    return data_sets.available(str(folder))["toy"], str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def tables(toy):
    data, cache = toy
    return {name: data_sets.table(data, name, cache=cache) for name in data.feature_sets}


@pytest.mark.spark
def test_each_feature_set_has_the_same_rows(tables):
    names = sorted([f"p{entity}" for entity in range(12)] + ["silent"])
    for table in tables.values():
        assert table.entities.tolist() == names
        assert table.features.shape == (13, len(table.schema.names))
        assert (table.features.dtype, table.labels.dtype) == (np.float32, np.int8)
        known = dict(zip(names, table.labels.tolist(), strict=True))
        assert (known["p0"], known["p1"], known["p11"], known["silent"]) == (1, 0, UNLABELED, 0)
        assert (table.schema.classes, table.schema.rare) == (("0", "1"), "1")
        assert table.seconds > 0


@pytest.mark.spark
def test_an_entity_without_events_is_a_row_without_numbers(tables):
    silent = tables[OURS].entities.tolist().index("silent")
    assert np.isnan(tables[OURS].features[silent]).all()
    naive = dict(zip(tables[NAIVE].schema.names, tables[NAIVE].features[silent].tolist(), strict=True))
    assert naive["raw_hr__count"] == naive["raw_events__n"] == 0
    assert np.isnan(naive["raw_hr__mean"])


@pytest.mark.spark
def test_columns_are_those_of_the_set(tables):
    names = {name: set(table.schema.names) for name, table in tables.items()}
    assert names[PROPHET] == {f"{metric}__{name}" for metric in ("pulse", "doses") for name in PUBLISHED}
    assert names[PROPHET] < names[OURS]
    assert names[BOTH] == names[OURS] | names[NAIVE]
    assert not any(name.startswith(("age", "raw_age")) for name in names[BOTH])
    assert {name.split("__")[0] for name in names[MINIMAL]} == {"raw_hr", "raw_dose"}
    both = dict(zip(tables[BOTH].schema.names, tables[BOTH].features.T, strict=True))
    ours = dict(zip(tables[OURS].schema.names, tables[OURS].features.T, strict=True))
    np.testing.assert_array_equal(both["pulse__slope"], ours["pulse__slope"])
    # What lies outside the window is in neither.
    np.testing.assert_allclose(both["doses__total"], both["raw_dose__count"] * both["raw_dose__mean"], rtol=1e-5)
    assert np.nanmax(both["raw_hr__max"]) < 1e3


@pytest.mark.spark
def test_what_was_made_is_read_again(toy, tables, caplog, monkeypatch):
    data, cache = toy
    monkeypatch.setattr(event_logs.EventLog, "events", None)
    monkeypatch.setattr(event_logs.EventLog, "piped", None)
    with caplog.at_level(logging.INFO):
        again = data_sets.table(data, BOTH, cache=cache)
    np.testing.assert_array_equal(again.features, tables[BOTH].features)
    assert not caplog.records


def test_a_log_without_a_run_file_says_which_to_write(tmp_path):
    write_log(tmp_path, run_file=False)
    data = data_sets.available(str(tmp_path))["toy"]
    with pytest.raises(ArenaDataError, match=r"no run file; write .*toy\.toml with \[events\]"):
        data_sets.table(data, NAIVE, cache=str(tmp_path))


def test_a_rare_class_that_no_label_names_is_refused(tmp_path):
    write_log(tmp_path)
    (tmp_path / "toy.toml").write_text(RUN_FILE.replace('rare = "1"', 'rare = "sick"'))
    data = data_sets.available(str(tmp_path))["toy"]
    with pytest.raises(ArenaDataError, match="no label is 'sick'"):
        data_sets.table(data, NAIVE, cache=str(tmp_path))


def test_an_unknown_feature_set_is_refused_with_the_known_ones(toy):
    with pytest.raises(ArenaDataError, match="no feature set 'best'; it has naive, minimal"):
        data_sets.table(toy[0], "best", cache=toy[1])


@pytest.mark.parametrize("name", sorted(path.stem for path in event_logs.CONFIGS.glob("*.toml")))
def test_a_run_file_of_the_arena_is_valid_and_names_no_folder(name, tmp_path):
    chosen = event_logs.settings(str(tmp_path), name)
    assert chosen.events.url == str(tmp_path / f"{name}_events.parquet")
    assert chosen.labels.rare == "1"
    text = (event_logs.CONFIGS / f"{name}.toml").read_text()
    assert f'url = "{name}_events.parquet"' in text
    assert f'url = "{name}_labels.parquet"' in text


def test_series_that_are_moved_have_no_holidays(tmp_path):
    write_log(tmp_path)
    moved = RUN_FILE.replace("[features]", '[features]\ncountry_holidays = "US"')
    (tmp_path / "toy.toml").write_text(moved.replace("end = ", 'align = "last_event"\nend = '))
    with pytest.raises(SettingsError, match="country_holidays are dates"):
        event_logs.settings(str(tmp_path), "toy")
