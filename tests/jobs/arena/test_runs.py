"""Fits of a plan: each done once, the same rows for each method, failures in the table, no label of a test row seen."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jobs.arena import plan as plans
from jobs.arena import runs, source
from jobs.arena.data_sets import DataSet
from jobs.arena.plan import Plan
from jobs.arena.processes import OVER_MEMORY, OVER_TIME, Limits
from tests.jobs.arena.methods import Seen
from tests.jobs.arena.small_data import PLACE, SMALL, arena, here, table
from training.trainer import TRAINERS

STAND_INS = {"mlp": "Seen", "aae": "Failing", "ssgan": "Infinite", "qast": "Lacking"}


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """Put methods that take no time in the place of real ones."""
    for name, method in STAND_INS.items():
        monkeypatch.setitem(TRAINERS, name, PLACE + method)
    source_of = plans.source_of
    source_of.cache_clear()
    Seen.forget()
    yield
    source_of.cache_clear()


def plan(*trainers, budgets=("all", "20"), seeds=2, **more):
    return Plan(trainers=trainers, budgets=budgets, seeds=seeds, **more)


def test_no_fit_sees_a_test_rows_label_nor_the_row(tmp_path):
    runs.run([SMALL], plan("mlp", seeds=5), arena(tmp_path))
    truth = table().labels
    assert len(Seen.labeled) == len(Seen.tested) == 10
    for labeled, unlabeled, tested in zip(Seen.labeled, Seen.unlabeled, Seen.tested, strict=True):
        assert not (set(labeled) | set(unlabeled)) & set(tested)
        assert all(truth[number] == label for number, label in labeled.items())


def test_the_files_of_a_fit_hold_labels_of_training_rows_alone(tmp_path):
    runs.run([SMALL], plan("mlp"), arena(tmp_path))
    split_files = sorted(tmp_path.glob("splits/*.npz"))
    assert len(split_files) == 4
    for path in split_files:
        with np.load(path) as rows:
            assert set(rows.files) == {"training", "labels", "test"}
            assert rows["labels"].shape == rows["training"].shape
            assert not set(rows["training"]) & set(rows["test"])
    kinds = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.np*")}
    assert kinds == {"arrays", "splits", "fits"}
    (features,) = tmp_path.glob("arrays/*.npy")
    assert np.array_equal(np.load(features), table().features)


def test_all_methods_have_the_same_rows_and_labels(tmp_path):
    found, _ = runs.run([SMALL], plan("mlp", "gradient_boosting"), arena(tmp_path, run=remembering(requests := [])))
    assert len({request.split for request in requests}) == 4
    for name in ("rows", "rare", "labeled_rows", "labeled_rare"):
        assert (found.groupby(["budget", "seed"])[name].nunique() == 1).all()
    assert found["average_precision"].between(0.2, 1).all()  # a random order has 0.17


def remembering(requests):
    def run(request, stop):
        requests.append(request)
        return here(request, stop)

    return run


def test_what_is_finished_is_not_done_again(tmp_path):
    first, new = runs.run([SMALL], plan("mlp"), arena(tmp_path))
    assert new == 4
    again, new = runs.run([SMALL], plan("mlp", seeds=3), arena(tmp_path, run=remembering(requests := [])))
    assert new == len(requests) == 2
    before = again[again["seed"] < 2].reset_index(drop=True)
    assert before.equals(first)


def test_a_run_that_is_killed_between_fits_goes_on(tmp_path):
    left = [3]

    def dying(request, stop):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return here(request, stop)

    with pytest.raises(KeyboardInterrupt):
        runs.run([SMALL], plan("mlp"), arena(tmp_path, run=dying))
    found, new = runs.run([SMALL], plan("mlp"), arena(tmp_path))
    assert (len(found), new) == (4, 1)
    assert (found["outcome"] == "done").all()


@pytest.mark.parametrize(
    "changed",
    [
        {"load": lambda data, features: table(rare=41)},
        {"load": lambda data, features: replace(table(), features=table().features + 1)},
    ],
    ids=["other labels", "other features"],
)
def test_other_data_are_other_fits(tmp_path, changed):
    runs.run([SMALL], plan("mlp"), arena(tmp_path))
    assert runs.run([SMALL], plan("mlp"), arena(tmp_path, **changed))[1] == 4


def test_other_settings_and_other_source_are_other_fits(tmp_path, monkeypatch):
    runs.run([SMALL], plan("mlp"), arena(tmp_path))
    assert runs.run([SMALL], plan("mlp", overrides={"mlp": {"steps": 7}}), arena(tmp_path))[1] == 4
    monkeypatch.setattr(plans, "source_of", lambda trainer: "changed")
    assert runs.run([SMALL], plan("mlp"), arena(tmp_path))[1] == 4


def test_failures_are_rows_and_stop_nothing(tmp_path):
    found, _ = runs.run([SMALL], plan("mlp", "aae", "ssgan", "qast", budgets=("all",), seeds=1), arena(tmp_path))
    outcomes = found.set_index("trainer")[["outcome", "error"]]
    assert outcomes.loc["mlp", "outcome"] == "done"
    assert tuple(outcomes.loc["aae"]) == ("failed", "ValueError: no model fits these rows")
    assert outcomes.loc["ssgan", "error"] == "ValueError: 48 of 48 scores are not finite"
    assert outcomes.loc["qast", "outcome"] == "not installed"
    assert found[found["outcome"] != "done"]["average_precision"].isna().all()


def test_failures_are_tried_again_where_that_is_asked_for(tmp_path):
    asked = plan("aae", "qast", budgets=("all",), seeds=1)
    assert runs.run([SMALL], asked, arena(tmp_path))[1] == 2
    assert runs.run([SMALL], asked, arena(tmp_path))[1] == 0
    assert runs.run([SMALL], asked, arena(tmp_path, retry=True))[1] == 2


@pytest.mark.parametrize(
    ("outcome", "limit", "limits", "again"),
    [
        (OVER_TIME, 10, Limits(seconds=20), 1),
        (OVER_TIME, 20, Limits(seconds=20), 0),
        (OVER_MEMORY, 100, Limits(memory_mb=200), 1),
        (OVER_MEMORY, 200, Limits(memory_mb=200), 0),
    ],
)
def test_a_wider_limit_is_tried(tmp_path, outcome, limit, limits, again):
    asked = plan("mlp", budgets=("all",), seeds=1)
    runs.run([SMALL], asked, arena(tmp_path))
    (answer,) = tmp_path.glob("fits/*/*/*.json")
    answer.write_text(json.dumps({"outcome": outcome, "error": "it was cut off", "limit": limit}))
    assert runs.run([SMALL], asked, arena(tmp_path, limits=limits))[1] == again


def test_a_budget_that_asks_for_more_than_there_is_is_left_out(tmp_path):
    found, new = runs.run([SMALL], plan("mlp", budgets=("20", "50")), arena(tmp_path))
    assert new == 2
    assert set(found[found["budget"] == "50"]["outcome"]) == {"left out"}
    assert "32 rare rows to learn from" in found[found["budget"] == "50"]["error"].iloc[0]


def test_a_data_set_that_cannot_be_read_is_left_out(tmp_path):
    def load(data, features):
        if data.name == "bad":
            raise ValueError("bad.parquet: no label")
        return table()

    sets = [replace(SMALL, name="bad"), SMALL]
    found, new = runs.run(sets, plan("mlp"), arena(tmp_path, load=load))
    assert new == 4
    assert set(found[found["data"] == "bad"]["error"]) == {"bad.parquet: no label"}


def test_feature_sets_of_other_rows_are_refused(tmp_path):
    log = DataSet("log", "log", "", "log", ("naive", "ours"), "ours")

    def load(data, features):
        made = table()
        return made if features == "ours" else replace(made, entities=made.entities[::-1])

    found, _ = runs.run([log], plan("gradient_boosting", budgets=("all",), seeds=1), arena(tmp_path, load=load))
    assert found.set_index("features")["outcome"].to_dict() == {"naive": "left out", "ours": "done"}


def test_without_processes_nothing_is_run(tmp_path):
    runs.run([SMALL], plan("mlp", seeds=1), arena(tmp_path))
    found, new = runs.run([SMALL], plan("mlp", seeds=2), arena(tmp_path, processes=0, run=None))
    assert new == 0
    assert found["outcome"].value_counts().to_dict() == {"done": 2, "not run": 2}


def test_the_study_fits_the_reference_alone():
    log = DataSet("log", "log", "", "log", ("naive", "ours"), "ours")
    asked = plan("mlp", "gradient_boosting", budgets=("all",), seeds=1)
    assert asked.sets_of(log) == ("ours", "naive")
    assert [fit.trainer for fit in asked.fits_of(log, "ours")] == ["mlp", "gradient_boosting"]
    assert [fit.trainer for fit in asked.fits_of(log, "naive")] == ["gradient_boosting"]


def test_source_counts_where_it_runs(tmp_path, monkeypatch):
    root = tmp_path / "training"
    root.mkdir()
    (root / "one.py").write_text('"""Says."""\nfrom training import two\nvalue = two.value  # a comment\n')
    (root / "two.py").write_text("value = 1\n")
    (root / "three.py").write_text("value = 1\n")

    def digest(name, text):
        (root / name).write_text(text)
        for known in (source._imports, source._tree, source._syntax):
            known.cache_clear()
        return source.digest("training.one")

    monkeypatch.setattr(source, "ROOT", tmp_path)
    before = digest("three.py", "value = 1\n")
    assert digest("three.py", "value = 2\n") == before
    assert digest("one.py", '"""Says more."""\nfrom training import two\n\nvalue = two.value\n') == before
    assert digest("two.py", 'value = 1\nTRAINERS = {"mlp": "training.mlp:MLP"}\n') == before
    assert digest("two.py", "value = 2\n") != before
    for known in (source._imports, source._tree, source._syntax):
        known.cache_clear()


def test_a_methods_members_count_as_its_source(monkeypatch):
    monkeypatch.setitem(TRAINERS, "auto", PLACE + "Seen")
    changed = {"members": ("gradient_boosting", "mlp"), "member_settings": {"aae": {}}}
    monkeypatch.setattr(Plan, "settings", lambda self, trainer, seed: changed if trainer == "auto" else {})
    monkeypatch.setattr(plans, "source_of", lambda trainer: trainer)
    before = plan("auto").method("auto")
    for name, is_member in (("mlp", True), ("aae", True), ("gradient_boosting", True), ("ssgan", False)):
        monkeypatch.setattr(plans, "source_of", lambda trainer, name=name: "new" * (trainer == name) or trainer)
        assert (plan("auto").method("auto") != before) == is_member
