"""What every chart of the report shares: a palette, axes, a method's line, and matplotlib's SVG cut down.

Colors leave as the page's CSS variables, so that a drawing follows the page into dark mode and onto paper.
Words that a user chose never enter an SVG: they stand in the HTML beside it, where the template escapes them.
"""

import io
import re
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import NDArray

from inference.report_numbers import percent

Doubles = NDArray[np.float64]
Steps = Literal["default", "steps-pre", "steps-post"]

ACCENT, BAND, INK, MUTED, BARS, RULE = "#0b6a75", "#d6e9ea", "#1c2430", "#56616f", "#7d8894", "#dfe3e8"
FOURTH, FIFTH = "#8a5a12", "#7c4a78"
# As matplotlib writes a color, and the variable of `report.css` that it becomes.
VARIABLES = {
    ACCENT: "var(--accent)",
    BAND: "var(--soft)",
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    BARS: "var(--bars)",
    RULE: "var(--rule)",
    FOURTH: "var(--fourth)",
    FIFTH: "var(--fifth)",
}
# (color, dash) of the methods' lines; the main one first.
LINES = ((ACCENT, ""), (INK, "5 2"), (MUTED, "1.5 1.5"), (FOURTH, "7 2 1.5 2"), (FIFTH, "3 3"))
DOTTED = (0, (1, 2))  # a random order, a perfect calibration
WIDTH = 340  # of a drawing, in points; the page scales it
LEFT, RIGHT, TOP = 36, 8, 14  # room around the axes, in points
MAX_SMOOTH_POINTS = 150  # points of a line or a band
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "scarce",
    "path.simplify": False,  # it drops the zero-length bars that stand for zeros
    "font.size": 11,
}


def line_style(position: int) -> tuple[str, str]:
    """Return color and SVG dash pattern of the method at a position."""
    return LINES[position % len(LINES)]


def legend_line(position: int) -> Markup:
    """Draw a short piece of the line of the method at a position, for a legend."""
    color, dash = line_style(position)
    width = 2 if position == 0 else 1.4
    return Markup(
        '<svg width="26" height="12" aria-hidden="true"><path d="M0 6H26" stroke-width="{}" stroke-dasharray="{}" '
        'style="stroke:{}"/></svg>'
    ).format(width, dash, VARIABLES[color])


def axes_of(height: int, *, bottom: int) -> tuple[Figure, Axes]:
    """Return an empty drawing of a height, with room for the axis below, both in points."""
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


def draw_line(axes: Axes, x: Doubles, y: Doubles, position: int, drawstyle: Steps) -> None:
    """Draw the line of the method at a position."""
    color, dash = line_style(position)
    width = 1.9 if position == 0 else 1.2
    line = Line2D(x, y, color=color, drawstyle=drawstyle, linewidth=width, zorder=4 - 0.1 * position)
    if dash:
        line.set_dashes([float(part) for part in dash.split()])
    axes.add_line(line)


def mark(axes: Axes, place: Any, words: str, *, late: bool) -> None:  # noqa: ANN401  (a date or a number)
    """Mark a place on the x axis by a dashed line with words above, on the side that has room."""
    axes.axvline(place, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.annotate(
        words, (place, 1), (-3 if late else 3, 3), color=INK, fontsize=10,
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if late else "left",
    )  # fmt: skip


def share_axis(side: Axis) -> None:
    """Label an axis from 0 to 1 in quarters."""
    side.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    side.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))


def svg(figure: Figure, key: str) -> Markup:
    """Return a drawing as SVG; `key` tells its ids from those of the page's other charts."""
    buffer = io.StringIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata=NO_METADATA, transparent=True)
    return Markup(_compact(buffer.getvalue(), key))


def _compact(text: str, key: str) -> str:
    """Cut matplotlib's SVG down to what a page needs: no prolog, no fonts, unique ids, one decimal."""
    size = re.search(r'viewBox="([^"]*)"', text)
    assert size is not None
    body = text[text.index(">", size.end()) + 1 :]
    body = re.sub(r"<style.*?</style>|<metadata.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)[\")]", body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r"(url\(|href=\")#", rf"\g<1>#{key}-", body)
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    body = re.sub(r"<[^>]*>", _rounded, body)
    body = re.sub(r">\s+<", "><", body)
    body = re.sub(r'<path [^>]*style="fill: none"/>| transform="rotate\(-0 [^"]*"', "", body)  # what is not seen
    body = re.sub(r"<defs></defs>|<g/>|<g></g>", "", re.sub(r"<g/>|<g></g>", "", body))
    body = re.sub("|".join(VARIABLES), lambda m: VARIABLES[m[0]], body)
    return f'<svg class="chart" viewBox="{size[1]}" aria-hidden="true" focusable="false">{body.strip()}'


def _rounded(tag: re.Match[str]) -> str:
    text = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), tag[0])
    text = " ".join(text.split())
    if " d=" not in text:
        return text
    text = re.sub(r" ?([MLC]) ", r"\1", text).replace(' "', '"')
    text = re.sub(r"([ML])(\S+) ([^\sLM\"]+)L\2 ([^\sLM\"]+)", r"\1\2 \3V\4", text)  # straight up or down
    return re.sub(r"([ML])([^\sLM\"]+) ([^\sLM\"]+)L([^\sLM\"]+) \3(?=[LM\"])", r"\1\2 \3H\4", text)  # straight on
