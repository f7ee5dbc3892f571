"""From the rows of one series to its MAP, in compiled code that goes through a range of series one by one."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.active_set import ActiveSet, empty_active_set
from feature_extraction.prophet_map.design import Design, fill_rows, use_table
from feature_extraction.prophet_map.elimination import Reduced, empty_reduced
from feature_extraction.prophet_map.gram import (
    Gram,
    Moments,
    Rows,
    empty_gram,
    empty_moments,
    sum_columns,
    sum_trend,
)
from feature_extraction.prophet_map.kernel import entry, kernel, source_stamp
from feature_extraction.prophet_map.multiplicative import Room, solve_multiplicative
from feature_extraction.prophet_map.problem import CONSTANT, Doubles, Integers
from feature_extraction.prophet_map.summary import changepoint_rows
from feature_extraction.prophet_map.variance import solve
from feature_extraction.prophet_map.weighted_gram import Point

CONSTANT_SIGMA = 1e-9  # Prophet's


class Data(NamedTuple):
    """The rows of all series; `chosen` are those to be fitted, and fit n belongs to series chosen[n]."""

    times: Integers
    values: Doubles
    offsets: Integers
    chosen: Integers
    scale: Doubles
    floor: Doubles


class Model(NamedTuple):
    """The settings as the kernels read them: S, range, given changepoints, tau, whether the trend is linear, and D."""

    num_changepoints: int
    changepoint_range: float
    changepoint_times: Integers
    prior_scale: float
    linear: bool
    penalty: Doubles


class Found(NamedTuple):
    """The parameters of the chosen series: theta = [m, k, beta], and the rest as in `Fits`."""

    status: Integers
    theta: Doubles
    sigma: Doubles
    delta: Doubles
    changepoint: Doubles
    num_changepoints: Integers


class Work(NamedTuple):
    """Room for one series at a time."""

    gram: Gram
    moments: Moments
    reduced: Reduced
    active: ActiveSet
    t: Doubles
    y: Doubles
    at: Integers
    columns: Doubles
    packed: Doubles
    knot_rows: Integers
    knots: Doubles
    by_row: Doubles
    by_column: Doubles
    by_knot: Doubles


@kernel
def _room(rows: int, columns: int, knots: int) -> Work:
    return Work(
        empty_gram(columns + 2, knots),
        empty_moments(columns),
        empty_reduced(columns + 2, knots),
        empty_active_set(knots),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows, np.int64),
        np.empty((rows, columns)),
        np.empty(columns * (columns + 1) // 2),
        np.zeros(knots, np.int64),
        np.zeros(knots),
        np.zeros((2, rows)),
        np.zeros((4, columns + 2)),
        np.zeros((3, knots)),
    )


@kernel
def _scaled_rows(data: Data, design: Design, work: Work, n: int) -> Rows:
    """Return the rows of fit n: t = (time - start) / span, y = (value - floor) / scale, and where their columns are."""
    series = data.chosen[n]
    first, last = data.offsets[series], data.offsets[series + 1]
    times, size = data.times[first:last], last - first
    span = float(times[size - 1] - times[0])
    for r in range(size):
        work.t[r] = float(times[r] - times[0]) / span
        work.y[r] = (data.values[first + r] - data.floor[series]) / data.scale[series]
    if design.base[n] >= 0:
        use_table(design, n, times, work.at)
        return Rows(work.t[:size], work.y[:size], design.table, work.at[:size])
    fill_rows(design, times, first, work.columns)
    for r in range(size):
        work.at[r] = r
    return Rows(work.t[:size], work.y[:size], work.columns, work.at[:size])


@kernel
def _given_rows(changepoints: Integers, times: Integers, rows: Integers) -> int:
    """Write the first row at or behind each given changepoint; return their number."""
    row = 0
    for j in range(len(changepoints)):
        while times[row] < changepoints[j]:
            row += 1
        rows[j] = row
    return len(changepoints)


@kernel
def _place_knots(data: Data, model: Model, work: Work, t: Doubles, n: int) -> int:
    """Write row and scaled time of each changepoint of fit n, whose rows are at scaled times t; return their number."""
    first, given = data.offsets[data.chosen[n]], model.changepoint_times
    times = data.times[first : first + len(t)]
    if len(given):
        number = _given_rows(given, times, work.knot_rows)
        for j in range(number):
            work.knots[j] = float(given[j] - times[0]) / float(times[-1] - times[0])
        return number
    number = changepoint_rows(len(t), model.num_changepoints, model.changepoint_range, work.knot_rows)
    for j in range(len(work.knots)):
        work.knots[j] = t[work.knot_rows[j]]
    return number


@kernel
def _solve_additive(
    design: Design, model: Model, rows: Rows, work: Work, theta: Doubles, on_table: bool
) -> tuple[float, int]:
    """Fit rows whose columns add to the trend; leave theta and `work.active.delta`."""
    squares = sum_trend(work.gram, work.moments, rows, work.knots, work.knot_rows)
    sum_columns(work.gram, design, rows, on_table, work.packed)
    fixed = (float(len(rows.t)), squares, model.prior_scale)
    return solve(work.gram, work.reduced, work.active, theta, model.penalty, fixed)


@kernel
def _solve_multiplicative(model: Model, rows: Rows, work: Work, theta: Doubles) -> tuple[float, int]:
    """Fit rows whose columns are shares of the trend; leave theta and `work.active.delta`."""
    size = len(rows.t)
    room = Room(
        work.gram,
        work.moments,
        work.reduced,
        work.active,
        work.packed,
        work.knots,
        work.knot_rows,
        model.penalty,
        model.prior_scale,
        Point(work.by_row[0, :size], work.by_row[1, :size]),
        work.by_knot[0],
        work.by_column[0],
        work.by_column[1],
        work.by_knot[1],
        work.by_column[2],
        work.by_knot[2],
        work.by_column[3, 2:],
    )
    variance, status = solve_multiplicative(rows, room, theta)
    work.active.delta[:] = room.delta
    return variance, status


@kernel
def _scaled_series(data: Data, design: Design, model: Model, work: Work, n: int) -> tuple[Rows, int]:
    """Return the rows of fit n and its number of changepoints, which are left in `work`."""
    rows = _scaled_rows(data, design, work, n)
    if model.linear:
        return rows, _place_knots(data, model, work, rows.t, n)
    rows.t[:] = 0.0
    return rows, 0


@kernel
def _write(found: Found, work: Work, n: int, number: int, fitted: tuple[float, int]) -> None:
    """Write noise, status and the slope changes in `work` into fit n."""
    found.sigma[n], found.status[n] = math.sqrt(fitted[0]), fitted[1]
    if number == 0 and len(work.knots):  # Prophet folds its dummy changepoint into the slope
        found.theta[n, 1] += work.active.delta[0]
    found.num_changepoints[n] = number
    for j in range(number):
        found.delta[n, j], found.changepoint[n, j] = work.active.delta[j], work.knots[j]


@kernel
def _constant(data: Data, design: Design, model: Model, found: Found, work: Work, n: int) -> None:
    """Prophet's answer for a constant series, which it does not optimize: m = y, sigma = 1e-9."""
    found.theta[n, :] = 0.0
    rows = _scaled_rows(data, design, work, n)
    found.theta[n, 0] = rows.y[0]
    found.sigma[n] = CONSTANT_SIGMA
    number = _place_knots(data, model, work, rows.t, n) if model.linear else 0
    found.num_changepoints[n] = number
    for j in range(number):
        found.delta[n, j], found.changepoint[n, j] = 0.0, work.knots[j]


