"""What the baselines have in common: a setting chosen by cross-validation, and what the manifest says of it.

Takes a reader's labelled rows and a way to learn from some of them; gives an artifact of all of them, which carries
the held-out scores of the setting that was chosen. Those are a little too good: it was chosen by them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from feature_extraction.schema import UNLABELED, FeatureSchema
from training import artifact
from training.artifact import Manifest
from training.metrics import held_out_rows, held_out_scores, held_out_summary
from training.settings import FOLDS
from training.splits import Rows, check_labels, folds
from training.trainer import Batch, Floats, Reader

Doubles = NDArray[np.float64]
Parts = Sequence[tuple[Rows, Doubles]]

LIBRARIES = ("numpy", "scikit-learn", "skops")
SMALL_TABLE = 10_000_000  # cells


class Tunable(Protocol):
    """The frozen settings of a baseline."""

    @property
    def seed(self) -> int:
        """Seed of the folds."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """Return the settings by name."""
        ...

    def model_copy(self, *, update: dict[str, Any]) -> Any:  # noqa: ANN401  (the settings' own class)
        """Return the settings with some of them replaced."""
        ...


class Scores(Protocol):
    """The artifact of a baseline, as far as it is measured here."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, one per probability."""
        ...

    @property
    def rare(self) -> str:
        """The class whose probability is the score."""
        ...

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes)."""
        ...


S = TypeVar("S", bound=Tunable)
A = TypeVar("A", bound=Scores)
Learn = Callable[[S, Manifest, Batch], A]


class Way(NamedTuple):
    """How a baseline is fitted.

    Attributes:
        trainer: its name in `TRAINERS`.
        choose: fields of its settings that hold several values, one of which is chosen.
        libraries: packages beside numpy, scikit-learn and skops whose versions the manifest names.
    """

    trainer: str
    choose: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


def fitted(way: Way, settings: S, reader: Reader, learn: Learn[S, A]) -> A:
    """Measure each choice of the settings by cross-validation, then learn from all labelled rows with the best.

    Args:
        way: how the baseline is fitted.
        settings: its settings; the manifest names the ones that were chosen.
        reader: the table.
        learn: settings with one value a field, a manifest and labelled rows to an artifact.

    Raises:
        ValueError: one class only, or a class of one row.
    """
    schema, rows = reader.schema, reader.labeled()
    check_labels(rows.labels, schema)
    truth = rows.labels == schema.rare_code
    manifest = _manifest(way, settings, schema, rows)
    # On a small table threads wait for one another longer than they work, ten times so on a busy machine.
    with threadpool_limits(1 if rows.features.size < SMALL_TABLE else None):
        choices = _choices(settings, way.choose)
        parts = [_cross_validated(choice, manifest, rows, learn) for choice in choices]
        values = [_average_precision(truth, part) for part in parts]
        best = int(np.argmax(values))
        manifest = replace(
            manifest,
            settings=choices[best].model_dump(),
            metrics=held_out_summary(truth, parts[best], seed=settings.seed),
            held_out=held_out_rows(truth, parts[best]),
            history=_tried(choices, values, way.choose),
        )
        return learn(choices[best], manifest, rows)


def _manifest(way: Way, settings: Tunable, schema: FeatureSchema, rows: Batch) -> Manifest:
    return Manifest(
        trainer=way.trainer,
        settings=settings.model_dump(),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows={name: int((rows.labels == code).sum()) for code, name in enumerate(schema.classes)},
        metrics={},
        seed=settings.seed,
        versions=artifact.package_versions(*LIBRARIES, *way.libraries),
    )


def _choices(settings: S, fields: Sequence[str]) -> list[S]:
    """Return the settings with each combination of the values of `fields`, one value a field."""
    given = settings.model_dump()
    return [
        settings.model_copy(update={name: (value,) for name, value in zip(fields, values, strict=True)})
        for values in product(*(given[name] for name in fields))
    ]


def _cross_validated(settings: S, manifest: Manifest, rows: Batch, learn: Learn[S, A]) -> Parts:
    parts = []
    for training, held_out in folds(rows.labels, FOLDS, seed=settings.seed, names=manifest.classes):
        model = learn(settings, manifest, Batch(rows.features[training], rows.labels[training]))
        scores = model.predict(rows.features[held_out])[:, model.classes.index(model.rare)]
        parts.append((held_out, scores.astype(np.float64)))
    return parts


def _average_precision(truth: NDArray[np.bool_], parts: Parts) -> float:
    scores = held_out_scores(len(truth), parts)
    return float(average_precision_score(truth, scores))


def _tried(choices: Sequence[Tunable], values: Sequence[float], fields: Sequence[str]) -> dict[str, Any]:
    if len(choices) < 2:
        return {}
    settings = [choice.model_dump() for choice in choices]
    named = [", ".join(f"{field} {own[field][0]:g}" for field in fields) for own in settings]
    return {"tried": "; ".join(f"{name}: {value:.4f}" for name, value in zip(named, values, strict=True))}


def unlabeled_rows(reader: Reader, most: int, *, seed: int) -> Floats:
    """Return unlabelled rows, (n, features), as many as there are or a draw of `most`; of 0 none is looked for."""
    found = 0
    for batch in reader.scan() if most else ():
        found += int((batch.labels == UNLABELED).sum())
        if found >= most:  # a streamed table is not read on for a number that nobody asks for
            break
    if not found:
        return np.empty((0, len(reader.schema.names)), np.float32)
    return next(reader.unlabeled(min(found, most), seed=seed))


def probabilities(model: Any, inputs: NDArray[Any]) -> Floats:  # noqa: ANN401  (a scikit-learn model)
    """Return what the model gives, (rows, classes) float32; no rows give none."""
    if len(inputs) == 0:
        return np.empty((0, len(model.classes_)), dtype=np.float32)
    return np.asarray(model.predict_proba(inputs), dtype=np.float32)
