"""The job that shows what a generator's codes do: what it writes, what it refuses, and that a seed gives one page."""

import json
import logging

import pytest

from feature_extraction import publishing, storage
from feature_extraction.publishing import PublishError, Run
from jobs import traverse
from jobs.settings import SettingsError
from jobs.traverse import TraversalError
from tests.inference import traversal_examples
from tests.jobs import small_log
from training import artifact as artifacts
from training.torch.imsic import graph_file


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(small_log.RUN_FILE.format(root=tmp_path))
    return path


def published(tmp_path, monkeypatch, model, trainer="imsic"):
    """Publish a model's folder that `artifacts.load` opens as `model`."""
    run = Run(str(tmp_path / "out"), f"models/{trainer}", "small")
    run.start()
    run.finish(publishing.fingerprint(trainer), {})
    monkeypatch.setattr(artifacts, "load", lambda url: {run.url: model}[url])
    return run


def command(run_file, *own):
    return traverse.read_command(["--config", str(run_file), *own])


def test_the_page_the_graph_and_the_verdicts_are_published(tmp_path, monkeypatch, run_file, caplog):
    model = published(tmp_path, monkeypatch, traversal_examples.of_images())
    with caplog.at_level(logging.INFO, traverse.JOB):
        made = traverse.run(*command(run_file))
    assert "14 of 16 edges hold; read " in caplog.text
    assert publishing.latest(str(tmp_path / "out"), "traversals/imsic") == made
    text = storage.read_text(f"{made.url}/traversals.html")
    assert f"{made.url}/graph.toml" in text
    assert "rows of fading" in text
    assert graph_file.read(f"{made.url}/graph.toml") == traversal_examples.of_images().graph
    assert json.loads(storage.read_text(f"{made.url}/edges.json"))["holds"] is False
    facts = made.manifest()
    assert (facts["model"], facts["edges"], facts["edges_that_fail"]) == (model.url, 16, 2)


def test_what_is_finished_is_not_done_again_and_another_class_is_another_page(tmp_path, monkeypatch, run_file):
    published(tmp_path, monkeypatch, traversal_examples.model())
    first = traverse.run(*command(run_file))
    monkeypatch.setattr(traverse, "_write", None)
    assert traverse.run(*command(run_file)) == first
    monkeypatch.undo()
    monkeypatch.setattr(artifacts, "load", lambda url: traversal_examples.model())
    other = traverse.run(*command(run_file, "--label", "steady", "--rows", "3", "--seed", "1"))
    assert other != first
    assert "3 made rows of steady" in storage.read_text(f"{other.url}/traversals.html")


def test_models_without_codes_and_unknown_classes_are_refused(tmp_path, monkeypatch, run_file):
    published(tmp_path, monkeypatch, traversal_examples.model())
    with pytest.raises(TraversalError, match=r"--label is 'gone', .* \['steady', 'fading'\]; name one"):
        traverse.run(*command(run_file, "--label", "gone"))
    with pytest.raises(TraversalError, match="--rows is -1, expected at least 0"):
        traverse.run(*command(run_file, "--rows", "-1"))
    published(tmp_path, monkeypatch, object(), trainer="mlp")
    with pytest.raises(TraversalError, match="'mlp' has no codes to look at; name one that has by --trainer: imsic"):
        traverse.run(*command(run_file, "--trainer", "mlp"))


def test_without_a_model_there_is_nothing_to_look_at(run_file):
    with pytest.raises(PublishError, match="no models/imsic published under this root"):
        traverse.run(*command(run_file))


def test_an_unknown_option_is_refused(run_file):
    with pytest.raises(SettingsError, match="unknown key 'labels_of'"):
        command(run_file, "--labels_of", "x")
