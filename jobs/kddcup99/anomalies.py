"""Tables of ADBench as tasks, and an isolation forest to compare anomaly detectors with.

Takes `.npz` files of ADBench (Han, Hu, Huang, Jiang and Zhao, NeurIPS 2022): `X` (rows, features) and `y`, 1 for an
anomaly. Gives splits of the same shape as those of KDD Cup 1999.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import Field
from sklearn import ensemble
from sklearn.model_selection import train_test_split

from feature_extraction import storage
from feature_extraction.schema import UNLABELED, FeatureSchema
from jobs.kddcup99.plan import AnomalyTables, PlanError
from training.kddcup99.encoding import MinMax
from training.kddcup99.setups import Split
from training.reader import ArrayReader
from training.settings import Settings
from training.trainer import Batch, Floats, Labels, Reader

CLASSES, RARE = ("normal", "rare"), 1
MOST_ROWS = 100_000  # unlabelled rows that a forest of 256 rows a tree is drawn from


@dataclass(frozen=True)
class AnomalyTable:
    """One table of ADBench.

    Attributes:
        name: `adbench_<name>`.
        digest: SHA-256 of its file.
        settings: how its rows are dealt out.
        features: (rows, features).
        labels: 1 for an anomaly, (rows,).
    """

    name: str
    digest: str
    settings: AnomalyTables
    features: Floats
    labels: Labels

    @property
    def identity(self) -> object:
        """Digest of the file and how its rows are dealt out."""
        return [self.digest, self.settings.labeled, self.settings.test_share]

    def draw(self, seed: int, *, scaled: bool = True) -> Split:
        """Deal the rows out: a stratified test share, a few labelled ones, and the rest without label."""
        everything = np.arange(len(self.labels))
        training, test = train_test_split(
            everything, test_size=self.settings.test_share, random_state=seed, stratify=self.labels
        )
        labels = np.full(len(training), UNLABELED, np.int8)
        random = np.random.default_rng(seed)
        for code, name in enumerate(CLASSES):
            members = np.flatnonzero(self.labels[training] == code)
            labels[random.choice(members, min(self.settings.labeled[name], len(members) // 2), replace=False)] = code
        rows, tested = self.features[training], self.features[test]
        if scaled:
            scaler = MinMax.fit(rows)
            rows, tested = scaler.transform(rows), scaler.transform(tested)
        schema = FeatureSchema(tuple(f"x{i}" for i in range(rows.shape[1])), CLASSES, CLASSES[RARE])
        return Split(ArrayReader(rows, labels, schema), tested, np.arange(len(test)), self.labels[test])


def read(folder: str, settings: AnomalyTables) -> list[AnomalyTable]:
    """Read the tables that the settings name; a missing one raises `PlanError`."""
    tables = []
    for name in settings.tables:
        place = storage.join(folder, f"{name}.npz")
        if not storage.exists(place):
            raise PlanError(f"{place}: no such file; name the folder of ADBench's .npz files by --adbench")
        data = storage.read_bytes(place)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            features, labels = arrays["X"].astype(np.float32), arrays["y"].ravel().astype(np.int8)
        digest = hashlib.sha256(data).hexdigest()
        tables.append(AnomalyTable(f"adbench_{name.split('_', 1)[-1].lower()}", digest, settings, features, labels))
    return tables


class ForestScores(NamedTuple):
    """A fitted isolation forest in the shape of an artifact, as far as measuring needs it."""

    schema: FeatureSchema
    classes: tuple[str, ...]
    rare: str
    model: ensemble.IsolationForest

    def predict(self, features: Floats) -> Floats:
        """Return (rows, classes): the anomaly score, 0 to 1, for the rare class, and the rest for the first other."""
        score = -self.model.score_samples(features)
        probabilities = np.zeros((len(features), len(self.classes)), np.float32)
        rare = self.classes.index(self.rare)
        probabilities[:, rare], probabilities[:, int(rare == 0)] = score, 1 - score
        return probabilities


class IsolationForest(Settings):
    """Isolation forest (Liu, Ting and Zhou, ICDM 2008) on the rows assumed not to be rare."""

    seed: int = Field(0, ge=0, description="Seed of the trees.")
    trees: int = Field(100, ge=1, description="Trees, each grown on 256 rows.")

    def fit(self, reader: Reader) -> ForestScores:
        """Learn from the labelled rows that are not rare and the unlabelled ones, as an autoencoder does."""
        parts = [_assumed_normal(batch, reader.schema) for batch in reader.scan()]
        model = ensemble.IsolationForest(n_estimators=self.trees, random_state=self.seed)
        model.fit(np.concatenate(parts)[:MOST_ROWS])
        return ForestScores(reader.schema, reader.schema.classes, reader.schema.rare, model)


def _assumed_normal(batch: Batch, schema: FeatureSchema) -> Floats:
    return np.asarray(batch.features[batch.labels != schema.rare_code])
