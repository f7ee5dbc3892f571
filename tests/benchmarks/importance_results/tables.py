"""The tables that the importance vector is measured on: Breast Cancer Wisconsin Original, cut and binned, and ADBench.

Gives features, whether a row is rare, and names; a seed chooses rows where a table is thinned.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.trainer import Floats

ROOT = Path(__file__).resolve().parents[4] / "shared" / "data" / "tabular"
CUTS = (2.5, 5.5)
SHARES = {"biopsy 10 %": 0.10, "biopsy 5 %": 0.05, "biopsy 2 %": 0.02}
ADBENCH = {"cardio": "6_cardio", "thyroid": "38_thyroid", "cardiotocography": "7_Cardiotocography"}


class Table(NamedTuple):
    """Raw rows (n, d) and whether each is rare, (n,)."""

    features: Floats
    rare: NDArray[np.bool_]


@cache
def biopsy(*, with_id: bool = False) -> Table:
    """Return all 699 rows; malignant is rare."""
    frame = pd.read_csv(ROOT / "biopsy_699.csv")
    names = [f"V{number}" for number in range(1, 10)]
    features = frame[["ID", *names] if with_id else names].to_numpy(np.float32)
    return Table(features, (frame["class"] == "malignant").to_numpy())


def thinned(table: Table, share: float, seed: int) -> Table:
    """Keep all regular rows and so many rare ones, drawn anew for each seed, that these are a `share` of the table."""
    rare, regular = np.flatnonzero(table.rare), np.flatnonzero(~table.rare)
    wanted = round(len(regular) * share / (1 - share))
    kept = np.concatenate([regular, np.random.default_rng(seed).choice(rare, wanted, replace=False)])
    return Table(table.features[kept], table.rare[kept])


def binned(table: Table) -> Table:
    """Bin every feature into three levels."""
    levels = np.digitize(table.features, CUTS).astype(np.float32)
    return Table(np.where(np.isnan(table.features), np.nan, levels).astype(np.float32), table.rare)


def read(name: str, seed: int) -> Table:
    """Return a table by name."""
    if name in SHARES:
        return thinned(biopsy(), SHARES[name], seed)
    if name in ADBENCH:
        with np.load(ROOT / "adbench" / f"{ADBENCH[name]}.npz") as file:
            return Table(file["X"].astype(np.float32), file["y"] == 1)
    return binned(biopsy()) if name == "biopsy, 3 levels" else biopsy()


def blobs(seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return three Gaussian blobs of 300, 60 and 30 rows in four dimensions, and which one a row is of."""
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], [300, 60, 30])
    centers = np.array([[0, 0, 0, 0], [5, 5, 0, 0], [0, 0, 5, -5]])
    return (centers[labels] + random.normal(size=(len(labels), 4))).astype(np.float32), labels
