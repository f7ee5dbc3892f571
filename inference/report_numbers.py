"""Numbers, dates and names as people read them; a missing value is "missing", never 0."""

import math
from datetime import datetime

from feature_extraction.schema import FEATURE_SEPARATOR

MISSING = "missing"
LONGEST = 60  # characters of an id or a name that are shown
STEPS = {3_600: "hour", 86_400: "day", 604_800: "week"}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Write a number to three significant digits, whole ones and thousands in full.

    >>> [number(value) for value in (1468, 0.03124, -2.5, 12345.6, 0.00000123, None)]
    ['1,468', '0.0312', '−2.5', '12,346', '1.23 × 10⁻⁶', 'missing']
    """
    if value is None or math.isnan(value):
        return MISSING
    size = abs(value)
    if math.isinf(value):
        text = "∞"
    elif size >= 1e15 or 0 < size < 1e-4:
        digits, power = f"{size:.2e}".split("e")
        text = f"{digits} × 10{str(int(power)).translate(SUPERSCRIPT)}"
    elif size >= 999.5 or float(value).is_integer():
        text = f"{size:,.0f}"
    else:
        text = f"{size:.{max(0, 2 - math.floor(math.log10(size)))}f}".rstrip("0").rstrip(".")
    return f"−{text}" if value < 0 else text


def signed(value: float) -> str:
    """Write a change with its sign.

    >>> [signed(value) for value in (0.25, -3.0, 0.0)]
    ['+0.25', '−3', '0']
    """
    return f"+{number(value)}" if value > 0 else number(value)


def tick(value: float) -> str:
    """Write an axis label in little room.

    >>> [tick(value) for value in (0.25, 800, 12000, 1500000)]
    ['0.25', '800', '12k', '1.5M']
    """
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return number(value / (1e3 if suffix == "k" else size)) + suffix
    return number(round(value, 9))


def percent(share: float | None) -> str:
    """Write a share as a percentage; never 0% or 100% for what is not quite that.

    >>> [percent(share) for share in (0.405, 0.0225, 0.0004, 0.9996, 1.0, None)]
    ['40.5%', '2.3%', '<0.1%', '>99.9%', '100%', 'missing']
    """
    if share is None or math.isnan(share):
        return MISSING
    value = 100 * share
    if 0 < value < 0.1:
        return "<0.1%"
    if 99.9 < value < 100:
        return ">99.9%"
    return number(math.copysign(math.floor(abs(value) * 10 + 0.5) / 10, value)) + "%"


def tenths(share: float) -> str:
    """Write a share as a percentage with one decimal, so that a column of them lines up.

    >>> [tenths(share) for share in (0.5, 0.0225, 0.0004)]
    ['50.0%', '2.2%', '<0.1%']
    """
    return "<0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"


def score(value: float | None) -> str:
    """Write a score or a measure with three decimals, so that a column of them lines up.

    >>> [score(value) for value in (0.5, 0.9999, 1.0, 0.0001, None)]
    ['0.500', '>0.999', '1.000', '<0.001', 'missing']
    """
    if value is None or math.isnan(value):
        return MISSING
    if 0 < value < 0.0005:
        return "<0.001"
    return ">0.999" if 0.9995 <= value < 1 else f"{value:.3f}"


def shorten(text: object, longest: int = LONGEST) -> str:
    """Cut a long text and say how long it was; control characters become visible replacement marks."""
    whole = str(text)
    shown = "".join(mark if mark.isprintable() else "\ufffd" for mark in whole[:longest])
    return shown if len(whole) <= longest else f"{shown}… ({len(whole):,} characters)"


def feature_label(column: str) -> str:
    """Return a feature's name in words: `spend__trend_slope` gives `trend slope`."""
    return shorten(column.split(FEATURE_SEPARATOR, 1)[-1].replace("_", " "))


def step_name(seconds: int) -> str:
    """Name the step of the series: hour, day, week, or step."""
    return STEPS.get(seconds, "step")


def step_length(seconds: int) -> str:
    """Write the length of a step: one day, or seconds where it has no name."""
    return f"one {STEPS[seconds]}" if seconds in STEPS else f"{number(seconds)} seconds"


def unit_words(unit: str, step_seconds: int) -> str:
    """Return a unit of `feature_extraction.definitions` in words; empty where it would add nothing."""
    if unit in {"", "metric", "count", "share", "-1 to 1"}:
        return ""
    step = step_name(step_seconds)
    known = {"steps": f"{step}s", "metric per step": f"per {step}"}
    return shorten(known.get(unit, unit))


def quantity(value: float | None, unit: str, step_seconds: int) -> str:
    """Write a feature's value with its unit."""
    if value is None or math.isnan(value):
        return MISSING
    if unit == "share":
        return percent(value)
    words = unit_words(unit, step_seconds)
    words = words.removesuffix("s") if value == 1 and unit in {"steps", "gaps", "sigmas"} else words
    return f"{number(value)} {words}".rstrip()


def day(instant: str) -> str:
    """Write an ISO 8601 instant as a date, with its hour where it has one: 3 Aug 2017, 3 Aug 2017 14:00."""
    moment = datetime.fromisoformat(instant)
    hour = f" {moment:%H:%M}" if (moment.hour, moment.minute) != (0, 0) else ""
    return f"{moment.day} {moment:%b %Y}{hour}"
