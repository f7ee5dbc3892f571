"""The Sparks that are promised: pyproject.toml allows them, the pins name them, and the tests run on one of them."""

import re
import tomllib
from pathlib import Path

import pyspark
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PINS = {
    "4.0": re.search(r"^pyspark==(.*)$", (ROOT / "constraints.txt").read_text(), re.M),
    "3.5": re.search(r"^SPARK35 := (.*)$", (ROOT / "Makefile").read_text(), re.M),
}


def allowed():
    """Return the versions that the extra `spark` allows."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    requirements = [Requirement(line) for line in extras["spark"]]
    return next(found.specifier for found in requirements if found.name == "pyspark")


@pytest.mark.parametrize("line", PINS)
def test_each_line_is_pinned_at_an_allowed_version(line):
    assert PINS[line][1].startswith(f"{line}.")
    assert PINS[line][1] in allowed()


@pytest.mark.parametrize("version", ["3.4.4", "4.1.0"])
def test_lines_that_no_test_runs_on_are_not_allowed(version):
    assert version not in allowed()


@pytest.mark.spark
def test_this_spark_is_a_pinned_one():
    assert pyspark.__version__ in [found[1] for found in PINS.values()]
