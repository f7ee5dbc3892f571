"""A feature table of a few hundred entities, as extraction leaves it, and a network over it: many tests read it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from feature_extraction.schema import ENTITY, LABEL, UNKNOWN, UNLABELED, FeatureSchema
from inference import table
from inference.score import reasons_of, scores_of
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
        columns = {ENTITY: pa.array(self.ids), LABEL: pa.array(self.labels, pa.int8())}
        for name, values in zip(self.schema.names, self.features.T, strict=True):
            columns[name] = pa.array(values, pa.float32(), from_pandas=True)
        whole = pa.table(columns).take(list(order or range(len(self.ids))))
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


def network(small: SmallTable, members: int = 3, seed: int = 0) -> DenseNetworkArtifact:
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


def scores(small: SmallTable, url: str, model: Any, alerts: int = 10, reasons: int = 3) -> pd.DataFrame:
    """Return what the scores job would publish, read back from Parquet, without Spark."""
    frame = pd.DataFrame(small.features, columns=list(small.schema.names))
    made = scores_of(frame.assign(**{ENTITY: small.ids, LABEL: small.labels}), model)
    made = made.sort_values(["score", ENTITY], ascending=[False, True], ignore_index=True)
    made["rank"] = np.arange(1, len(made) + 1)
    listed = made.loc[made[LABEL] == UNLABELED, ENTITY].head(alerts).tolist()
    found = reasons_of(url, model, listed, reasons)
    told = [
        [dict(zip(("feature", "value", "contribution"), r, strict=True)) for r in found.get(e, [])]
        for e in made[ENTITY]
    ]
    made["alert"], made["reasons"] = made[ENTITY].isin(listed), told
    reason = pa.struct([("feature", pa.string()), ("value", pa.float32()), ("contribution", pa.float32())])
    arrow = pa.Table.from_pandas(made.drop(columns=["reasons", LABEL]), preserve_index=False)
    arrow = arrow.append_column("reasons", pa.array(told, pa.list_(reason)))
    return arrow.to_pandas()


def collected(url: str) -> pd.DataFrame:
    """Return a whole table by entity, features missing as NaN."""
    return table.rows(url, [LABEL, *table.schema(url).names]).sort_index()
