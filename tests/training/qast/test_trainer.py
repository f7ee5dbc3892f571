"""QAST from a reader to an artifact, saved, read and asked for rows."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.training.qast import qast_tables as tables
from training import artifact
from training.reader import ArrayReader
from training.torch.course import Place
from training.torch.qast import augment, stage
from training.torch.qast.artifact import QASTArtifact
from training.torch.qast.sampling import Samples
from training.torch.qast.trainer import QAST

ROWS = tables.features_and_labels(1)[0]


@cache
def fitted(**changes):
    return QAST(**tables.TINY | changes).fit(tables.reader())


def saved_and_read(found, folder):
    found.save(str(folder))
    manifest, files = artifact.load_files(str(folder))
    return QASTArtifact.read(manifest, files)


def assert_same_samples(one, other):
    for part, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(part, same)


def test_probabilities_and_contributions():
    probabilities = fitted().predict(ROWS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert fitted().contributions(ROWS[:5]).shape == (5, 4)
    assert (probabilities.argmax(axis=1) == tables.features_and_labels(1)[1]).mean() > 0.8


def test_the_manifest_tells_of_every_small_class():
    synthesis = fitted().manifest.history["synthesis"]
    assert list(synthesis["classes"]) == ["few", "fewer"]
    for name, rows in (("few", 14), ("fewer", 7)):
        found = synthesis["classes"][name]
        assert found["quota"] == 60
        assert found["needed"] == 60 - rows
        assert found["shortfall"] == found["needed"] - found["synthesized"]
        assert found["used"] == (found["synthesized"] if found["source"] == "generator" else 0)
    assert json.loads(fitted().manifest.to_json({}))["history"]["synthesis"] == synthesis


def test_the_manifest_says_which_arm_was_taken():
    manifest = fitted(fallback_errors=0).manifest
    metrics, classes = manifest.metrics, manifest.history["synthesis"]["classes"]
    means = {arm: np.mean(list(values.values())) for arm, values in metrics["f1"].items()}
    assert means[metrics["arm"]] == max(means.values())
    if metrics["arm"] != "by_class":
        assert {found["source"] for found in classes.values()} == {metrics["arm"]}


def test_without_a_fallback_every_class_gets_its_rows():
    found = fitted(fallback="off")
    assert {entry["source"] for entry in found.manifest.history["synthesis"]["classes"].values()} == {"generator"}
    assert found.manifest.metrics == {"reason": "no row was held out (fallback = 'off')"}


def test_smote_may_stand_in():
    task, settings = tables.task(), tables.tiny(fallback="smote")
    nothing = Samples(*(np.empty((0, 4), np.float32), *(np.empty(0, np.int64) for _ in range(5))))
    rows, labels = augment.augmented(
        task, nothing, {1: 46, 2: 53}, sources={1: "smote", 2: "none"}, settings=settings, seed=0
    )
    assert np.bincount(labels).tolist() == [60, 60, 7]
    np.testing.assert_array_equal(rows[:81], task.features)
    assert not (rows[81:, None] == task.features[None]).all(axis=2).any()


def test_one_seed_gives_one_artifact_and_the_same_rows():
    again = QAST(**tables.TINY).fit(tables.reader())
    np.testing.assert_array_equal(again.predict(ROWS), fitted().predict(ROWS))
    assert_same_samples(again.sample("few", 20, seed=5), fitted().sample("few", 20, seed=5))
    assert again.manifest == fitted().manifest


def test_a_saved_artifact_scores_and_makes_rows_as_before(tmp_path):
    found = saved_and_read(fitted(), tmp_path / "model")
    np.testing.assert_array_equal(found.predict(ROWS), fitted().predict(ROWS))
    np.testing.assert_array_equal(found.contributions(ROWS[:5]), fitted().contributions(ROWS[:5]))
    assert_same_samples(found.sample("fewer", 20, seed=1), fitted().sample("fewer", 20, seed=1))


def test_rows_of_a_wide_table_are_made_in_its_best_features_and_real_rows_give_the_others(tmp_path):
    found = fitted(features_at_most=2, categorical=("b__kind",))
    assert [len(found._synthesizer.encoder.columns), len(fitted()._synthesizer.encoder.columns)] == [2, 4]
    samples = found.sample("few", 50, seed=0)
    real, labels = tables.features_and_labels()
    chosen = found._synthesizer.donors.chosen
    others = np.setdiff1d(np.arange(4), chosen)
    names = [tables.task().names[place] for place in chosen]
    assert found.manifest.history["synthesis"]["features"] == names
    assert fitted().manifest.history["synthesis"]["features"] == list(tables.task().names)
    assert samples.features.shape == (50, 4)
    lent = {tuple(row) for row in real[labels == 1][:, others]}
    assert {tuple(row) for row in samples.features[:, others]} <= lent
    assert not (samples.features[:, None] == real[None]).all(axis=2).any()
    again = saved_and_read(found, tmp_path / "model")
    assert_same_samples(again.sample("few", 50, seed=0), samples)
    np.testing.assert_array_equal(again.predict(ROWS), found.predict(ROWS))
    assert (found.predict(ROWS).argmax(axis=1) == tables.features_and_labels(1)[1]).mean() > 0.8


def test_a_column_of_categories_that_is_not_there_is_refused_in_a_wide_table_too():
    with pytest.raises(ValueError, match=r"categorical names \['kind'\], the columns are \['a__x'"):
        fitted(features_at_most=2, categorical=("kind",))


def test_the_published_form_is_fitted_saved_and_read(tmp_path):
    published = QAST(**tables.published(members=("svc", "network"), network_steps=20).model_dump())
    found = published.fit(tables.reader())
    again = saved_and_read(found, tmp_path / "model")
    assert QAST(**again.manifest.settings) == published
    assert_same_samples(again.sample("many", 10, seed=1), found.sample("many", 10, seed=1))


def test_rows_of_a_class():
    samples = fitted().sample("few", 25, seed=0)
    assert samples.features.shape == (25, 4)
    assert set(samples.labels) == {1}
    assert_same_samples(samples, fitted().sample(1, 25, seed=0))
    assert not np.array_equal(samples.features, fitted().sample("few", 25, seed=1).features)
    assert fitted().sample("few", 0, seed=0).features.shape == (0, 4)


@pytest.mark.parametrize("label", ["many", "none", 0, 7, -1])
def test_rows_that_it_cannot_make_are_refused(label):
    with pytest.raises(ValueError, match=r"trained for \['few', 'fewer'\]"):
        fitted().sample(label, 5, seed=0)


def test_a_negative_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="rows is -1"):
        fitted().sample("few", -1, seed=0)


def test_a_killed_training_goes_on_with_equal_rows(tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    real, calls = stage.course.follow, []

    def follow(*arguments):
        calls.append(arguments[-1].title)
        if len(calls) == 3:  # the two folds are done, and half of the last course
            arguments = (arguments[0], arguments[1], dies, arguments[3])
        return real(*arguments)

    def dies(encoded):
        raise Killed

    monkeypatch.setattr(stage.course, "follow", follow)
    trainer = QAST(**tables.TINY, checkpoint_url=str(tmp_path))
    with pytest.raises(Killed):
        trainer.fit(tables.reader())
    assert calls == ["qast fold 1", "qast fold 2", "qast"]
    found = trainer.fit(tables.reader())
    assert_same_samples(found.sample("few", 20, seed=5), fitted().sample("few", 20, seed=5))
    np.testing.assert_array_equal(found.predict(ROWS), fitted().predict(ROWS))
    assert found.manifest.history == fitted().manifest.history


def test_two_classes_and_missing_values():
    source = tables.reader()
    features = source.features.copy()
    features[np.random.default_rng(0).random(len(features)) < 0.2, 1] = np.nan
    schema = replace(source.schema, classes=("many", "few"), rare="few")
    found = QAST(**tables.TINY).fit(ArrayReader(features, np.minimum(source.labels, 1), schema))
    samples = found.sample("few", 200, seed=0)
    assert 0 < np.isnan(samples.features[:, 1]).sum() < 200
    assert np.isfinite(samples.features[:, [0, 2, 3]]).all()
    assert np.isfinite(found.predict(features)).all()


def test_classes_of_equal_size_need_no_rows():
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(size=(30, 4)), random.normal(size=(30, 4)) + 3]).astype(np.float32)
    labels = np.repeat([0, 1], 30).astype(np.int8)
    schema = replace(tables.reader().schema, classes=("many", "few"), rare="few")
    found = QAST(**tables.TINY).fit(ArrayReader(features, labels, schema))
    assert found.manifest.history["synthesis"]["classes"] == {}
    assert found.sample("many", 10, seed=0).features.shape == (10, 4)


def test_unlabeled_rows_shape_the_encoder():
    source = tables.reader()
    wide = ArrayReader(
        np.concatenate([source.features, 100 + source.features]),
        np.concatenate([source.labels, np.full(len(source.labels), -1, np.int8)]),
        source.schema,
    )
    settings = {**tables.TINY, "fallback": "off"}
    found = QAST(**settings).fit(wide)
    assert found.manifest.rows["unlabeled"] > 0
    assert not np.array_equal(found.predict(ROWS), fitted(fallback="off").predict(ROWS))


def test_held_out_rows_are_never_learned_from(monkeypatch):
    task, learned = tables.task(), []
    real = stage.train

    def train(inner, **arguments):
        learned.append(inner)
        return real(inner, **arguments)

    monkeypatch.setattr(augment.stage, "train", train)
    verdict = augment.validate(task, rare_code=2, settings=tables.tiny(epochs=2), place=Place("qast"))
    assert len(learned) == len(verdict.held_out) == 2
    for inner, (rows, scores) in zip(learned, verdict.held_out, strict=True):
        assert len(rows) == len(scores)
        assert not (inner.features[:, None] == task.features[rows][None]).all(axis=2).any()


def test_scoring_needs_no_torch(tmp_path):
    fitted().save(str(tmp_path / "model"))
    code = (
        "import sys, numpy as np; from training import artifact; from training.torch.qast.artifact import QASTArtifact;"
        f"found = QASTArtifact.read(*artifact.load_files({str(tmp_path / 'model')!r}));"
        "found.predict(np.zeros((2, 4), np.float32)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
