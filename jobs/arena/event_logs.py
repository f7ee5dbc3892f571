"""An event log of the arena: its run file, its labels, its feature table by the whole pipeline, and its raw events.

A log is two files, NAME_events.parquet and NAME_labels.parquet, in a folder that the command names; its run file is
NAME.toml beside them or among `jobs/configs/arena`, and names the two files without any folder.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from feature_extraction import labels as label_files
from feature_extraction import publishing, storage
from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema
from inference import table as feature_table
from jobs import settings as run_files
from jobs.arena import source
from jobs.arena.aggregates import LongEvents
from jobs.settings import RunSettings
from training.trainer import Floats, Labels

CONFIGS = Path(__file__).parents[1] / "configs" / "arena"
EVENTS, LABELS = "_events.parquet", "_labels.parquet"
# All code that a feature table comes from.
PIPELINE = "feature_extraction.extract"


class ArenaDataError(ValueError):
    """A folder or file of the arena's data cannot be used."""


def key_of(parts: Sequence[object]) -> str:
    """Return sixteen hex digits over what a cached table was made of."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def run_file(folder: str, name: str) -> Path:
    """Return the run file of a log; raises `ArenaDataError` where there is none."""
    places = [Path(folder) / f"{name}.toml", CONFIGS / f"{name}.toml"]
    for place in places:
        if place.is_file():
            return place
    raise ArenaDataError(
        f"{folder}/{name}{EVENTS} has no run file; write {places[0]} with [events], [window] and [labels], as in "
        f"{CONFIGS.parent.name}/{CONFIGS.name}/cdnow_whale250.toml"
    )


def settings(folder: str, name: str, *, root: str = "out", run: str = "") -> RunSettings:
    """Read a log's run file, its events and labels taken from `folder`."""
    given = ["--config", str(run_file(folder, name)), "--output.root", root]
    given += [f"--events.url={storage.join(folder, name + EVENTS)}"]
    given += [f"--labels.url={storage.join(folder, name + LABELS)}"]
    return run_files.load(given + ([f"--output.run={run}"] if run else []), job="jobs.benchmark")


class EventLog:
    """One log: `entities` are those of its events and those of its labels, sorted; `labels` has a code for each."""

    def __init__(self, folder: str, name: str) -> None:
        """Read the run file and the labels; the events themselves are read when they are asked for."""
        self.folder, self.name = folder, name
        self.settings = settings(folder, name)
        known = label_files.read(self.settings.labels)
        self.classes, self.rare = known.classes, self.settings.labels.rare
        if self.rare not in self.classes:
            raise ArenaDataError(
                f"{self.settings.labels.url}: no label is {self.rare!r}, which labels.rare names; found {known.classes}"
            )
        named = pd.concat([known.shown, known.hidden])
        self.entities = np.union1d(_entity_names(self.settings), named[ENTITY].to_numpy(dtype=str))
        self.labels: Labels = np.full(len(self.entities), UNLABELED, np.int8)
        at = np.searchsorted(self.entities, named[ENTITY].to_numpy(dtype=str))
        self.labels[at] = [self.classes.index(label) for label in named[LABEL]]

    def schema(self, names: Sequence[str]) -> FeatureSchema:
        """Return the schema of columns that were made of this log."""
        return FeatureSchema(names=tuple(names), classes=self.classes, rare=self.rare)

    def identity(self) -> list[tuple[str, int, float]]:
        """Identity of the log's two files."""
        urls = (self.settings.events.url, self.settings.labels.url)
        return [found for url in urls for found in publishing.input_identity(url)]

    def piped(self, cache: str) -> tuple[FeatureSchema, Floats, float]:
        """Return the pipeline's schema, features (entities, columns) and the seconds it took, at work or long ago."""
        run = self._extracted(storage.join(cache, "features", self.name))
        schema = feature_table.schema(run.url)
        found = feature_table.select(run.url, schema.names)
        block = np.full((len(self.entities), len(schema.names)), np.nan, np.float32)
        block[np.searchsorted(self.entities, found[ENTITY].to_numpy(dtype=str))] = found[list(schema.names)].to_numpy()
        manifest = run.manifest() or {}
        return schema, block, float(manifest.get("seconds", 0.0))

    def _extracted(self, root: str) -> publishing.Run:
        """Extract the features by the pipeline's own job, unless the same code did so from the same files before."""
        sections = ("events", "window", "labels", "features")
        chosen = self.settings.model_dump(mode="json", include=set(sections))
        key = key_of([PIPELINE, source.digest(PIPELINE), chosen, self.identity()])
        run = publishing.Run(root, "features", f"{self.name}-{key}")
        if run.manifest() is None:
            from jobs import extract_features  # no Spark unless there is work for it

            extract_features.run(settings(self.folder, self.name, root=root, run=run.id))
        return run

    def events(self) -> LongEvents:
        """Read the log's events as arrays; those outside the window are left out, as by the pipeline."""
        chosen, window = self.settings.events, self.settings.window
        kind = chosen.type or "event_type"
        read = parquet.read_table(chosen.url, columns=[chosen.entity, chosen.time, kind, chosen.value])
        moments = read[chosen.time].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
        start, end = (pd.Timestamp(at).value // 1000 for at in (window.start, window.end))
        types = pc.dictionary_encode(read[kind].cast(pa.string())).combine_chunks()
        order = np.argsort(np.array(types.dictionary.to_pylist()))
        number = types.indices.to_numpy()
        value = read[chosen.value].cast(pa.float64()).to_numpy()
        kept = (moments >= start) & (moments < end) & np.isfinite(value)
        return LongEvents(
            entity=_positions(read[chosen.entity].cast(pa.string()), self.entities)[kept],
            num_entities=len(self.entities),
            type=np.argsort(order)[number[kept]],
            types=[types.dictionary[int(place)].as_py() for place in order],
            time=moments[kept],
            value=value[kept],
            end=end,
        )


def _entity_names(chosen: RunSettings) -> NDArray[np.str_]:
    read = parquet.read_table(chosen.events.url, columns=[chosen.events.entity])
    return np.array(pc.unique(read[0].cast(pa.string())).to_pylist(), dtype=str)


def _positions(ids: pa.ChunkedArray, entities: NDArray[np.str_]) -> NDArray[np.int64]:
    found = pc.dictionary_encode(ids).combine_chunks()
    places = np.searchsorted(entities, np.array(found.dictionary.to_pylist(), dtype=str))
    return np.asarray(places[found.indices.to_numpy()], dtype=np.int64)
