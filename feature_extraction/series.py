"""Accepted events to regular series: one number a metric, entity and step.

Spark brings the events of an entity together (`events_of`); numpy and numba lay them out as they stream by
(`series_batches`), in memory that depends on the number of series in a batch and not on the number of events.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from feature_extraction.components import Calendar, Doubles
from feature_extraction.events import TIME, VALUE
from feature_extraction.schema import ENTITY
from feature_extraction.settings import EventsSettings, WindowSettings
from feature_extraction.step_states import StepStates

# A hash of the entity and, in the last bits, the step: one whole number to sort by and to hand to Python.
KEY = "_key"
HASH = "_entity_hash"
DAY_SECONDS = 86_400
# Room for those that share a hash, and one more.
FEWEST_ENTITIES = 8


def events_of(accepted: DataFrame, settings: EventsSettings, window: WindowSettings, partitions: int) -> DataFrame:
    """Bring the accepted events of an entity together: `KEY`, `ENTITY` and what the metrics need.

    The one shuffle is by the entity's hash. A partition is sorted by `KEY`: a single whole number, as Spark sorts
    these four times as fast as text. Two entities of one hash lie mixed; `series_batches` sorts them out.
    """
    bits = step_bits(window.num_steps)
    key = F.xxhash64(ENTITY).bitwiseAND(F.lit(-1 << bits)).bitwiseOR(_step(window).cast("bigint"))
    keyed = accepted.select(key.alias(KEY), ENTITY, *_needed(settings))
    entity_hash = F.shiftright(KEY, bits)
    distinct = [VALUE + name for name, metric in settings.metrics.items() if metric.aggregate == "nunique"]
    if not distinct:
        return keyed.repartition(partitions, entity_hash).sortWithinPartitions(KEY)
    rows = keyed.withColumn(HASH, entity_hash).repartition(partitions, HASH)
    for value in distinct:
        rows = rows.withColumn(value, _first_of_its_value(value))
    return rows.drop(HASH).sortWithinPartitions(KEY)


def step_bits(num_steps: int) -> int:
    """Return how many bits of `KEY` the step takes."""
    return (num_steps - 1).bit_length()


def _needed(settings: EventsSettings) -> list[Column]:
    """Columns of the metrics' values, and the time where a metric asks for the last one."""
    values = [F.col(VALUE + name) for name in settings.metrics if not settings.counts_all(name)]
    if any(metric.aggregate == "last" for metric in settings.metrics.values()):
        values.append(F.unix_micros(TIME).alias(TIME))
    return values


def _first_of_its_value(value: str) -> Column:
    """1 for one of the events of a step that share a value, so that counting these ones counts the values."""
    same = Window.partitionBy(HASH, KEY, ENTITY, value).orderBy(F.lit(0))
    return F.when(F.col(value).isNotNull() & (F.row_number().over(same) == 1), F.lit(1.0))


def _step(window: WindowSettings) -> Column:
    """Index of the step an event falls in, by the wall clock of the session's zone: a day is a calendar day."""
    time = F.col(TIME)
    days = F.datediff(F.to_date(time), F.lit(window.start.date()))
    midnight = window.start.hour * 3600 + window.start.minute * 60 + window.start.second
    step = window.step.total_seconds()
    if not midnight and step % DAY_SECONDS == 0:
        return F.floor(days / (step / DAY_SECONDS)).cast("int")
    seconds = F.hour(time) * 3600 + F.minute(time) * 60 + F.second(time)
    elapsed = days.cast("bigint") * DAY_SECONDS + seconds - midnight
    return F.floor(elapsed / step).cast("int")


@dataclass(frozen=True)
class SeriesBatch:
    """Regular series of B entities over T steps.

    Attributes:
        entities: (B,) entity ids.
        first: (B,) step of each entity's first event.
        num_events: (B,) accepted events of each entity.
        values: metric name to (B, T); NaN before `first` and where a measurement is missing.
        moved: (B,) steps by which each series lies later than its events did, so that all end together.
    """

    entities: NDArray[np.object_]
    first: NDArray[np.int64]
    num_events: NDArray[np.int64]
    values: dict[str, Doubles]
    moved: NDArray[np.int64]

    @classmethod
    def empty(cls, calendar: Calendar, metrics: Iterable[str]) -> "SeriesBatch":
        """Return a batch without entities."""
        none = np.empty(0, dtype=np.int64)
        values = {metric: np.empty((0, calendar.num_steps)) for metric in metrics}
        return cls(np.empty(0, dtype=object), none, none, values, none)


def series_batches(
    batches: Iterable[pa.RecordBatch], calendar: Calendar, settings: EventsSettings, most: int
) -> Iterator[SeriesBatch]:
    """Lay out the events of a partition, as `events_of` gives them, cut anywhere; at most `most` entities a batch."""
    block = _Block(calendar, settings, most)
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            start += block.add(batch.slice(start))
            if start < batch.num_rows:
                yield block.take(finished=False)
    if block.entities:
        yield block.take(finished=True)


