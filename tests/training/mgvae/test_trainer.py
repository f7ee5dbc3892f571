"""MGVAE from a reader to an artifact, saved, read, and asked for rows and translations."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from feature_extraction.schema import SchemaMismatch
from tests.training.mgvae import mgvae_tables as tables
from training import artifact
from training.reader import ArrayReader
from training.torch.augmentation import gate
from training.torch.augmentation.gate import Arm
from training.torch.course import Place
from training.torch.mgvae import augment, course
from training.torch.mgvae.artifact import MGVAEArtifact
from training.torch.mgvae.settings import MGVAESettings
from training.torch.mgvae.trainer import MGVAE
from training.trainer import Synthesizes, SyntheticRows

ROWS, LABELS = tables.features_and_labels(1)


@cache
def fitted(**changes):
    return MGVAE(**tables.TINY | changes).fit(tables.reader())


def saved_and_read(found, folder):
    found.save(str(folder))
    manifest, files = artifact.load_files(str(folder))
    return MGVAEArtifact.read(manifest, files)


def assert_same(one, other):
    for part, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(part, same)


@pytest.mark.parametrize("classifier", ["mlp", "second_stage"])
def test_probabilities_and_contributions(classifier):
    found = fitted(classifier=classifier)
    probabilities = found.predict(ROWS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert found.contributions(ROWS[:5]).shape == (5, 4)
    assert (probabilities.argmax(axis=1) == LABELS).mean() > 0.8


def test_contributions_of_the_dense_network_add_up_to_the_log_odds():
    found = fitted()
    rows = np.concatenate([ROWS, found.reference[None]])
    chance = found.predict(rows)[:, 2].astype(np.float64)
    odds = np.log(chance / (1 - chance))
    np.testing.assert_allclose(found.contributions(ROWS).sum(axis=1), odds[:-1] - odds[-1], atol=0.3)


def test_the_manifest_tells_what_was_done():
    manifest = fitted().manifest
    history, compared = manifest.history, manifest.metrics["average_precision_by_arm"]
    assert (history["majority"], history["minority"]) == ("many", ["few", "fewer"])
    assert set(compared) == {"real_rows", "copies", "smote", "mgvae_0.5", "mgvae_1"}
    assert compared[manifest.metrics["arm"]] == max(compared.values())
    assert history["augmentation"] == manifest.metrics["arm"]
    assert history["step"] == [20, 40, 60]
    assert json.loads(manifest.to_json({}))["history"] == history


def test_without_folds_classes_are_filled_up_to_the_majority():
    found = fitted(folds=0).manifest
    assert {name: entry["synthetic"] for name, entry in found.history["classes"].items()} == {"few": 46, "fewer": 53}
    assert found.metrics == {"reason": "no row was held out (folds = 0)"}


@pytest.mark.parametrize("arm", augment.arms(tables.tiny()), ids=lambda arm: arm.name)
def test_every_arm_gives_the_rows_that_it_promises(arm):
    task, made = tables.task(), fitted()._generator
    rows, labels = gate.augmented(task, made, arm, seed=0)
    expected = [60, 60, 60] if arm.ratio == 1 else [60, 37, 33] if arm.ratio else [60, 14, 7]
    assert np.bincount(labels).tolist() == expected
    assert len(rows) == len(labels)
    np.testing.assert_array_equal(rows[:81], task.features)
    copied = [np.array_equal(row, real, equal_nan=True) for row in rows[81:101] for real in task.features]
    if len(rows) > 81:
        assert any(copied) == (arm.source == "copies")
    assert (rows[81:, 1] % 1 == 0).all()


def test_the_arm_with_the_best_precision_is_taken(monkeypatch):
    given = {"real_rows": 0.5, "copies": 0.5, "smote": 0.4, "mgvae_0.5": 0.6, "mgvae_1": 0.6}
    names = itertools.cycle(given)  # asked for in each fold
    monkeypatch.setattr(gate._Fold, "precision", lambda fold, scores: given[next(names)])
    found = augment.validate(tables.task(), rare_code=2, settings=tables.tiny(), place=Place("x"))
    assert found.arm == Arm("mgvae", 0.5)
    assert found.precision == given
    assert sorted(np.concatenate([rows for rows, _ in found.held_out]).tolist()) == list(range(81))


def test_one_seed_gives_one_artifact_and_the_same_rows():
    again = MGVAE(**tables.TINY).fit(tables.reader())
    np.testing.assert_array_equal(again.predict(ROWS), fitted().predict(ROWS))
    assert_same(again.sample("few", 20, seed=5), fitted().sample("few", 20, seed=5))
    assert again.manifest == fitted().manifest


@pytest.mark.parametrize("classifier", ["mlp", "second_stage"])
def test_a_saved_artifact_scores_and_makes_rows_as_before(classifier, tmp_path):
    found = fitted(classifier=classifier)
    again = saved_and_read(found, tmp_path / "model")
    np.testing.assert_array_equal(again.predict(ROWS), found.predict(ROWS))
    np.testing.assert_array_equal(again.contributions(ROWS[:5]), found.contributions(ROWS[:5]))
    assert_same(again.sample("fewer", 20, seed=1), found.sample("fewer", 20, seed=1))
    assert_same(again.translate(ROWS[:9], "few")[:2], found.translate(ROWS[:9], "few")[:2])


def test_scoring_needs_no_torch(tmp_path):
    fitted().save(str(tmp_path / "model"))
    np.save(tmp_path / "rows.npy", ROWS)
    code = f"""
