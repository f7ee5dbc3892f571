"""The report's charts as small inline SVG: evaluation curves, and an entity's series and its fit.

Takes the values of `inference.report_data`; gives SVG text without clashing ids, fonts, links or scripts.
Words that a user chose never enter an SVG: they stand in the HTML beside it, where the template escapes them.
"""

import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from inference.report_alerts import MetricStory
from inference.report_data import Course, Curve, Panel
from inference.report_numbers import day, number, percent, tick

Doubles = NDArray[np.float64]
Times = NDArray[np.datetime64]
Steps = Literal["default", "steps-pre", "steps-post"]

ACCENT, BAND, INK, MUTED, BARS, RULE = "#0b6a75", "#d6e9ea", "#1c2430", "#56616f", "#98a4b0", "#dfe3e8"
# (color, dash) of the methods' lines; the main one first.
LINES = ((ACCENT, ""), (INK, "5 2"), (MUTED, "1.5 1.5"), ("#8a5a12", "7 2 1.5 2"), ("#7c4a78", "3 3"))
WIDTH = 340  # of a drawing, in points; the page scales it
LEFT, RIGHT, TOP = 36, 8, 14  # room around the axes, in points
MAX_POINTS = 400  # bars of one series
MAX_SMOOTH_POINTS = 150  # points of a trend, a band or an evaluation curve
OVERLAY_STEPS = 7  # over which the line through the bars is the mean
SMALLEST_CHANGE = 0.05  # of the series' range, if the changed slope held for the whole window
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "scarce",
    "path.simplify": False,  # it drops the zero-length bars that stand for zeros
    "font.size": 11,
}


def line_style(position: int) -> tuple[str, str]:
    """Return color and SVG dash pattern of the method at a position, for curves and legend alike."""
    return LINES[position % len(LINES)]


def precision_recall(curves: Sequence[Curve], base_rate: float) -> Markup:
    """Draw precision over recall, stepped as average precision sums it; dotted: a random order."""
    figure, axes = _axes(250, bottom=38)
    axes.axhline(base_rate, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    for position, curve in enumerate(curves):
        listed, found = ranking(curve.truth, curve.score)
        recall, precision = found / max(1, found.max(initial=0)), found / listed
        _line(axes, np.append(0, recall), np.append(precision[:1], precision), position, "steps-pre")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall: share of the rare found")
    _share_axis(axes.xaxis)
    _share_axis(axes.yaxis)
    return _svg(figure, "pr")


def recall_by_budget(curves: Sequence[Curve], budget: int) -> Markup:
    """Draw the share of the rare ones found over the length of the list; dotted: a random order."""
    figure, axes = _axes(250, bottom=38)
    rows = max((len(curve.truth) for curve in curves), default=1)
    axes.plot([0, rows], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.axvline(budget, color=INK, linewidth=0.8)
    axes.annotate(f"list of {number(budget)}", (budget, 0), (4, 6), textcoords="offset points", color=INK)
    for position, curve in enumerate(curves):
        listed, found = ranking(curve.truth, curve.score)
        recall = np.append(0, found / max(1, found.max(initial=0)))
        _line(axes, np.concatenate([[0], listed, [rows]]), np.append(recall, recall[-1]), position, "steps-post")
    axes.set(xlim=(0, min(rows, 5 * budget)), ylim=(0, 1.02), xlabel="entities reviewed")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    _share_axis(axes.yaxis)
    return _svg(figure, "budget")


def story(metric: MetricStory, key: str) -> Markup:
    """Draw one series: a bar a step, its level, the trend, the interval and the trend's strongest change.

    A zero is a dot on the baseline; a missing step is empty. `key` tells the SVG's ids from other charts'.
    """
    figure, axes = _axes(155, bottom=22)
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
    changed = strongest_change(metric)
    if changed is not None:
        _mark(axes, times[changed], day(str(times[changed])), late=changed > len(times) / 2)
    _frame_story(axes, times, values, metric.unit == "share")
    return _svg(figure, key)


def training(course: Course, panel: Panel, key: str) -> Markup:
    """Draw one panel of a training: its lines over the steps, and a dot on each where the networks were kept."""
    figure, axes = _axes(170, bottom=38)
    steps, kept = np.asarray(course.steps, dtype=np.float64), [] if course.place is None else [course.place]
    spaced = np.linspace(0, len(steps) - 1, min(len(steps), MAX_SMOOTH_POINTS)).round().astype(int)
    shown = np.unique(np.append(spaced, kept).astype(int))
    for position, line in enumerate(panel.lines.values()):
        values = np.asarray(line, dtype=np.float64)
        _line(axes, steps[shown], values[shown], position, "default")
        axes.plot(steps[kept], values[kept], "o", color=line_style(position)[0], markersize=4.5, zorder=5)
    axes.margins(y=0.06)
    axes.autoscale_view()
    if 0 <= axes.dataLim.y0 < np.inf:
        axes.set_ylim(0, 1.06 * axes.dataLim.y1 or 1)
    axes.set(xlim=(0, 1.04 * steps[-1]), xlabel="training step")  # room for half a label beyond the last step
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value) if panel.is_share else tick(value)))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    if kept:
        _mark(axes, steps[kept[0]], f"kept: step {number(steps[kept[0]])}", late=2 * kept[0] >= len(steps))
    return _svg(figure, key)


