"""spark-submit with the zip, on a small cluster of processes, from another folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.jobs import small_log
from tests.jobs.conftest import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.slow]
# Left by every process that imports the zip's copy and not the checkout's.
MARK = "\nimport os, pathlib\npathlib.Path({folder!r}, str(os.getpid())).touch()\n"


def zipped(target, marks):
    """Zip the four packages as `make zip` does, with a mark in one of them."""
    with zipfile.ZipFile(target, "w") as archive:
        for stage in ("feature_extraction", "training", "inference", "jobs"):
            for path in sorted((ROOT / stage).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.writestr(path.relative_to(ROOT).as_posix(), path.read_text())
        first = (ROOT / "feature_extraction/schema.py").read_text()
        archive.writestr("feature_extraction/schema.py", first + MARK.format(folder=str(marks)))
    return target


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # the marked file is written over the plain one
def test_extraction_by_spark_submit_on_a_local_cluster(tmp_path):
    run_file = small_log.write(tmp_path / "log")
    marks, elsewhere = tmp_path / "marks", tmp_path / "elsewhere"
    marks.mkdir()
    elsewhere.mkdir()
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("spark-submit")),
            "--master=local-cluster[2,1,1024]",
            "--conf=spark.sql.shuffle.partitions=4",
            "--conf=spark.ui.enabled=false",
            f"--py-files={zipped(tmp_path / 'scarce.zip', marks)}",
            str(ROOT / "jobs/extract_features.py"),
            "--config",
            str(run_file),
        ],
        cwd=elsewhere,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads((tmp_path / "log/out/features/run=small/run.json").read_text())
    assert facts["rows"] == small_log.ENTITIES
    assert len(list(marks.iterdir())) >= 2, "the zip's code must run on the driver and on executors"
