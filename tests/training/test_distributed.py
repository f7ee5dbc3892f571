"""Two processes that train one network together: the same model as one, no row lost, and killed they go on."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema
from training.artifact import load
from training.reader import FeatureReader
from training.torch import shares
from training.torch.classifier import TorchMLP
from training.torch.distributed import Group
from training.trainer import Batch

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("shared_training.py")
SCHEMA = FeatureSchema(("spend__level", "login__level", "login__gap"), ("regular", "rare"), "rare")
SETTINGS = {"rows": 32, "epochs": 60, "rate": 1e-2, "patience": 0, "members": 1, "device": "cpu"}
ROWS = np.exp(np.random.default_rng(1).normal(size=(50, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of two parts, a row group each, which differ in size by a third."""
    folder = tmp_path_factory.mktemp("table")
    random = np.random.default_rng(0)
    labels = random.choice([1, 0, UNLABELED], 280, p=[0.2, 0.6, 0.2]).astype(np.int8)
    features = np.exp(random.normal(size=(280, 3))).astype(np.float32)
    features[labels == 1, 0] *= 3
    features[random.random(280) < 0.1, 2] = np.nan
    columns = {ENTITY: [str(number) for number in range(280)], LABEL: pa.array(labels, pa.int8())}
    columns |= {name: features[:, at] for at, name in enumerate(SCHEMA.names)}
    for number, (first, last) in enumerate(((0, 120), (120, 280))):
        parquet.write_table(pa.table(columns).slice(first, last - first), folder / f"part-{number:05d}.parquet")
    (folder / "schema.json").write_text(SCHEMA.to_json())
    return str(folder)


def start(table, target, size=2, **settings):
    """Start the processes as torchrun would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(size)}
    command = [sys.executable, SCRIPT, table, str(target), json.dumps(SETTINGS | settings)]
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **place, "RANK": str(rank), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def ends(processes):
    """Wait for all processes; return their statuses and what they said."""
    said = [process.communicate()[1] for process in processes]
    return [process.returncode for process in processes], said


@pytest.fixture(scope="module")
def together(table, tmp_path_factory):
    """The artifact of two processes that nothing disturbs."""
    target = tmp_path_factory.mktemp("together")
    codes, said = ends(start(table, target))
    assert codes == [0, 0], said
    return load(str(target))


def test_two_processes_make_the_model_of_one_with_their_batches_joined(table, together, monkeypatch):
    settings = TorchMLP(**SETTINGS)
    parts = [FeatureReader(table, shard=(rank, 2)) for rank in range(2)]
    steps = together.manifest.history["steps_per_epoch"]
    agree, draw = shares.agree, shares.batches

    def joined(reader, share, settings, rows, start):
        halves = (draw(part, share, settings, rows // 2, start) for part in parts)
        for batches in zip(*halves, strict=True):
            yield Batch(*map(np.concatenate, zip(*batches, strict=True)))

    monkeypatch.setattr(shares, "agree", lambda *given: replace(agree(*given), steps_per_epoch=steps))
    monkeypatch.setattr(shares, "batches", joined)
    alone = settings.fit(FeatureReader(table))
    assert alone.scaler == together.scaler
    assert alone.manifest.rows == together.manifest.rows
    assert alone.manifest.held_out.is_rare == together.manifest.held_out.is_rare
    assert together.manifest.history["processes"] == 2
    assert alone.manifest.history["step"] == together.manifest.history["step"]
    losses = [artifact.manifest.history["loss_supervised"] for artifact in (alone, together)]
    np.testing.assert_allclose(losses[0], losses[1], atol=2e-4)
    assert losses[0][-1] < losses[0][0] / 2
    np.testing.assert_allclose(alone.predict(ROWS), together.predict(ROWS), atol=2e-3)


def test_a_killed_process_ends_the_others_and_a_rerun_goes_on_from_the_checkpoint(table, together, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    first = start(table, tmp_path / "model", checkpoint=str(checkpoint))
    while not (checkpoint / "training.safetensors").exists():
        assert all(process.poll() is None for process in first), ends(first)
        time.sleep(0.01)
    first[1].kill()
    codes, said = ends(first)
    assert codes[1] == -9
    assert codes[0] not in (0, -9), "the other one must not wait for ever"
    assert not (tmp_path / "model/manifest.json").exists()

    codes, said = ends(start(table, tmp_path / "model", checkpoint=str(checkpoint)))
    assert codes == [0, 0], said
    assert all("torch_mlp goes on from step" in text for text in said)
    resumed = load(str(tmp_path / "model"))
    np.testing.assert_array_equal(resumed.predict(ROWS), together.predict(ROWS))
    assert resumed.manifest.history == together.manifest.history


def test_a_checkpoint_of_other_settings_is_ignored(table, tmp_path, caplog):
    for rate in (1e-2, 1e-3):
        given = SETTINGS | {"epochs": 2, "rate": rate, "checkpoint": str(tmp_path)}
        artifact = TorchMLP(**given).fit(FeatureReader(table))
    assert "belongs to other settings or data and is ignored" in caplog.text
    fresh = TorchMLP(**SETTINGS | {"epochs": 2, "rate": 1e-3}).fit(FeatureReader(table))
    np.testing.assert_array_equal(artifact.predict(ROWS), fresh.predict(ROWS))


def test_alone_a_process_is_a_group_of_its_own():
    group = Group()
    assert group.gather("x") == ["x"]
    assert group.share(None) is None
