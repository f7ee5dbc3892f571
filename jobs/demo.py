"""The whole pipeline on the embedded event log: what `make demo` runs.

python -m jobs.demo [overrides, as for jobs.run]
"""

import os
import sys
from pathlib import Path

from feature_extraction import demo
from jobs import console, java_options, run
from jobs.settings import load

DATA = Path("out/demo/data")


def main() -> None:
    """Write the demo's data where its run file expects them, and run it."""
    os.environ.setdefault("SPARK_SUBMIT_OPTS", java_options.SHORT_LIVED)
    demo.write(DATA)
    run.run(load(["--config", str(demo.RUN_FILE), *sys.argv[1:]], job="jobs.demo"))


if __name__ == "__main__":
    console.main(main)
