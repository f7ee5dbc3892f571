"""Compile the numerical kernels, after an install or in an image: `python -m feature_extraction.compile_kernels`.

Machine code is cached beside the sources, so that no Spark worker waits for the compiler on its first partition: half a
minute for additive seasonality, a minute for multiplicative.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from feature_extraction.components import Calendar
from feature_extraction.events import TIME, VALUE
from feature_extraction.feature_rows import Extraction, feature_rows
from feature_extraction.schema import ENTITY
from feature_extraction.series import KEY, series_batches
from feature_extraction.settings import EventsSettings, FeaturesSettings, LabelsSettings, MetricSettings, WindowSettings

MODES = ("additive", "multiplicative")
DAYS = 60


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the features of one generated series of every aggregate that has a kernel, in each mode of seasonality."""
    parser = argparse.ArgumentParser(prog="python -m feature_extraction.compile_kernels", allow_abbrev=False)
    parser.add_argument("--seasonality", choices=MODES, help="the kernels of this mode alone; of both by default")
    only = parser.parse_args(arguments).seasonality
    for mode in (only,) if only else MODES:
        _compile(FeaturesSettings(seasonality_mode=mode))


def _compile(features: FeaturesSettings) -> None:
    metrics = {name: MetricSettings(column="x", aggregate=name) for name in ("sum", "max", "last", "nunique")}
    window = WindowSettings(start="2024-01-01", end="2024-03-01")
    settings = EventsSettings(url="generated", metrics=metrics)
    job = Extraction(settings, window, LabelsSettings(), features)
    steps = np.arange(DAYS)  # the keys of a hash of 0
    columns = {KEY: steps, ENTITY: ["a"] * DAYS, TIME: steps}
    values = np.random.default_rng(0).gamma(2.0, 1.0, DAYS)
    batch = pa.RecordBatch.from_pydict(columns | {VALUE + name: values for name in metrics})
    for found in series_batches([batch], Calendar.of(window), settings, 1):
        feature_rows(found, job)


if __name__ == "__main__":
    main()
