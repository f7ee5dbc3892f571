"""The job that writes synthetic rows: what it writes, what it refuses, and that a seed gives the same bytes."""

import logging
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pyarrow import parquet

from feature_extraction import publishing, storage
from feature_extraction.publishing import PublishError, Run
from feature_extraction.schema import FeatureSchema, SchemaMismatch
from inference import table
from jobs import settings, synthesize
from jobs.settings import SettingsError
from jobs.synthesize import Order, SynthesisError
from tests.jobs import small_log
from tests.jobs.conftest import ROOT
from tests.training.qast import qast_tables
from training import artifact as artifacts
from training.baselines import LogisticRegression
from training.reader import FeatureReader
from training.torch.qast.trainer import QAST
from training.trainer import Synthesizes

SCHEMA = FeatureSchema(("spend__mean", "visits__mean"), ("steady", "fading"), "fading")


class Generator:
    """Makes up to `most` rows of any class; a cell of each is missing."""

    schema, classes, rare = SCHEMA, SCHEMA.classes, SCHEMA.rare

    def __init__(self, most=10_000, width=2):
        self.most, self.width = most, width

    def sample(self, label, rows, *, seed):
        made = min(rows, self.most)
        random = np.random.default_rng([seed, self.classes.index(label)])
        features = random.normal(size=(made, self.width)).astype(np.float32)
        features[:, 0] = np.nan
        labels = np.full(made, self.classes.index(label))
        return SimpleNamespace(
            features=features,
            labels=labels,
            confidence=random.random(made),
            votes=random.integers(3, 8, made).astype(float),
            quality=random.random(made),
        )


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(small_log.RUN_FILE.format(root=tmp_path))
    return path


def published(tmp_path, monkeypatch, model, trainer="generator"):
    """Publish a model's folder that `artifacts.load` opens as `model`."""
    run = Run(str(tmp_path / "out"), f"models/{trainer}", "small")
    if run.manifest() is None:
        run.start()
        run.finish(publishing.fingerprint(trainer), {})
    monkeypatch.setattr(artifacts, "load", lambda url: {run.url: model}[url])
    return run


def command(run_file, *own):
    return synthesize.read_command(["--config", str(run_file), "--trainer", "generator", *own])


def part_bytes(made):
    return [storage.read_bytes(file) for file in publishing.part_files(made.url)]


def test_rows_are_written_as_the_feature_table_writes_them(tmp_path, monkeypatch, run_file):
    model = published(tmp_path, monkeypatch, Generator())
    made = synthesize.run(*command(run_file, "--label", "fading", "--rows", "25"))
    frame = parquet.read_table(publishing.part_files(made.url)[0]).to_pandas()
    assert list(frame) == ["entity_id", "label", *SCHEMA.names, "synthetic", "confidence", "votes", "quality"]
    assert frame["entity_id"].is_unique
    assert frame["entity_id"].str.startswith("synthetic-").all()
    assert frame["synthetic"].all()
    assert (frame["label"] == SCHEMA.rare_code).all()
    assert table.schema(made.url).fingerprint == SCHEMA.fingerprint
    batch = FeatureReader(made.url).labeled()
    expected = Generator().sample("fading", 25, seed=0)
    np.testing.assert_array_equal(batch.features, expected.features)
    np.testing.assert_allclose(frame["votes"], expected.votes)
    np.testing.assert_allclose(frame["quality"], expected.quality, rtol=1e-6)
    facts = made.manifest()
    assert (facts["rows"], facts["shortfall"], facts["model"]) == (25, 0, model.url)
    assert publishing.latest(str(tmp_path / "out"), "synthetic/generator") == made


def test_a_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path, monkeypatch, run_file):
    published(tmp_path, monkeypatch, Generator())
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    first = synthesize.run(*command(run_file, "--rows", "40", "--out", here))
    again = synthesize.run(*command(run_file, "--rows", "40", "--out", there))
    other = synthesize.run(*command(run_file, "--rows", "40", "--out", there, "--seed", "1"))
    assert first.url != again.url
    assert part_bytes(first) == part_bytes(again) != part_bytes(other)


