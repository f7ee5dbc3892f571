"""Tables that the tests of the importance vector share."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.reader import ArrayReader

BIOPSY = Path(__file__).resolve().parents[4] / "shared" / "data" / "tabular" / "biopsy_699.csv"
needs_biopsy = pytest.mark.skipif(not BIOPSY.exists(), reason="../shared is absent")
TINY = {"members": 2, "epochs": 15, "warm_start": 15, "folds": 2, "classifier_epochs": 20}
NAMES = ("spend__level", "spend__slope", "login__kind", "login__gap")
SCHEMA = FeatureSchema(names=NAMES, classes=("regular", "rare"), rare="rare")


@cache
def biopsy():
    """Return the nine features of all 699 rows, and which are malignant."""
    frame = pd.read_csv(BIOPSY)
    features = frame[[f"V{number}" for number in range(1, 10)]].to_numpy(np.float32)
    return features, (frame["class"] == "malignant").to_numpy()


def thinned_biopsy(share, seed):
    """Keep all benign rows, and malignant ones for a share of the table."""
    features, rare = biopsy()
    wanted = round((~rare).sum() * share / (1 - share))
    drawn = np.random.default_rng(seed).choice(np.flatnonzero(rare), wanted, replace=False)
    kept = np.concatenate([np.flatnonzero(~rare), drawn])
    return features[kept], rare[kept]


def blobs(seed):
    """Return blobs of 300, 60 and 30 rows, and which one a row is of."""
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], [300, 60, 30])
    centers = np.array([[0, 0, 0, 0], [5, 5, 0, 0], [0, 0, 5, -5]])
    return (centers[labels] + random.normal(size=(len(labels), 4))).astype(np.float32), labels


def mixed_rows(seed, rows=300, rare_share=0.15):
    """Return rows with two numbers, a category of three levels and a number with gaps, and which are rare."""
    random = np.random.default_rng(seed)
    rare = np.arange(rows) < rare_share * rows
    kind = np.where(rare, random.choice([1, 2], rows), random.choice([0, 1], rows))
    columns = [random.normal(3 * rare, 1), random.normal(-3 * rare, 1), kind, random.normal(size=rows)]
    features = np.column_stack(columns).astype(np.float32)
    features[random.random(rows) < 0.2, 3] = np.nan
    return features, rare


def reader(seed=0):
    """Return a table of 300 rows, of which 60 have labels."""
    features, rare = mixed_rows(seed)
    labels = rare.astype(np.int8)
    labels[np.random.default_rng(seed + 1).permutation(len(rare))[:240]] = UNLABELED
    labels[:5] = 1
    return ArrayReader(features, labels, SCHEMA)
