"""The arithmetic of windows: every instant lies in one step or outside, whatever the zone, its clock and the steps."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from feature_extraction import events, series
from feature_extraction.clock_changes import check_bounds
from feature_extraction.components import Calendar
from feature_extraction.events import EventsError, RawEvents
from feature_extraction.schema import ENTITY
from feature_extraction.settings import EventsSettings, WindowSettings

derandomized = settings(derandomize=True, deadline=None, print_blob=True, database=None, max_examples=100)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
STEPS = [HOUR, 3 * HOUR, 5 * HOUR, 12 * HOUR, DAY, 36 * HOUR, 7 * DAY, 28 * DAY, timedelta(minutes=20), 61 * SECOND]
# Zones and a day on which each puts its clock forward and back: by an hour at night, at midnight, by half an hour.
CLOCK_CHANGES = {
    "UTC": ("2024-03-31", "2024-10-27"),
    "Europe/Berlin": ("2024-03-31", "2024-10-27"),
    "America/Havana": ("2024-03-10", "2024-11-03"),
    "Australia/Lord_Howe": ("2024-10-06", "2024-04-07"),
    "Pacific/Apia": ("2011-12-30", "2012-04-01"),  # a whole day was left out
}
moments = st.datetimes(datetime(1902, 1, 1), datetime(2099, 1, 1)).map(lambda time: time.replace(microsecond=0))
lengths = st.one_of(st.sampled_from(STEPS), st.integers(1, 10**7).map(lambda number: number * SECOND))


def window(start, end, step):
    return WindowSettings(start=start, end=end, step_days=step / DAY)


@derandomized
@given(moments, lengths, st.integers(1, 20_000))
def test_a_window_of_whole_steps_has_that_many_and_its_calendar_covers_it(start, step, number):
    assume(step * number < timedelta(days=60_000))
    found = window(start, start + number * step, step)
    assert (found.num_steps, found.step) == (number, step)
    times = Calendar.of(found).times
    assert len(times) == number
    assert [times[0], times[-1] + step] == [start, found.end]
    assert set(times[1:] - times[:-1]) <= {step}


@derandomized
@given(moments, lengths, st.integers(1, 500), st.integers(1, 10**7))
def test_a_window_that_ends_within_a_step_is_refused(start, step, number, seconds):
    assume(seconds * SECOND % step)
    with pytest.raises(ValueError, match="is not a whole number of steps|20,000 at most"):
        window(start, start + number * step + seconds * SECOND, step)


@derandomized
@given(moments, st.sampled_from(STEPS), st.integers(1, 60), st.integers(-1000, 1000))
def test_a_moved_window_has_the_same_steps_elsewhere(start, step, number, moved):
    here = window(start, start + number * step, step)
    there = window(start + moved * DAY, start + number * step + moved * DAY, step)
    assert there.num_steps == here.num_steps
    assert list(Calendar.of(there).times) == list(Calendar.of(here).times + moved * DAY)


@derandomized
@given(moments, st.sampled_from([DAY, 2 * DAY, 7 * DAY]), st.integers(1, 60))
def test_a_window_by_its_length_is_that_by_its_start(end, step, number):
    given_days = WindowSettings(end=end, days=number * step / DAY, step_days=step / DAY)
    assert given_days.model_dump() == window(end - number * step, end, step).model_dump()


@derandomized
@given(st.floats() | st.integers() | st.text(max_size=5) | st.none(), st.datetimes(), st.datetimes())
def test_whatever_stands_in_a_window_it_has_whole_steps_or_is_refused(step_days, start, end):
    try:
        found = WindowSettings(start=start, end=end, step_days=step_days)
    except ValueError:
        return
    assert start + found.num_steps * found.step == end
    assert found.step % SECOND == timedelta(0)


@pytest.mark.parametrize("step_days", [1e-12, 1e-7, 1 / 7, float("inf"), float("nan"), 1e300, 10**400, 0, -1])
def test_steps_that_are_no_whole_seconds_are_refused(step_days):
    with pytest.raises(ValueError, match="step_days|whole seconds"):
        WindowSettings(start="2024-01-01", end="2024-02-01", step_days=step_days)


def transitions(zone):
    return [datetime.fromisoformat(day) for day in CLOCK_CHANGES[zone]]


def instant(time, zone):
    """Return the first instant at which a zone's clock shows a time, or would have shown it, as seconds since 1970."""
    return time.replace(tzinfo=ZoneInfo(zone)).timestamp()


