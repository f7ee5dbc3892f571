"""Rows that occur again: within a file, and in the test file after training has seen them.

Takes `KddCup99`; gives the identity of each row and counts by group. Most connections of a flood are one row
repeated, so that rows drawn at random stand on both sides of any split.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.kddcup99.files import COLUMNS, GROUPS, UNSEEN, Connections, KddCup99

Identities = NDArray[np.uint64]


def identities(connections: Connections, columns: Sequence[str] = ()) -> Identities:
    """Return a number for each row that is the same for rows equal in `columns` (all 41 if empty), (rows,).

    It is a hash of 64 bits: over the 805,050 rows of both files two different rows collide with a chance of 2e-8.
    """
    chosen = list(columns) or list(COLUMNS)
    return np.asarray(pd.util.hash_pandas_object(connections.columns[chosen], index=False), dtype=np.uint64)


def count(data: KddCup99, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Count rows by group.

    Args:
        data: both files.
        columns: what makes rows equal; all 41 columns if empty.

    Returns:
        One row a group and one for `all`, with `train` and `test` rows, `train_distinct` and `test_distinct`
        ones, and `test_in_train`: test rows whose columns occur in the training file, under any label.
    """
    train, test = identities(data.train, columns), identities(data.test, columns)
    in_train = np.isin(test, train)
    groups = {"train": data.train.group, "test": data.test.group}
    counts = {}
    for name in (*GROUPS, UNSEEN, "all"):
        of_train, of_test = ((group == name) | (name == "all") for group in groups.values())
        counts[name] = {
            "train": int(of_train.sum()),
            "train_distinct": len(np.unique(train[of_train])),
            "test": int(of_test.sum()),
            "test_distinct": len(np.unique(test[of_test])),
            "test_in_train": int(in_train[of_test].sum()),
        }
    return pd.DataFrame.from_dict(counts, orient="index")
