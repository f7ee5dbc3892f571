"""A feature table of a few hundred entities, as extraction leaves it, and a network over it: many tests read it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from feature_extraction.schema import ENTITY, LABEL, UNKNOWN, UNLABELED, FeatureSchema
from inference import table
from inference.reasons import reasons_of
from inference.score_files import Publication
from inference.scored_rows import chance, scores_of
from training.artifact import Manifest
from training.dense_network import DenseNetwork, DenseNetworkArtifact
from training.reader import ArrayReader
from training.scaler import Scaler

NAMES = ("spend__level", "spend__recency", "visits__level", "visits__recency", "visits__residual_last_7")
SCHEMA = FeatureSchema(NAMES, ("regular", "rare"), "rare", "2024-01-01T00:00:00", "2024-04-01T00:00:00")
ODD_IDS = ('O\'Brien "the" `tick` \\', "日本語 🐟", "x" * 10_000, " spaced ", "line\nbreak", "100%_")
RARE_EVERY = 5


@dataclass(frozen=True)
class SmallTable:
    """Entities, their labels as codes, their features, and the labels that are hidden, by entity."""

    ids: tuple[str, ...]
    labels: np.ndarray
    features: np.ndarray
    hidden: dict[str, str]
    schema: FeatureSchema

    def reader(self) -> ArrayReader:
        return ArrayReader(self.features, self.labels, self.schema)

    def write(self, folder: Path, files: int = 3, order: Sequence[int] | None = None) -> str:
        """Write the table as `files` parts, rows in `order`; return its URL."""
        folder.mkdir(parents=True)
        whole = pa.Table.from_batches([feature_rows(self)]).take(list(order or range(len(self.ids))))
        for number, rows in enumerate(np.array_split(np.arange(len(self.ids)), files)):
            parquet.write_table(whole.take(rows), folder / f"part-{number:05d}.snappy.parquet")
        holdout = pa.table({ENTITY: list(self.hidden), LABEL: list(self.hidden.values())}, HOLDOUT)
        parquet.write_table(holdout, folder / "holdout.parquet")
        (folder / "schema.json").write_text(self.schema.to_json())
        (folder / "quality.json").write_text(json.dumps(self._quality()))
        return str(folder)

    def _quality(self) -> dict[str, Any]:
        known = {name: int((self.labels == code).sum()) for code, name in enumerate(self.schema.classes)}
        num_labels = sum(known.values()) + len(self.hidden)
        entities = {"total": len(self.ids), "labelled": known, "unlabelled": len(self.ids) - sum(known.values())}
        return {
            "events": {"read": 10, "accepted": 10, "outside_window": 0, "refused": 0},
            "entities": entities | {"held_out": len(self.hidden)},
            "labels": {"read": num_labels, "used": num_labels, "repeated": 0, "refused": {}},
        }


HOLDOUT = pa.schema([(ENTITY, pa.string()), (LABEL, pa.string())])


def example(rows: int = 240, schema: FeatureSchema = SCHEMA, seed: int = 0) -> SmallTable:
    """Make a table whose first third has labels, whose second third has hidden ones; every fifth entity is rare."""
    random = np.random.default_rng(seed)
    ids = (*ODD_IDS, *(f"entity {number}" for number in range(rows - len(ODD_IDS))))
    regular = [code for code, name in enumerate(schema.classes) if name != schema.rare]
    truth = np.array(regular)[np.arange(rows) % len(regular)]
    truth[::RARE_EVERY] = schema.rare_code
    features = random.normal(size=(rows, len(schema.names))).astype(np.float32)
    features[:, 0] += truth
    features[truth == schema.rare_code, 1] += 1.5
    features[random.random(rows) < 0.1, 4] = np.nan
    features[rows - 1] = np.nan
    third = rows // 3
    labels = np.where(np.arange(rows) < third, truth, UNLABELED).astype(np.int8)
    hidden = {ids[row]: schema.classes[truth[row]] for row in range(third, 2 * third)}
    return SmallTable(ids, labels, features, hidden, schema)


def network(small: SmallTable, members: int = 3, seed: int = 1) -> DenseNetworkArtifact:
    """Make networks of random weights over weak classes and `unknown`, so that every class is some row's verdict."""
    random = np.random.default_rng(seed)
    regular = [name for name in small.schema.classes if name != small.schema.rare]
    weak = [f"{regular[0]}_{level}" for level in ("low", "mid", "high")] if len(regular) == 1 else regular
    manifest = Manifest(
        trainer="scarcegan",
        settings={},
        schema=small.schema,
        classes=(*weak, small.schema.rare, UNKNOWN),
        rare=small.schema.rare,
        rows={"rare": 16, "unlabeled": 32_000},
        metrics={"average_precision": {"value": 0.5, "low": 0.4, "high": 0.6}},
        seed=seed,
        history={"best_step": 150},
    )
    scaler = Scaler.fit(small.features)
    sizes = (scaler.num_inputs, 15, 21, 8, len(manifest.classes))
    networks = tuple(_random_network(random, sizes) for _ in range(members))
    return DenseNetworkArtifact(manifest, scaler, networks, np.zeros(scaler.num_inputs, np.float32))


def _random_network(random: np.random.Generator, sizes: tuple[int, ...]) -> DenseNetwork:
    shapes = list(zip(sizes, sizes[1:], strict=False))
    kernels = tuple((random.normal(size=shape) / np.sqrt(shape[0] / 3)).astype(np.float32) for shape in shapes)
    return DenseNetwork(kernels, tuple(random.normal(size=size).astype(np.float32) * 0.1 for size in sizes[1:]))


def feature_rows(small: SmallTable) -> pa.RecordBatch:
    """Return the table as one batch."""
    columns = {ENTITY: pa.array(small.ids), LABEL: pa.array(small.labels, pa.int8())}
    columns |= {
        name: pa.array(values, pa.float32(), from_pandas=True)
        for name, values in zip(small.schema.names, small.features.T, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns)


def scores(small: SmallTable, url: str, model: Any, alerts: int = 10, reasons: int = 3) -> pd.DataFrame:
    """Return what the scores job would publish, made without Spark."""
    made = scores_of(feature_rows(small), model)
    score = chance(model.classes.index(model.rare))
    ranked = made.take(pc.sort_indices(made, sort_keys=[(score, "descending"), (ENTITY, "ascending")]))
    listed = ranked.filter(pc.equal(ranked[LABEL], UNLABELED))[ENTITY].to_pylist()[:alerts]
    found = reasons_of(url, model, listed, reasons)
    return Publication(model.classes, model.rare, (0,), found, None).table(ranked, 1).to_pandas()


def collected(url: str) -> pd.DataFrame:
    """Return a whole table by entity, features missing as NaN."""
    return table.rows(url, [LABEL, *table.schema(url).names]).sort_index()
