"""What is said of one metric of one entity over time."""

import math
from collections.abc import Iterator, Sequence

from inference.report_alerts import Alert, Break, MetricStory
from inference.report_numbers import day, number, quantity, signed, step_name

DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")

MOST_CHARTS = 72  # drawn on one page, at about 9 kB each


def drawn(metrics: Sequence[MetricStory], alert: Alert | None, stories: int) -> Sequence[MetricStory]:
    """Return which metrics of an entity are drawn: all, or those that weigh most where they are too many."""
    most = max(1, MOST_CHARTS // stories)
    if len(metrics) <= most:
        return metrics
    told = [share.metric for share in alert.shares] + [reason.metric for reason in alert.reasons] if alert else []
    places = {name: place for place, name in enumerate(dict.fromkeys(told))}
    return sorted(metrics, key=lambda metric: places.get(metric.metric, len(places)))[:most]


def absent_steps(metric: MetricStory, step_seconds: int) -> str:
    """Say how many steps of a series are missing; empty where none is."""
    absent = sum(not math.isfinite(value) for value in metric.values)
    steps = f"{step_name(step_seconds)}s"
    return f"{number(absent)} of {number(len(metric.values))} {steps} missing" if absent else ""


def chart(metric: MetricStory) -> str:
    """Say in words what a chart of a series shows, for those who do not see it."""
    there = [value for value in metric.values if math.isfinite(value)]
    if not there:
        return "every value is missing"
    dates = f"{day(metric.times[0])} to {day(metric.times[-1])}"
    span = f"values from {number(min(there))} to {number(max(there))}, {dates}"
    trend = [value for value in metric.trend if math.isfinite(value)]
    if not trend:
        return f"{span}; no trend was fitted"
    return f"{span}; trend from {number(trend[0])} to {number(trend[-1])}"


def notes(metric: MetricStory, step_seconds: int) -> Iterator[str]:
    """Say what is marked in the chart: where the trend breaks, and what lies farthest from the fit."""
    several = len(metric.breaks) > 1
    for place, found in enumerate(metric.breaks, 1):
        yield f"{f'{place}: ' if several else ''}{_break(found, metric.unit, step_seconds)}"
    if metric.outlier is not None:
        yield _outlier(metric, metric.outlier, step_seconds)


def _break(found: Break, unit: str, step_seconds: int) -> str:
    before, after = _change(found.before, unit), _change(found.after, unit)
    return f"{day(found.time)}, the trend turns from {before} to {after} per {step_name(step_seconds)}"


def _change(value: float, unit: str) -> str:
    return f"{signed(100 * value)}%" if unit == "share" else signed(value)


def _outlier(metric: MetricStory, place: int, step_seconds: int) -> str:
    words = f"○ {day(metric.times[place])}, {quantity(metric.values[place], metric.unit, step_seconds)}"
    if math.isfinite(metric.expected[place]):
        words += f" where {quantity(metric.expected[place], metric.unit, step_seconds)} was expected"
    if metric.outlier_sigmas is not None:
        words += f": {number(abs(metric.outlier_sigmas))} standard deviations of the noise"
    return words


def weekly(metric: MetricStory) -> str:
    """Say on which days the weekly pattern is highest and lowest; empty where there is none."""
    pattern = list(metric.weekly)
    if len(pattern) != len(DAYS) or signed(max(pattern)) == signed(min(pattern)):
        return ""
    high, low = pattern.index(max(pattern)), pattern.index(min(pattern))
    most, least = (_change(pattern[place], metric.unit) for place in (high, low))
    return f"most on {DAYS[high]}, {most}; least on {DAYS[low]}, {least}"
