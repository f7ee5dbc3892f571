"""What a Spark task does with its partition: events of whole entities in, feature rows out; it knows no Spark."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_extraction import definitions, prophet_library, publishing
from feature_extraction.components import Calendar, Engine
from feature_extraction.features import feature_columns
from feature_extraction.prophet_map import engine
from feature_extraction.schema import CONFIDENCE, ENTITY, FIT_STATUS, LABEL, UNLABELED
from feature_extraction.series import SeriesBatch, series_batches
from feature_extraction.settings import EventsSettings, FeaturesSettings, LabelsSettings, WindowSettings
from feature_extraction.storage import File

ENGINES: dict[str, Engine] = {"map": engine.fit, "prophet": prophet_library.fit}
NUM_EVENTS = "num_events"
# Cells (entity, step) laid out at once: some 30 arrays of this size are alive while features are made.
CELLS_PER_BATCH = 400_000


@dataclass(frozen=True)
class Extraction:
    """Everything the job is told: the run file's `[events]`, `[window]`, `[labels]` and `[features]`.

    `events.where` holds the window's dates, whatever placeholders were given.
    """

    events: EventsSettings
    window: WindowSettings
    labels: LabelsSettings
    features: FeaturesSettings

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", self.events.within(self.window))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metric names in the run file's order."""
        return tuple(self.events.metrics)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns in table order."""
        chosen = self.features
        return definitions.columns(self.metrics, chosen.last_residuals, active_values=chosen.active_values)

    def fingerprint(self, events: Sequence[File]) -> str:
        """Identity of the work: the settings, the input files, `events` among them, and the code."""
        inputs = [publishing.identity(events)]
        inputs += [publishing.input_identity(url) for url in (self.labels.url, self.labels.holdout_url) if url]
        sections = (self.events, self.window, self.labels, self.features)
        return publishing.fingerprint([section.model_dump(mode="json") for section in sections], inputs)


class Labels(Protocol):
    """Label codes by entity and how far each is to be trusted, as Spark broadcasts them."""

    @property
    def value(self) -> Mapping[str, tuple[int, float]]:
        """The codes and confidences."""


def partition_features(
    job: Extraction, known: Labels
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function that turns a partition's events, as `events_of` gives them, into rows of the table."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        calendar = Calendar.of(job.window)
        most = CELLS_PER_BATCH // calendar.num_steps
        for batch in series_batches(batches, calendar, job.events, most):
            columns = feature_rows(batch, job)
            yield _record_batch({ENTITY: columns.pop(ENTITY)} | _label_columns(batch.entities, known, job) | columns)

    return run


def _label_columns(entities: NDArray[np.object_], known: Labels, job: Extraction) -> dict[str, NDArray[Any]]:
    found = [known.value.get(entity, (UNLABELED, np.nan)) for entity in entities]
    columns: dict[str, NDArray[Any]] = {LABEL: np.array([code for code, _ in found], dtype=np.int8)}
    if job.labels.confidence:
        columns[CONFIDENCE] = np.array([confidence for _, confidence in found], dtype=np.float32)
    return columns


def feature_rows(batch: SeriesBatch, job: Extraction) -> dict[str, NDArray[Any]]:
    """Turn the series of B entities into their feature rows, as columns (B,)."""
    calendar = Calendar.of(job.window)
    columns: dict[str, NDArray[Any]] = {ENTITY: batch.entities, NUM_EVENTS: batch.num_events}
    features: dict[str, NDArray[np.float32]] = {}
    for metric, values in batch.values.items():
        components = ENGINES[job.features.engine](values, calendar, job.features.of_metric(metric))
        columns[definitions.column(metric, FIT_STATUS)] = components.status
        made = feature_columns(values, batch.first, components, job.features)
        features |= {definitions.column(metric, name): column for name, column in made.items()}
    return columns | features


def _record_batch(columns: dict[str, NDArray[Any]]) -> pa.RecordBatch:
    """Return columns as Spark reads them, with null for NaN."""
    text = {name: column.astype(object) if column.dtype.kind == "U" else column for name, column in columns.items()}
    return pa.RecordBatch.from_arrays(
        [pa.array(column, from_pandas=True) for column in text.values()], names=list(text)
    )
