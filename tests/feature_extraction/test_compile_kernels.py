"""After the kernels were compiled ahead, making features compiles nothing more."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from feature_extraction import accumulate, compile_kernels
from feature_extraction.components import Calendar
from feature_extraction.features import feature_columns
from feature_extraction.prophet_map import design, engine, one_series, predict, summary
from feature_extraction.settings import FeaturesSettings

ROOT = Path(__file__).resolve().parents[2]


def compiled():
    """Return the number of compiled signatures of each kernel that Python calls."""
    modules = (accumulate, design, one_series, predict, summary)
    found = {(module.__name__, name): value for module in modules for name, value in vars(module).items()}
    return {place: len(value.signatures) for place, value in found.items() if hasattr(value, "signatures")}


@pytest.mark.parametrize("steps", [60, 180])
def test_nothing_is_left_to_compile(steps):
    # In a process of its own: what other tests had compiled would hide what is missing.
    found = subprocess.run(
        [sys.executable, __file__, str(steps)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def check(steps):
    compile_kernels.main()
    before = compiled()
    assert before["feature_extraction.accumulate", "add_limbs"] == 1
    values = np.random.default_rng(1).gamma(1.0, 1.0, (5, steps))
    values[0, :7], values[1] = np.nan, 3.0
    settings = FeaturesSettings(changepoints=5)
    fits = engine.fit(values, Calendar(datetime(2023, 5, 1), timedelta(days=1), steps), settings)
    feature_columns(values, np.zeros(5, dtype=np.int64), fits, settings)
    assert compiled() == before, {place: count for place, count in compiled().items() if count != before[place]}


if __name__ == "__main__":
    check(int(sys.argv[1]))
