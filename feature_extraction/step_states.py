"""What is known of each step of each series while its events stream by, and the number it comes to in the end.

One kind of state an aggregate; each takes the events in any order and gives the same bits.
"""

from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_extraction import accumulate
from feature_extraction.accumulate import Cells
from feature_extraction.components import Doubles
from feature_extraction.events import TIME, VALUE
from feature_extraction.settings import EventsSettings, MetricSettings

Shape = tuple[int, int]


class _State(Protocol):
    """State of (capacity, T) cells of one metric; `arrays` are its arrays and what an empty cell holds in each."""

    arrays: tuple[tuple[NDArray[Any], float], ...]

    def add(self, cells: Cells, values: Doubles, times: Cells) -> None:
        """Add events to cells, counted through all series."""

    def result(self, rows: Cells) -> Doubles:
        """Return the numbers of the series in `rows`, (rows, T); NaN for a cell without a value."""


class _Sum:
    """Sum, or mean, of the values."""

    def __init__(self, shape: Shape, *, mean: bool = False) -> None:
        self.mean = mean
        self.limbs = np.zeros((*shape, accumulate.NUM_LIMBS), dtype=np.int64)
        self.number = np.zeros(shape, dtype=np.int64)
        self.arrays = (self.limbs, 0), (self.number, 0)

    def add(self, cells: Cells, values: Doubles, times: Cells) -> None:
        limbs = self.limbs.reshape(-1, accumulate.NUM_LIMBS)
        accumulate.add_limbs(cells, values, limbs, self.number.reshape(-1))

    def result(self, rows: Cells) -> Doubles:
        number = self.number[rows]
        found = np.empty(number.shape)
        accumulate.total(self.limbs[rows].reshape(-1, accumulate.NUM_LIMBS), found.reshape(-1))
        if self.mean:
            found /= np.maximum(number, 1)
        found[number == 0] = np.nan
        return found


class _Count:
    """Number of events that have a value."""

    def __init__(self, shape: Shape) -> None:
        self.number = np.zeros(shape, dtype=np.int64)
        self.arrays = ((self.number, 0),)

    def add(self, cells: Cells, values: Doubles, times: Cells) -> None:
        accumulate.add_count(cells, values, self.number.reshape(-1))

    def result(self, rows: Cells) -> Doubles:
        return self.number[rows].astype(np.float64)


class _Extreme:
    """Largest value, or with sign -1 the smallest."""

    def __init__(self, shape: Shape, *, sign: float) -> None:
        self.sign = sign
        self.extreme = np.full(shape, np.nan)
        self.arrays = ((self.extreme, np.nan),)

    def add(self, cells: Cells, values: Doubles, times: Cells) -> None:
        accumulate.add_extreme(cells, values, self.sign, self.extreme.reshape(-1))

    def result(self, rows: Cells) -> Doubles:
        return self.extreme[rows]


class _Last:
    """Value of the latest event."""

    def __init__(self, shape: Shape) -> None:
        self.last, self.at = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
        self.arrays = (self.last, np.nan), (self.at, 0)

    def add(self, cells: Cells, values: Doubles, times: Cells) -> None:
        accumulate.add_last(cells, values, times, self.last.reshape(-1), self.at.reshape(-1))

    def result(self, rows: Cells) -> Doubles:
        return self.last[rows]


def _state(metric: MetricSettings, shape: Shape) -> _State:
    states: dict[str, Any] = {
        "sum": lambda: _Sum(shape),
        "mean": lambda: _Sum(shape, mean=True),
        "count": lambda: _Count(shape),
        "nunique": lambda: _Count(shape),  # of the events that are the first of their value
        "min": lambda: _Extreme(shape, sign=-1.0),
        "max": lambda: _Extreme(shape, sign=1.0),
        "last": lambda: _Last(shape),
    }
    made: _State = states[metric.aggregate]()
    return made


class StepStates:
    """States of every metric for `capacity` series of T steps."""

    def __init__(self, settings: EventsSettings, shape: Shape) -> None:
        """Begin without events; `shape` is (capacity, T)."""
        self.metrics, self.shape = settings.metrics, shape
        self.events = np.zeros(shape, dtype=np.int64)
        # What counts every event needs no state of its own.
        self._states = {
            name: _state(metric, shape) for name, metric in self.metrics.items() if not settings.counts_all(name)
        }

    def add(self, rows: Cells, steps: Cells, batch: pa.RecordBatch) -> None:
        """Add N events to the series in `rows` (N,) at `steps` (N,)."""
        cells = rows * self.shape[1] + steps
        accumulate.add_events(cells, self.events.reshape(-1))
        times = batch.column(TIME).to_numpy() if TIME in batch.schema.names else cells
        for name, state in self._states.items():
            state.add(cells, _numbers(batch.column(VALUE + name)), times)

    def series(self, rows: Cells) -> dict[str, Doubles]:
        """Return each metric's series in `rows`, (rows, T); NaN where a measurement is missing."""
        happened = self.events[rows] > 0
        found = {}
        for name, metric in self.metrics.items():
            values = self._states[name].result(rows) if name in self._states else self.events[rows].astype(np.float64)
            values[~happened | np.isnan(values)] = 0.0 if metric.fills_zero else np.nan
            found[name] = values
        return found

    def keep(self, rows: Cells) -> None:
        """Move the series in `rows` to the front and forget the others."""
        for array, empty in [(self.events, 0), *(pair for state in self._states.values() for pair in state.arrays)]:
            kept = array[rows]
            array[...] = empty
            array[: len(rows)] = kept


def _numbers(column: pa.Array) -> Doubles:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
