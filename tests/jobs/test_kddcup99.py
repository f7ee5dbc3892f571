"""The KDD Cup 1999 command: its plans, what it fits once, and what it writes."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jobs.kddcup99 import anomalies, fits, page, tables
from jobs.kddcup99 import plan as plans
from jobs.kddcup99.__main__ import run
from jobs.kddcup99.plan import Bar, Method, PlanError
from tests.training import kddcup99_files
from training.baselines import LogisticRegression

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "jobs" / "configs").glob("kddcup99_*.toml"))
PLAN = """
compare_to = ["plain"]

[[setups]]
name = "small"
title = "A small task"
rare = "rare"
unlabeled = 100
[setups.classes]
normal = ["normal"]
dos = ["dos", "probe"]
rare = ["r2l", "u2r"]
[setups.labeled]
normal = 20
dos = 20
rare = 12

[[methods]]
name = "plain"
trainer = "logistic_regression"
settings = { C = [1.0] }
reference = { small = { runs = "8", recall_rare = "0.123 ± 0.004" } }

[[methods]]
name = "chosen"
trainer = "gradient_boosting"
scaled = false
settings = { trees = 5 }
candidates = [{ rows_per_leaf = 1000 }, { rows_per_leaf = 5 }]

[[bars]]
setup = "small"
method = "plain"
measure = "recall_rare"
at_least = 0.5

[[bars]]
setup = "small"
method = "chosen"
measure = "recall_rare"
at_least = 1.5
times = "recall_rare"

