"""Drawing of how a training went: a few lines over its steps, with the step whose networks were kept."""

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator

from inference.charts.drawing import MAX_SMOOTH_POINTS, axes_of, draw_line, line_style, mark, svg
from inference.report_data import Course, Panel
from inference.report_numbers import number, percent, tick


def training(course: Course, panel: Panel, key: str) -> Markup:
    """Draw one panel of a training: its lines over the steps, and a dot on each where the networks were kept."""
    figure, axes = axes_of(170, bottom=38)
    steps, kept = np.asarray(course.steps, dtype=np.float64), [] if course.place is None else [course.place]
    spaced = np.linspace(0, len(steps) - 1, min(len(steps), MAX_SMOOTH_POINTS)).round().astype(int)
    shown = np.unique(np.append(spaced, kept).astype(int))
    for position, line in enumerate(panel.lines.values()):
        values = np.asarray(line, dtype=np.float64)
        draw_line(axes, steps[shown], values[shown], position, "default")
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
        mark(axes, steps[kept[0]], f"kept: step {number(steps[kept[0]])}", late=2 * kept[0] >= len(steps))
    return svg(figure, key)
