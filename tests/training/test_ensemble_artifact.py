"""Several artifacts as one: the same as one ensemble of all their networks, kept whole, and never of unlike members."""

from dataclasses import replace

import numpy as np
import pytest

from feature_extraction.schema import FeatureSchema, SchemaMismatch
from training.artifact import ArtifactError, Manifest, load
from training.dense_network import DenseNetwork, DenseNetworkArtifact
from training.ensemble_artifact import EnsembleArtifact, MembersDiffer
from training.held_out import HeldOut
from training.integrated_gradients import TOLERANCE, incompleteness
from training.scaler import Scaler
from training.trainer import AddsUp

SCHEMA = FeatureSchema(("m__a", "m__b", "n__a"), ("regular", "rare"), "rare")
ROWS = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
HELD_OUT = HeldOut((True, False, False, True), (0.9, 0.4, 0.1, 0.6))


def network(seed):
    random = np.random.default_rng(seed)
    kernels = tuple(random.normal(size=shape).astype(np.float32) for shape in ((3, 5), (5, 2)))
    return DenseNetwork(kernels, tuple(random.normal(size=size).astype(np.float32) for size in (5, 2)))


def artifact(*seeds, **manifest):
    scaler = Scaler.fit(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
    made = Manifest(
        trainer="mlp",
        settings={"seed": seeds[0]},
        schema=SCHEMA,
        classes=SCHEMA.classes,
        rare="rare",
        rows={"regular": 2, "rare": 2, "unlabeled": 9},
        metrics={"reason": "a test"},
        seed=seeds[0],
        held_out=HELD_OUT,
    )
    return DenseNetworkArtifact(
        replace(made, **manifest), scaler, tuple(map(network, seeds)), np.zeros(3, dtype=np.float32)
    )


def joined(folder, *members):
    urls = [str(folder / f"member {number}") for number in range(len(members))]
    for member, url in zip(members, urls, strict=True):
        member.save(url)
    return EnsembleArtifact.of(urls)


def test_it_equals_one_ensemble_of_all_networks(tmp_path):
    found, whole = joined(tmp_path, artifact(1, 2), artifact(3, 4)), artifact(1, 2, 3, 4)
    chances, spread = found.predict_with_uncertainty(ROWS)
    expected, expected_spread = whole.predict_with_uncertainty(ROWS)
    np.testing.assert_allclose(chances, expected, rtol=1e-5)
    np.testing.assert_allclose(spread, expected_spread, rtol=1e-4)
    assert spread.max() > 0.05
    np.testing.assert_allclose(found.contributions(ROWS), whole.contributions(ROWS), atol=2e-2)
    np.testing.assert_allclose(found.contribution_totals(ROWS), whole.contribution_totals(ROWS), rtol=1e-4, atol=1e-5)
    assert incompleteness(found.contributions(ROWS), found.contribution_totals(ROWS)).max() < TOLERANCE / 10


def test_saved_and_loaded_it_is_the_same(tmp_path):
    found = joined(tmp_path, artifact(1), artifact(2))
    found.save(str(tmp_path / "joined"))
    loaded = load(str(tmp_path / "joined"))
    np.testing.assert_array_equal(loaded.predict(ROWS), found.predict(ROWS))
    np.testing.assert_array_equal(loaded.contributions(ROWS), found.contributions(ROWS))
    assert isinstance(loaded, AddsUp)
    assert loaded.manifest == found.manifest
    assert loaded.manifest.settings == {"trainer": "mlp", "members": [{"seed": 1}, {"seed": 2}]}


def test_a_damaged_member_is_refused(tmp_path):
    joined(tmp_path, artifact(1), artifact(2)).save(str(tmp_path / "joined"))
    (tmp_path / "joined/member1.weights.safetensors").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"member1\.weights\.safetensors: 1 bytes that are not those"):
        load(str(tmp_path / "joined"))


def test_an_ensemble_without_members_is_refused(tmp_path):
    found = joined(tmp_path, artifact(1), artifact(2))
    replace(found, files={}).save(str(tmp_path / "joined"))
    with pytest.raises(ArtifactError, match=r"holds no member0\.manifest\.json"):
        load(str(tmp_path / "joined"))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"trainer": "scarcegan"}, MembersDiffer, "its trainer is 'scarcegan', that of the first member 'mlp'"),
        ({"classes": ("rare", "regular")}, MembersDiffer, "only models of one method over the same classes"),
        ({"schema": replace(SCHEMA, step_seconds=3600)}, MembersDiffer, "trained on steps of 3,600 s"),
        ({"schema": replace(SCHEMA, names=("m__a", "m__b", "n__b"))}, SchemaMismatch, "-n__a"),
    ],
)
def test_unlike_members_are_refused(tmp_path, change, error, says):
    with pytest.raises(error, match=says):
        joined(tmp_path, artifact(1), artifact(2, **change))


def test_it_is_measured_by_the_mean_of_held_out_scores_where_all_rows_were_held_out(tmp_path):
    other = HeldOut(HELD_OUT.is_rare, (0.1, 0.5, 0.3, 0.4))
    found = joined(tmp_path, artifact(1), artifact(2, held_out=other)).manifest
    np.testing.assert_allclose(found.held_out.scores, (0.5, 0.45, 0.2, 0.5))
    assert found.metrics["average_precision"]["value"] == 1
    assert found.metrics["rows"] == 4


@pytest.mark.parametrize(
    "other", [None, HeldOut((True, False), (0.9, 0.1)), HeldOut(HELD_OUT.is_rare[::-1][:3], (0.1, 0.1, 0.2))], ids=str
)
def test_it_is_not_measured_on_rows_that_a_member_learned_from(tmp_path, other):
    found = joined(tmp_path, artifact(1), artifact(2, held_out=other)).manifest
    assert found.held_out is None
    assert "did not all hold out the same rows" in found.metrics["reason"]
