"""Fold contributions up: feature to what it describes (a component of Prophet's model), and that to its metric."""

from collections.abc import Sequence

import numpy as np

from feature_extraction import definitions
from feature_extraction.schema import FEATURE_SEPARATOR
from inference.report_alerts import Share
from training.trainer import Floats

MOST_RESIDUALS = 30  # as many as `features.last_residuals` may be
DEFINITIONS = {feature.name: feature for feature in definitions.metric_features(MOST_RESIDUALS, active_values=True)}


def defined(column: str) -> tuple[str, definitions.Feature]:
    """Return the metric of a feature column and the feature's definition."""
    metric, name = column.split(FEATURE_SEPARATOR, 1)
    return metric, DEFINITIONS[name]


def fold(names: Sequence[str], contributions: Floats) -> list[list[Share]]:
    """Sum each row's contributions by metric and component, largest first, whatever its sign.

    Every contribution goes in, those that speak against the rare class too, so that a row's shares sum to what its
    contributions sum to.

    Args:
        names: feature columns.
        contributions: (rows, features).
    """
    places = [(metric, feature.component) for metric, feature in map(defined, names)]
    distinct = list(dict.fromkeys(places))
    member = np.array([[place == one for one in distinct] for place in places], dtype=np.float64)
    sums = contributions.astype(np.float64) @ member.reshape(len(names), len(distinct))
    return [
        [
            Share(distinct[place][0], distinct[place][1], float(row[place]))
            for place in np.argsort(-np.abs(row), kind="stable")
        ]
        for row in sums
    ]
