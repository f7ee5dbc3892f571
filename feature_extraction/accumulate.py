"""Kernels that add events to cells (entity, step), exactly: the result is the same bits in any order of the events.

Takes N events as flat cell numbers and values, NaN for an event that has none; changes the states in place, so a step
with millions of events takes no more memory than one with a single event.
"""

import numpy as np
from numpy.typing import NDArray

from feature_extraction.components import Doubles
from feature_extraction.prophet_map.kernel import exact_entry

Cells = NDArray[np.int64]

NUM_LIMBS = 5
BASE = 2.0**36


@exact_entry
def add_limbs(cells: Cells, values: Doubles, limbs: NDArray[np.int64], number: NDArray[np.int64]) -> None:
    """Add x = sum_p limb_p 2^(36 p), p = 2..-2, to whole-numbered limbs (cells, 5), which no order can round.

    limb_p = t_p - 2^36 t_(p+1) with t_p = rint(x / 2^(36 p)), each step exact in doubles. What lies below 2^-73 is
    rounded off; values up to 1e30 and 2^27 events of a cell fit. After Kulisch's long accumulator, "Computer
    Arithmetic and Validity", 2008, chapter 8.
    """
    for row in range(len(cells)):
        value, cell = values[row], cells[row]
        if np.isnan(value):
            continue
        number[cell] += 1
        above, scaled = 0.0, value / (BASE * BASE)
        for place in range(NUM_LIMBS):
            whole = np.rint(scaled)
            limbs[cell, place] += np.int64(whole - BASE * above)
            above, scaled = whole, scaled * BASE


@exact_entry
def add_events(cells: Cells, number: NDArray[np.int64]) -> None:
    """Count the events."""
    for row in range(len(cells)):
        number[cells[row]] += 1


@exact_entry
def add_count(cells: Cells, values: Doubles, number: NDArray[np.int64]) -> None:
    """Count the events that have a value."""
    for row in range(len(cells)):
        if not np.isnan(values[row]):
            number[cells[row]] += 1


@exact_entry
def add_extreme(cells: Cells, values: Doubles, sign: float, extreme: Doubles) -> None:
    """Keep the largest of sign x; a cell without a value holds NaN."""
    for row in range(len(cells)):
        value, cell = values[row], cells[row]
        if not np.isnan(value) and not sign * extreme[cell] >= sign * value:
            extreme[cell] = value


@exact_entry
def add_last(cells: Cells, values: Doubles, times: NDArray[np.int64], last: Doubles, at: NDArray[np.int64]) -> None:
    """Keep the value of the latest time, of two at one time the larger."""
    for row in range(len(cells)):
        value, cell, time = values[row], cells[row], times[row]
        if np.isnan(value):
            continue
        if np.isnan(last[cell]) or time > at[cell] or (time == at[cell] and value > last[cell]):
            last[cell], at[cell] = value, time


@exact_entry
def total(limbs: NDArray[np.int64], sums: Doubles) -> None:
    """Write the sum of each cell's limbs (cells, 5), the small parts first."""
    for cell in range(len(limbs)):
        found = 0.0
        for place in range(NUM_LIMBS - 1, -1, -1):
            found = found / BASE + limbs[cell, place]
        sums[cell] = found * (BASE * BASE)