[anomalies]
setups = ["small"]
tables = ["7_Toy"]
[anomalies.labeled]
normal = 20
rare = 5
[[anomalies.methods]]
name = "plain_too"
trainer = "logistic_regression"
[[anomalies.methods]]
name = "isolation_forest"
trainer = "isolation_forest"
"""


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    data, tables_of = tmp_path / "data", tmp_path / "adbench"
    data.mkdir()
    tables_of.mkdir()
    kddcup99_files.write(data, monkeypatch)
    random = np.random.default_rng(0)
    far = np.arange(200) < 20
    np.savez(tables_of / "7_Toy.npz", X=random.normal(size=(200, 3)) + 6 * far[:, None], y=far.astype(int))
    (tmp_path / "plan.toml").write_text(PLAN)
    given = {"data": data, "config": tmp_path / "plan.toml", "out": tmp_path / "results", "cache": tmp_path / "cache"}
    return [f"--{name}={path}" for name, path in given.items()] + ["--seeds=2"]


def rows_of(tmp_path):
    return pd.read_csv(tmp_path / "results" / page.TWIN)


def test_the_page_and_its_twin(arguments, tmp_path, capsys):
    run([*arguments, f"--adbench={tmp_path / 'adbench'}"])
    rows = rows_of(tmp_path)
    assert not rows.duplicated(fits.KEYS).any()
    counts = rows.groupby("setup")["method"].value_counts()
    assert set(counts) == {2}
    assert set(counts.loc["small"].index) == {"plain", "chosen", "plain_too", "isolation_forest"}
    assert set(counts.loc["adbench_toy"].index) == {"plain_too", "isolation_forest"}
    assert (rows.loc[rows["method"] == "plain", "recall_rare"] > 0.5).all()

    text = (tmp_path / "results" / page.PAGE).read_text()
    plain = rows[(rows["setup"] == "small") & (rows["method"] == "plain")]
    assert f"{plain['recall_rare'].mean():.3f} ± {plain['recall_rare'].std():.3f}" in text
    assert "| reference | 8 | – | – | 0.123 ± 0.004 |" in text
    assert "`plain`, recall rare, mean of 2 seeds" in text
    assert "asked at least 0.500: **holds**" in text
    assert "asked at least 1.5 times recall rare" in text
    assert "**does not hold**" in text
    assert '`{"rows_per_leaf": 5}` at 2 of 2 seeds' in text
    assert "| normal | 120 |" in text
    assert "## A small task" in capsys.readouterr().out


def test_what_is_finished_is_not_fitted_again(arguments, tmp_path, monkeypatch):
    run(arguments)
    before = (tmp_path / "results" / page.TWIN).read_bytes()
    fitted = []
    fit = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, reader: fitted.append(self.seed) or fit(self, reader))
    run(arguments)
    assert fitted == []
    assert (tmp_path / "results" / page.TWIN).read_bytes() == before
    (tmp_path / "plan.toml").write_text(PLAN.replace("C = [1.0]", "C = [2.0]"))
    run([*arguments[:-1], "--seeds=3"])
    assert sorted(fitted) == [0, 1, 2, 2]  # all of the changed method, and of the unchanged one what is new


def test_a_killed_run_goes_on(arguments, tmp_path, monkeypatch):
    fit, fitted = LogisticRegression.fit, []

    def interrupted(self, reader):
        fitted.append(self.seed)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit(self, reader)

    monkeypatch.setattr(LogisticRegression, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(arguments)
    assert len(list((tmp_path / "cache" / "small").glob("plain-0-*.json"))) == 1
    run(arguments)
    assert fitted[:3] == [0, 1, 1]


def test_tables_measured_before_stay_on_the_page(arguments, tmp_path):
    run([*arguments, f"--adbench={tmp_path / 'adbench'}"])
    with_tables = [(tmp_path / "results" / name).read_text() for name in (page.PAGE, page.TWIN)]
    assert "| adbench_toy | 2 |" in with_tables[0]
    run(arguments)
    assert [(tmp_path / "results" / name).read_text() for name in (page.PAGE, page.TWIN)] == with_tables


def test_setups_of_other_plans_stay(arguments, tmp_path):
    run(arguments)
    one = rows_of(tmp_path)
    other = PLAN.replace('"small"', '"other"').replace("{ small =", "{ other =").replace("A small task", "Another task")
    (tmp_path / "plan.toml").write_text(other)
    run(arguments)
    rows, text = rows_of(tmp_path), (tmp_path / "results" / page.PAGE).read_text()
    assert set(rows["setup"]) == {"small", "other"}
    pd.testing.assert_frame_equal(rows[rows["setup"] == "small"].reset_index(drop=True), one)
    assert text.count("## A small task") == text.count("## Another task") == 1
    assert text.count("## The files") == 1


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('trainer = "logistic_regression"', 'trainer = "logistic"', "no trainer 'logistic'; expected one of"),
        ("{ C = [1.0] }", "{ D = 1.0 }", "method plain: .*\nD\n"),
        ("compare_to", "compare", "compare\n"),
        ('compare_to = ["plain"]', 'compare_to = ["mlp"]', r"name \['mlp'\], expected some of"),
        ('setup = "small"', 'setup = "large"', r"name the setups \['large'\]"),
        ('name = "chosen"', 'name = "plain"', "expected each once"),
        ("[[bars]]", "[[bars", "plan.toml: "),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(tmp_path, before, after, says):
    place = tmp_path / "plan.toml"
    place.write_text(PLAN.replace(before, after))
    with pytest.raises(PlanError, match=says):
        plans.read(str(place))


def test_a_missing_table_is_named(arguments, tmp_path):
    with pytest.raises(PlanError, match=r"nowhere/7_Toy\.npz: no such file; .* --adbench"):
        run([*arguments, f"--adbench={tmp_path / 'nowhere'}"])


def test_no_seed_is_refused(arguments):
    with pytest.raises(PlanError, match="--seeds is 0"):
        run([*arguments[:-1], "--seeds=0"])


def test_candidates_need_held_out_rows():
    class Unmeasured:
        manifest = SimpleNamespace(trainer="none", metrics={})

    class Trainer:
        def fit(self, reader):
            return Unmeasured()

    with pytest.raises(ValueError, match="measured nothing on held-out rows"):
        fits._best([Trainer(), Trainer()], None)


def test_differences_are_paired_by_seed():
    one = pd.DataFrame({"seed": [0, 1, 2], "x": [0.5, 0.7, 0.9]})
    other = pd.DataFrame({"seed": [2, 0], "x": [0.5, 0.3]})
    assert tables.paired(one, other, "x") == "+0.300 ± 0.100"
    assert tables.paired(one, other.assign(x=np.nan), "x") == "–"


def test_a_bar_without_its_method_is_not_measured():
    bar = Bar(setup="s", method="gone", measure="recall_rare", at_least=0.3)
    empty = pd.DataFrame({"method": ["plain"], "recall_rare": [0.9]})
    assert tables._bar(bar, empty).endswith("**not measured**")


def test_an_isolation_forest_learns_from_rows_that_may_be_normal(tmp_path):
    random = np.random.default_rng(0)
    far = np.arange(400) < 40
    np.savez(tmp_path / "1_x.npz", X=random.normal(size=(400, 2)) + 6 * far[:, None], y=far.astype(int))
    settings = plans.AnomalyTables(
        setups=(),
        tables=("1_x",),
        methods=(Method(name="f", trainer="isolation_forest"),),
        labeled={"normal": 50, "rare": 14},
    )
    (task,) = anomalies.read(str(tmp_path), settings)
    split = task.draw(0)
    labels = split.reader.labels
    assert [int((labels == code).sum()) for code in (-1, 0, 1)] == [280 - 64, 50, 14]
    scores = anomalies.IsolationForest(seed=1).fit(split.reader).predict(split.test)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    assert scores[split.truth == 1, 1].min() > np.median(scores[split.truth == 0, 1])
    assert json.dumps(task.identity)


@pytest.mark.parametrize("place", SHIPPED, ids=lambda place: place.stem)
def test_shipped_plans_fit(place):
    plan = plans.read(str(place))
    assert plan.methods


def test_three_plans_are_shipped():
    assert [place.stem for place in SHIPPED] == ["kddcup99_imbalanced", "kddcup99_rare", "kddcup99_three_negatives"]
