"""Plain aggregates of an event log, one row an entity: what people use before they turn to longitudinal features.

Takes events in long form as arrays; gives columns (entities, features) float32, NaN where an entity has no such event.
No loop over rows or entities: events are sorted once and reduced by numpy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_extraction.definitions import column
from jobs.arena.names import slugs

Doubles = NDArray[np.float64]
DAY_MICROSECONDS = 86_400_000_000
# Set apart from the metrics of a run file, beside which these columns may stand.
PREFIX, ALL_EVENTS = "raw_", "raw_events"


@dataclass(frozen=True, eq=False)
class LongEvents:
    """Events in long form, N of them.

    Attributes:
        entity: (N,) row of each event's entity.
        num_entities: rows of the table, entities without an event among them.
        type: (N,) position in `types`.
        types: names of the event types.
        time: (N,) microseconds since any instant.
        value: (N,).
        end: end of the log in the same microseconds.
    """

    entity: NDArray[np.int64]
    num_entities: int
    type: NDArray[np.int64]
    types: Sequence[str]
    time: NDArray[np.int64]
    value: Doubles
    end: int


class _Groups:
    """Values in the order of their group, and by time within it; `at` is the group of each, `starts` its first one."""

    def __init__(self, group: NDArray[np.int64], time: NDArray[np.int64], value: Doubles) -> None:
        order = np.lexsort((time, group))
        self.value, self.time, ordered = value[order], time[order], group[order]
        self.starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self.at = ordered[self.starts]
        self.count = np.diff(np.append(self.starts, len(ordered))).astype(np.float64)

    def sums(self, value: Doubles) -> Doubles:
        return np.add.reduceat(value, self.starts) if len(self.starts) else np.empty(0)

    def extreme(self, ufunc: np.ufunc) -> Doubles:
        return np.asarray(ufunc.reduceat(self.value, self.starts)) if len(self.starts) else np.empty(0)

    def last(self) -> Doubles:
        return np.asarray(self.value[np.append(self.starts, len(self.value))[1:] - 1])

    def squares(self, mean: Doubles) -> Doubles:
        """Sum of squared distances from each group's mean."""
        return self.sums(np.square(self.value - np.repeat(mean, self.count.astype(np.int64))))

    def median(self) -> Doubles:
        place = np.repeat(np.arange(len(self.starts)), self.count.astype(np.int64))
        value = self.value[np.lexsort((self.value, place))]
        number = self.count.astype(np.int64)
        return np.asarray((value[self.starts + (number - 1) // 2] + value[self.starts + number // 2]) / 2)


def _naive(groups: _Groups) -> dict[str, Doubles]:
    mean = groups.sums(groups.value) / groups.count
    spread = groups.squares(mean) / np.where(groups.count > 1, groups.count - 1, np.nan)
    return {
        "count": groups.count,
        "mean": mean,
        "std": np.sqrt(spread),
        "min": groups.extreme(np.minimum),
        "max": groups.extreme(np.maximum),
        "last": groups.last(),
    }


def _minimal(groups: _Groups) -> dict[str, Doubles]:
    total = groups.sums(groups.value)
    mean = total / groups.count
    variance = groups.squares(mean) / groups.count
    low, high = groups.extreme(np.minimum), groups.extreme(np.maximum)
    return {
        "length": groups.count,
        "mean": mean,
        "median": groups.median(),
        "standard_deviation": np.sqrt(variance),
        "variance": variance,
        "root_mean_square": np.sqrt(groups.sums(np.square(groups.value)) / groups.count),
        "maximum": high,
        "minimum": low,
        "sum_values": total,
        "absolute_maximum": np.maximum(np.abs(low), np.abs(high)),
    }


def naive(events: LongEvents) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Count, mean, std (of a sample), min, max and last of each type; number, span and recency, in days, of all."""
    names, features = _by_type(events, _naive)
    groups = _Groups(events.entity, events.time, events.value)
    first, last = groups.time[groups.starts], groups.time[np.append(groups.starts, len(groups.time))[1:] - 1]
    whole = np.full((events.num_entities, 3), np.nan, np.float32)
    whole[:, 0] = 0
    days = np.stack([groups.count, (last - first) / DAY_MICROSECONDS, (events.end - last) / DAY_MICROSECONDS], axis=1)
    whole[groups.at] = days
    more = tuple(column(ALL_EVENTS, name) for name in ("n", "span", "recency"))
    return names + more, np.concatenate([features, whole], axis=1)


def minimal(events: LongEvents) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The ten numbers a series of tsfresh's minimal set (`MinimalFCParameters`), of the values of each type."""
    return _by_type(events, _minimal)


def _by_type(
    events: LongEvents, measures: Callable[[_Groups], dict[str, Doubles]]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    groups = _Groups(events.entity * len(events.types) + events.type, events.time, events.value)
    found = measures(groups)
    block: NDArray[Any] = np.full((events.num_entities, len(events.types), len(found)), np.nan, np.float32)
    rows, types = np.divmod(groups.at, len(events.types))
    block[rows, types] = np.stack(list(found.values()), axis=1)
    block[..., 0] = np.nan_to_num(block[..., 0])  # the number of events, which is 0 and not missing where there is none
    names = tuple(column(PREFIX + name, measure) for name in slugs(events.types) for measure in found)
    return names, block.reshape(events.num_entities, -1)