def test_finished_work_is_not_done_again_and_unfinished_work_is_started_over(tmp_path, monkeypatch, run_file):
    published(tmp_path, monkeypatch, Generator())
    settings_and_order = command(run_file, "--rows", "5")
    made = synthesize.run(*settings_and_order)
    before = part_bytes(made)
    published(tmp_path, monkeypatch, Generator(most=0))
    assert synthesize.run(*settings_and_order) == made
    (tmp_path / "out/synthetic/generator" / f"run={made.id}" / "run.json").unlink()
    published(tmp_path, monkeypatch, Generator())
    synthesize.run(*settings_and_order)
    assert part_bytes(made) == before


def test_a_shortfall_is_logged_and_stands_in_the_manifest(tmp_path, monkeypatch, run_file, caplog):
    published(tmp_path, monkeypatch, Generator(most=7))
    with caplog.at_level(logging.WARNING):
        made = synthesize.run(*command(run_file, "--rows", "20"))
    assert "7 of 20 rows of 'fading' could be made, 13 are lacking" in caplog.text
    facts = made.manifest()
    assert (facts["asked"], facts["rows"], facts["shortfall"]) == (20, 7, 13)
    assert publishing.footer_rows(made.url) == 7


@pytest.mark.parametrize(
    ("model", "own", "sentence"),
    [
        (Generator(), ["--label", "fraud"], r"'fraud'.*\['steady', 'fading'\]"),
        (Generator(most=0), [], "none of the 1,000 rows of 'fading'"),
        (Generator(), ["--rows", "0"], "--rows is 0, expected at least 1"),
        (Generator(), ["--seed", "-1"], "--seed is -1, expected at least 0"),
        (SimpleNamespace(), [], "trainer 'generator' learns to score rows, not to make them"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_published(tmp_path, monkeypatch, run_file, model, own, sentence):
    published(tmp_path, monkeypatch, model)
    with pytest.raises(SynthesisError, match=sentence):
        synthesize.run(*command(run_file, *own))
    with pytest.raises(PublishError):
        publishing.latest(str(tmp_path / "out"), "synthetic/generator")


def test_rows_of_another_width_are_refused(tmp_path, monkeypatch, run_file):
    published(tmp_path, monkeypatch, Generator(width=3))
    with pytest.raises(SchemaMismatch, match="2 features"):
        synthesize.run(*command(run_file))


def test_a_model_that_was_never_trained_is_refused(run_file):
    with pytest.raises(PublishError, match="models/generator"):
        synthesize.run(*command(run_file))


def test_own_options_and_overrides_are_told_apart(run_file):
    found, order = synthesize.read_command(
        ["--rows", "3", "--config", str(run_file), "--train.trainer", "mlp", "--seed=5", "--output.run=other"]
    )
    assert order == Order(rows=3, seed=5)
    assert (found.train.trainer, found.output.run) == ("mlp", "other")
    with pytest.raises(SettingsError, match="unknown key 'lable'"):
        synthesize.read_command(["--config", str(run_file), "--lable", "fraud"])


def test_a_trained_generator_writes_rows_of_its_classes(tmp_path, monkeypatch, run_file):
    artifact = QAST(**qast_tables.TINY, fallback="off").fit(qast_tables.reader())
    assert isinstance(artifact, Synthesizes)
    model = Run(str(tmp_path / "out"), "models/qast", "small")
    artifact.save(model.start())
    model.finish("0" * 16, {})
    monkeypatch.setitem(artifacts.ARTIFACTS, "qast", "training.torch.qast.artifact:QASTArtifact")
    made = synthesize.run(settings.load(["--config", str(run_file)]), Order("qast", "fewer", 12, seed=3))
    batch = FeatureReader(made.url).labeled()
    assert len(batch.labels) == made.manifest()["rows"] > 0
    expected = artifact.sample("fewer", 12, seed=3)
    np.testing.assert_array_equal(batch.features, expected.features)
    assert set(batch.labels) == {qast_tables.CLASSES.index("fewer")}
    with pytest.raises(ValueError, match="does not make rows of 'many'"):
        synthesize.run(settings.load(["--config", str(run_file)]), Order("qast", "many", 12))


def test_a_trainer_that_only_scores_makes_nothing():
    model = LogisticRegression(C=(1.0,)).fit(qast_tables.reader())
    assert not isinstance(model, Synthesizes)


def test_importing_the_job_loads_no_framework():
    code = "import sys, jobs.synthesize; print(' '.join(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "tensorflow", "keras", "pyspark", "petastorm"} & set(loaded.stdout.split())