import sys, numpy as np
from training import artifact
from training.torch.mgvae.artifact import MGVAEArtifact
found = MGVAEArtifact.read(*artifact.load_files({str(tmp_path / "model")!r}))
rows = np.load({str(tmp_path / "rows.npy")!r})
found.contributions(rows[:2])
np.save({str(tmp_path / "scores.npy")!r}, found.predict(rows))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), fitted().predict(ROWS))


def test_the_published_form_is_fitted_saved_and_read(tmp_path):
    published = MGVAE(**MGVAESettings.as_published(**TINY_PUBLISHED).model_dump())
    found = published.fit(tables.reader())
    again = saved_and_read(found, tmp_path / "model")
    assert MGVAE(**again.manifest.settings) == published
    assert_same(again.sample("few", 10, seed=1), found.sample("few", 10, seed=1))


TINY_PUBLISHED = {name: tables.TINY[name] for name in ("units", "latent_dim", "pretrain_steps", "finetune_steps")}
TINY_PUBLISHED |= {"exemplars": 40, "fisher_rows": 5, "classifier_steps": 20}


def test_rows_of_a_class():
    samples = fitted().sample("few", 25, seed=0)
    assert samples.features.shape == (25, 4)
    assert set(samples.labels) == {1}
    assert_same(samples, fitted().sample(1, 25, seed=0))
    assert not np.array_equal(samples.features, fitted().sample("few", 25, seed=1).features)
    assert fitted().sample("few", 0, seed=0).features.shape == (0, 4)
    assert (np.diff(samples.votes) <= 0).all()
    for name in ("confidence", "quality"):
        assert getattr(samples, name).min() >= 0
        assert getattr(samples, name).max() <= 1


def test_it_is_a_generator_as_the_jobs_know_them():
    assert isinstance(fitted(), Synthesizes)
    given: SyntheticRows = fitted().sample("few", 3, seed=0)
    assert set(given.votes) <= {0.0, 1.0, 2.0}


def test_translations_are_pairs():
    pairs = fitted().translate(ROWS[:30])
    np.testing.assert_array_equal(pairs.source, ROWS[:30])
    assert pairs.translated.shape == (30, 4)
    assert pairs.label == 2
    alone = np.concatenate([fitted().translate(row[None]).translated for row in ROWS[:30]])
    np.testing.assert_allclose(alone, pairs.translated, rtol=1e-4)
    drawn = fitted().translate(ROWS[:30], seed=3).translated
    assert not np.allclose(drawn, pairs.translated, equal_nan=True)
    np.testing.assert_array_equal(drawn, fitted().translate(ROWS[:30], seed=3).translated)
    assert fitted().translate(ROWS[:0]).translated.shape == (0, 4)
    with pytest.raises(SchemaMismatch, match="4 features"):
        fitted().translate(ROWS[:, :3])


