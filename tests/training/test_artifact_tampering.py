"""Artifacts that were damaged, mixed up or forged: refused in words, and never run, whatever stands in them."""

import importlib.util
import io
import json
import math
import pickle
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_extraction.schema import SchemaMismatch
from tests.training import artifact_attacks as attacks
from tests.training import trainer_checks as checks
from training.artifact import ARTIFACTS, MANIFEST, ArtifactError, load
from training.ensemble_artifact import EnsembleArtifact

ROOT = Path(__file__).parents[2]
# The other trainers of the table write files of the same classes.
QUICK = {
    "mlp": {"steps": 2, "evaluate_every": 1},
    "aae": {"steps": 2, "evaluate_every": 1},
    "importance_vector": {"epochs": 1, "warm_start": 1, "classifier_epochs": 1},
    "qast": {"epochs": 1, "checkpoint_every": 1, "boosting_trees": 3, "rounds": 2},
    "mgvae": {"pretrain_steps": 2, "finetune_steps": 1, "fisher_rows": 1, "classifier_steps": 2},
    "imsic": {"steps": 1, "classifier_steps": 2},
    "logistic_regression": {},
    "kernel_logistic_regression": {"landmarks": 10},
    "gradient_boosting": {"trees": 3, "bins": 16},
    "extra_trees": {"trees": 3, "rows_per_leaf": (9,)},
    "xgbod": {"neighbors": (2,), "bins": (4,), "outside_shares": (0.5,), "forests": (3,), "trees": 3},
    "auto": {
        "members": ("logistic_regression", "extra_trees"),
        "member_settings": {"logistic_regression": {"C": (0.1,)}, "extra_trees": {"trees": 3, "rows_per_leaf": (9,)}},
        "few_label_members": (),
        "take": "blend",
    },
    "ensemble": {},
}
BLSTM = {"epochs": 1, "checkpoint_every": 1, "rounds": 2, "second_stage": "blstm", "blstm_epochs": 1}
MODELS = ("logistic_regression", "gradient_boosting")
derandomized = settings(
    derandomize=True, deadline=None, print_blob=True, database=None, suppress_health_check=list(HealthCheck)
)
LACKING = {kind for kind in ("xgbod",) if not importlib.util.find_spec("pyod")}
not_installed = pytest.mark.skip(reason="the xgbod extra is not installed")
every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[not_installed] if kind in LACKING else []) for kind in QUICK]
)


@cache
def trained(kind):
    """Return the files of a trained artifact and its scores."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "ensemble":
            files, _ = trained("logistic_regression")
            fitted = EnsembleArtifact.of([str(attacks.write(files, Path(folder, name))) for name in "ab"])
            folder = f"{folder}/both"
        else:
            fitted = checks.trainer(kind.split()[0], **QUICK.get(kind, BLSTM)).fit(checks.toy_table())
        fitted.save(folder)
        return attacks.read(Path(folder)), fitted.predict(checks.toy_table(1).features)


def opened(files):
    """Load files as an artifact; None where it is refused as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return load(str(attacks.write(files, Path(folder))))
        except (ArtifactError, SchemaMismatch) as refusal:
            refused = str(refusal)
    assert len(refused) > 20
    return None


def test_the_kinds_are_all_there_are():
    assert {ARTIFACTS[kind] for kind in QUICK} == set(ARTIFACTS.values())


@every_kind
def test_an_artifact_left_alone_or_forged_without_a_change_is_opened(kind):
    files, scores = trained(kind)
    for given_files in (files, attacks.forged(files)):
        np.testing.assert_array_equal(opened(given_files).predict(checks.toy_table(1).features), scores)