def clock(seconds, zone):
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize("zone", CLOCK_CHANGES)
def test_bounds_are_refused_where_the_clock_shows_a_time_beyond_them(zone):
    refused = 0
    for day in transitions(zone):
        for minutes in range(-1500, 1500, 15):
            bound = day + timedelta(minutes=minutes)
            for start, end in [(bound, bound + 30 * DAY), (bound - 30 * DAY, bound)]:
                first, last = instant(start, zone), instant(end, zone)
                near = np.arange(first, first + 86_400, 900), np.arange(last - 86_400, last, 900)
                beyond = any(not start <= clock(float(at), zone) < end for at in np.concatenate(near))
                try:
                    check_bounds(window(start, end, timedelta(minutes=10)), zone)
                    assert not beyond, (start, end)
                except EventsError:
                    assert beyond, (start, end)
                    refused += 1
    assert bool(refused) == (zone != "UTC")


def drawn_windows(random, zone):
    """Draw windows that begin, end or stand across a change of the clock."""
    found = []
    while len(found) < 5:
        step = STEPS[random.integers(len(STEPS))]
        anchor = transitions(zone)[random.integers(2)] + int(random.integers(-36, 36)) * HOUR
        before = int(random.integers(0, 6))
        found.append(window(anchor - before * step, anchor + int(random.integers(1, 6)) * step, step))
        try:
            check_bounds(found[-1], zone)
        except EventsError:
            found.pop()
    return found


def drawn_instants(random, one, zone):
    """Draw microseconds since 1970: at and beside each bound, step and change of the clock, and between them."""
    edges = [one.start + number * one.step for number in range(one.num_steps + 1)]
    edges += [day + hour * HOUR for day in transitions(zone) for hour in range(-2, 5)]
    places = np.array([round(instant(edge, zone)) for edge in edges]) * 1_000_000
    beside = [places + shift for shift in (-3_600_000_000, -1_000_000, -1, 0, 1, 1_000_000, 3_600_000_000)]
    return np.concatenate([*beside, random.integers(places.min() - 10**11, places.max() + 10**11, 60)])


def expected_step(micros, one, zone):
    """Return the step of an instant by counting the steps that have begun on the clock; None outside the window."""
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
    first, end = (getattr(one, bound).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for bound in ("start", "end"))
    if not first <= exact < end:
        return None
    begins = [one.start + number * one.step for number in range(one.num_steps)]
    return bisect_right(begins, exact.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) - 1


def steps_by_spark(spark, one, zone, micros):
    """Return a frame of `number` and `step` of the instants that are accepted."""
    chosen = EventsSettings(url="none", entity="id", time="ts", time_zone=zone, metrics={"n": {"aggregate": "count"}})
    rows = [(str(number), int(at)) for number, at in enumerate(micros)]
    frame = spark.createDataFrame(rows, "id string, at long").selectExpr("id", "timestamp_micros(at) AS ts")
    validated = events.validate(RawEvents(frame, F.lit(False), F.lit("")), chosen, one)
    keyed = series.events_of(validated.where(F.col(events.REASON).isNull()), chosen, one, 1)
    mask = (1 << series.step_bits(one.num_steps)) - 1
    return keyed.select(ENTITY, F.col(series.KEY).bitwiseAND(F.lit(mask)).alias("step"))


@pytest.mark.spark
@pytest.mark.parametrize("zone", CLOCK_CHANGES)
def test_every_instant_lies_in_one_step_or_outside_as_by_the_clock(spark, zone):
    spark.conf.set("spark.sql.session.timeZone", zone)
    random = np.random.default_rng(7)
    windows = drawn_windows(random, zone)
    instants = [drawn_instants(random, one, zone) for one in windows]
    frames = [
        steps_by_spark(spark, one, zone, micros).withColumn("window", F.lit(number))
        for number, (one, micros) in enumerate(zip(windows, instants, strict=True))
    ]
    rows = reduce(DataFrame.unionAll, frames).collect()
    found = {(row["window"], int(row[ENTITY])): row["step"] for row in rows}
    assert len(found) == len(rows)
    expected = {}
    for number, (one, micros) in enumerate(zip(windows, instants, strict=True)):
        steps = {(number, i): expected_step(at, one, zone) for i, at in enumerate(micros)}
        expected |= {key: step for key, step in steps.items() if step is not None}
    assert found == expected
    assert len(expected) > 100
