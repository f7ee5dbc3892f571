"""Spark's classes as Java keeps them once it has read and checked them, for all virtual machines that tests start.

    python -m tests.class_archive

Runs an extraction and lets its Java write down what it loaded, 170 MB in the environment's folder. Without it a small
job spends two fifths of Java's time on reading and checking classes. Java does without an archive that does not suit
it, such as that of another Java or of other jars.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobs.java_options import SHORT_LIVED
from tests.conftest import ARCHIVE
from tests.jobs import sessions, small_log

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120  # for what Java does after the job


def write(target):
    """Write the archive; whatever stands in its way costs the tests time, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "classes.jsa")
        process = sessions.start(
            [sys.executable, "-m", "jobs.extract_features", "--config", str(small_log.write(Path(folder)))],
            cwd=ROOT,
            env=os.environ | {"SPARK_SUBMIT_OPTS": f"{SHORT_LIVED} -XX:ArchiveClassesAtExit={made} -Xlog:disable"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        status, until = process.wait(), time.monotonic() + SECONDS
        while sessions.members(process.pid) and time.monotonic() < until:
            time.sleep(0.2)
        sessions.kill(process)
        if status == 0 and made.is_file():
            target.write_bytes(made.read_bytes())


if __name__ == "__main__":
    ARCHIVE.unlink(missing_ok=True)
    write(ARCHIVE)
    if not ARCHIVE.is_file():
        sys.stderr.write(f"{ARCHIVE} is not to be had from this Java: tests take longer\n")
