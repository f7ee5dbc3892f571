"""What the scores of one fit are worth on the rows that it is tested on."""

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from training.metrics import at_budget
from training.trainer import Floats

SHARES = {"recall_1pct": 0.01, "recall_5pct": 0.05}
NAMES = ("average_precision", "auroc", *SHARES)


def measure(is_rare: NDArray[np.bool_], scores: Floats) -> dict[str, float]:
    """Return average precision, area under the ROC curve, and recall where so large a share of the rows is reviewed.

    Args:
        is_rare: whether each row is rare, (rows,), rows of both kinds among them.
        scores: higher means more likely rare, (rows,), finite.
    """
    found = {
        "average_precision": float(average_precision_score(is_rare, scores)),
        "auroc": float(roc_auc_score(is_rare, scores)),
    }
    for name, share in SHARES.items():
        found[name] = at_budget(is_rare, scores, math.ceil(share * len(scores)))[0]
    return found