class _Block:
    """The entities being laid out; those of the current hash are `open`, as further events of them may come.

    Attributes:
        entities: ids in the order in which they came; the position is the entity's row.
        open: rows of the entities of the last hash.
    """

    def __init__(self, calendar: Calendar, settings: EventsSettings, most: int) -> None:
        self.most = max(most, FEWEST_ENTITIES)
        self.calendar = calendar
        self.states = StepStates(settings, (self.most, calendar.num_steps))
        self.bits = step_bits(calendar.num_steps)
        self.entities: list[str] = []
        self.hash: int | None = None
        self.open: dict[str, int] = {}

    def add(self, batch: pa.RecordBatch) -> int:
        """Add events until the batch or the room for entities ends; return how many were added."""
        keys = batch.column(KEY).to_numpy()
        hashes = keys >> self.bits
        new = np.concatenate([[hashes[0] != self.hash], hashes[1:] != hashes[:-1]])
        rows = self._rows(batch.column(ENTITY), new)
        added = int(np.argmax(rows >= self.most)) if rows.max() >= self.most else len(rows)
        if added:
            self._remember(batch.column(ENTITY), new[:added], rows[:added])
            self.hash = int(hashes[added - 1])
            steps = keys[:added] & ((1 << self.bits) - 1)
            self.states.add(rows[:added], steps, batch.slice(0, added))
        return added

    def take(self, *, finished: bool) -> SeriesBatch:
        """Return the entities to which nothing will be added, and make room."""
        kept = {} if finished else self.open
        done = np.setdiff1d(np.arange(len(self.entities)), list(kept.values()))
        events = self.states.events[done]
        first = (events > 0).argmax(axis=1)
        values, later = self.states.series(done), np.zeros_like(first)
        if self.calendar.is_own:
            later = _room_after(events, self.calendar)
            first, values = first + later, {name: _moved(series, later) for name, series in values.items()}
        before = np.arange(events.shape[1]) < first[:, None]
        for series in values.values():
            series[before] = np.nan
        ids = np.array(self.entities, dtype=object)
        taken = SeriesBatch(ids[done], first, events.sum(axis=1), values, later)
        self.states.keep(np.array(list(kept.values()), dtype=np.int64))
        self.entities = list(kept)
        self.open = {entity: row for row, entity in enumerate(kept)}
        return taken

    def _rows(self, ids: pa.Array, new: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Row of the entity of each event, by the place where its hash changes."""
        changes = _changes(ids)
        alone = new[0] or list(self.open) == [ids[0].as_py()]
        if alone and not (changes & ~new[1:]).any():
            return len(self.entities) - 1 + np.cumsum(new)
        return self._rows_of_mixed(ids, np.flatnonzero(np.concatenate([[True], changes | new[1:]])), new)

    def _rows_of_mixed(self, ids: pa.Array, starts: NDArray[np.int64], new: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the same where entities share a hash: stretch by stretch, as this all but never happens."""
        opened, number, rows = dict(self.open), len(self.entities), []
        for start in starts:
            if new[start]:
                opened = {}
            entity = ids[int(start)].as_py()
            if entity not in opened:
                opened[entity] = number
                number += 1
            rows.append(opened[entity])
        return np.repeat(rows, np.diff(np.append(starts, len(ids))))

    def _remember(self, ids: pa.Array, new: NDArray[np.bool_], rows: NDArray[np.int64]) -> None:
        """Note the ids of the rows that are new, and which rows are of the last hash."""
        _, places = np.unique(rows, return_index=True)
        fresh = places[rows[places] >= len(self.entities)]
        self.entities += ids.take(pa.array(fresh)).to_pylist()
        starts = np.flatnonzero(new)
        current = np.unique(rows[starts[-1] :] if len(starts) else rows)
        kept = {} if len(starts) else self.open
        self.open = kept | {self.entities[row]: int(row) for row in current}


def _changes(ids: pa.Array) -> NDArray[np.bool_]:
    """Tell for each id but the first whether it differs from the one before."""
    return np.asarray(pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(zero_copy_only=False), dtype=bool)


def _room_after(events: NDArray[np.int64], calendar: Calendar) -> NDArray[np.int64]:
    """Steps (B,) by which each series can move towards the window's end and keep its events and its weekdays."""
    after = (events[:, ::-1] > 0).argmax(axis=1)
    return np.asarray(after - after % calendar.steps_a_week)


def _moved(series: Doubles, later: NDArray[np.int64]) -> Doubles:
    """Move each series (B, T) some steps later; what lay at its end, after its last event, comes to lie before it."""
    steps = np.arange(series.shape[1])
    return np.take_along_axis(series, (steps - later[:, None]) % len(steps), axis=1)
