"""IMSIC from a reader to an artifact, saved, read, and asked for rows, factors and what a code changes."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from feature_extraction.schema import SchemaMismatch
from tests.training.imsic import imsic_tables as imsic
from tests.training.imsic.imsic_tables import fitted
from tests.training.mgvae import mgvae_tables as tables
from training import artifact
from training.reader import ArrayReader
from training.torch.augmentation import gate
from training.torch.imsic import augment, course
from training.torch.imsic.artifact import IMSICArtifact
from training.torch.imsic.graph import Factor, Graph
from training.torch.imsic.trainer import IMSIC
from training.trainer import Synthesizes

ROWS, LABELS = tables.features_and_labels(1)


def saved_and_read(found, folder):
    found.save(str(folder))
    return artifact.load(str(folder))


def assert_same(one, other):
    for part, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(part, same)


def test_the_manifest_tells_what_was_done():
    manifest = fitted().manifest
    history, compared = manifest.history, manifest.metrics["average_precision_by_arm"]
    assert (history["majority"], history["minority"]) == ("many", ["few", "fewer"])
    assert set(compared) == {"real_rows", "copies", "smote", "imsic_0.5", "imsic_2"}
    assert compared[manifest.metrics["arm"]] == max(compared.values())
    assert history["augmentation"] == manifest.metrics["arm"]
    assert history["step"] == [20, 40, 60]
    assert history["structure_weight"] == 1.0
    assert history["graph_digest"] == imsic.GRAPH.digest()
    assert json.loads(manifest.to_json({}))["history"] == history
    for entry in history["classes"].values():
        assert set(entry["refused"]) == {"class", "copy", "junk"}
        assert entry["tried"] >= entry["passed"] + sum(entry["refused"].values()) or entry["passed"]


def test_without_folds_as_many_rows_as_allowed_are_made():
    found = fitted(folds=0).manifest
    assert {name: entry["wanted"] for name, entry in found.history["classes"].items()} == {"few": 28, "fewer": 14}
    assert {name: entry["synthetic"] for name, entry in found.history["classes"].items()} == {"few": 28, "fewer": 14}
    assert found.metrics == {"reason": "no row was held out (folds = 0)"}


def test_rows_that_all_are_refused_are_missing_and_it_is_said(caplog):
    found = IMSIC(**imsic.TINY | {"folds": 0, "least_confidence": 1.0, "steps": 2, "attempts": 3}).fit(tables.reader())
    entry = found.manifest.history["classes"]["fewer"]
    assert (entry["wanted"], entry["synthetic"], entry["passed"], entry["tried"]) == (14, 0, 0, 21)
    assert entry["refused"] == {"class": 21, "copy": 0, "junk": 0}
    assert "of 21 rows made of class 'fewer' 0 passed, where 7 were asked for (refused: 21 class" in caplog.text
    assert found.sample("fewer", 5, seed=0).features.shape == (0, 4)
    np.testing.assert_allclose(found.predict(ROWS).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("arm", augment.arms(imsic.tiny()), ids=lambda arm: arm.name)
def test_every_arm_gives_the_rows_that_it_promises(arm):
    rows, labels = gate.augmented(tables.task(), fitted()._generator, arm, seed=0)
    expected = {"imsic_0.5": [60, 21, 11], "imsic_2": [60, 42, 21], "real_rows": [60, 14, 7]}
    assert np.bincount(labels).tolist() == expected.get(arm.name, [60, 60, 60])
    assert len(rows) == len(labels)
    np.testing.assert_array_equal(rows[:81], tables.task().features)


def test_several_structure_weights_are_compared_and_the_best_is_taken(monkeypatch):
    fields = imsic.TINY | {"structure_weights": (0.0, 0.5), "ratios": (1.0,), "steps": 2}
    given = {"real_rows": 0.5, "copies": 0.4, "smote": 0.4, "imsic_structure_0_1": 0.6, "imsic_structure_0.5_1": 0.7}
    values = itertools.cycle(given.values())  # asked for in each fold
    monkeypatch.setattr(gate._Fold, "precision", lambda fold, scores: next(values))
    manifest = IMSIC(**fields).fit(tables.reader()).manifest
    assert manifest.metrics["average_precision_by_arm"] == given
    assert manifest.history["augmentation"] == "imsic_structure_0.5_1"
    assert manifest.history["structure_weight"] == 0.5


def test_one_seed_gives_one_artifact_and_the_same_rows():
    again = IMSIC(**imsic.TINY, graph=imsic.GRAPH).fit(tables.reader())
    np.testing.assert_array_equal(again.predict(ROWS), fitted().predict(ROWS))
    assert_same(again.sample("few", 20, seed=5), fitted().sample("few", 20, seed=5))
    assert again.manifest == fitted().manifest


def test_a_saved_artifact_does_as_before(tmp_path):
    found = fitted()
    again = saved_and_read(found, tmp_path / "model")
    assert isinstance(again, IMSICArtifact)
    np.testing.assert_array_equal(again.predict(ROWS), found.predict(ROWS))
    np.testing.assert_array_equal(again.contributions(ROWS[:5]), found.contributions(ROWS[:5]))
    assert_same(again.sample("fewer", 20, seed=1), found.sample("fewer", 20, seed=1))
    np.testing.assert_array_equal(again.encode_codes(ROWS), found.encode_codes(ROWS))
    np.testing.assert_array_equal(again.correlations(rows=200), found.correlations(rows=200))
    np.testing.assert_array_equal(again.traverse("few", "make").features, found.traverse("few", "make").features)
    assert again.graph == imsic.GRAPH


def test_scoring_needs_no_torch(tmp_path):
    fitted().save(str(tmp_path / "model"))
    np.save(tmp_path / "rows.npy", ROWS)
    code = f"""
