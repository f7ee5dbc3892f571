"""Artifacts on storage: whole or refused, nothing pickled, and readable without the framework of their training."""

import json
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from feature_extraction.schema import FeatureSchema, SchemaMismatch
from training.artifact import ARTIFACTS, MANIFEST, ArtifactError, Manifest, content_digest, load, load_files
from training.dense_network import SCALER, WEIGHTS, DenseNetwork, DenseNetworkArtifact
from training.model_files import unpack_model
from training.scaler import Scaler
from training.trainer import StatesUncertainty, load_class

ROOT = Path(__file__).parents[2]


@pytest.fixture
def artifact():
    random = np.random.default_rng(0)
    rows = random.normal(size=(50, 4)).astype(np.float32)
    rows[0, 1] = np.nan
    manifest = Manifest(
        trainer="scarcegan",
        settings={"seed": 3},
        schema=FeatureSchema(("m__a", "m__b", "m__c", "n__a"), ("regular", "rare"), "rare"),
        classes=("regular", "rare", "unknown"),
        rare="rare",
        rows={"regular": 40, "rare": 10, "unlabeled": 0},
        metrics={"auroc": {"value": None, "reason": "a test"}},
        seed=3,
    )
    members = tuple(
        DenseNetwork(
            (random.normal(size=(5, 6)).astype(np.float32), random.normal(size=(6, 3)).astype(np.float32)),
            (random.normal(size=6).astype(np.float32), random.normal(size=3).astype(np.float32)),
        )
        for _ in range(2)
    )
    return DenseNetworkArtifact(manifest, Scaler.fit(rows), members, np.zeros(5, dtype=np.float32))


@pytest.fixture
def folder(artifact, tmp_path):
    artifact.save(str(tmp_path / "model"))
    return tmp_path / "model"


def edit_manifest(folder, **fields):
    manifest = json.loads((folder / MANIFEST).read_text()) | fields
    del manifest["digest"]
    (folder / MANIFEST).write_text(json.dumps(manifest | {"digest": content_digest(manifest)}))


def test_loaded_artifact_is_the_saved_one(artifact, folder):
    loaded = load(str(folder))
    rows = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    assert loaded.manifest == artifact.manifest
    np.testing.assert_array_equal(loaded.predict(rows), artifact.predict(rows))
    np.testing.assert_array_equal(loaded.contributions(rows), artifact.contributions(rows))


@pytest.mark.parametrize("place", sorted(set(ARTIFACTS.values())))
def test_every_artifact_says_what_it_was_trained_on(artifact, place):
    given = fields(load_class(place))
    described = load_class(place)(artifact.manifest, *[None] * (len(given) - 1))
    assert described.schema == artifact.manifest.schema
    assert described.classes == ("regular", "rare", "unknown")
    assert described.rare == "rare"


def test_ensembles_state_their_uncertainty_and_single_models_do_not(artifact):
    assert isinstance(artifact, StatesUncertainty)
    assert issubclass(load_class(ARTIFACTS["aae"]), StatesUncertainty)
    assert not issubclass(load_class(ARTIFACTS["logistic_regression"]), StatesUncertainty)


def test_url_may_be_a_file_url(artifact, tmp_path):
    url = (tmp_path / "by url").as_uri().replace("%20", " ")
    artifact.save(url)
    assert load(url).manifest == artifact.manifest


def test_no_file_is_a_pickle(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([MANIFEST, SCALER, WEIGHTS])
    for path in folder.iterdir():
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError)):
            pickle.loads(path.read_bytes())  # noqa: S301  (the point is that it cannot be one)


def test_folder_without_manifest_is_refused(folder):
    (folder / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match="no manifest.json"):
        load(str(folder))


def test_manifest_is_written_last(artifact, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("training.artifact.storage.write_bytes", lambda url, data: written.append(url))
    artifact.save(str(tmp_path))
    assert written[-1].endswith(MANIFEST)
    assert len(written) == 3


@pytest.mark.parametrize("name", [SCALER, WEIGHTS])
@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_harmed_file_is_refused(folder, name, harm):
    path = folder / name
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ArtifactError, match=f"{name}: .*changed or cut short"):
        load(str(folder))


def test_missing_file_is_refused(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(ArtifactError, match=f"{WEIGHTS}: missing"):
        load(str(folder))


def test_manifest_cannot_reach_outside_its_folder(folder):
    (folder.parent / "secret").write_text("x")
    edit_manifest(folder, files={"../secret": "0" * 64})
    with pytest.raises(ArtifactError, match="not the name of an artifact's file"):
        load_files(str(folder))


def test_damaged_manifest_is_refused(folder):
    path = folder / MANIFEST
    path.write_text(path.read_text()[:-10])
    with pytest.raises(ArtifactError, match="not a manifest"):
        load(str(folder))


def test_manifest_with_a_strange_field_is_refused(folder):
    edit_manifest(folder, color="blue")
    with pytest.raises(ArtifactError, match="color"):
        load(str(folder))


def test_schema_that_does_not_fit_its_fingerprint_is_refused(folder):
    schema = json.loads((folder / MANIFEST).read_text())["schema"]
    edit_manifest(folder, schema=schema | {"names": [*schema["names"][:-1], "n__b"]})
    with pytest.raises(SchemaMismatch, match="fingerprint"):
        load(str(folder))


@pytest.mark.parametrize(
    ("fields", "words"), [({"trainer": "oracle"}, "trainer 'oracle'"), ({"format": 99}, "format 99")]
)
def test_unknown_trainer_or_format_is_refused(folder, fields, words):
    edit_manifest(folder, **fields)
    with pytest.raises(ArtifactError, match=words):
        load(str(folder))


def test_networks_over_other_classes_are_refused(artifact, tmp_path):
    other = replace(artifact.manifest, classes=("regular", "rare"))
    replace(artifact, manifest=other).save(str(tmp_path / "other"))
    with pytest.raises(ArtifactError, match="does not hold networks over the classes"):
        load(str(tmp_path / "other"))


def test_model_file_with_a_foreign_type_is_refused():
    with pytest.raises(ArtifactError, match="posix.system"):
        unpack_model(skops.io.dumps(FunctionTransformer(__import__("os").system)), FunctionTransformer)


def test_loading_and_scoring_imports_no_framework(folder):
    script = (
        "import sys, numpy as np\n"
        "from training.artifact import load\n"
        f"model = load({str(folder)!r})\n"
        "model.predict(np.zeros((2, 4), 'f4')); model.contributions(np.zeros((2, 4), 'f4'))\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'pyspark', 'petastorm'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_of_scikit_learn_comes_without_torch_and_leaves_torch_to_be_had():
    script = (
        "import sys, numpy as np\n"
        "from sklearn.ensemble import HistGradientBoostingClassifier as Boosting\n"
        "from training.model_files import pack_model, unpack_model\n"
        "rows = np.arange(80.0)[:, None]\n"
        "model = Boosting(max_iter=2).fit(rows, np.arange(80) > 40)\n"
        "again = unpack_model(pack_model(model), Boosting)\n"
        "assert (again.predict_proba(rows) == model.predict_proba(rows)).all()\n"
        "assert 'torch' not in sys.modules\n"
        "import torch, sklearn.externals.array_api_compat.torch\n"
        "assert not any('training' in type(finder).__module__ for finder in sys.meta_path)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
