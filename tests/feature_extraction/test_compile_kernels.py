"""After the kernels were compiled ahead, making features compiles nothing more."""

import gc
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from feature_extraction import compile_kernels
from feature_extraction.components import Calendar
from feature_extraction.features import feature_columns
from feature_extraction.prophet_map import engine
from feature_extraction.settings import FeaturesSettings

ROOT = Path(__file__).resolve().parents[2]


def compiled():
    """Return the number of signatures of each kernel that this process has, compiled or read from the cache."""
    kernels = [found for found in gc.get_objects() if isinstance(found, Dispatcher)]
    return {f"{kernel.__module__}.{kernel.__qualname__}": len(kernel.signatures) for kernel in kernels}


@pytest.mark.parametrize("mode", compile_kernels.MODES)
@pytest.mark.parametrize("steps", [60, 180])
def test_nothing_is_left_to_compile(steps, mode):
    # In a process of its own: what other tests had compiled would hide what is missing.
    found = subprocess.run(
        [sys.executable, __file__, str(steps), mode],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def check(steps, mode):
    compile_kernels.main([])
    values = np.random.default_rng(1).gamma(1.0, 1.0, (5, steps))
    values[0, :7], values[1] = np.nan, 3.0
    settings = FeaturesSettings(changepoints=5, seasonality_mode=mode)
    before = compiled()
    fits = engine.fit(values, Calendar(datetime(2023, 5, 1), timedelta(days=1), steps), settings)
    feature_columns(values, np.zeros(5, dtype=np.int64), fits, settings)
    assert compiled() == before, set(compiled().items()) - set(before.items())


if __name__ == "__main__":
    check(int(sys.argv[1]), sys.argv[2])