@pytest.mark.parametrize("label", ["many", "none", 0, 7, -1])
def test_rows_that_it_cannot_make_are_refused(label):
    with pytest.raises(ValueError, match=r"trained for \['few', 'fewer'\]"):
        fitted().sample(label, 5, seed=0)
    with pytest.raises(ValueError, match=r"trained for \['few', 'fewer'\]"):
        fitted().translate(ROWS, label)


def test_a_negative_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="rows is -1"):
        fitted().sample("few", -1, seed=0)


def test_classes_to_make_may_be_named():
    assert fitted(minority=("fewer",), folds=0).manifest.history["minority"] == ["fewer"]
    for strange in ("many", "other"):
        with pytest.raises(ValueError, match=rf"\['{strange}'\].*'many' is the largest"):
            MGVAE(**tables.TINY, minority=(strange,)).fit(tables.reader())


def test_a_rare_class_that_has_most_labels_gets_no_rows():
    source = tables.reader()
    schema = replace(source.schema, rare="many")
    found = MGVAE(**tables.TINY | {"folds": 0, "minority": ("many",)}).fit(ArrayReader(*source_parts(source), schema))
    assert found.manifest.history["classes"]["many"]["synthetic"] == 0
    assert found.manifest.history["majority"] == "few"


def source_parts(source):
    return source.features, source.labels


def test_a_killed_training_goes_on_with_equal_rows(tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    real, titles = course.follow, []

    def follow(vae, lesson, settings, place):
        titles.append(place.title)
        if len(titles) == 8:  # the two folds are done, and pre-training
            raise Killed
        return real(vae, lesson, settings, place)

    monkeypatch.setattr(course, "follow", follow)
    trainer = MGVAE(**tables.TINY, checkpoint_url=str(tmp_path))
    with pytest.raises(Killed):
        trainer.fit(tables.reader())
    assert titles[:4] == [
        "mgvae fold 1 pre-training",
        "mgvae fold 1 few",
        "mgvae fold 1 fewer",
        "mgvae fold 2 pre-training",
    ]
    found = trainer.fit(tables.reader())
    assert_same(found.sample("few", 20, seed=5), fitted().sample("few", 20, seed=5))
    np.testing.assert_array_equal(found.predict(ROWS), fitted().predict(ROWS))
    assert found.manifest.history == fitted().manifest.history


def test_missing_values_and_categories_are_made_as_they_are():
    samples = fitted(folds=0, pretrain_steps=300).sample("few", 300, seed=0).features
    assert 0 < np.isnan(samples[:, 3]).sum() < 300
    assert np.isfinite(samples[:, :3]).all()
    assert set(np.unique(samples[:, 1])) <= {0, 1, 2}
    assert (samples[:, 2] == np.round(samples[:, 2])).all()


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no image is given"):
        MGVAESettings(network="convolutional")
    with pytest.raises(ValueError, match="cannot be halved twice"):
        MGVAESettings(network="convolutional", image=(1, 30, 30))


def test_images_by_convolutions():
    random = np.random.default_rng(0)
    features = random.integers(0, 256, (40, 64)).astype(np.float32)
    features[30:, :32] /= 4
    labels = np.repeat([0, 1], [30, 10]).astype(np.int8)
    schema = replace(
        tables.reader().schema, names=tuple(f"p{i}" for i in range(64)), classes=("day", "night"), rare="night"
    )
    settings = {"image": (1, 8, 8), "network": "convolutional", "channels": (4, 4), "residual_blocks": 1}
    found = MGVAE(**tables.TINY | settings | {"folds": 0, "pretrain_steps": 10}).fit(
        ArrayReader(features, labels, schema)
    )
    made = found.sample("night", 12, seed=0).features
    assert made.shape == (12, 64)
    assert 0 <= made.min() <= made.max() <= 255
    assert found.contributions(features[:2]).shape == (2, 64)
