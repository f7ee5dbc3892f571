"""spark-submit to a real standalone cluster, from a clean folder with only the zip, an archive and the run file."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from feature_extraction import publishing
from tests.conftest import SHORT_LIVED
from tests.jobs import sessions, small_log, standalone
from tests.jobs.conftest import ROOT
from tests.jobs.shipping import packed_environment, zipped

pytestmark = [pytest.mark.spark, pytest.mark.slow]
CHEAP = ("--train.trainer=logistic_regression", "--train.compare=[]", "--score.stories=1")
SMALL = (
    "spark.sql.shuffle.partitions=4",
    "spark.executor.memory=1g",
    f"spark.executor.extraJavaOptions={SHORT_LIVED}",
    "spark.driver.memory=1g",
    "spark.ui.port=0",
    "spark.cores.max=2",
)
DISTURBED = ("extract_features", "score")
# Python applications may not be submitted in cluster mode; the class that runs them on YARN and Kubernetes may.
RUNNER = "org.apache.spark.deploy.PythonRunner"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with standalone.started(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """What a submitter ships: the zip and a packed environment; each process that uses one leaves a mark."""
    folder = tmp_path_factory.mktemp("shipped")
    for name in ("zip-marks", "environment-marks", "elsewhere"):
        (folder / name).mkdir()
    zipped(folder / "scarce.zip", folder / "zip-marks")
    packed_environment(folder / "environment.tar.gz", folder / "environment-marks")
    for name in ("extract_features", "train", "score", "explain", "run"):
        (folder / f"{name}.py").write_text((ROOT / "jobs" / f"{name}.py").read_text())
    return folder


def submit(cluster, shipped, *arguments, confs=(), **environment):
    process = sessions.start(
        [
            standalone.HOME / "bin/spark-submit",
            f"--master={cluster.url}",
            *(f"--conf={conf}" for conf in (*SMALL, *confs)),
            *arguments,
        ],
        cwd=shipped / "elsewhere",
        env=standalone.environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    cluster.submitted.append(process)  # ended with the cluster, should a test give up on it
    return process


def submit_job(cluster, shipped, job, run_file, *overrides):
    """Submit a job in client mode with the zip and the packed environment."""
    return submit(
        cluster,
        shipped,
        f"--py-files={shipped / 'scarce.zip'}",
        f"--archives={shipped / 'environment.tar.gz'}#environment",
        str(shipped / f"{job}.py"),
        f"--config={run_file}",
        *CHEAP,
        *overrides,
        PYSPARK_PYTHON="./environment/bin/python",
        PYSPARK_DRIVER_PYTHON=sys.executable,
    )


def status(process):
    said = process.communicate()[0]
    return process.returncode, said


def test_spark_refuses_cluster_mode_for_python_applications_here(cluster, shipped):
    code, said = status(submit(cluster, shipped, "--deploy-mode=cluster", str(shipped / "run.py")))
    assert code == 1
    assert "not supported for python applications on standalone clusters" in said


@pytest.fixture(scope="module")
def undisturbed(cluster, shipped, tmp_path_factory):
    """All jobs in one, the driver run by a worker: the root of what it left."""
    folder = tmp_path_factory.mktemp("undisturbed")
    package = shipped / "scarce.zip"
    process = submit(
        cluster,
        shipped,
        "--deploy-mode=cluster",
        f"--class={RUNNER}",
        f"--files={package}",
        str(next((standalone.HOME / "jars").glob("spark-core_*.jar"))),
        str(shipped / "run.py"),
        str(package),
        f"--config={small_log.write(folder)}",
        *CHEAP,
        confs=(
            "spark.standalone.submit.waitAppCompletion=true",
            "spark.cores.max=1",
            f"spark.submit.pyFiles={package}",
            f"spark.pyspark.python={sys.executable}",
        ),
    )
    code, said = status(process)
    assert code == 0, said[-3000:] + "".join(path.read_text()[-3000:] for path in drivers(cluster))
    return folder / "out"


def drivers(cluster):
    """What drivers wrote that ran inside a worker."""
    return list(cluster.work.glob("*/driver-*/std*"))


def test_all_jobs_with_the_driver_on_a_worker(cluster, undisturbed):
    assert any("score: 60 entities" in path.read_text() for path in drivers(cluster))
    assert len(rows_of(undisturbed, "scores")) == small_log.ENTITIES
    assert (undisturbed / "reports/run=small/report.html").exists()


def test_every_job_in_client_mode_and_executors_killed_in_the_middle(cluster, shipped, undisturbed, tmp_path):
    run_file, root = small_log.write(tmp_path), tmp_path / "out"
    for job in ("extract_features", "train", "score", "explain"):
        process = submit_job(cluster, shipped, job, run_file)
        said = disturbed(process, cluster, shipped / "zip-marks") if job in DISTURBED else process.communicate()[0]
        assert process.returncode == 0, said[-4000:]
        assert ("Lost executor" in said) == (job in DISTURBED), said[-4000:]
    for stage in ("features", "quarantine", "scores"):
        assert_frame_equal(rows_of(root, stage), rows_of(undisturbed, stage), check_exact=True)
    assert counts(root) == counts(undisturbed)
    assert len(list((shipped / "environment-marks").iterdir())) >= 2, "executors must run the packed environment"

    code, said = status(submit_job(cluster, shipped, "run", run_file))
    assert code == 3, said[-4000:]
    code, said = status(submit_job(cluster, shipped, "extract_features", run_file, "--events.url=/nowhere"))
    assert code == 2, said[-4000:]
    assert "stopped: /nowhere" in said


def disturbed(process, cluster, marks):
    """Kill an executor as soon as it is at work, seen by Prometheus; return what the job said until its end."""
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
    reader.start()
    while (executor := executor_at_work(cluster, marks)) is None:
        assert process.poll() is None, "".join(said)[-4000:]
        time.sleep(0.02)
    check_prometheus("".join(said))
    os.kill(executor, signal.SIGKILL)
    process.wait()
    reader.join()
    process.stdout.close()
    return "".join(said)


def check_prometheus(said):
    """Read what the running job tells Prometheus of its driver and its executors."""
    place = re.search(r"service 'SparkUI' on port (\d+)", said)
    for path, measure in (("metrics/prometheus", "driver_"), ("metrics/executors/prometheus", "metrics_executor_")):
        with urllib.request.urlopen(f"http://127.0.0.1:{place[1]}/{path}", timeout=60) as answer:
            assert measure in answer.read().decode()


def executor_at_work(cluster, marks):
    """Return the executor of a Python worker that has just begun its task, as its mark tells, or None."""
    executors = set(cluster.executors())
    found = [pid for mark in marks.iterdir() for pid in ancestors(int(mark.name)) if pid in executors]
    return found[0] if found else None


def ancestors(pid):
    """Yield a process's parent, its parent's parent and so on."""
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            return
        yield pid


def rows_of(root, stage):
    files = publishing.part_files(str(root / stage / "run=small"))
    frame = pd.concat([pd.read_parquet(file) for file in files])
    return frame.sort_values([name for name in frame.columns if name != "reasons"], ignore_index=True)


def counts(root):
    quality = json.loads((root / "features/run=small/quality.json").read_text())
    return quality["events"], quality["refused"], quality["entities"]
