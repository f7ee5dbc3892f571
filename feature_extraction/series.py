"""Accepted events to regular series: one number a metric, entity and step.

Spark does the summing (`steps_of`), numpy the laying out (`SeriesBatch.of`). Every aggregate is exact to the bit
whatever the order of the events: sums add sorted values.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_extraction.components import Calendar, Doubles
from feature_extraction.events import TIME, VALUE
from feature_extraction.schema import ENTITY
from feature_extraction.settings import EventsSettings, MetricSettings, WindowSettings

STEP, EVENTS = "_step", "_events"


def steps_of(events: DataFrame, settings: EventsSettings, window: WindowSettings, partitions: int) -> DataFrame:
    """Sum accepted events up to one row an entity and step: `ENTITY`, `STEP`, `EVENTS` and a column a metric.

    The one shuffle is by entity, so the rows of an entity lie in one partition, sorted by step.
    """
    stepped = events.withColumn(STEP, _step(window))
    aggregates = [_aggregate(name, metric).alias(name) for name, metric in settings.metrics.items()]
    return (
        stepped.repartition(partitions, ENTITY)
        .groupBy(ENTITY, STEP)
        .agg(F.count(F.lit(1)).alias(EVENTS), *aggregates)
        .sortWithinPartitions(ENTITY, STEP)
    )


def _step(window: WindowSettings) -> Column:
    """Index of the step an event falls in, by the wall clock of the session's zone: a day is a calendar day."""
    time = F.col(TIME)
    days = F.datediff(F.to_date(time), F.lit(window.start.date()))
    seconds = F.hour(time) * 3600 + F.minute(time) * 60 + F.second(time)
    midnight = window.start.hour * 3600 + window.start.minute * 60 + window.start.second
    elapsed = days.cast("bigint") * 86_400 + seconds - midnight
    return F.floor(elapsed / window.step.total_seconds()).cast("int")


def _aggregate(name: str, metric: MetricSettings) -> Column:
    value = F.col(VALUE + name)
    # Floating sums depend on their order, and shuffles keep none: collect, sort, then add.
    total = F.aggregate(F.array_sort(F.collect_list(value)), F.lit(0.0), lambda sum_, x: sum_ + x)
    number = F.count(value)
    last = F.max(F.when(value.isNotNull(), F.struct(F.col(TIME), value.alias("value"))))["value"]
    columns = {
        "sum": lambda: F.when(number > 0, total),
        "count": lambda: number.cast("double"),
        "mean": lambda: F.when(number > 0, total / number),
        "min": lambda: F.min(value),
        "max": lambda: F.max(value),
        "last": lambda: last,
        # count_distinct would be planned with shuffles of its own, and an entity would no longer lie in one partition.
        "nunique": lambda: F.size(F.collect_set(value)).cast("double"),
    }
    return columns[metric.aggregate]()


@dataclass(frozen=True)
class SeriesBatch:
    """Regular series of B entities over T steps.

    Attributes:
        entities: (B,) entity ids.
        first: (B,) step of each entity's first event.
        num_events: (B,) accepted events of each entity.
        values: metric name to (B, T); NaN before `first` and where a measurement is missing.
    """

    entities: NDArray[np.object_]
    first: NDArray[np.int64]
    num_events: NDArray[np.int64]
    values: dict[str, Doubles]

    @classmethod
    def of(cls, rows: pd.DataFrame, calendar: Calendar, settings: EventsSettings) -> "SeriesBatch":
        """Lay out rows sorted by entity and step, as `steps_of` gives them; entities must be whole."""
        ids = rows[ENTITY].to_numpy(dtype=object)
        starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.empty(0, dtype=np.int64)
        owner = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(ids)]))
        steps = rows[STEP].to_numpy(dtype=np.int64)
        first = steps[starts]
        before = np.arange(calendar.num_steps) < first[:, None]
        values = {}
        for name, metric in settings.metrics.items():
            grid = np.full((len(starts), calendar.num_steps), 0.0 if metric.fills_zero else np.nan)
            found = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
            grid[owner, steps] = np.where(np.isnan(found) & metric.fills_zero, 0.0, found)
            grid[before] = np.nan
            values[name] = grid
        num_events = np.bincount(owner, rows[EVENTS].to_numpy(), len(starts)).astype(np.int64)
        return cls(ids[starts], first, num_events, values)
