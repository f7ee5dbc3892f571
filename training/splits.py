"""Which labelled rows are learned from and which are held out.

Takes label codes; gives row positions. Every class stands on both sides, since a validation set without a
rare row measures nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FeatureSchema
from training.trainer import Labels

Rows = NDArray[np.intp]


def check_labels(labels: Labels, schema: FeatureSchema) -> None:
    """Raise `ValueError` unless the labelled rows name the rare class and at least one other."""
    found = {name: int((labels == code).sum()) for code, name in enumerate(schema.classes)}
    seen = [name for name, rows in found.items() if rows]
    if not schema.rare or schema.rare not in seen:
        raise ValueError(
            f"no labelled row is of the rare class {schema.rare!r}; found {found or 'no labels at all'}. "
            "Label some entities of that class, or name another class as rare in [labels]"
        )
    if len(seen) < 2:
        raise ValueError(
            f"all {found[schema.rare]} labelled rows are of the rare class {schema.rare!r}; "
            "at least two classes are needed. Label some entities that are known not to be rare"
        )
    if labels.min() < 0 or labels.max() >= len(schema.classes):
        raise ValueError(
            f"label codes {labels.min()} to {labels.max()} do not fit the classes {list(schema.classes)}; "
            "labelled rows must hold positions in that list: extract the table again"
        )


def folds(labels: Labels, num: int, *, seed: int, names: Sequence[str]) -> list[tuple[Rows, Rows]]:
    """Hold out each row once in `num` stratified folds.

    The rows of a class are dealt round the folds in random order. A class with fewer rows than folds lends
    one of them to several folds, so that every fold holds a row of each class, and leaves one to learn from.

    Args:
        labels: class code of each row, (rows,).
        num: folds, at least 2.
        seed: one seed gives one set of folds.
        names: class names by code, for the message.

    Returns:
        For each fold, the positions of the rows to learn from and of the rows held out, both ascending.

    Raises:
        ValueError: a class has fewer than two rows.
    """
    random = np.random.default_rng(seed)
    held: list[list[Rows]] = [[] for _ in range(num)]
    for code, name in enumerate(names):
        rows = random.permutation(np.flatnonzero(labels == code))
        if len(rows) < 2:
            raise ValueError(
                f"class {name!r} has {len(rows)} labelled rows; at least 2 are needed, one to learn "
                "from and one to check with. Label more of it, or merge it with another class"
            )
        for number in range(num):
            held[number].append(rows[number::num] if len(rows) >= num else rows[[number % len(rows)]])
    everything = np.arange(len(labels))
    held_out = [np.sort(np.concatenate(parts)) for parts in held]
    return [(np.setdiff1d(everything, rows), rows) for rows in held_out]