@every_kind
@settings(derandomized, max_examples=60)
@given(data=st.data())
def test_damage_is_refused(kind, data):
    files, scores = trained(kind)
    harmed = data.draw(attacks.damaged(files))
    artifact = opened(harmed)
    if artifact is None:
        return
    # Only what says the same in other letters may pass: white space at an end, 1E-05 for 1e-05.
    assert json.loads(harmed[MANIFEST]) == json.loads(files[MANIFEST])
    assert {name: harmed[name] for name in files if name != MANIFEST} == {
        n: d for n, d in files.items() if n != MANIFEST
    }
    np.testing.assert_array_equal(artifact.predict(checks.toy_table(1).features), scores)


@every_kind
def test_the_manifest_of_another_artifact_is_refused(kind):
    files, _ = trained(kind)
    for other in set(QUICK) - LACKING:
        if other != kind:
            assert opened(files | {MANIFEST: trained(other)[0][MANIFEST]}) is None
            assert opened(attacks.forged(files, trainer=other)) is None


@every_kind
@pytest.mark.parametrize("forgery", attacks.FORGERIES)
def test_a_forged_manifest_that_does_not_fit_is_refused(kind, forgery):
    assert opened(attacks.forged(trained(kind)[0], **attacks.FORGERIES[forgery])) is None


@pytest.mark.parametrize("text", attacks.HOSTILE_TEXT)
def test_a_manifest_that_is_none_is_refused(text):
    assert opened(trained("gradient_boosting")[0] | {MANIFEST: attacks.HOSTILE_TEXT[text]}) is None


def parts(files):
    """Return the names of the files that loading reads, but for the manifest."""
    return sorted(name for name in files if name != MANIFEST and not name.endswith("history.parquet"))


def hostile(kind):
    """Give each file of an artifact each content that is made to harm its reader, in a manifest that fits."""
    files, _ = trained(kind)
    contents = {
        ".safetensors": attacks.HOSTILE_ARRAYS,
        ".json": attacks.HOSTILE_TEXT,
        ".parquet": attacks.HOSTILE_TABLES,
    }
    for name in parts(files):
        ending = Path(name).suffix
        chosen = attacks.hostile_models(files[name]) if ending == ".skops" else contents[ending]
        for content, data in chosen.items():
            yield f"{name}: {content}", attacks.forged(files | {name: data})


def sampled(artifact):
    """Make rows where the artifact can; it then reads what scoring does not need."""
    if artifact and hasattr(artifact, "sample"):
        with pytest.raises(ArtifactError):
            artifact.sample("rare", 3, seed=0)
        return None
    return artifact


@every_kind
def test_hostile_files_are_refused_though_their_digests_fit(kind):
    accepted = [what for what, files in hostile(kind) if sampled(opened(files))]
    assert not accepted


@every_kind
def test_a_pickle_in_place_of_any_file_is_not_read(kind, tmp_path):
    files, _ = trained(kind)
    marker = tmp_path / "harmed"
    bomb = pickle.dumps(attacks.Bomb(marker))
    for name in [MANIFEST, *parts(files)]:
        found = opened(files | {name: bomb} if name == MANIFEST else attacks.forged(files | {name: bomb}))
        assert not sampled(found), name
        assert not marker.exists(), name
    pickle.loads(bomb)  # noqa: S301  (the bomb does go off where it is read)
    assert marker.exists()


@pytest.mark.parametrize("kind", MODELS)
def test_a_pickle_inside_a_model_file_is_not_read(kind, tmp_path):
    files, _ = trained(kind)
    marker = tmp_path / "harmed"
    members = attacks.unzipped(files["model.skops"])
    buffer = io.BytesIO()
    np.save(buffer, np.array([attacks.Bomb(marker)], dtype=object), allow_pickle=True)
    arrays = [name for name in members if name.endswith(".npy")]
    assert arrays
    for name in arrays:
        model = attacks.zipped(members | {name: buffer.getvalue()})
        assert opened(attacks.forged(files | {"model.skops": model})) is None
    assert not marker.exists()