import sys, numpy as np
from training import artifact
found = artifact.load({str(tmp_path / "model")!r})
rows = np.load({str(tmp_path / "rows.npy")!r})
found.contributions(rows[:2]), found.graph
np.save({str(tmp_path / "scores.npy")!r}, found.predict(rows))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), fitted().predict(ROWS))


def test_rows_of_a_class():
    samples = fitted().sample("few", 25, seed=0)
    assert samples.features.shape == (25, 4)
    assert set(samples.labels) == {1}
    assert isinstance(fitted(), Synthesizes)
    assert_same(samples, fitted().sample(1, 25, seed=0))
    assert not np.array_equal(samples.features, fitted().sample("few", 25, seed=1).features)
    assert fitted().sample("few", 0, seed=0).features.shape == (0, 4)
    assert (np.diff(samples.confidence) <= 0).all()
    assert set(samples.votes) == {2.0}
    assert samples.quality.min() >= 0
    assert samples.quality.max() <= 1


def test_a_code_changes_rows_and_nothing_else_does():
    found = fitted().traverse("few", "scale", values=(-1.0, 0.0, 1.0, -1.0), rows=6, seed=2)
    assert (found.factor, found.values, found.features.shape) == ("scale", (-1.0, 0.0, 1.0, -1.0), (4, 6, 4))
    np.testing.assert_array_equal(found.features[0], found.features[3])
    assert not np.array_equal(found.features[0], found.features[2], equal_nan=True)
    np.testing.assert_array_equal(found.features, fitted().traverse(1, 0, values=found.values, rows=6, seed=2).features)


def test_factors_of_rows():
    factors = fitted().encode_codes(ROWS)
    assert factors.shape == (81, 3)
    np.testing.assert_allclose(factors[:4], fitted().encode_codes(ROWS[:4]), atol=1e-5)
    assert fitted().encode_codes(ROWS[:0]).shape == (0, 3)
    with pytest.raises(SchemaMismatch, match="4 features"):
        fitted().encode_codes(ROWS[:, :3])


@pytest.mark.parametrize("label", ["many", "none", 0, 7, -1])
def test_rows_that_it_does_not_make_are_refused(label):
    with pytest.raises(ValueError, match=r"trained for \['few', 'fewer'\]"):
        fitted().sample(label, 5, seed=0)
    with pytest.raises(ValueError, match=r"trained for \['few', 'fewer'\]"):
        fitted().traverse(label, "make")


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="rows is -1"):
        fitted().sample("few", -1, seed=0)
    for strange in ("weight", 3, -1):
        with pytest.raises(ValueError, match=r"\['scale', 'make', 'mood'\]"):
            fitted().traverse("few", strange)
    with pytest.raises(ValueError, match=r"\[1.5\].*between -1 and 1"):
        fitted().traverse("few", 0, values=(0.0, 1.5))
    strange = Graph(factors=(Factor(name="a", columns=("color",)),))
    with pytest.raises(ValueError, match="'color'"):
        IMSIC(**imsic.TINY, graph=strange).fit(tables.reader())


def test_without_a_graph_there_is_one_for_every_table():
    source = tables.reader()
    names = ("spend__level", "spend__kind", "login__count", "login__gaps")
    reader = ArrayReader(source.features, source.labels, replace(source.schema, names=names))
    assert IMSIC(**imsic.TINY | {"folds": 0, "steps": 2}).fit(reader).graph.names == ("spend", "login")


def test_a_killed_training_goes_on_with_equal_rows(tmp_path, monkeypatch):
    real, titles = course.follow, []

    def follow(players, lesson, settings, place):
        titles.append(place.title)
        if len(titles) == 3:  # the two folds are done
            raise KeyboardInterrupt
        return real(players, lesson, settings, place)

    monkeypatch.setattr(course, "follow", follow)
    trainer = IMSIC(**imsic.TINY, graph=imsic.GRAPH, checkpoint_url=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(tables.reader())
    assert titles == ["imsic fold 1", "imsic fold 2", "imsic"]
    found = trainer.fit(tables.reader())
    assert_same(found.sample("few", 20, seed=5), fitted().sample("few", 20, seed=5))
    np.testing.assert_array_equal(found.predict(ROWS), fitted().predict(ROWS))
    assert found.manifest.history == fitted().manifest.history


def test_images_by_convolutions():
    random = np.random.default_rng(0)
    features = random.integers(0, 256, (40, 64)).astype(np.float32)
    features[30:, :32] /= 4
    labels = np.repeat([0, 1], [30, 10]).astype(np.int8)
    schema = replace(
        tables.reader().schema, names=tuple(f"p{i}" for i in range(64)), classes=("day", "night"), rare="night"
    )
    settings = {"image": (1, 8, 8), "network": "convolutional", "generator_channels": (4, 4), "trunk_channels": (4, 4)}
    found = IMSIC(**imsic.TINY | settings | {"folds": 0, "steps": 10}).fit(ArrayReader(features, labels, schema))
    made = found.sample("night", 12, seed=0).features
    assert made.shape == (12, 64)
    assert 0 <= made.min() <= made.max() <= 255
    assert found.graph.names == ("code_1", "code_2", "code_3", "code_4")
    assert found.contributions(features[:2]).shape == (2, 64)
