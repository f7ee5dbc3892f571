"""Why an entity is listed: the features that speak most for the rare class."""

from typing import NamedTuple

import numpy as np

from feature_extraction.schema import FEATURE_SEPARATOR
from inference import table
from training.trainer import Artifact, Floats


class Reason(NamedTuple):
    """A feature, its value, None for missing, and its contribution to the score."""

    feature: str
    value: float | None
    contribution: float


def reasons_of(features_url: str, model: Artifact, entities: list[str], count: int) -> dict[str, list[Reason]]:
    """Return each entity's `count` features that speak most for the rare class."""
    if not entities:
        return {}
    names = model.schema.names
    values = table.features(features_url, names, entities)
    contributions = model.contributions(values)
    return {entity: largest(names, values[row], contributions[row], count) for row, entity in enumerate(entities)}


def largest(names: tuple[str, ...], values: Floats, contributions: Floats, count: int) -> list[Reason]:
    """Return one entity's largest reasons; what is said alike of several metrics is one fact, told once."""
    told: set[tuple[str, float | None]] = set()
    reasons: list[Reason] = []
    for i in np.argsort(-contributions, kind="stable"):
        fact = (names[i].split(FEATURE_SEPARATOR)[-1], None if np.isnan(values[i]) else float(values[i]))
        if contributions[i] <= 0 or len(reasons) == count:
            break
        if fact not in told:
            told.add(fact)
            reasons.append(Reason(names[i], fact[1], float(contributions[i])))
    return reasons
