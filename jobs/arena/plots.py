"""The drawings of the page: mean ranks with their critical difference, and differences with their intervals.

Each is an SVG file beside the page, the same bytes for the same figures.
"""

import io
import math
from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.charts.drawing import ACCENT, BARS, INK, NO_METADATA, SETTINGS
from jobs.arena import comparisons
from jobs.arena.comparisons import Difference, Ranking
from jobs.arena.plan import AUTO, REFERENCE, is_baseline

OURS, BASELINE, RULE = ACCENT, INK, BARS
WIDTH = 7.6  # inches
LINE = 0.21  # inches a line of text
LETTER = 0.064  # inches a letter of a method's name, about
SMALL = SETTINGS | {"font.size": 9}


def ranks(found: Ranking) -> bytes:
    """Draw mean ranks on a line, the best on the left; a bar joins methods that are not told apart."""
    names = [str(name) for name in found.ranks.index]
    groups = cliques(found.ranks.tolist(), found.critical)
    half = math.ceil(len(names) / 2)
    longest = max(map(len, names)) + len(" 12.3 ")
    deep = 0.5 + 0.22 * len(groups)  # the bars take this much below the line, in lines of text
    with mpl.rc_context(SMALL):
        figure, axes = _empty(lines=3.5 + deep + half)
        low, high = 1, max(len(names), math.ceil(found.ranks.max()))
        beside = (high - low) * LETTER * longest / (WIDTH - 2 * LETTER * longest)  # for the labels
        axes.set_xlim(low - beside, high + beside)
        axes.set_ylim(-(deep + half + 0.6), 2.9)
        _axis(axes, low, high, found.critical)
        for number, (name, rank) in enumerate(zip(names, found.ranks, strict=True)):
            left = number < half
            down = -(deep + (number if left else len(names) - 1 - number) + 0.5)
            _label(axes, name, float(rank), down, low if left else high)
        for number, (first, last) in enumerate(groups):
            y = -0.35 - 0.22 * number
            axes.plot([found.ranks.iloc[first] - 0.04, found.ranks.iloc[last] + 0.04], [y, y], color=RULE, lw=3)
        return _svg(figure)


def cliques(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """Return first and last position of each largest group of sorted ranks that lie within the critical difference."""
    groups: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(at for at, other in enumerate(ranks) if other - rank < critical or at == first)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def _empty(*, lines: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, LINE * lines), facecolor="white")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    return figure, axes


def _axis(axes: Axes, low: int, high: int, critical: float) -> None:
    axes.plot([low, high], [0, 0], color=BASELINE, lw=1)
    step = max(1, math.ceil((high - low) / 12))
    for rank in range(low, high + 1, step):
        axes.plot([rank, rank], [0, 0.25], color=BASELINE, lw=1)
        axes.text(rank, 0.4, str(rank), ha="center", va="bottom", color=BASELINE)
    end = min(low + critical, high)
    axes.plot([low, end], [2.0, 2.0], color=RULE, lw=1.5)
    more = "" if low + critical <= high else " (longer than the line)"
    axes.text(low, 2.15, f"critical difference {critical:.2f}{more}", ha="left", va="bottom", color=RULE)


def _label(axes: Axes, name: str, rank: float, down: float, edge: float) -> None:
    color = BASELINE if is_baseline(name) else OURS
    axes.plot([rank, rank, edge], [0, down, down], color=color, lw=0.7)
    on_left = edge <= 1
    text = f"{name} {rank:.1f} " if on_left else f" {rank:.1f} {name}"
    weight = "bold" if name == AUTO else "normal"
    axes.text(edge, down, text, ha="right" if on_left else "left", va="center", color=color, weight=weight)


def differences(own: pd.DataFrame, budgets: Sequence[str]) -> bytes | None:
    """Draw by data set how average precision of `auto` differs from the reference's, a panel a budget.

    None where no data set has both `auto` and the reference.
    """
    seeds = comparisons.by_seed(own)
    if not {AUTO, REFERENCE} <= set(seeds):
        return None
    measured = seeds.dropna(subset=[AUTO, REFERENCE]).index.get_level_values("data")
    names = sorted(measured.unique(), reverse=True)
    if not names:
        return None
    with mpl.rc_context(SMALL):
        figure = Figure(figsize=(WIDTH, LINE * (4.5 + len(names))), facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(budgets), sharey=True, squeeze=False)[0]
        for axes, budget in zip(panels, budgets, strict=True):
            for place, name in enumerate(names):
                found = _of(seeds, name, budget)
                if found.seeds:
                    _interval(axes, found, place)
            axes.axvline(0, color=RULE, lw=0.8)
            axes.set_title(f"labels: {budget}", fontsize=9)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.spines[["top", "right"]].set_visible(False)
        figure.supxlabel(f"average precision of {AUTO} less {REFERENCE}'s, 95 % interval", fontsize=9)
        return _svg(figure)


def _of(seeds: pd.DataFrame, data: str, budget: str) -> Difference:
    levels = seeds.index.get_level_values
    here = seeds[(levels("data") == data) & (levels("budget") == budget)]
    return comparisons.difference(here[AUTO], here[REFERENCE])


def _interval(axes: Axes, found: Difference, place: int) -> None:
    axes.plot(found.mean, place, "o", color=OURS, ms=4)
    if not math.isnan(found.error):
        axes.plot(found.interval, [place, place], color=OURS, lw=1.2)


def _svg(figure: Figure) -> bytes:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    return buffer.getvalue().encode()
