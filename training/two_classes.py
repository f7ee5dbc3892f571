"""Methods that tell rare rows from all others, whatever classes the labels tell apart."""

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FeatureSchema
from training.trainer import Batch, Floats


def rare_or_not(schema: FeatureSchema) -> tuple[str, ...]:
    """Return the two classes of such a method: the rare one and, by its name if there is but one, what is not rare."""
    return schema.classes if len(schema.classes) == 2 else (f"not {schema.rare}", schema.rare)


def rare_and_others(rows: Batch, unlabeled: Floats, rare_code: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return labelled rows followed by unlabelled ones, and which are taken to be rare: of the latter none."""
    rare = np.concatenate([rows.labels == rare_code, np.zeros(len(unlabeled), bool)])
    return np.concatenate([rows.features, unlabeled]), rare
