"""Candidates as Spark tasks, submitted to a small cluster of processes whose GPUs a discovery script makes up."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyspark
import pytest
from pyspark import SparkConf

from jobs import data_parallel, fan_out
from jobs.data_parallel import TogetherRefused
from jobs.fan_out import AMOUNT, SCRIPT, GpusMissing
from jobs.train_settings import TrainSettings
from tests.conftest import SHORT_LIVED
from tests.jobs import training_table
from tests.jobs.conftest import ROOT, run_job
from training.artifact import load

pytestmark = pytest.mark.spark
ROWS = np.exp(np.random.default_rng(1).normal(size=(40, 3))).astype(np.float32)
METHODS = ("mlp", "logistic_regression")
OUTPUT = "submitted.log"
DISCOVERY = """#!/bin/sh
echo '{"name": "gpu", "addresses": ["3", "5"]}'
"""


def conf(**given):
    made = SparkConf(loadDefaults=False)
    for key, value in given.items():
        made.set(key.replace("__", "."), value)
    return made


@pytest.fixture
def submitted():
    """Submit as `submit` does; what still runs when the test is over is ended."""
    processes = []

    def start(*given, **options):
        processes.append(submit(*given, **options))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def submit(folder, run_file, *overrides, gpus_per_task=0):
    """Submit the training to a cluster of two executors on this machine, from another folder, with the zip alone.

    What it says goes to a file: a pipe that nobody reads would stop it.
    """
    script, elsewhere = folder / "gpus.sh", folder / "elsewhere"
    script.write_text(DISCOVERY)
    script.chmod(0o755)
    elsewhere.mkdir(exist_ok=True)
    archive = folder / "scarce.zip"
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", archive, "feature_extraction", "training", "inference", "jobs"],
        cwd=ROOT,
        check=True,
    )
    found = {AMOUNT: 2, SCRIPT: script}
    found |= {"spark.worker.resource.gpu.amount": 2, "spark.worker.resource.gpu.discoveryScript": script}
    found["spark.executor.extraJavaOptions"] = SHORT_LIVED
    found |= {"spark.task.resource.gpu.amount": gpus_per_task} if gpus_per_task else {}
    with (folder / OUTPUT).open("w") as output:
        return subprocess.Popen(
            [
                str(Path(sys.executable).with_name("spark-submit")),
                "--master=local-cluster[2,1,1024]",
                "--conf=spark.ui.enabled=false",
                *(f"--conf={key}={value}" for key, value in found.items()),
                f"--py-files={archive}",
                str(ROOT / "jobs/train.py"),
                "--config",
                str(run_file),
                *overrides,
            ],
            cwd=elsewhere,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": ""},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def started(process, name):
    """Return the ids of the processes under a submitted job whose command line names `name`."""
    parents, found = {}, []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                command = (folder / "cmdline").read_text()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
            if name in command:
                found.append(int(folder.name))
    return [number for number in found if process.pid in ancestors(number, parents)]


def ancestors(number, parents):
    while number in parents:
        number = parents[number]
        yield number


def wait_for(path, pattern, process, folder):
    while not any(path.rglob(pattern)):
        assert process.poll() is None, (folder / OUTPUT).read_text()[-3000:]
        time.sleep(0.05)


def ended(process, folder):
    """Return what a job said that came to its end."""
    process.wait()
    output = (folder / OUTPUT).read_text()
    assert process.returncode == 0, output[-3000:]
    return output


def executor_logs(since):
    files = (Path(pyspark.__file__).parent / "work").glob("app-*/*/stderr")
    return "\n".join(file.read_text() for file in files if file.stat().st_mtime >= since)


@pytest.mark.slow
def test_on_a_cluster_that_loses_its_executors_the_models_are_those_trained_here(tmp_path, submitted):
    """Both executors are killed when a first checkpoint is there: training goes on from it, and nothing differs."""
    run_file, here = training_table.write(tmp_path / "spark"), training_table.write(tmp_path / "here")
    chosen = ["--train.trainer", "mlp", "--train.compare", "logistic_regression", "--train.seeds", "0,1"]
    began = time.time()
    process = submitted(tmp_path, run_file, *chosen, "--workers", "spark", "--train.gpus_per_model", "1")
    wait_for(tmp_path / "spark/out/candidates/mlp", "training.safetensors", process, tmp_path)
    killed = started(process, "CoarseGrainedExecutorBackend")
    assert len(killed) == 2
    for number in killed:
        os.kill(number, signal.SIGKILL)
    ended(process, tmp_path)
    assert re.search(r"training\.safetensors: mlp goes on from step \d+", executor_logs(began))

    done = run_job("train", here, *chosen)
    assert done.returncode == 0, done.stderr
    for name in METHODS:
        there, alone = (load(str(tmp_path / root / f"out/models/{name}/run=small")) for root in ("spark", "here"))
        np.testing.assert_array_equal(there.predict(ROWS), alone.predict(ROWS))
        facts = json.loads((tmp_path / f"spark/out/models/{name}/run=small/run.json").read_text())
        assert {one["gpu"] for one in facts["candidates"]} <= {"3", "5"}
        assert [one["error"] for one in facts["candidates"]] == ["", ""]


@pytest.mark.slow
def test_tasks_that_train_one_model_together_go_on_when_one_is_lost(tmp_path, submitted):
    run_file = training_table.write(tmp_path)
    chosen = ["--train.trainer", "torch_mlp", "--train.processes", "2", "--train.gpus_per_model", "1"]
    process = submitted(tmp_path, run_file, *chosen, "--workers", "spark", gpus_per_task=1)
    wait_for(tmp_path / "out/candidates/torch_mlp", "training.safetensors", process, tmp_path)
    workers = started(process, "\0-u\0")  # those that torchrun starts
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    output = ended(process, tmp_path)
    assert re.search(r"training\.safetensors: torch_mlp goes on from step \d+", output)
    assert "torch_mlp starts again, from its last checkpoint" in output
    facts = json.loads((tmp_path / "out/models/torch_mlp/run=small/run.json").read_text())
    (candidate,) = facts["candidates"]
    assert candidate["gpu"].count(",") == candidate["worker"].count(",") == 1
    assert candidate["average_precision"]["value"] > 0.5
    history = load(str(tmp_path / "out/models/torch_mlp/run=small")).manifest.history
    assert (history["processes"], history["step"][-1]) == (2, 200 * history["steps_per_epoch"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"spark__dynamicAllocation__enabled": "true"}, "submit with --conf spark.dynamicAllocation.enabled=false"),
        ({"spark__master": "local[1]"}, r"runs as local\[1\] with 1 cores; give fewer processes"),
        ({"spark__master": "yarn"}, r"spark\.task\.resource\.gpu\.amount is 0: submit with"),
    ],
)
def test_a_spark_that_cannot_start_all_tasks_at_once_says_what_to_do(given, says):
    with pytest.raises(TogetherRefused, match=says):
        data_parallel.check(conf(**given), TrainSettings(trainer="torch_mlp", workers="spark", processes=2), 1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"spark__master": "local[2]"}, r"runs as local\[2\], which hands out no GPUs"),
        ({"spark__master": "yarn"}, f"have 0: submit with --conf {AMOUNT}=2"),
        ({"spark__master": "yarn", AMOUNT: "1", SCRIPT: "x"}, "the executors of this Spark have 1"),
        ({"spark__master": "k8s://x", AMOUNT: "2"}, f"no script is named .* --conf {SCRIPT}=PATH"),
    ],
)
def test_a_spark_without_the_gpus_says_what_to_do(given, says):
    with pytest.raises(GpusMissing, match=f"{says}.*train.gpus_per_model = 0"):
        fan_out.profile(conf(**given), 2)


def context(*addresses):
    return SimpleNamespace(resources=lambda: {"gpu": SimpleNamespace(addresses=list(addresses))} if addresses else {})


def test_a_task_sees_its_own_gpus_as_cuda_names_them():
    assert fan_out.gpus_of(context("0", "1"), 2, {}) == ["0", "1"]
    assert fan_out.gpus_of(context("1"), 1, {"CUDA_VISIBLE_DEVICES": "4,6"}) == ["6"]
    assert fan_out.gpus_of(context(), 0, {"CUDA_VISIBLE_DEVICES": "4,6"}) == []
    with pytest.raises(GpusMissing, match="this task was given none; check the script"):
        fan_out.gpus_of(context(), 1, {})
