"""Trend and seasonal curves at any times from fitted parameters, in units of y."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from feature_extraction.prophet_map.design import Design, fill_rows, make_design, use_table
from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.kernel import entry, kernel, source_stamp
from feature_extraction.prophet_map.problem import DAY, Doubles, Histories, Integers, Seasonality
from feature_extraction.prophet_map.regressors import scaled
from feature_extraction.prophet_map.summary import is_clean, summarize


class Curves(NamedTuple):
    """Curves at the rows of the histories they were asked for; NaN for series that were not fitted.

    Attributes:
        trend: (N,) trend.
        seasonal: (N,) what all patterns and regressors add to the trend; multiplicative ones are shares of it.
    """

    trend: Doubles
    seasonal: Doubles

    @property
    def yhat(self) -> Doubles:
        """Fitted values (N,)."""
        return self.trend + self.seasonal


class Parameters(NamedTuple):
    """The columns of `Fits` that curves need."""

    k: Doubles
    m: Doubles
    delta: Doubles
    changepoint: Doubles
    number: Integers
    beta: Doubles
    scale: Doubles
    floor: Doubles
    start: Integers
    span: Integers
    multiplicative: bool

    @classmethod
    def of(cls, fits: Fits) -> "Parameters":
        """Take them from the fits."""
        counts = fits.num_changepoints
        linear = (fits.k, fits.m, fits.delta, fits.changepoint, counts, fits.beta)
        multiplicative = fits.settings.seasonality_mode == "multiplicative"
        return cls(*linear, fits.y_scale, fits.y_floor, fits.start, fits.span, multiplicative)


@kernel
def _write_trend(parameters: Parameters, series: int, times: Integers, trend: Doubles) -> None:
    """(k + sum_j delta_j [t >= s_j]) t + m - sum_j s_j delta_j [t >= s_j], y_scale times it, plus the floor."""
    slope, offset, passed, before = parameters.k[series], parameters.m[series], 0, -np.inf
    for r in range(len(times)):
        t = float(times[r] - parameters.start[series]) / float(parameters.span[series])
        if t < before:  # out of order: begin anew
            slope, offset, passed = parameters.k[series], parameters.m[series], 0
        before = t
        while passed < parameters.number[series] and t >= parameters.changepoint[series, passed]:
            slope += parameters.delta[series, passed]
            offset -= parameters.changepoint[series, passed] * parameters.delta[series, passed]
            passed += 1
        trend[r] = (slope * t + offset) * parameters.scale[series] + parameters.floor[series]


@kernel
def _write_seasonal(
    parameters: Parameters, series: int, columns: Doubles, index: Integers, num_columns: int, seasonal: Doubles
) -> None:
    """X beta, y_scale times; a multiplicative model's as it is."""
    scale = 1.0 if parameters.multiplicative else parameters.scale[series]
    for r in range(len(seasonal)):
        total, row = 0.0, columns[index[r]]
        for k in range(num_columns):
            total += row[k] * parameters.beta[series, k]
        seasonal[r] = total * scale


@kernel
def _times_trend(rows: tuple[Integers, Integers], chosen: Integers, curves: Curves) -> None:
    """Turn the shares X beta into what they add to the trend."""
    for series in chosen:
        for row in range(rows[1][series], rows[1][series + 1]):
            curves.seasonal[row] *= curves.trend[row]