@kernel
def _num_hinges(data: Data, model: Model, n: int) -> int:
    """Return how many hinges fit n has: its changepoints, one dummy for none, and none under flat growth."""
    if not model.linear:
        return 0
    if len(model.changepoint_times):
        return len(model.changepoint_times)
    rows = data.offsets[data.chosen[n] + 1] - data.offsets[data.chosen[n]]
    history = int(math.floor(rows * model.changepoint_range))
    return max(min(model.num_changepoints, history - 1), 1)


@kernel
def _longest(data: Data, first: int, last: int) -> int:
    longest = 1
    for n in range(first, last):
        longest = max(longest, data.offsets[data.chosen[n] + 1] - data.offsets[data.chosen[n]])
    return longest


# Two entries, alike but for the solver: who needs one kind of seasonality does not wait for the other to be compiled.
def _compile_additive(stamp: int) -> Callable[[Data, Design, Model, Found, int, int], int]:
    @entry
    def fit_range(data: Data, design: Design, model: Model, found: Found, first: int, last: int) -> int:
        longest = _longest(data, first, last)
        work = _room(longest, len(model.penalty) - 2, _num_hinges(data, model, first))
        for n in range(first, last):
            hinges = _num_hinges(data, model, n)
            if hinges != len(work.knot_rows):
                work = _room(longest, len(model.penalty) - 2, hinges)
            if found.status[n] == CONSTANT:
                _constant(data, design, model, found, work, n)
                continue
            rows, number = _scaled_series(data, design, model, work, n)
            _write(
                found, work, n, number, _solve_additive(design, model, rows, work, found.theta[n], design.base[n] >= 0)
            )
        return stamp

    return fit_range


def _compile_multiplicative(stamp: int) -> Callable[[Data, Design, Model, Found, int, int], int]:
    @entry
    def fit_range(data: Data, design: Design, model: Model, found: Found, first: int, last: int) -> int:
        longest = _longest(data, first, last)
        work = _room(longest, len(model.penalty) - 2, _num_hinges(data, model, first))
        for n in range(first, last):
            hinges = _num_hinges(data, model, n)
            if hinges != len(work.knot_rows):
                work = _room(longest, len(model.penalty) - 2, hinges)
            if found.status[n] == CONSTANT:
                _constant(data, design, model, found, work, n)
                continue
            rows, number = _scaled_series(data, design, model, work, n)
            _write(found, work, n, number, _solve_multiplicative(model, rows, work, found.theta[n]))
        return stamp

    return fit_range


FIT_RANGE = {
    "additive": _compile_additive(source_stamp()),
    "multiplicative": _compile_multiplicative(source_stamp()),
}
