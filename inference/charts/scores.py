"""Drawings of the scores themselves: whether probabilities keep their word, and how scores moved between two runs."""

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from inference.charts.drawing import ACCENT, BARS, DOTTED, MUTED, axes_of, svg
from inference.report_data import Calibration, Drift
from inference.report_numbers import percent, tick
from inference.words.scores import chance_range


def reliability(calibration: Calibration) -> Markup:
    """Draw the share found rare over the probability, a dot a bin with its 95% interval; dotted: kept word."""
    figure, axes = axes_of(250, bottom=38)
    predicted, observed = np.asarray(calibration.predicted), np.asarray(calibration.observed)
    ranges = np.array([chance_range(*cell) for cell in zip(calibration.observed, calibration.counts, strict=True)])
    end = min(1.0, 1.08 * max(predicted.max(), ranges.max(), 0.01))
    axes.plot([0, end], [0, end], color=MUTED, linewidth=0.9, linestyle=DOTTED)
    axes.vlines(predicted, ranges[:, 0], ranges[:, 1], color=BARS, linewidth=1.4)
    axes.plot(predicted, observed, "o", color=ACCENT, markersize=5, clip_on=False, zorder=5)
    axes.set(xlim=(0, end), ylim=(0, end), xlabel="calibrated probability")
    for side in (axes.xaxis, axes.yaxis):
        side.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        side.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    return svg(figure, "reliability")


def drift(found: Drift) -> Markup:
    """Draw both runs' shares of entities in each bin of the score, side by side: before, now."""
    figure, axes = axes_of(200, bottom=38)
    bins = np.arange(len(found.shares_now))
    axes.bar(bins + 0.3, found.shares_before, width=0.34, color=BARS)
    axes.bar(bins + 0.7, found.shares_now, width=0.34, color=ACCENT)
    axes.set(xlim=(0, len(bins)), xlabel="score, by tenths of the earlier run" if len(bins) == 10 else "score")
    axes.xaxis.set_major_locator(FixedLocator(list(range(1, len(bins)))))
    labels = {place: tick(round(edge, 2 if edge >= 0.1 else 3)) for place, edge in enumerate(found.edges, 1)}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.get(round(value), "")))
    axes.tick_params(axis="x", labelsize=9.5)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    return svg(figure, "drift")
