"""Drawings of one metric of one entity: its series and Prophet's fit, and its weekly pattern."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from inference.charts.drawing import ACCENT, BAND, BARS, INK, MAX_SMOOTH_POINTS, Doubles, axes_of, mark, svg
from inference.report_alerts import MetricStory
from inference.report_numbers import day, percent, tick

Times = NDArray[np.datetime64]

MAX_POINTS = 400  # bars of one series
OVERLAY_STEPS = 7  # over which the line through the bars is the mean
WEEK = "MTWTFSS"
WEEK_HEIGHT, WEEK_STEP = 22, 13  # of the bars of a weekly pattern, and from day to day, in pixels


def story(metric: MetricStory, key: str) -> Markup:
    """Draw one series: a bar a step, its level, the trend, the interval, the breaks and the outlier.

    A zero is a dot on the baseline; a missing step is empty. `key` tells the SVG's ids from other charts'.
    """
    figure, axes = axes_of(155, bottom=22)
    times = np.array([_naive(time) for time in metric.times], dtype="datetime64[s]")
    values, width = np.asarray(metric.values, dtype=np.float64), -(-len(times) // MAX_POINTS)
    every = -(-len(times) // MAX_SMOOTH_POINTS)
    lower, upper, trend = (block_means(column, every) for column in (metric.lower, metric.upper, metric.trend))
    middles = _middles(times, every)
    axes.fill_between(middles, lower, upper, color=BAND, linewidth=0)
    _draw_bars(axes, _middles(times, width), block_means(values, width))
    if len(times) >= 4 * OVERLAY_STEPS:
        level = block_means(values, OVERLAY_STEPS)
        axes.plot(_middles(times, OVERLAY_STEPS), level, color=INK, linewidth=0.9)
    axes.plot(middles, trend, color=ACCENT, linewidth=2)
    if metric.outlier is not None and np.isfinite(values[metric.outlier]):
        axes.plot(
            times[metric.outlier], values[metric.outlier], "o", clip_on=False, zorder=5,
            markersize=8, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.4,
        )  # fmt: skip
    _frame(axes, times, values, metric.unit == "share")
    _mark_breaks(axes, metric, times)
    return svg(figure, key)


def weekly(pattern: Sequence[float]) -> Markup:
    """Draw a weekly pattern as seven small bars above and below a line, Monday first."""
    reach = max(map(abs, pattern)) or 1.0
    middle, width = WEEK_HEIGHT / 2, WEEK_STEP * len(pattern)
    centers = [WEEK_STEP * (position + 0.5) for position in range(len(pattern))]
    tops = [middle * (1 - 0.95 * value / reach) for value in pattern]
    bars = "".join(f"M{center:g} {middle:g}V{top:.1f}" for center, top in zip(centers, tops, strict=True))
    letters = "".join(
        f'<text x="{center:g}" y="{WEEK_HEIGHT + 10}">{letter}</text>'
        for center, letter in zip(centers, WEEK, strict=True)
    )
    return Markup(  # numbers and the letters above alone
        f'<svg class="week" width="{width}" height="{WEEK_HEIGHT + 12}" aria-hidden="true"><path class="zero" '
        f'd="M0 {middle:g}H{width}"/><path d="{bars}"/>{letters}</svg>'
    )


def block_means(values: "Sequence[float] | Doubles", width: int) -> Doubles:
    """Return the mean of every `width` neighbouring steps; missing ones do not count, an empty block is NaN."""
    series = np.asarray(values, dtype=np.float64)
    starts = np.arange(0, len(series), width)
    there = np.isfinite(series)
    total = np.add.reduceat(np.where(there, series, 0.0), starts)
    count = np.add.reduceat(there.astype(np.float64), starts)
    return np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)


def _naive(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=None)


def _middles(times: Times, width: int) -> Times:
    starts = np.arange(0, len(times), width)
    ends = np.minimum(starts + width, len(times)) - 1
    middles: Times = times[starts] + (times[ends] - times[starts]) // 2
    return middles


def _mark_breaks(axes: Axes, metric: MetricStory, times: Times) -> None:
    """Mark a single break by its date, several by the numbers under which the page lists them."""
    middle = times[len(times) // 2]
    for place, found in enumerate(metric.breaks, 1):
        time = np.datetime64(_naive(found.time), "s")
        mark(axes, time, str(place) if len(metric.breaks) > 1 else day(found.time), late=bool(time > middle))


def _frame(axes: Axes, times: Times, values: Doubles, is_share: bool) -> None:
    """Fit the axes: a series that is never negative starts just below 0, whatever its band says."""
    axes.margins(y=0.06)
    top = axes.get_ylim()[1]
    if top > 0 and not (values < 0).any():
        axes.set_ylim(bottom=-0.03 * top)  # room for the dots that are zeros
    margin = max(np.timedelta64(1, "s"), (times[-1] - times[0]) // 60)  # the first and last bars stand free
    axes.set_xlim(times[0] - margin, times[-1] + margin)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value) if is_share else tick(value)))
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)


def _draw_bars(axes: Axes, times: Times, values: Doubles) -> None:
    """Draw all bars as one broken line, so that a chart costs one path and not one element a bar."""
    gaps = np.full(len(values), np.nan)
    heights = np.stack([np.where(np.isnan(values), np.nan, 0.0), values, gaps], axis=1).ravel()
    thick = float(np.clip(280 / len(values), 0.8, 4.0))
    axes.plot(np.repeat(times, 3), heights, color=BARS, linewidth=thick, solid_capstyle="round")
