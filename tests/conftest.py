"""What every test runs under: Spark's virtual machines live for seconds, and how long to look for what kills break."""

import os
import sys
from pathlib import Path

from jobs import java_options

# Classes as `tests/class_archive.py` left them; told of one that is not there, Java would share none at all.
ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
SHARED = f" -XX:SharedArchiveFile={ARCHIVE} -Xlog:cds=off -Xlog:cds+dynamic=off" if ARCHIVE.is_file() else ""
SHORT_LIVED = java_options.SHORT_LIVED + SHARED

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED)
# Tests run in several processes beside Spark's: threads of one wait for cores that another holds, ten times as long as
# they work. Set before any library is loaded that reads it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption(
        "--kills", type=int, default=4, metavar="N", help="how often tests/jobs/test_kills.py kills each job"
    )
