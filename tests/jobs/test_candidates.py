"""Methods with several seeds, trained here: which one is published, what is kept, and what a failure costs."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from jobs import candidates, train
from jobs.candidates import CandidatesFailed, Outcome
from jobs.settings import SettingsError, load
from tests.jobs import training_table
from training import baselines
from training.artifact import load as load_artifact
from training.progress import StepProgress
from training.trainer import StatesUncertainty, TrainingDiverged

ROWS = np.exp(np.random.default_rng(1).normal(size=(40, 3))).astype(np.float32)


@pytest.fixture
def run_file(tmp_path):
    return training_table.write(tmp_path)


def settings_of(run_file, *overrides):
    return load(["--config", str(run_file), *overrides], job="jobs.train")


def manifest(run_file, name="logistic_regression"):
    return Run(str(run_file.parent / "out"), f"models/{name}", "small").manifest()


def model(run_file, name="logistic_regression"):
    return load_artifact(str(run_file.parent / f"out/models/{name}/run=small"))


def diverging(monkeypatch, *seeds):
    """Let logistic regression fail for these seeds; return the seeds that were trained."""
    trained, fit = [], baselines.LogisticRegression.fit

    def failing(self, reader):
        trained.append(self.seed)
        if self.seed in seeds:
            raise TrainingDiverged(f"the loss of seed {self.seed} is no longer a number")
        return fit(self, reader)

    monkeypatch.setattr(baselines.LogisticRegression, "fit", failing)
    return trained


def test_the_seed_that_ranks_held_out_rows_best_is_published(run_file):
    assert train.run(settings_of(run_file, "--train.seeds", "0,1,2,3"))
    facts = manifest(run_file)
    measured = {one["seed"]: one["average_precision"]["value"] for one in facts["candidates"]}
    assert list(measured) == [0, 1, 2, 3]
    assert len(set(measured.values())) > 1
    assert facts["published"] == {"seed": max(measured, key=measured.get)}
    assert model(run_file).manifest.seed == facts["published"]["seed"]
    assert model(run_file).manifest.metrics["average_precision"]["value"] == max(measured.values())
    assert {"seconds", "worker", "gpu", "error"} <= set(facts["candidates"][0])


def test_without_seeds_the_methods_own_one_is_used(run_file):
    train.run(settings_of(run_file, "--train.logistic_regression.seed", "7"))
    assert [one["seed"] for one in manifest(run_file)["candidates"]] == [7]


def test_nothing_is_left_to_do_a_second_time(run_file):
    settings = settings_of(run_file, "--train.seeds", "0,1")
    assert train.run(settings) is True
    assert train.run(settings) is False
    assert list((run_file.parent / "out/candidates").rglob("*.json")) == []


def test_a_finished_candidate_is_not_trained_again(run_file, monkeypatch):
    settings = settings_of(run_file, "--train.seeds", "0,1,2")
    plan = candidates.of_method(settings, "logistic_regression", Run(settings.output.root, "features", "small"))
    candidates.train(plan[1], candidates.reader_of(plan[1].table))
    trained = diverging(monkeypatch)
    train.run(settings)
    assert trained == [0, 2]
    assert [one["seed"] for one in manifest(run_file)["candidates"]] == [0, 1, 2]


def test_a_candidate_of_other_settings_is_another_one(run_file):
    table = Run(str(run_file.parent / "out"), "features", "small")
    first, other = (
        candidates.of_method(settings_of(run_file, *extra), "gradient_boosting", table)[0]
        for extra in ([], ["--train.gradient_boosting.trees", "5"])
    )
    assert first.folder != other.folder
    assert candidates.Candidate.from_json(first.to_json()) == first


def test_the_others_go_on_without_a_candidate_that_diverges(run_file, monkeypatch, caplog):
    diverging(monkeypatch, 1)
    train.run(settings_of(run_file, "--train.seeds", "0,1,2"))
    errors = {one["seed"]: one["error"] for one in manifest(run_file)["candidates"]}
    assert errors == {0: "", 1: "the loss of seed 1 is no longer a number", 2: ""}
    assert "goes on without the candidate with seed 1: the loss of seed 1" in caplog.text


def test_where_all_diverge_the_other_methods_are_still_published(run_file, monkeypatch):
    diverging(monkeypatch, 0, 1)
    settings = settings_of(run_file, "--train.seeds", "0,1", "--train.compare", "gradient_boosting")
    with pytest.raises(CandidatesFailed, match="could not be trained: seed 0: the loss of seed 0 .*; seed 1: the loss"):
        train.run(settings)
    assert manifest(run_file) is None
    assert manifest(run_file, "gradient_boosting")["published"]


def test_the_ensemble_is_the_mean_of_all_seeds(run_file):
    train.run(settings_of(run_file, "--train.seeds", "0,1,2", "--train.trainer", "gradient_boosting"))
    single = model(run_file, "gradient_boosting")
    other = training_table.write(run_file.parent / "other")
    train.run(
        settings_of(other, "--train.seeds", "0,1,2", "--train.trainer", "gradient_boosting", "--train.ensemble", "1")
    )
    joined = model(other, "gradient_boosting")
    assert manifest(other, "gradient_boosting")["published"] == {"ensemble": [0, 1, 2]}
    members = [member.predict(ROWS) for member in joined.members]
    np.testing.assert_allclose(joined.predict(ROWS), np.mean(members, axis=0), rtol=1e-6)
    assert any(np.array_equal(member, single.predict(ROWS)) for member in members)
    assert isinstance(joined, StatesUncertainty)


def test_equal_measures_choose_the_first_and_missing_ones_are_said():
    measured = Outcome("mlp", 0, "a", average_precision={"value": 0.5})
    assert candidates.best([measured, replace(measured, seed=1)]).seed == 0
    assert candidates.best([replace(measured, average_precision=None)]).seed == 0
    with pytest.raises(CandidatesFailed, match=r"with the seeds \[1\] nothing was measured"):
        candidates.best([measured, Outcome("mlp", 1, "a", average_precision={"value": None, "reason": "x"})])
    assert "artifact" not in measured.facts()
    assert Outcome(**json.loads(measured.to_json())) == Outcome(**asdict(measured))


def test_checkpoints_lie_on_the_outputs_storage_one_place_a_seed(run_file):
    settings = settings_of(run_file, "--train.seeds", "0,1")
    table = Run(settings.output.root, "features", "small")
    for name, field in (("mlp", "checkpoint"), ("qast", "checkpoint_url")):
        places = [candidate.settings[field] for candidate in candidates.of_method(settings, name, table)]
        assert len(set(places)) == 2
        assert all(Path(place).is_relative_to(run_file.parent / "out/candidates" / name) for place in places)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["--train.workers", "4"], "the number of threads that read is train.reader_threads"),
        (["--train.seeds", "1,1"], "names a seed twice"),
        (["--train.ensemble", "true"], "name two or more in train.seeds"),
        (["--train.processes", "2"], "set train.workers = 'spark'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(run_file, overrides, says):
    with pytest.raises(SettingsError, match=says):
        settings_of(run_file, *overrides)


def test_where_it_is_trained_is_no_part_of_a_runs_name(run_file):
    run_file.write_text(run_file.read_text().replace('run = "small"', ""))
    named = settings_of(run_file)
    for extra in (["--workers", "spark"], ["--workers=spark", "--train.gpus_per_model", "2"]):
        assert settings_of(run_file, *extra).run_id == named.run_id
        assert settings_of(run_file, *extra).train.workers == "spark"
    assert settings_of(run_file, "--train.seeds", "1,2").run_id != named.run_id


@pytest.mark.s3
def test_in_a_bucket_a_training_that_was_lost_goes_on_from_its_checkpoint(run_file, bucket, monkeypatch, caplog):
    for file in storage.list_files(str(run_file.parent / "out")):
        target = storage.join(bucket, Path(file.url).relative_to(run_file.parent / "out").as_posix())
        storage.write_bytes(target, storage.read_bytes(file.url))
    here = ["--train.trainer", "torch_mlp", "--train.torch_mlp.epochs", "20"]
    there = settings_of(run_file, *here, "--output.root", bucket)
    reach = StepProgress.reach

    def lost_halfway(self, step, text):
        reach(self, step, text)
        if step >= 40:
            raise ConnectionError("the worker is gone")

    with monkeypatch.context() as patch:
        patch.setattr(StepProgress, "reach", lost_halfway)
        with pytest.raises(ConnectionError):
            train.run(there)
    assert publishing.published(bucket, "models/torch_mlp") is None
    caplog.set_level("INFO")
    train.run(there)
    assert "torch_mlp goes on from step 40" in caplog.text
    train.run(settings_of(run_file, *here))
    published = load_artifact(publishing.latest(bucket, "models/torch_mlp").url)
    np.testing.assert_array_equal(published.predict(ROWS), model(run_file, "torch_mlp").predict(ROWS))
