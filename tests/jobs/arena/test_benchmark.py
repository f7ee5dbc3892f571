"""The command itself, on tables that scikit-learn brings along: its results, filters, and what it does after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from jobs import benchmark
from jobs.arena import plan as plans
from jobs.arena.data_sets import ArenaDataError
from jobs.arena.plan import PlanError
from training.trainer import TRAINERS

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--quick", "--data", "sklearn_diabetes", "--trainers", "logistic_regression", "--budgets", "all", "20"]


def command(out, *more):
    return [sys.executable, "-m", "jobs.benchmark", *SMALL, "--out", str(out), *more]


def answers(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("arena/quick/fits/*/*/*.json")}


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    child = subprocess.Popen(command(tmp_path, "--seeds", "2"), cwd=ROOT, stderr=subprocess.PIPE)
    while not answers(tmp_path):
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    before = answers(tmp_path)
    assert before
    assert not (tmp_path / "arena/quick/arena.md").exists()
    again = subprocess.run(command(tmp_path, "--seeds", "2"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    after = answers(tmp_path)
    assert len(after) == 4
    assert before.items() <= after.items()
    found = pd.read_parquet(tmp_path / "arena/quick/results.parquet")
    assert found["outcome"].tolist() == ["done"] * 4
    assert "# The arena" in (tmp_path / "arena/quick/arena.md").read_text()
    assert not benchmark.run([*SMALL, "--seeds", "2", "--out", str(tmp_path)])  # nothing is left to do


def test_the_page_alone_is_written_from_what_is_finished(tmp_path):
    assert benchmark.run([*SMALL, "--seeds", "1", "--out", str(tmp_path), "--page-only", "--page", str(tmp_path / "p")])
    said = (tmp_path / "p" / "arena.md").read_text()
    assert "No method was tried on the main feature set of any data set." in said
    assert "scikit-learn's tables" not in said
    assert subprocess.run(command(tmp_path, "--seeds", "1"), cwd=ROOT, check=False).returncode == 0
    assert benchmark.run([*SMALL, "--seeds", "1", "--out", str(tmp_path), "--page-only", "--page", str(tmp_path / "p")])
    said = (tmp_path / "p" / "arena.md").read_text()
    assert f"- 2 of {4 * len(TRAINERS) * 5} fits" in said
    assert "### scikit-learn's tables, all labels" in said


def test_everything_is_compared_by_default():
    given = benchmark._parser().parse_args([])
    asked = benchmark._plan(given)
    assert asked.trainers == tuple(TRAINERS)
    assert asked.budgets == ("all", "20", "50", "200")
    assert asked.seeds >= 5


@pytest.mark.parametrize("trainer", TRAINERS)
def test_quick_settings_are_settings(trainer):
    plan = benchmark._plan(benchmark._parser().parse_args(["--quick"]))
    assert plan.settings(trainer, 3)["seed"] == 3


def test_settings_of_methods_come_from_a_run_file(tmp_path):
    (tmp_path / "run.toml").write_text("[train]\ntrainer = 'mlp'\n[train.mlp]\nsteps = 5\n")
    given = benchmark._parser().parse_args(["--config", str(tmp_path / "run.toml")])
    assert benchmark._plan(given).settings("mlp", 1)["steps"] == 5
    (tmp_path / "run.toml").write_text("[train.mlp]\nstep = 5\n")
    with pytest.raises(PlanError, match="unknown key 'mlp.step'; did you mean 'mlp.steps'"):
        benchmark._plan(given).settings("mlp", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trainers", "gradient_bosting"], "no trainer 'gradient_bosting'; did you mean 'gradient_boosting'"),
        (["--budgets", "30"], "no label budget '30'"),
        (["--seeds", "-1"], "expected at least 1"),
        (["--data", "cdnow"], "no data set 'cdnow'"),
    ],
)
def test_mistakes_are_told(arguments, said):
    with pytest.raises(PlanError, match=said):
        benchmark.run(arguments)


def test_a_folder_without_data_is_told(tmp_path):
    with pytest.raises(ArenaDataError, match="neither an event log"):
        benchmark.run(["--folder", str(tmp_path)])


def test_patterns_choose_names_in_their_order():
    assert plans.chosen(["a1", "b", "a2"], ["a*"], "data set") == ["a1", "a2"]
    assert plans.chosen(["a1", "b"], [], "data set") == ["a1", "b"]
