"""What a trainer that makes rows learns from, and the rows it makes.

Takes labelled rows and settings; gives a `Task`. A generator gives `Samples`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_extraction.schema import FeatureSchema
from training.torch.augmentation.settings import AugmentationSettings
from training.trainer import Batch, Floats

Codes = NDArray[np.int64]
Doubles = NDArray[np.float64]

HALF = 2  # a class with at most the majority's rows divided by this is a small one


class Task(NamedTuple):
    """What is learned from.

    Attributes:
        features: raw labelled rows, (n, d) with NaN for missing.
        labels: class code of each, (n,).
        classes: class names by code.
        names: of the features.
        majority: code of the largest class that is not rare.
        minority: codes of the classes to make rows of, in order.
    """

    features: Floats
    labels: Codes
    classes: tuple[str, ...]
    names: tuple[str, ...]
    majority: int
    minority: tuple[int, ...]


class Samples(NamedTuple):
    """Synthetic rows, best first.

    Attributes:
        features: raw rows, (n, d) float32.
        labels: class code of each.
        confidence: probability of that class in the eyes of the generator's judge.
        votes: how many of the two judgements it passed: looks of its class, and as near to real rows as these are.
        quality: how near it is to a real row of its class, 1 if as near as those are to one another or nearer.
    """

    features: Floats
    labels: Codes
    confidence: Doubles
    votes: Doubles
    quality: Doubles

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Samples":
        """Return some of the rows."""
        parts: list[Any] = [part[rows] for part in self]
        return Samples(*parts)


def task_of(labeled: Batch, schema: FeatureSchema, settings: AugmentationSettings) -> Task:
    """Return what is learned: rows of the small classes are made, not of the largest that is not rare.

    Raises:
        ValueError: `minority` names no class, one without rows, or the largest.
    """
    counts = np.bincount(labeled.labels, minlength=len(schema.classes))
    majority = int(np.where(np.arange(len(counts)) == schema.rare_code, -1, counts).argmax())
    named = settings.minority or [
        name
        for code, name in enumerate(schema.classes)
        if code != majority and counts[code] and (code == schema.rare_code or counts[code] * HALF <= counts[majority])
    ]
    possible = [name for code, name in enumerate(schema.classes) if code != majority and counts[code]]
    if strange := sorted(set(named) - set(possible)):
        raise ValueError(
            f"minority names {strange}; rows can be made of {possible}; {schema.classes[majority]!r} is the largest. "
            "Name some of these, or none for the small ones"
        )
    return Task(
        features=labeled.features,
        labels=labeled.labels.astype(np.int64),
        classes=schema.classes,
        names=schema.names,
        majority=majority,
        minority=tuple(sorted(schema.classes.index(name) for name in named)),
    )
