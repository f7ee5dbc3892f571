"""Labelled synthetic rows of one class, in the form of the feature table, by the generator published last.

    python -m jobs.synthesize --config run.toml --trainer qast --label fraud --rows 1000 --out s3://bucket/more

They go to `<out>/synthetic/<trainer>/run=<id>/`: `schema.json` and part files with the feature table's columns, and
beside these `synthetic`, always true, and for each row the label's `confidence`, the `votes` for it and the row's
`quality`. Overrides of the run file may follow.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from feature_extraction import publishing, storage, table_files
from feature_extraction.publishing import Run
from feature_extraction.schema import ENTITY, LABEL, FeatureSchema
from jobs import console, own_options
from jobs.settings import RunSettings
from training import artifact as artifacts
from training.artifact import check_width
from training.trainer import Artifact, Synthesizes, SyntheticRows

JOB = "jobs.synthesize"
SYNTHETIC = "synthetic"

logger = logging.getLogger(JOB)


class SynthesisError(ValueError):
    """The rows that are asked for cannot be made."""


@dataclass(frozen=True)
class Order:
    """What is to be made.

    Attributes:
        trainer: the generator's name; that of the run file if empty.
        label: name of the class; the rare one if empty.
        rows: how many.
        seed: one seed gives the same rows, byte for byte.
        out: root under which they are published; that of the run file if empty.
    """

    trainer: str = ""
    label: str = ""
    rows: int = 1_000
    seed: int = 0
    out: str = ""


def run(settings: RunSettings, order: Order) -> Run:
    """Make and publish the rows of an order, unless that is done already; return where they are.

    Raises:
        PublishError: no model of that trainer is published.
        SynthesisError: the trainer makes no rows, there is no such class, or not one row could be made.
    """
    _check(order)
    trainer = order.trainer or settings.train.trainer
    model = publishing.latest(settings.output.root, f"models/{trainer}")
    artifact = artifacts.load(model.url)
    generator, label = _generator(artifact, trainer), _label(artifact, order)
    wanted = {"label": label, "asked": order.rows, "seed": order.seed}
    source = publishing.fingerprint(wanted, model.url, (model.manifest() or {}).get("fingerprint"))
    made = Run(order.out or settings.output.root, f"{SYNTHETIC}/{trainer}", f"{model.id}-{source[:8]}")
    if made.is_done(source):
        logger.info("synthesize: %s is finished, by this model; nothing to do", made.url)
        made.point_again()
        return made
    logger.info("synthesize: %s rows of %r by %s", f"{order.rows:,}", label, model.url)
    rows = generator.sample(label, order.rows, seed=order.seed)
    facts = _shortfall(len(rows.labels), order.rows, label)
    batch = _record_batch(rows, artifact.schema, label, order.seed)
    _write(batch, artifact.schema, made.start())
    made.finish(source, wanted | facts | {"model": model.url, "schema": artifact.schema.fingerprint})
    logger.info("synthesize: %s rows of %r in %s", f"{len(rows.labels):,}", label, made.url)
    return made


def _check(order: Order) -> None:
    for name, least in (("rows", 1), ("seed", 0)):
        if getattr(order, name) < least:
            raise SynthesisError(f"--{name} is {getattr(order, name)}, expected at least {least}")


def _generator(artifact: Artifact, trainer: str) -> Synthesizes:
    if not isinstance(artifact, Synthesizes):
        raise SynthesisError(
            f"trainer {trainer!r} learns to score rows, not to make them; name one that makes rows by --trainer, "
            "such as qast, and train it first if it is not among those of the run"
        )
    return artifact


def _label(artifact: Artifact, order: Order) -> str:
    label = order.label or artifact.rare
    if label not in artifact.schema.classes:
        raise SynthesisError(
            f"--label is {label!r}, the model was trained on the classes {list(artifact.schema.classes)}; name one"
        )
    return label


def _shortfall(found: int, wanted: int, label: str) -> dict[str, int]:
    """Return what is known of the number of rows; without any there is nothing to publish."""
    if not found:
        raise SynthesisError(
            f"the generator made none of the {wanted:,} rows of {label!r}: every candidate was refused; "
            "train it longer or on more labels, give it a larger budget or a lower threshold of quality"
        )
    if found < wanted:
        logger.warning(
            "synthesize: %s of %s rows of %r could be made, %s are lacking: the other candidates were refused",
            *(f"{found:,}", f"{wanted:,}", label, f"{wanted - found:,}"),
        )
    return {"rows": found, "shortfall": wanted - found}


def _write(batch: pa.RecordBatch, schema: FeatureSchema, url: str) -> None:
    """Write the rows and then their schema to a folder; a pass that loses rows raises `SynthesisError`."""
    batches = (batch.slice(at, table_files.ROWS_PER_FILE) for at in range(0, len(batch), table_files.ROWS_PER_FILE))
    names = list(table_files.write(batches, url, 0))
    written = publishing.footer_rows(url)
    if written != len(batch):
        raise SynthesisError(f"{url}: {written:,} of {len(batch):,} rows arrived in {len(names)} files; run it again")
    storage.write_bytes(storage.join(url, "schema.json"), schema.to_json().encode())


def _record_batch(rows: SyntheticRows, schema: FeatureSchema, label: str, seed: int) -> pa.RecordBatch:
    """Return rows as columns of the feature table, with null for NaN, and what is said of each row."""
    check_width(rows.features, schema)
    num_rows = len(rows.features)
    columns: dict[str, Any] = {
        ENTITY: np.array([f"{SYNTHETIC}-{label}-{seed}-{number:07d}" for number in range(num_rows)], dtype=object),
        LABEL: np.full(num_rows, schema.classes.index(label), np.int8),
    }
    columns |= {name: np.asarray(rows.features[:, at], np.float32) for at, name in enumerate(schema.names)}
    columns[SYNTHETIC] = np.ones(num_rows, bool)
    columns |= {name: np.asarray(getattr(rows, name), np.float32) for name in ("confidence", "votes", "quality")}
    arrays = [pa.array(column, from_pandas=True) for column in columns.values()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def read_command(arguments: Sequence[str] | None = None) -> tuple[RunSettings, Order]:
    """Read this job's own options; what is left names the run file and its overrides."""
    helps = {
        "trainer": "the generator; by default the run file's train.trainer",
        "label": "the class; by default the rare one",
        "rows": "how many rows",
        "seed": "one seed gives the same rows, byte for byte",
        "out": "root of what is written; by default the run file's output.root",
    }
    description = "Make labelled synthetic rows by the generator published last."
    return own_options.read(Order, helps, arguments, job=JOB, description=description)


def _run_command() -> None:
    run(*read_command())


if __name__ == "__main__":
    console.main(_run_command)
