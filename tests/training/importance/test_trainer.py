"""The trainer from a reader to an artifact, saved, read and asked for rows."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from feature_extraction.schema import SchemaMismatch
from tests.training.importance import importance_tables as tables
from training import artifact
from training.reader import ArrayReader
from training.torch.importance import arms, published
from training.torch.importance.artifact import ImportanceVectorArtifact
from training.torch.importance.settings import PUBLISHED, ImportanceVectorSettings
from training.torch.importance.trainer import ImportanceVector

ROWS, RARE = tables.mixed_rows(5)


@cache
def fitted(**changes):
    return ImportanceVector(**tables.TINY | changes).fit(tables.reader())


def saved_and_read(found, folder):
    found.save(str(folder))
    manifest, files = artifact.load_files(str(folder))
    return ImportanceVectorArtifact.read(manifest, files)


def task():
    table = tables.reader()
    labeled = table.labeled()
    unlabeled = table.features[table.labels == -1]
    return arms.Task(labeled.features, labeled.labels.astype(np.int64), unlabeled, tables.SCHEMA.classes, tables.NAMES)


def test_probabilities_rank_rare_rows_first():
    chances = fitted().predict(ROWS)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
    first = np.argsort(-chances[:, 1])[: RARE.sum()]
    assert RARE[first].mean() > 0.85
    again, spread = fitted().predict_with_uncertainty(ROWS)
    np.testing.assert_array_equal(again, chances)
    assert 0 < spread.max() <= 0.5


def test_contributions_add_up():
    found = fitted()
    shares = found.contributions(ROWS[:20])
    inputs = found.encoder.encode(ROWS[:20])
    change = [one.log_odds(inputs, 1) - one.log_odds(found.reference[None], 1) for one in found.classifier]
    np.testing.assert_allclose(shares.sum(axis=1), np.mean(change, axis=0), atol=0.15)


def test_saved_and_read_it_is_the_same(tmp_path):
    read = saved_and_read(fitted(), tmp_path)
    for ask in ("predict", "contributions", "importance"):
        np.testing.assert_array_equal(getattr(read, ask)(ROWS), getattr(fitted(), ask)(ROWS))
    for one, other in zip(read.sample("rare", 20, seed=3), fitted().sample("rare", 20, seed=3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_importance_is_higher_for_the_rare_group():
    importance = fitted().importance(ROWS)
    assert importance[RARE].mean() > 1 > importance[~RARE].mean()


def test_samples_are_of_the_class_best_first():
    samples = fitted().sample("rare", 40, seed=1)
    assert samples.features.shape == (40, 4)
    assert (samples.labels == 1).all()
    assert (np.diff(samples.confidence) <= 0).all()
    assert samples.confidence.mean() > 0.5
    assert set(samples.votes) <= {0, 1, 2}
    assert ((samples.quality >= 0) & (samples.quality <= 1)).all()
    assert set(samples.features[:, 2]) <= {0, 1, 2}
    assert len(fitted().sample(0, 0, seed=1).labels) == 0
    other = fitted().sample("rare", 40, seed=2)
    assert not np.array_equal(samples.features, other.features, equal_nan=True)


def test_impossible_samples_are_refused():
    with pytest.raises(ValueError, match=r"no seeds of 'odd'; ask for one of \['regular', 'rare'\]"):
        fitted().sample("odd", 3, seed=0)
    with pytest.raises(ValueError, match="rows is -1"):
        fitted().sample("rare", -1, seed=0)


def test_the_manifest_tells_what_was_learned_from():
    manifest = fitted().manifest
    assert json.loads(manifest.to_json({}))["history"]["arm"] in arms.ARMS
    assert set(manifest.metrics["arms"]) == set(arms.ARMS)
    assert manifest.rows["unlabeled"] == (tables.reader().labels == -1).sum()
    classes = manifest.history["classes"]
    assert classes["rare"]["importance"] > 1 > classes["regular"]["importance"]
    assert len(manifest.history["step"]) == len(manifest.history["loss_clusters"])


def test_labels_of_people_are_kept_and_pseudo_labels_weigh_as_much():
    given, settings = task(), ImportanceVectorSettings(**tables.TINY)
    found = arms.find(given, settings)
    rows = arms.seeds(given, found, "pseudo_labels", settings)
    num = len(given.labels)
    np.testing.assert_array_equal(rows.labels[:num], given.labels)
    np.testing.assert_array_equal(rows.weights[:num], 1)
    sure = found.chances.max(axis=1) >= settings.confidence
    np.testing.assert_array_equal(rows.labels[num:], found.chances[sure].argmax(axis=1))
    for code in (0, 1):
        given_weight = (given.labels == code).sum()
        assert rows.weights[num:][rows.labels[num:] == code].sum() == pytest.approx(given_weight)
    assert len(arms.seeds(given, found, "smote", settings).labels) == num


def test_without_unlabeled_rows_there_are_no_pseudo_labels():
    table = tables.reader()
    features, labels = table.labeled()
    found = ImportanceVector(**tables.TINY).fit(ArrayReader(features, labels, tables.SCHEMA))
    assert set(found.manifest.metrics["arms"]) == {"labels", "smote"}
    assert found.manifest.rows["unlabeled"] == 0


def test_without_folds_pseudo_labels_are_taken_unmeasured():
    found = fitted(folds=0)
    assert found.manifest.history["arm"] == "pseudo_labels"
    assert found.manifest.metrics == {"reason": "no row was held out (folds = 0)"}
    assert found.manifest.history["classes"]["rare"]["synthesized"] > 0


def test_a_class_without_labels_is_refused():
    schema = replace(tables.SCHEMA, classes=("regular", "rare", "odd"))
    table = tables.reader()
    with pytest.raises(ValueError, match=r"classes \['odd'\] have 0 labelled rows"):
        ImportanceVector(**tables.TINY).fit(ArrayReader(table.features, table.labels, schema))


def test_as_published_labels_change_no_score(tmp_path):
    settings = {"mode": "as_published", "epochs": 30}
    table = tables.reader()
    found = ImportanceVector(**settings).fit(table)
    assert found.manifest.metrics["average_precision"]["value"] > 0
    assert found.manifest.history["pseudo_rare"] <= 300
    with pytest.raises(ValueError, match="train with mode = 'repaired'"):
        found.importance(ROWS)
    read = saved_and_read(found, tmp_path)
    np.testing.assert_array_equal(read.predict(ROWS), found.predict(ROWS))
    turned = replace(tables.SCHEMA, classes=("rare", "regular"))
    labels = np.where(table.labels < 0, table.labels, 1 - table.labels)
    again = ImportanceVector(**settings).fit(ArrayReader(table.features, labels, turned))
    np.testing.assert_allclose(again.predict(ROWS)[:, 0], found.predict(ROWS)[:, 1], rtol=1e-5, atol=1e-7)


def test_as_published_smote_makes_the_pseudo_classes_even():
    features, _ = tables.blobs(0)
    settings = ImportanceVectorSettings.as_published(epochs=10, threshold="midpoint")
    done = published.run(features, lambda rows: rows, settings=settings)
    counts = np.bincount(done.rare)
    assert counts.min() > 0
    assert len(done.made) == abs(counts[0] - counts[1])
    assert done.first.importance.shape == (1, 390)
    assert (done.first.importance != 1).all()


def test_as_published_there_are_two_groups():
    table = tables.reader()
    labels = table.labels.copy()
    labels[np.flatnonzero(labels == 0)[:9]] = 2
    schema = replace(tables.SCHEMA, classes=("regular", "rare", "odd"))
    with pytest.raises(ValueError, match="as published there are two groups"):
        ImportanceVector(mode="as_published").fit(ArrayReader(table.features, labels, schema))


def test_the_mode_brings_the_other_published_settings():
    assert ImportanceVectorSettings(mode="as_published") == ImportanceVectorSettings.as_published()
    for name, value in PUBLISHED.items():
        assert getattr(ImportanceVectorSettings.as_published(), name) == value
        assert getattr(ImportanceVectorSettings(), name) != value
    assert ImportanceVectorSettings(mode="as_published", members=4).members == 4


def test_another_width_and_other_networks_are_refused(tmp_path):
    with pytest.raises(SchemaMismatch, match="4 features"):
        fitted().importance(ROWS[:, :3])
    fitted().save(str(tmp_path))
    manifest, files = artifact.load_files(str(tmp_path))
    with pytest.raises(artifact.ArtifactError, match="networks over the classes"):
        ImportanceVectorArtifact.read(replace(manifest, classes=("a", "b", "c")), files)


def test_scores_and_rows_need_no_torch(tmp_path):
    fitted().save(str(tmp_path))
    code = (
        "import sys, numpy as np; from training import artifact; "
        "from training.torch.importance.artifact import ImportanceVectorArtifact as A; "
        "found = A.read(*artifact.load_files(sys.argv[1])); rows = np.zeros((2, 4), np.float32); "
        "found.predict(rows); found.contributions(rows); found.importance(rows); "
        "print('torch' in sys.modules, 'imblearn' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
