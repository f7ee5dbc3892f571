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
from feature_extraction.prophet_map.problem import CONSTANT, Doubles, Integers
from feature_extraction.prophet_map.summary import changepoint_rows
from feature_extraction.prophet_map.variance import solve

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
    """The settings as the kernels read them: S, range, tau, whether the trend is linear, and D."""

    num_changepoints: int
    changepoint_range: float
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
def _fit_one(data: Data, design: Design, model: Model, found: Found, work: Work, n: int) -> None:
    """Fit one series that has as many hinges as `work` has room for, and write its parameters."""
    knots = len(work.knot_rows)
    rows = _scaled_rows(data, design, work, n)
    if model.linear:
        number = changepoint_rows(len(rows.t), model.num_changepoints, model.changepoint_range, work.knot_rows)
    else:
        number = 0
        rows.t[:] = 0.0
    for j in range(knots):
        work.knots[j] = rows.t[work.knot_rows[j]]
    squares = sum_trend(work.gram, work.moments, rows, work.knots, work.knot_rows)
    sum_columns(work.gram, design, rows, design.base[n] >= 0, work.packed)
    fixed = (float(len(rows.t)), squares, model.prior_scale)
    variance, status = solve(work.gram, work.reduced, work.active, found.theta[n], model.penalty, fixed)
    found.sigma[n], found.status[n] = math.sqrt(variance), status
    if number == 0 and knots:  # Prophet folds its dummy changepoint into the slope
        found.theta[n, 1] += work.active.delta[0]
    found.num_changepoints[n] = number
    for j in range(number):
        found.delta[n, j], found.changepoint[n, j] = work.active.delta[j], work.knots[j]


@kernel
def _constant(data: Data, model: Model, found: Found, work: Work, n: int) -> None:
    """Prophet's answer for a constant series, which it does not optimize: m = y, sigma = 1e-9."""
    series = data.chosen[n]
    first = data.offsets[series]
    found.theta[n, :] = 0.0
    found.theta[n, 0] = (data.values[first] - data.floor[series]) / data.scale[series]
    found.sigma[n] = CONSTANT_SIGMA
    span = float(data.times[data.offsets[series + 1] - 1] - data.times[first])
    size = data.offsets[series + 1] - first
    number = 0
    if model.linear:
        number = changepoint_rows(size, model.num_changepoints, model.changepoint_range, work.knot_rows)
    found.num_changepoints[n] = number
    for j in range(number):
        found.delta[n, j] = 0.0
        found.changepoint[n, j] = float(data.times[first + work.knot_rows[j]] - data.times[first]) / span


@kernel
def _num_hinges(data: Data, model: Model, n: int) -> int:
    """Return how many hinges fit n has: its changepoints, one dummy for none, and none under flat growth."""
    if not model.linear:
        return 0
    rows = data.offsets[data.chosen[n] + 1] - data.offsets[data.chosen[n]]
    history = int(math.floor(rows * model.changepoint_range))
    return max(min(model.num_changepoints, history - 1), 1)


def _compile(stamp: int) -> Callable[[Data, Design, Model, Found, int, int], int]:
    @entry
    def fit_range(data: Data, design: Design, model: Model, found: Found, first: int, last: int) -> int:
        longest, columns = 1, len(model.penalty) - 2
        for n in range(first, last):
            longest = max(longest, data.offsets[data.chosen[n] + 1] - data.offsets[data.chosen[n]])
        work = _room(longest, columns, _num_hinges(data, model, first))
        for n in range(first, last):
            hinges = _num_hinges(data, model, n)
            if hinges != len(work.knot_rows):
                work = _room(longest, columns, hinges)
            if found.status[n] == CONSTANT:
                _constant(data, model, found, work, n)
            else:
                _fit_one(data, design, model, found, work, n)
        return stamp

    return fit_range


fit_range = _compile(source_stamp())
