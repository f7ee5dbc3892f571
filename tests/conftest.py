"""What every test runs under: Spark's virtual machines live for seconds, and how long to look for what kills break."""

import os

# Compiled in one quick step: compiling twice, for a long life, takes two fifths of the work of a small job.
SHORT_LIVED = "-XX:TieredStopAtLevel=1"

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED)


def pytest_addoption(parser):
    parser.addoption(
        "--kills", type=int, default=4, metavar="N", help="how often tests/jobs/test_kills.py kills each job"
    )
