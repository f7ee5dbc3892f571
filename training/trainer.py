"""The shape every method has, and the table of methods by name.

A trainer is a frozen set of its settings whose `fit` turns a reader into an artifact. `TRAINERS` names where each
one lives as text, so that listing the settings of all of them imports no deep-learning framework.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FeatureSchema

Floats = NDArray[np.float32]
Labels = NDArray[np.int8]


class Batch(NamedTuple):
    """Rows of the feature table: `features` (rows, features) float32 with NaN for missing, `labels` (rows,) int8."""

    features: Floats
    labels: Labels


class TrainingDiverged(ValueError):
    """A loss is no longer a number."""


class Reader(Protocol):
    """A feature table as numpy batches."""

    schema: FeatureSchema

    def labeled(self) -> Batch:
        """Return every labelled row at once; labels are few by nature."""
        ...

    def unlabeled(self, rows: int, *, seed: int, start: int = 0) -> Iterator[Floats]:
        """Give batches of unlabelled rows without end, from batch number `start` on; one seed gives one sequence."""
        ...

    def scan(self) -> Iterator[Batch]:
        """Give every row of this shard once, in blocks, or raise `IncompleteRead`."""
        ...

    def shuffled(self, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Give every row of this shard once, in blocks and in an order that `seed` and `epoch` fix."""
        ...


@runtime_checkable
class RatesLabels(Protocol):
    """What a reader may also be: one that knows how far each label is to be trusted."""

    def confidences(self) -> Floats:
        """Return the confidence in each labelled row's label, (rows,) in [0, 1], in the order of `labeled`."""
        ...


class Artifact(Protocol):
    """What a trainer learned: raw rows in, numpy out; no framework's tensor crosses this line."""

    schema: FeatureSchema
    classes: tuple[str, ...]
    rare: str

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes); rows sum to 1."""
        ...

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the score of the rare class, (rows, features)."""
        ...

    def save(self, url: str) -> None:
        """Write weights, scaler, schema and, last, `manifest.json` to a folder."""
        ...


@runtime_checkable
class StatesUncertainty(Protocol):
    """What an artifact may also be: an ensemble, which can say how far its members disagree."""

    def predict_with_uncertainty(self, features: Floats) -> tuple[Floats, Floats]:
        """Return what `predict` returns and the spread of the members' scores, (rows, classes) and (rows,).

        The spread is the standard deviation over the members of the rare class's probability: 0 where all say the
        same, 0.5 at most. How far all of them may be wrong together it cannot tell.
        """
        ...


@runtime_checkable
class AddsUp(Protocol):
    """What an artifact may also be: one whose contributions of a row add up to a known total.

    Networks hold it by integrated gradients, linear models by their form. Contributions by occlusion do not add up.
    """

    def contribution_totals(self, features: Floats) -> NDArray[np.float64]:
        """Return what each row's `contributions` sum to, (rows,): its log-odds less those of a usual row."""
        ...


class SyntheticRows(Protocol):
    """Rows of one class that a generator made, best first, and what it thinks of each."""

    @property
    def features(self) -> Floats:
        """Raw rows, (n, features)."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class code of each, (n,)."""
        ...

    @property
    def confidence(self) -> NDArray[np.float64]:
        """How likely the label is right, (n,) in [0, 1]."""
        ...

    @property
    def votes(self) -> NDArray[np.float64]:
        """How many of the generator's judges give the row that label, (n,)."""
        ...

    @property
    def quality(self) -> NDArray[np.float64]:
        """How real the generator's discriminator finds the row, (n,) in [0, 1]."""
        ...


@runtime_checkable
class Synthesizes(Protocol):
    """What an artifact may also be: a generator, which makes labelled rows."""

    def sample(self, label: str | int, rows: int, *, seed: int) -> SyntheticRows:
        """Make rows of one class, best first; fewer than asked for where the generator cannot make as many.

        Args:
            label: name or code of the class.
            rows: how many.
            seed: one seed gives one set of rows.

        Raises:
            ValueError: there is no such class, or the generator makes no rows of it.
        """
        ...


class Translated(Protocol):
    """Rows of one class, and what a generator makes of each as a row of another: a pair a row."""

    @property
    def source(self) -> Floats:
        """The rows as they are, raw, (n, features)."""
        ...

    @property
    def translated(self) -> Floats:
        """What they become, raw, (n, features)."""
        ...


@runtime_checkable
class Translates(Protocol):
    """What an artifact may also be: a generator that turns a row of one class into one of another."""

    def translated_from(self, label: str) -> str | None:
        """Return the class whose rows can become rows of class `label`; None where none can."""
        ...

    def translate(self, features: Floats, label: str | int | None = None) -> Translated:
        """Say what raw rows of that class would be as rows of class `label`, the rare one if empty.

        Raises:
            SchemaMismatch: rows have another width.
            ValueError: the generator makes no rows of that class.
        """
        ...


class Trainer(Protocol):
    """A frozen set of settings that can learn."""

    def fit(self, reader: Reader) -> Artifact:
        """Learn from the labelled and unlabelled rows of a table."""
        ...


TRAINERS = {
    "scarcegan": "training.keras.scarcegan:ScarceGAN",
    "scarcegan_no_bad_generator": "training.keras.scarcegan:NoBadGenerator",
    "scarcegan_no_leeway": "training.keras.scarcegan:NoLeeway",
    "ssgan": "training.keras.ssgan:SSGAN",
    "leeway_mlp": "training.keras.scarcegan:LeewayMLP",
    "mlp": "training.keras.scarcegan:MLP",
    "aae": "training.keras.aae:AAE",
    "qast": "training.torch.qast.trainer:QAST",
    "mgvae": "training.torch.mgvae.trainer:MGVAE",
    "imsic": "training.torch.imsic.trainer:IMSIC",
    "importance_vector": "training.torch.importance.trainer:ImportanceVector",
    "torch_mlp": "training.torch.classifier:TorchMLP",
    "logistic_regression": "training.baselines.linear:LogisticRegression",
    "kernel_logistic_regression": "training.baselines.kernel:KernelLogisticRegression",
    "gradient_boosting": "training.baselines.boosting:GradientBoosting",
    "gradient_boosting_plain": "training.baselines.boosting:PlainGradientBoosting",
    "random_forest": "training.baselines.forests:RandomForest",
    "extra_trees": "training.baselines.forests:ExtraTrees",
    "smote_boosting": "training.baselines.smote:SmoteBoosting",
    "self_training": "training.baselines.self_training:SelfTraining",
    "isolation_forest": "training.baselines.isolation:IsolationForest",
    "xgboost": "training.baselines.xgboost_trees:XGBoost",
    "xgbod": "training.baselines.xgbod:XGBOD",
    "devnet": "training.torch.devnet:DevNet",
    "auto": "training.auto.trainer:Auto",
}


def load_class(place: str) -> Any:  # noqa: ANN401  (a class looked up by name has no static type)
    """Import `module:name` and return the named object."""
    module, name = place.split(":")
    return getattr(import_module(module), name)
