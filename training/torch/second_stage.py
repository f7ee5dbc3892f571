"""The classifier that a generator's trainer fits on real and synthetic rows: gradient boosting, or a BLSTM.

Takes raw rows (n, d) float32 with NaN for missing and class codes; gives a classifier with `predict_proba`, and files
that hold it. Nothing here needs torch until a BLSTM is trained or read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from training import trees
from training.artifact import ArtifactError, pack_arrays, unpack_arrays
from training.torch.second_stage_settings import SecondStageSettings
from training.trainer import Floats
from training.trees import Trees

Codes = NDArray[np.int64]
FACTS, ARRAYS = "second_stage.json", "second_stage.safetensors"


class Classifier(Protocol):
    """A fitted classifier of the second stage."""

    def predict_proba(self, features: Floats, /) -> Floats:
        """Return probabilities (rows, classes) of raw rows."""
        ...

    def files(self) -> dict[str, bytes]:
        """Return the classifier as files by name; `from_files` reads them back."""
        ...


@dataclass(frozen=True, eq=False)
class Boosting:
    """Gradient boosting on raw features; a missing value counts as less than any.

    Attributes:
        trees: the fitted ensemble.
        low: (d,) what stands for a missing value, by feature.
    """

    trees: Trees
    low: Floats

    @classmethod
    def fit(cls, features: Floats, labels: Codes, *, classes: int, settings: SecondStageSettings, seed: int) -> Self:
        """Fit scikit-learn's gradient boosting.

        The published test standardizes by the augmented table first; trees are indifferent to that.
        """
        rows = np.asarray(features, np.float32)
        low = _below(rows)
        model = GradientBoostingClassifier(
            n_estimators=settings.boosting_trees,
            max_depth=settings.boosting_depth,
            learning_rate=settings.boosting_rate,
            random_state=seed,
        )
        model.fit(np.where(np.isnan(rows), low, rows), labels)
        return cls(trees.from_boosting(model, classes), low)

    def predict_proba(self, features: Floats, /) -> Floats:
        """Return probabilities (rows, classes) of raw rows."""
        rows = np.asarray(features, np.float32)
        return self.trees.predict_proba(np.where(np.isnan(rows), self.low, rows)).astype(np.float32)

    def files(self) -> dict[str, bytes]:
        """Return the classifier as files by name."""
        return packed("gradient_boosting", {}, {"low": self.low, **self.trees.arrays()})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `files` packed."""
        own = dict(arrays)
        low = own.pop("low")
        return cls(Trees.from_arrays(own), low)


def _below(rows: Floats) -> Floats:
    present = ~np.isnan(rows)
    least = np.where(present, rows, np.inf).min(axis=0, initial=np.inf)
    most = np.where(present, rows, -np.inf).max(axis=0, initial=-np.inf)
    known = present.any(axis=0)
    least, most = np.where(known, least, 0.0), np.where(known, most, 0.0)
    # Far enough below that rounding to float32 cannot make the two meet.
    return np.asarray(least - np.maximum(most - least, np.abs(least) / 2) - 1, np.float32)


def fit(
    features: Floats,
    labels: Codes,
    *,
    classes: int,
    settings: SecondStageSettings,
    seed: int,
    synthetic: NDArray[np.bool_] | None = None,
) -> Classifier:
    """Fit the classifier that `settings.second_stage` names.

    Args:
        features: (n, d) raw rows, real and synthetic.
        labels: (n,) class codes, of at least two classes.
        classes: K.
        settings: `second_stage` and the fields of that classifier are read.
        seed: of whatever is drawn.
        synthetic: (n,) which rows are; they are learned from, but nothing is validated on them.

    Raises:
        ValueError: all rows are of one class, or a value is infinite.
    """
    _check(features, labels)
    if settings.second_stage == "gradient_boosting":
        return Boosting.fit(features, labels, classes=classes, settings=settings, seed=seed)
    from training.torch.blstm import BLSTM

    real = np.ones(len(labels), bool) if synthetic is None else ~synthetic
    return BLSTM.fit(features, labels, classes=classes, settings=settings, seed=seed, real=real)


def _check(features: Floats, labels: Codes) -> None:
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(f"found rows of the classes {present.tolist()} alone; at least two classes are needed")
    if np.isinf(features).any():
        columns = np.flatnonzero(np.isinf(features).any(axis=0))[:10].tolist()
        raise ValueError(f"found infinite values in feature columns {columns}; write NaN where a feature is undefined")


def packed(kind: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """Return a classifier's facts and arrays as files that `from_files` knows by their kind."""
    return {FACTS: json.dumps({"kind": kind, **facts}).encode(), ARRAYS: pack_arrays(arrays)}


def from_files(files: Mapping[str, bytes]) -> Classifier:
    """Read what a classifier's `files` gave; an unknown kind raises `ArtifactError`."""
    facts, arrays = json.loads(files[FACTS]), unpack_arrays(files[ARRAYS])
    if facts["kind"] == "gradient_boosting":
        return Boosting.from_arrays(arrays)
    if facts["kind"] == "blstm":
        from training.torch.blstm import BLSTM

        return BLSTM.from_arrays(facts, arrays)
    raise ArtifactError(
        f"{FACTS}: classifier {facts['kind']!r}; this program reads 'gradient_boosting' and 'blstm': train again"
    )
