"""What every test runs under: Spark's virtual machines, dozens of them, live for seconds."""

import os

# Compiled in one quick step: compiling twice, for a long life, takes two fifths of the work of a small job.
SHORT_LIVED = "-XX:TieredStopAtLevel=1"

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED)