def block_means(values: "Sequence[float] | Doubles", width: int) -> Doubles:
    """Return the mean of every `width` neighbouring steps; missing ones do not count, an empty block is NaN."""
    series = np.asarray(values, dtype=np.float64)
    starts = np.arange(0, len(series), width)
    there = np.isfinite(series)
    total = np.add.reduceat(np.where(there, series, 0.0), starts)
    count = np.add.reduceat(there.astype(np.float64), starts)
    return np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)


def strongest_change(metric: MetricStory) -> int | None:
    """Return the step at which the trend's slope changes most; None where there is no change worth a mark."""
    bend = np.abs(np.diff(np.asarray(metric.trend, dtype=np.float64), n=2))
    values = np.asarray(metric.values, dtype=np.float64)
    there = values[np.isfinite(values)]
    if not np.isfinite(bend).any() or not len(there):
        return None
    place = int(np.nanargmax(bend))
    return place + 1 if bend[place] * len(values) > SMALLEST_CHANGE * np.ptp(there) else None


def _naive(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=None)


def _middles(times: Times, width: int) -> Times:
    starts = np.arange(0, len(times), width)
    ends = np.minimum(starts + width, len(times)) - 1
    middles: Times = times[starts] + (times[ends] - times[starts]) // 2
    return middles


def _mark(axes: Axes, place: Any, words: str, *, late: bool) -> None:  # noqa: ANN401  (a date or a number)
    """Mark a place on the x axis by a dashed line with words above, on the side that has room."""
    axes.axvline(place, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.annotate(
        words, (place, 1), (-3 if late else 3, 3), color=INK, fontsize=10,
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if late else "left",
    )  # fmt: skip


def _frame_story(axes: Axes, times: Times, values: Doubles, is_share: bool) -> None:
    """Fit the axes: a series that is never negative starts just below 0, whatever its band says."""
    axes.margins(y=0.06)
    top = axes.get_ylim()[1]
    if top > 0 and not (values < 0).any():
        axes.set_ylim(bottom=-0.03 * top)  # room for the dots that are zeros
    axes.set_xlim(times[0], max(times[-1], times[0] + 1))
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


def ranking(truth: Sequence[int], score: Sequence[float]) -> tuple[Doubles, Doubles]:
    """Return how long the list is and how many rare it holds, after each tie of scores that adds one."""
    order = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
    ranked, scores = np.asarray(truth)[order], np.asarray(score, dtype=np.float64)[order]
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.array([], dtype=int)
    found = np.cumsum(ranked)[ends]
    ends = ends[np.diff(found, prepend=0) > 0]
    thinned = np.unique(np.linspace(0, len(ends) - 1, min(len(ends), MAX_SMOOTH_POINTS)).round().astype(int))
    listed = (ends[thinned] + 1).astype(np.float64)
    return listed, np.cumsum(ranked)[ends[thinned]].astype(np.float64)


def _axes(height: int, *, bottom: int) -> tuple[Figure, Axes]:
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        axes = figure.add_subplot()
    room = {
        "left": LEFT / WIDTH,
        "right": 1 - RIGHT / WIDTH,
        "bottom": bottom / height,
        "top": 1 - TOP / height,
    }
    figure.subplots_adjust(**room)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(length=0, colors=MUTED, pad=5)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.grid(True, color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _line(axes: Axes, x: Doubles, y: Doubles, position: int, drawstyle: Steps) -> None:
    color, dash = line_style(position)
    width = 1.9 if position == 0 else 1.2
    line = Line2D(x, y, color=color, drawstyle=drawstyle, linewidth=width, zorder=4 - 0.1 * position)
    if dash:
        line.set_dashes([float(part) for part in dash.split()])
    axes.add_line(line)


def _share_axis(side: Axis) -> None:
    side.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    side.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))


def _svg(figure: Figure, key: str) -> Markup:
    buffer = io.StringIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata=NO_METADATA, transparent=True)
    return Markup(_compact(buffer.getvalue(), key))


def _compact(svg: str, key: str) -> str:
    """Cut matplotlib's SVG down to what a page needs: no prolog, no fonts, unique ids, one decimal."""
    size = re.search(r'viewBox="([^"]*)"', svg)
    assert size is not None
    body = svg[svg.index(">", size.end()) + 1 :]
    body = re.sub(r"<style.*?</style>|<metadata.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)[\")]", body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r"(url\(|href=\")#", rf"\g<1>#{key}-", body)
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)
    body = re.sub(r"<[^>]*>", _rounded, body)
    body = re.sub(r">\s+<", "><", body)
    return f'<svg class="chart" viewBox="{size[1]}" aria-hidden="true" focusable="false">{body.strip()}'


def _rounded(tag: re.Match[str]) -> str:
    text = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), tag[0])
    text = " ".join(text.split())
    return re.sub(r" ?([MLC]) ", r"\1", text) if " d=" in text else text