def _compile(stamp: int) -> Callable[[tuple[Integers, Integers], Design, Parameters, Integers, Curves], int]:
    @entry
    def curves_of(
        rows: tuple[Integers, Integers], design: Design, parameters: Parameters, chosen: Integers, curves: Curves
    ) -> int:
        times, offsets = rows
        num_columns = 2 * design.orders.sum() + design.regressors.shape[1]
        longest = 1
        for series in chosen:
            longest = max(longest, offsets[series + 1] - offsets[series])
        index, own = np.arange(longest), np.empty((longest, num_columns))
        for n in range(len(chosen)):
            first, last = offsets[chosen[n]], offsets[chosen[n] + 1]
            part = times[first:last]
            _write_trend(parameters, chosen[n], part, curves.trend[first:last])
            if design.base[n] >= 0:
                use_table(design, n, part, index)
                _write_seasonal(parameters, chosen[n], design.table, index, num_columns, curves.seasonal[first:last])
                continue
            fill_rows(design, part, first, own)
            for r in range(last - first):
                index[r] = r
            _write_seasonal(parameters, chosen[n], own, index, num_columns, curves.seasonal[first:last])
        if parameters.multiplicative:
            _times_trend(rows, chosen, curves)
        return stamp

    return curves_of


_curves_of = _compile(source_stamp())


def curves(fits: Fits, rows: Histories) -> Curves:
    """Return the curves at the times of `rows`, in any order: of the same series as the fits; values are not read.

    Raises:
        ValueError: if the number of series differs, or regressors or conditions are missing.
    """
    if len(rows) != len(fits.k):
        raise ValueError(f"the rows are of {len(rows)} series, the fits of {len(fits.k)}; give the same series")
    rows = scaled(rows, fits.settings.regressors, fits.scaling)
    found = Curves(np.full(len(rows.times), np.nan), np.full(len(rows.times), np.nan))
    summaries = summarize(rows)
    in_order = is_clean(rows.times, np.zeros(len(rows.times)), rows.offsets)
    for pattern, fitted in fits.groups():
        chosen = fitted[rows.offsets[fitted + 1] > rows.offsets[fitted]]
        grid = summaries.grid[chosen] if in_order else np.zeros(len(chosen), np.int64)
        design = make_design(pattern, summaries.start[chosen], summaries.span[chosen], grid, rows)
        _curves_of((rows.times, rows.offsets), design, Parameters.of(fits), chosen, found)
    return found


def weekly_pattern(fits: Fits) -> Doubles:
    """Return the weekly pattern (B, 7) from Monday to Sunday; NaN without one.

    In units of y; a multiplicative one in shares of the trend.
    """
    monday = 4 * DAY  # 1970-01-01 was a Thursday
    week = np.full((len(fits.k), 7), np.nan)
    for pattern, chosen in fits.groups():
        for seasonality, columns in _blocks(pattern):
            if seasonality.name == "weekly":
                rows = Histories.of_panel(np.zeros((len(chosen), 7)), (monday + np.arange(7) * DAY).astype("M8[ns]"))
                week[chosen] = _one_block(fits, rows, seasonality, (chosen, columns)).reshape(-1, 7)
    return week


def _blocks(pattern: tuple[Seasonality, ...]) -> list[tuple[Seasonality, slice]]:
    ends = np.cumsum([2 * one.order for one in pattern])
    return [(one, slice(int(end) - 2 * one.order, int(end))) for one, end in zip(pattern, ends, strict=True)]


def _one_block(fits: Fits, rows: Histories, seasonality: Seasonality, place: tuple[Integers, slice]) -> Doubles:
    """Return one pattern's curve at the rows of the series chosen."""
    chosen, columns = place
    seasonality = replace(seasonality, condition="")  # the curve where it is met
    parameters = Parameters.of(fits)
    multiplicative = parameters.multiplicative
    arrays = {name: part[chosen] for name, part in parameters._asdict().items() if name != "multiplicative"}
    parameters = Parameters(**arrays, multiplicative=False)
    if multiplicative:
        parameters = parameters._replace(scale=np.ones(len(chosen)))
    parameters = parameters._replace(beta=np.ascontiguousarray(parameters.beta[:, columns]))
    first, span = rows.times[rows.offsets[:-1]], np.zeros(len(chosen), np.int64)
    design = make_design((seasonality,), first, span, np.zeros(len(chosen), np.int64), rows)
    found = Curves(np.empty(len(rows.times)), np.empty(len(rows.times)))
    _curves_of((rows.times, rows.offsets), design, parameters, np.arange(len(chosen)), found)
    return found.seasonal
