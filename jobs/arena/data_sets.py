"""The arena's data: what lies in a folder, and each set as one table of numbers with labels, whatever made it.

`available` looks at names alone. `table` makes a table, or reads what an earlier call of the same code on the same
files kept below `<cache>/tables`. All feature sets of one log have the same entities in the same order; what the log's
labels file tells of an entity besides (age, sex, model) is no feature.
"""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_extraction import storage
from feature_extraction.schema import FEATURE_SEPARATOR, FeatureSchema
from jobs.arena import aggregates, event_logs, plain_tables, source
from jobs.arena.aggregates import LongEvents
from jobs.arena.event_logs import ArenaDataError, EventLog
from training.trainer import Floats, Labels

NAIVE, MINIMAL, PROPHET, OURS, BOTH, TABLE = "naive", "minimal", "prophet", "ours", "ours_naive", "table"
# The ten numbers a metric that the published extraction keeps (of five metrics: its 50 columns).
PUBLISHED = (
    "period_1",
    "period_2",
    "period_3",
    "offset",
    "base_rate",
    "changepoint_gap_mean",
    "changepoint_gap_std",
    "growth_mean",
    "growth_std",
    "delta_mean",
)
PREFIXES = {"adbench": "adbench_", "qast": "qast_"}
ENDINGS = (".npz", ".parquet", ".csv")
PARTS = "tables"


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: as in the results.
        kind: an event log, which goes through the pipeline, or a table, which is taken as it is.
        folder: where it lies.
        file: name of its file; of a log, that of its events.
        feature_sets: what `table` can make of it.
        main: the one that trainers are compared on.
    """

    name: str
    kind: Literal["log", "table"]
    folder: str
    file: str
    feature_sets: tuple[str, ...] = (TABLE,)
    main: str = TABLE


@dataclass(frozen=True, eq=False)
class Table:
    """A data set as numbers.

    Attributes:
        features: (rows, features) float32, NaN for missing.
        labels: (rows,) int8, positions in `schema.classes`; -1 for rows without a label.
        schema: names of the columns, classes, rare class.
        entities: (rows,) names, sorted where the data set is a log.
        groups: (rows,) numbers of what must not be parted by a split; None where each row stands for itself.
        seconds: what making the features took when they were made.
    """

    features: Floats
    labels: Labels
    schema: FeatureSchema
    entities: NDArray[np.str_]
    groups: NDArray[np.int64] | None = None
    seconds: float = 0.0


def available(folder: str) -> dict[str, DataSet]:
    """Return the data sets of a folder by name; raises `ArenaDataError` where there is none."""
    place = Path(folder)
    if not place.is_dir():
        raise ArenaDataError(
            f"{folder}: no such folder; give one with NAME_events.parquet and NAME_labels.parquet files"
        )
    files = sorted(path for path in place.iterdir() if path.suffix in ENDINGS)
    names = {path.name for path in files}
    found = []
    for path in files:
        stem = path.name.removesuffix(event_logs.EVENTS)
        if stem + event_logs.EVENTS == path.name and stem + event_logs.LABELS in names:
            found.append(_log(folder, stem))
        elif not path.name.endswith(event_logs.LABELS) and plain_tables.holds_a_table(path):
            found.append(DataSet(_table_name(path), "table", folder, path.name))
    if not found:
        raise ArenaDataError(
            f"{folder}: neither an event log (NAME_events.parquet with NAME_labels.parquet) nor a table (.parquet or "
            f".csv with a column 'label', or .npz with X and y) among its {len(files)} files"
        )
    return {data.name: data for data in found}


def _log(folder: str, name: str) -> DataSet:
    return DataSet(name, "log", folder, name + event_logs.EVENTS, (NAIVE, MINIMAL, PROPHET, OURS, BOTH), BOTH)


def _table_name(path: Path) -> str:
    """Name a table by its file, under the name of a collection its folder has; ADBench's numbers are left out."""
    prefix = PREFIXES.get(path.parent.name, "")
    number, _, rest = path.stem.partition("_")
    return prefix + (rest if prefix == PREFIXES["adbench"] and number.isdigit() and rest else path.stem)


def table(data: DataSet, feature_set: str, *, cache: str) -> Table:
    """Make the table of a data set, or read it from the cache.

    Raises:
        ArenaDataError: the data cannot be used, or there is no such feature set.
    """
    if feature_set not in data.feature_sets:
        raise ArenaDataError(f"{data.name} has no feature set {feature_set!r}; it has {', '.join(data.feature_sets)}")
    if feature_set == TABLE:
        found = plain_tables.read(Path(data.folder) / data.file)
        return Table(found.features, found.labels, found.schema, found.entities)
    log = EventLog(data.folder, data.name)
    if feature_set != BOTH:
        return _kept(log, feature_set, cache)
    one, other = _kept(log, OURS, cache), _kept(log, NAIVE, cache)
    schema = log.schema(one.schema.names + other.schema.names)
    features = np.concatenate([one.features, other.features], axis=1)
    return Table(features, one.labels, schema, one.entities, None, one.seconds + other.seconds)


class _Columns(NamedTuple):
    names: tuple[str, ...]
    features: Floats
    seconds: float


def _kept(log: EventLog, feature_set: str, cache: str) -> Table:
    """Return a feature set of a log: from the cache where the same code made it of the same files."""
    makers = {NAIVE: aggregates.naive, MINIMAL: aggregates.minimal}
    module = aggregates.__name__ if feature_set in makers else event_logs.PIPELINE
    chosen = log.settings.model_dump(mode="json", include={"events", "window", "labels", "features"})
    key = event_logs.key_of([feature_set, source.digest(module), chosen, log.identity()])
    place = storage.join(cache, PARTS, log.name, f"{feature_set}-{key}.npz")
    if not storage.exists(place):
        made = _counted(log, makers[feature_set]) if feature_set in makers else _piped(log, feature_set, cache)
        storage.write_bytes(place, _packed(made))
    names, features, seconds = _unpacked(storage.read_bytes(place))
    return Table(features, log.labels, log.schema(names), log.entities, None, seconds)


def _counted(log: EventLog, make: Callable[[LongEvents], tuple[tuple[str, ...], Floats]]) -> _Columns:
    started = time.monotonic()
    names, features = make(log.events())
    return _Columns(names, features, time.monotonic() - started)


def _piped(log: EventLog, feature_set: str, cache: str) -> _Columns:
    schema, features, seconds = log.piped(cache)
    if feature_set == OURS:
        return _Columns(schema.names, features, seconds)
    chosen = [place for place, name in enumerate(schema.names) if name.split(FEATURE_SEPARATOR)[1] in PUBLISHED]
    return _Columns(tuple(schema.names[place] for place in chosen), features[:, chosen], seconds)


def _packed(made: _Columns) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, names=np.array(made.names, dtype=str), features=made.features, seconds=np.array(made.seconds))
    return buffer.getvalue()


def _unpacked(data: bytes) -> _Columns:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return _Columns(tuple(file["names"].tolist()), file["features"], float(file["seconds"]))
