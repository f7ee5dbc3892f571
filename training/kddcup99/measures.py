"""What a model's verdicts on the test rows are worth, rare class and unseen types above all.

Takes probabilities and true codes; gives named shares. A verdict is the class with the highest probability;
`unknown` is no class of the setup, so a row sent there counts as found by nobody.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from feature_extraction.schema import UNKNOWN, FeatureSchema
from training.kddcup99.setups import UNSEEN_CODE, Split
from training.trainer import Artifact, Floats, Labels

UNKNOWN_CODE, OTHER_CODE = -3, -4
NORMAL = "normal"
RECALL = "recall_"


def measure(artifact: Artifact, split: Split) -> dict[str, float]:
    """Score the test rows and return what `of_probabilities` returns."""
    probabilities = artifact.predict(split.test)[split.occurrence]
    return of_probabilities(probabilities, artifact.classes, split.reader.schema, split.truth)


def of_probabilities(
    probabilities: Floats, classes: Sequence[str], schema: FeatureSchema, truth: Labels
) -> dict[str, float]:
    """Measure verdicts.

    Args:
        probabilities: (rows, classes of the artifact).
        classes: its class names: those of the schema, weak classes made of one of them (`normal_low`), `unknown`.
        schema: names the classes and the rare one.
        truth: class code of each row, or `UNSEEN_CODE`, (rows,).

    Returns:
        `recall_<class>` of each class, with the rare one as `recall_rare`; `precision_rare`, `average_precision`
        and `auroc` of the rare class among rows of known types; the share of rows of known types given to
        `unknown` (`unknown_known_types`) and that of the rare rows (`rare_to_unknown`); the shares of the rows of
        unseen types given to `unknown`, to the rare class and, where there is such a class, to `normal`. What
        is undefined, such as the precision of a class never given, is NaN.
    """
    code_of = _code_of(classes, schema)
    verdict = np.array([code_of[name] for name in classes])[probabilities.argmax(axis=1)]
    score = probabilities[:, classes.index(schema.rare)]
    known, rare = truth != UNSEEN_CODE, truth == schema.rare_code
    given_rare = verdict == schema.rare_code
    found = {
        RECALL + ("rare" if name == schema.rare else name): _share(verdict == code, truth == code)
        for code, name in enumerate(schema.classes)
    }
    found |= {
        "precision_rare": _share(rare, known & given_rare),
        "average_precision": _ranking(average_precision_score, rare[known], score[known]),
        "auroc": _ranking(roc_auc_score, rare[known], score[known]),
        "unknown_known_types": _share(verdict == UNKNOWN_CODE, known),
        "rare_to_unknown": _share(verdict == UNKNOWN_CODE, rare),
        "unseen_to_unknown": _share(verdict == UNKNOWN_CODE, ~known),
        "unseen_to_rare": _share(given_rare, ~known),
    }
    if NORMAL in schema.classes:
        found["unseen_to_normal"] = _share(verdict == schema.classes.index(NORMAL), ~known)
    return found


def _code_of(classes: Sequence[str], schema: FeatureSchema) -> Mapping[str, int]:
    """Map each of the artifact's classes to a class of the schema; a weak class is named after the one it refines.

    A class of the artifact's own, such as an anomaly detector's for all that is not rare, is none of the schema's.
    """
    codes = {UNKNOWN: UNKNOWN_CODE} | {name: code for code, name in enumerate(schema.classes)}
    for name in classes:
        origins = (codes[origin] for origin in schema.classes if name.startswith(f"{origin}_"))
        codes[name] = codes[name] if name in codes else next(origins, OTHER_CODE)
    return codes


def _share(true: NDArray[np.bool_], rows: NDArray[np.bool_]) -> float:
    return float(true[rows].mean()) if rows.any() else float("nan")


def _ranking(score_of: Callable[..., float], rare: NDArray[np.bool_], scores: Floats) -> float:
    return float(score_of(rare, scores)) if 0 < rare.sum() < len(rare) else float("nan")
