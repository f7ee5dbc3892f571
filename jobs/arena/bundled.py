"""Three small tables that scikit-learn brings along: what a quick run compares on where no folder is named.

Each has one class of ten in a hundred rows or fewer to be found: malignant tumors, thinned out; the digit 8; patients
whose diabetes got worse the most.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from sklearn import datasets

from feature_extraction.schema import FeatureSchema
from jobs.arena.data_sets import DataSet, Table

MALIGNANT = 40  # of 212, beside 357 benign ones
WORST = 0.9  # quantile of the progress of diabetes
CLASSES = ("regular", "rare")


def available() -> dict[str, DataSet]:
    """Return the three data sets by name; they lie in no folder."""
    return {name: DataSet(name, "table", "", name) for name in MAKERS}


def table(data: DataSet) -> Table:
    """Return one of them."""
    return MAKERS[data.name]()


def _breast_cancer() -> Table:
    features, codes = datasets.load_breast_cancer(return_X_y=True)
    malignant = np.flatnonzero(codes == 0)
    dropped = np.random.default_rng(0).permutation(malignant)[MALIGNANT:]
    kept = np.setdiff1d(np.arange(len(codes)), dropped)
    return _table("cell", features[kept], codes[kept] == 0)


def _digits() -> Table:
    features, codes = datasets.load_digits(return_X_y=True)
    return _table("pixel", features, codes == 8)


def _diabetes() -> Table:
    features, progress = datasets.load_diabetes(return_X_y=True)
    return _table("patient", features, progress > np.quantile(progress, WORST))


def _table(metric: str, features: ArrayLike, is_rare: ArrayLike) -> Table:
    values, rare = np.asarray(features, np.float32), np.asarray(is_rare, np.int8)
    names = tuple(f"{metric}__{number}" for number in range(values.shape[1]))
    schema = FeatureSchema(names=names, classes=CLASSES, rare=CLASSES[1])
    return Table(values, rare, schema, np.arange(len(rare)).astype(str))


MAKERS: dict[str, Callable[[], Table]] = {
    "sklearn_breast_cancer": _breast_cancer,
    "sklearn_diabetes": _diabetes,
    "sklearn_digits": _digits,
}