@every_kind
@settings(derandomized, max_examples=40)
@given(data=st.data())
def test_forged_bytes_are_refused_or_make_a_whole_model(kind, data):
    files, _ = trained(kind)
    harmed = data.draw(attacks.damaged({name: files[name] for name in parts(files)}))
    if not set(parts(files)) <= set(harmed):
        return
    artifact = opened(attacks.forged(files | harmed))
    if artifact is not None:
        with np.errstate(all="ignore"):
            assert artifact.predict(checks.toy_table(1).features[:5]).shape == (5, len(artifact.classes))


def tree_nodes(**changes):
    """Return gradient boosting whose first tree has nodes changed."""
    import skops.io

    from training.model_files import TRUSTED_TYPES

    files, _ = trained("gradient_boosting")
    model = skops.io.loads(files["model.skops"], trusted=list(TRUSTED_TYPES))
    nodes = model._predictors[0][0].nodes
    assert not nodes["is_leaf"][0]
    for name, value in changes.items():
        nodes[name][0] = value
    return attacks.forged(files | {"model.skops": skops.io.dumps(model)})


@pytest.mark.parametrize(
    "changes",
    [
        {"left": 0},
        {"right": 0},
        {"left": 2**31},
        {"right": 4_000_000_000},
        {"feature_idx": 10**12},
        {"feature_idx": -1},
    ],
    ids=str,
)
def test_trees_that_lead_nowhere_or_round_in_circles_are_refused(changes):
    assert opened(tree_nodes(**changes)) is None
    assert opened(tree_nodes()) is not None


@pytest.mark.parametrize("facts", [[2, 2**62], [2, -1], [7, 2], [-9, 2], [2]], ids=str)
def test_trees_of_any_depth_but_their_own_are_refused(facts):
    files, _ = trained("qast")
    arrays = safetensors.numpy.load(files["second_stage.safetensors"]) | {"facts": np.array(facts)}
    assert opened(attacks.forged(files | {"second_stage.safetensors": safetensors.numpy.save(arrays)})) is None


@pytest.mark.parametrize(
    "shape", [[2**20, 2**20, 1, 2], [5, 16, 10**9, 2], [5, 2**40, 1, 2], [5, 16, 1], [-5, 16, 1, 2]]
)
def test_a_network_that_claims_another_shape_is_refused(shape):
    files, _ = trained("qast blstm")
    facts = json.loads(files["second_stage.json"]) | {"shape": shape}
    assert opened(attacks.forged(files | {"second_stage.json": json.dumps(facts).encode()})) is None


@pytest.mark.parametrize("kind", ["mlp", "aae", "importance_vector", "mgvae", "imsic", "qast blstm"])
def test_weights_that_are_no_numbers_are_refused(kind):
    files, _ = trained(kind)
    name = "second_stage.safetensors" if kind in ("mgvae", "imsic", "qast blstm") else "weights.safetensors"
    arrays = {key: np.full_like(array, math.nan) for key, array in safetensors.numpy.load(files[name]).items()}
    assert opened(attacks.forged(files | {name: safetensors.numpy.save(arrays)})) is None


def test_what_is_declared_takes_no_memory(tmp_path):
    places = []
    for kind in ("logistic_regression", "mlp"):
        places += [attacks.write(trained(kind)[0], tmp_path / kind)]
        places += [attacks.write(files, tmp_path / kind / str(n)) for n, (_, files) in enumerate(hostile(kind))]
    script = (
        "import resource, sys\n"
        "from training.artifact import ArtifactError, load\n"
        "good, hostile = [], []\n"
        "for place in sys.stdin.read().split('\\n'):\n"
        "    (hostile if place.rsplit('/', 1)[1].isdigit() else good).append(place)\n"
        "for place in good: load(place)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for place in hostile:\n"
        "    try: load(place)\n"
        "    except ArtifactError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(hostile))\n"
    )
    given_places = "\n".join(map(str, places))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, input=given_places, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kilobytes, number = map(int, done.stdout.split())
    assert number > 50
    assert kilobytes < 100_000
