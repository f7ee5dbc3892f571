"""Drawings of what a ranking is worth on held-out labels: precision over recall, and recall over the list's length."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator

from inference.charts.drawing import DOTTED, INK, MAX_SMOOTH_POINTS, MUTED, Doubles, axes_of, draw_line, share_axis, svg
from inference.report_data import Curve
from inference.report_numbers import number


def precision_recall(curves: Sequence[Curve], base_rate: float) -> Markup:
    """Draw precision over recall, stepped as average precision sums it; dotted: a random order."""
    figure, axes = axes_of(250, bottom=38)
    axes.axhline(base_rate, color=MUTED, linewidth=0.8, linestyle=DOTTED)
    for position, curve in enumerate(curves):
        listed, found = ranking(curve.truth, curve.score)
        recall, precision = found / max(1, found.max(initial=0)), found / listed
        draw_line(axes, np.append(0, recall), np.append(precision[:1], precision), position, "steps-pre")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall: share of the rare found")
    share_axis(axes.xaxis)
    share_axis(axes.yaxis)
    return svg(figure, "pr")


def recall_by_budget(curves: Sequence[Curve], budget: int) -> Markup:
    """Draw the share of the rare ones found over the length of the list; dotted: a random order."""
    figure, axes = axes_of(250, bottom=38)
    rows = max((len(curve.truth) for curve in curves), default=1)
    axes.plot([0, rows], [0, 1], color=MUTED, linewidth=0.8, linestyle=DOTTED)
    axes.axvline(budget, color=INK, linewidth=0.8)
    axes.annotate(f"list of {number(budget)}", (budget, 0), (4, 6), textcoords="offset points", color=INK)
    for position, curve in enumerate(curves):
        listed, found = ranking(curve.truth, curve.score)
        recall = np.append(0, found / max(1, found.max(initial=0)))
        draw_line(axes, np.concatenate([[0], listed, [rows]]), np.append(recall, recall[-1]), position, "steps-post")
    axes.set(xlim=(0, min(rows, 5 * budget)), ylim=(0, 1.02), xlabel="entities reviewed")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    share_axis(axes.yaxis)
    return svg(figure, "budget")


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
