"""Methods that stand in for real ones in tests of the arena: one remembers what it saw, others do not behave."""

from types import SimpleNamespace

import numpy as np

from feature_extraction.schema import UNLABELED


class Scores:
    """An artifact that says what its row's first feature says, and remembers which rows it was asked about."""

    classes, rare = ("regular", "rare"), "rare"

    def __init__(self, sign=1.0):
        self.sign = sign
        self.manifest = SimpleNamespace(metrics={"auto": {"taken": ["first", "second"]}})

    def predict(self, features):
        Seen.tested.append(features[:, -1].astype(int))
        rare = 1 / (1 + np.exp(-self.sign * features[:, 0]))
        return np.stack([1 - rare, rare], axis=1)


class Seen:
    """Keeps the rows, by the number in their last column, and the labels of each fit."""

    labeled: list = []
    unlabeled: list = []
    tested: list = []

    def __init__(self, **settings):
        self.settings = settings

    @classmethod
    def forget(cls):
        cls.labeled, cls.unlabeled, cls.tested = [], [], []

    def fit(self, reader):
        assert len(Seen.tested) == len(Seen.labeled), "rows to be tested on were scored before anything was learned"
        rows = [batch for batch in reader.scan()]
        numbers = np.concatenate([batch.features[:, -1] for batch in rows]).astype(int)
        labels = np.concatenate([batch.labels for batch in rows])
        known = labels != UNLABELED
        Seen.labeled.append(dict(zip(numbers[known].tolist(), labels[known].tolist(), strict=True)))
        Seen.unlabeled.append(numbers[~known])
        return Scores()


class Failing(Seen):
    def fit(self, reader):
        raise ValueError("no model fits these rows")


class Infinite(Seen):
    def fit(self, reader):
        return Scores(sign=np.nan)


class Lacking(Seen):
    def fit(self, reader):
        raise ModuleNotFoundError("No module named 'xgboost'")
