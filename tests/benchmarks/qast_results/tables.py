"""The forty tables of the QAST authors: which classes they declare small, their folds, budgets and splits.

Takes `../shared/data/tabular/qast`; gives tables and the rows to learn from and to be tested on.
"""

import hashlib
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

FOLDER = Path(__file__).resolve().parents[4] / "shared/data/tabular/qast"
SUPPLIED, RESPLIT = "supplied", "resplit"
SPLITS = (RESPLIT, SUPPLIED)
RESPLIT_TABLES = ("glass", "balance", "CWRU_1_20", "pageblocks", "yeast")
BLSTM_TABLES = ("CWRU_1_20",)
ALL_BUT_FIRST = tuple(range(1, 10))
LONG = {"CWRU": "CWRU_Bearing_Dataset", "Gearbox": "Gearbox_Fault_Diagnosis"}
# What a table of many rows is given, the same for both QAST arms; the others have the settings' own.
LARGE = {"epochs": 100, "rounds": 20, "committee_rows_at_most": 2_000}
LARGEST = {"epochs": 30, "rounds": 4, "committee_rows_at_most": 2_000, "network_steps": 200}


class Known(NamedTuple):
    """What the authors say of a table: its `minority` classes and into how many `folds` large and small are cut."""

    minority: tuple[int, ...]
    folds: tuple[int, int]
    budget: dict[str, int] = {}


# In the order in which they are measured: the resplit ones, then from few rows to many.
TABLES: dict[str, Known] = {
    "glass": Known((0, 3, 4, 5), (10, 2)),
    "balance": Known((1,), (8, 2)),
    "CWRU_1_20": Known(ALL_BUT_FIRST, (38, 2)),
    "pageblocks": Known((0, 2, 3), (75, 2)),
    "yeast": Known((4, 5, 6, 7, 8), (6, 2)),
    "MC2": Known((1,), (3, 2)),
    "KC3": Known((1,), (8, 2)),
    "new-thyroid": Known((0, 2), (6, 2)),
    "MW1": Known((1,), (18, 2)),
    "ecoli": Known((1, 2, 3, 4), (10, 2)),
    "CM1": Known((1,), (13, 2)),
    "dermatology": Known((0, 2, 3, 4, 5), (8, 2)),
    "CWRU_1_10": Known(ALL_BUT_FIRST, (19, 2)),
    "CWRU_1_5": Known(ALL_BUT_FIRST, (19, 4)),
    "PC1": Known((1,), (22, 2)),
    "thyroid": Known((1, 2), (6, 2)),
    "PC2": Known((1,), (44, 2)),
    "PC3": Known((1,), (13, 2)),
    "flare": Known((4, 5), (6, 2)),
    "KC1": Known((1,), (17, 6)),
    "PC4": Known((1,), (12, 2)),
    "CWRU_1_2": Known(ALL_BUT_FIRST, (19, 9)),
    "contraceptive": Known((2,), (2, 2)),
    "winequality-red": Known((0, 1, 5), (27, 2)),
    "PC5": Known((1,), (11, 4)),
    "car": Known((2, 3), (6, 2)),
    "MC1": Known((1,), (106, 2)),
    "shuttle": Known((0, 2), (6, 2)),
    "abalone": Known((0, 1, 13, 14, 15, 16, 17, 18, 19), (6, 2), LARGE),
    "winequality-white": Known((0, 1, 5), (58, 2), LARGE),
    "Gearbox_1_20": Known((1,), (40, 2), LARGE),
    "Gearbox_1_10": Known((1,), (40, 4), LARGE),
    "Gearbox_1_5": Known((1,), (40, 8), LARGE),
    "satimage": Known((2, 4, 5), (6, 2), LARGE),
    "mfcc": Known((3,), (6, 2), LARGE),
    "Gearbox_1_2": Known((1,), (40, 20), LARGE),
    "JM1": Known((1,), (30, 8), LARGE),
    "clave": Known((0,), (6, 2), LARGEST),
    "nursery": Known((1,), (6, 2), LARGEST),
    "log2": Known((3,), (318, 2), LARGEST),
}


class Halves(NamedTuple):
    """Rows to learn from and rows to be tested on."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    tested: NDArray[np.float32]
    truth: NDArray[np.int64]


class Table:
    """One table: `name`, `known` facts, `features` (n, d), `labels` (n,), `learned` (n,) by the supplied split."""

    def __init__(self, name: str, known: Known, frame: pd.DataFrame) -> None:
        self.name, self.known = name, known
        self.features = frame.drop(columns=["label", "split"]).to_numpy(np.float32)
        self.labels = frame["label"].to_numpy(np.int64)
        self.learned = (frame["split"] == "train").to_numpy()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names: their codes in the file."""
        return tuple(str(code) for code in range(int(self.labels.max()) + 1))

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits over the rows and their split."""
        digest = hashlib.sha256()
        for part in (self.features, self.labels, self.learned):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def halves(self, split: str, seed: int) -> Halves:
        """Return the supplied halves, or stratified ones drawn by the seed."""
        first, second = np.flatnonzero(self.learned), np.flatnonzero(~self.learned)
        if split == RESPLIT:
            everything = np.arange(len(self.labels))
            first, second = train_test_split(everything, test_size=0.5, random_state=seed, stratify=self.labels)
            first, second = np.sort(first), np.sort(second)
        return Halves(self.features[first], self.labels[first], self.features[second], self.labels[second])


@cache
def read(name: str, folder: str = str(FOLDER)) -> Table:
    """Read a table by its short name."""
    start, *rest = name.split("_", 1)
    file = "_".join([LONG.get(start, start), *rest])
    return Table(name, TABLES[name], pd.read_parquet(Path(folder) / f"{file}.parquet"))


def budget(name: str, epochs: int | None) -> dict[str, Any]:
    """Return the settings in which a table's budget differs from the default; `epochs` overrides it everywhere."""
    return TABLES[name].budget | ({} if epochs is None else {"epochs": epochs})
