"""IMSIC by the ordinary commands: the shipped files, a graph that was edited, and the page of a trained model."""

import json
from pathlib import Path

import pytest

from feature_extraction import publishing, storage
from jobs import settings, train, traverse
from jobs.settings import SettingsError
from tests.jobs import training_table
from tests.jobs.conftest import ROOT
from training.torch.imsic import graph_file

GRID, EXAMPLE = ROOT / "jobs/configs/imsic_grid.toml", ROOT / "jobs/configs/imsic_graph.toml"
TINY = """
[train.imsic]
graph = "{graph}"
structure_weights = [0.0, 1.0]
units = [16]
noise_dim = 4
steps = 40
folds = 2
ratios = [1.0]
classifier_units = [8]
classifier_steps = 40
"""
GRAPH = """
[[factors]]
name = "money"
columns = ["spend"]

[[factors]]
name = "absence"
columns = ["login__gap"]
parents = ["absence", "money"]
"""


def test_the_grid_is_one_run_with_the_shipped_graph(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = settings.load(["--config", str(GRID)])
    assert found.train.trainer == "imsic"
    assert found.train.imsic.structure_weights == (0.0, 0.1, 0.3, 1.0)
    assert found.train.imsic.graph == graph_file.read(str(EXAMPLE))
    named = {column for factor in found.train.imsic.graph.factors for column in factor.columns}
    assert named == set(found.events.metrics)


def test_the_command_line_takes_a_graph_by_its_file_and_an_edited_one_is_another_run(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "graph.toml"
    given = ["--config", str(GRID), "--train.imsic.graph", str(path)]
    path.write_text(GRAPH)
    before = settings.load(given)
    assert before.train.imsic.graph.names == ("money", "absence")
    path.write_text(GRAPH.replace('["absence", "money"]', '["absence"]'))
    assert settings.load(given).run_id != before.run_id
    path.write_text(GRAPH.replace('["absence", "money"]', '["money"]'))
    with pytest.raises(SettingsError, match=r"line 9: the parents of 'absence' .* add 'absence' to them"):
        settings.load(given)
    with pytest.raises(SettingsError, match="graph.toml"):
        settings.load([*given[:3], str(tmp_path / "absent" / "graph.toml")])


def test_a_weight_is_chosen_and_the_page_of_the_model_is_made(tmp_path):
    """The whole way of a person: write a graph, train, look, and find in the page the graph that was written."""
    run_file, graph = training_table.write(tmp_path), tmp_path / "graph.toml"
    graph.write_text(GRAPH)
    with Path(run_file).open("a") as file:
        file.write(TINY.format(graph=graph))
    found, look = traverse.read_command(["--config", str(run_file), "--train.trainer", "imsic", "--rows", "20"])
    train.run(found)
    model = publishing.latest(found.output.root, "models/imsic")
    learned = json.loads(storage.read_text(f"{model.url}/manifest.json"))
    compared = learned["metrics"]["average_precision_by_arm"]
    assert {weight for weight in "01" if any(f"imsic_structure_{weight}" in arm for arm in compared)} == {"0", "1"}
    made = traverse.run(found, look)
    written = graph_file.read(str(graph))
    assert made.manifest()["graph"] == written.digest()
    assert graph_file.read(f"{made.url}/graph.toml") == written
    page = storage.read_text(f"{made.url}/traversals.html")
    assert "20 made rows of rare" in page
    assert "Read from login__gap." in page
