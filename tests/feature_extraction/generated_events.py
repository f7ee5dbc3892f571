"""Logs of thousands of drawn events, good and bad in every way, with what must become of each by plain rules."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from feature_extraction.settings import WindowSettings

ZONE = ZoneInfo("Europe/Berlin")
WINDOW = WindowSettings(start="2024-02-10", end="2024-04-20")  # the clock goes forward on 31 March
DAY = timedelta(days=1)
OUTSIDE, LOST = "outside the window", "not a readable line"
FIRST, LAST = (at.replace(tzinfo=ZONE).astimezone(UTC) for at in (WINDOW.start, WINDOW.end))
IDS = [
    "7",
    "a b",
    " padded ",
    "<script>alert(1)</script>",
    "Ünïcødé ☃",
    "NULL",
    "nan",
    "-0",
    'quo"te',
    "x" * 3_000,
    "e,f",
]
BLANK_IDS = [None, " ", "   "]
BAD_TIMES = [
    "yesterday",
    "2024-13-05",
    "2024-02-30",
    "12:30",
    "05.03.2024",
    "1709000000",
    "2024-03-05T25:00:00",
    "0",
    " ",
]
# What a number may be written as, and why it is refused; "" where it is not.
NUMBERS = {
    "0": "",
    "-0.0": "",
    "12.50": "",
    " 7 ": "",
    "1e3": "",
    "1e30": "",
    "5e-324": "",
    "-1": "below its minimum 0",
    "-1e-300": "below its minimum 0",
    "-1e30": "below its minimum 0",
    "1.1e30": "beyond 1e+30",
    "-2e30": "beyond 1e+30",
    "1e308": "beyond 1e+30",
    "1e999": "infinite",
    "Infinity": "infinite",
    "-inf": "infinite",
    "NaN": "NaN",
    "nan": "NaN",
    "twelve": "not a number",
    "1,5": "not a number",
    "--1": "not a number",
    "1 2": "not a number",
    "null": "not a number",
    "€5": "not a number",
}


@dataclass
class Log:
    """Events as they are written and what must become of them.

    Attributes:
        rows: what is written: a line, or the values of the columns.
        fates: of each row: its reason, "" where it is accepted.
    """

    rows: list = field(default_factory=list)
    fates: list[str] = field(default_factory=list)

    def add(self, row, *reasons):
        self.rows.append(row)
        self.fates.append(next(filter(None, reasons), ""))

    @property
    def by_reason(self):
        return dict(Counter(fate for fate in self.fates if fate not in ("", OUTSIDE)))

    def refused(self):
        return [row for row, fate in zip(self.rows, self.fates, strict=True) if fate not in ("", OUTSIDE)]


class Draw:
    """Draws with one seed."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def one_of(self, values):
        return values[self.random.integers(len(values))]

    def chance(self, share):
        return self.random.random() < share

    def entity(self):
        """Return an id and why it is refused."""
        if self.chance(0.12):
            return self.one_of(BLANK_IDS), "entity is missing"
        return (self.one_of(IDS) if self.chance(0.3) else f"e{self.random.integers(20)}"), ""

    def instant(self):
        """Return a time to the microsecond and whether it is outside the window; many lie at its very bounds."""
        if self.chance(0.2):
            edge = self.one_of([FIRST, LAST, datetime(2024, 3, 31, 1, tzinfo=UTC)])
            at = edge + int(self.one_of([-1, 0, 1])) * timedelta(microseconds=1)
        else:
            at = FIRST + timedelta(seconds=int(self.random.integers(-800_000, 7_000_000)), microseconds=123_456)
        return at, "" if FIRST <= at < LAST else OUTSIDE

    def time_text(self):
        """Return a time as text and why it is refused."""
        if self.chance(0.12):
            return None, "time is missing"
        if self.chance(0.2):
            return self.one_of(BAD_TIMES), "time cannot be read"
        at, fate = self.instant()
        shown = at.astimezone(self.one_of([UTC, ZONE, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/St_Johns")]))
        local = at.astimezone(ZONE).replace(tzinfo=None)
        forms = [shown.isoformat(), shown.isoformat(" "), at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), local.isoformat(" ")]
        return self.one_of(forms), fate

    def number_text(self):
        text = self.one_of(list(NUMBERS))
        return text, NUMBERS[text]


def named(column, reason):
    return f"{column}: {reason}" if reason else ""


def csv_line(cells):
    return ",".join('"' + cell.replace('"', '""') + '"' if cell is not None else "" for cell in cells)


def wide_text(rows, seed=0):
    """Draw lines of CSV: entity_id, ts, amount, height, kind, id; a height counts where the kind is 'measure'."""
    draw, log, kept = Draw(seed), Log(), {}
    for number in range(rows):
        entity, no_entity = draw.entity()
        time, bad_time = draw.time_text()
        amount, bad_amount = draw.number_text() if draw.chance(0.5) else (None, "")
        height, bad_height = draw.number_text()
        kind = draw.one_of(["measure", "login", "", None])
        matters = kind == "measure" and "minimum" not in bad_height
        reasons = [bad_time, no_entity, named("amount", bad_amount), named("height", bad_height) if matters else ""]
        key = None if draw.chance(0.1) else f"k{number}"
        reasons.append("" if key else "id: missing, and it is part of events.key")
        cells = (entity, time, amount, height, kind, key)
        if draw.chance(0.05):
            damaged = draw.one_of([cells[:3], (*cells, "more"), ("alone",), (*cells, None, None)])
            log.add(csv_line(damaged), LOST)
            continue
        log.add(cells, *reasons)
        if not any(reasons):
            kept[key] = cells
    # Delivered again, and by its own account at the very end: the first one stays.
    last = LAST - timedelta(microseconds=1)
    for key, (entity, time, amount, height, kind, _) in list(kept.items())[::4]:
        if datetime.fromisoformat(time.replace(" ", "T")).replace(tzinfo=None) < last.replace(tzinfo=None) - 2 * DAY:
            log.add((entity, last.isoformat(), amount, height, kind, key), "duplicate of an event with the same id")
    return log


def long_json(rows, seed=1):
    """Draw lines of JSON: entity_id, ts in seconds, type, value; 'visit' is counted, 'spend' and 'heat' are summed."""
    draw, log = Draw(seed), Log()
    for _ in range(rows):
        entity, no_entity = draw.entity()
        at, outside = draw.instant()
        seconds, bad_time = draw.one_of([(at.timestamp(), outside), (repr(at.timestamp()), outside)])
        if draw.chance(0.1):
            seconds, bad_time = None, "time is missing"
        elif draw.chance(0.15):
            seconds = draw.one_of(["soon", 1.7e12, -1e300, "2024-03-05", True, "inf", "NaN", [1], {"s": 1}])
            bad_time = "time cannot be read"
        kind = draw.one_of(["visit", "spend", "heat", "other", None])
        value, bad = json_value(draw)
        bad = "" if kind not in ("spend", "heat") or (kind == "heat" and "minimum" in bad) else named("value", bad)
        event = {"entity_id": entity, "ts": seconds, "type": kind, "value": value}
        line = json.dumps(event, ensure_ascii=draw.chance(0.5))
        if draw.chance(0.08):
            broken = [
                line[:-1],
                line[: len(line) // 2],
                f"[{line}]",
                line + line,
                "7",
                "null",
                "{",
                f"{line},{line}",
                "]",
            ]
            log.add(draw.one_of(broken), LOST)
        else:
            log.add(line, bad_time, no_entity, bad)
    return log


def json_value(draw):
    """Return a value as JSON knows it, or as text, and why it is refused."""
    if draw.chance(0.5):
        return draw.number_text()
    return draw.one_of(
        [
            (3, ""),
            (2.5, ""),
            (10**30, ""),
            (10**31, "beyond 1e+30"),
            (-4, "below its minimum 0"),
            (True, "not a number"),
            ([1, 2], "not a number"),
            ({"a": 1}, "not a number"),
            ("", "not a number"),
            (None, "missing"),
        ]
    )


FLOATS = [
    (1.5, ""),
    (0.0, ""),
    (1e30, ""),
    (None, ""),
    (-1.0, "below its minimum 0"),
    (-1e30, "below its minimum 0"),
    (1.0000001e30, "beyond 1e+30"),
    (math.inf, "infinite"),
    (-math.inf, "infinite"),
    (math.nan, "NaN"),
]


def wide_parquet(rows, seed=2, *, numeric_time):
    """Draw a table: entity_id as a whole number, ts as a timestamp or milliseconds, amount and height as numbers."""
    draw, log = Draw(seed), Log()
    for _ in range(rows):
        entity = None if draw.chance(0.2) else draw.one_of([2**63 - 1, -(2**63), 0, 1, 2, 3])
        at, bad_time = draw.instant()
        time = round(at.timestamp() * 1_000_000)
        if draw.chance(0.1):
            time, bad_time = None, "time is missing"
        elif numeric_time:
            time = at.replace(microsecond=at.microsecond // 1000 * 1000).timestamp() * 1000
            bad_time = "" if FIRST.timestamp() * 1000 <= time < LAST.timestamp() * 1000 else OUTSIDE
            if draw.chance(0.15):
                time, bad_time = draw.one_of([math.nan, math.inf, -math.inf, 1e30, -1e17]), "time cannot be read"
        (amount, bad_amount), (height, bad_height) = draw.one_of(FLOATS), draw.one_of(FLOATS)
        bad_height = "" if "minimum" in bad_height else bad_height
        no_entity = "entity is missing" if entity is None else ""
        log.add(
            (entity, time, amount, height),
            bad_time,
            no_entity,
            named("amount", bad_amount),
            named("height", bad_height),
        )
    return log


def as_table(log, *, numeric_time):
    """Return what `wide_parquet` drew as an Arrow table, NaN kept apart from null."""
    kinds = [pa.int64(), pa.float64() if numeric_time else pa.timestamp("us", "UTC"), pa.float64(), pa.float64()]
    columns = zip(zip(*log.rows, strict=True), kinds, strict=True)
    arrays = [pa.array(list(values), kind, from_pandas=False) for values, kind in columns]
    return pa.table(arrays, names=["entity_id", "ts", "amount", "height"])


def as_read(event):
    """Return the numbers of an event that Spark wrote as JSON, special ones as Python knows them."""
    fields = json.loads(event)
    special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    return tuple(special.get(value, value) if isinstance(value, str) else value for value in fields.values())


def micros(text):
    return None if text is None else round(pd.Timestamp(text).value / 1000)
