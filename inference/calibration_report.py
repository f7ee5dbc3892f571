"""How the probabilities lie to the hidden labels: for the report alone; nothing is fitted to these labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from feature_extraction.schema import ENTITY, LABEL
from inference import table
from inference.report_data import Calibration

BINS = 10
ROWS_PER_BIN = 20  # with fewer a share says little


def calibration_of(features_url: str, scores: pd.DataFrame, facts: Mapping[str, Any] | None) -> Calibration | None:
    """Compare probabilities with hidden labels, in bins of equal numbers of entities.

    Probabilities are stated for all entities, hidden labels are those of labelled ones. Where rare ones are more common
    among the labelled, more of the hidden ones are rare than is promised, in every bin: that is the difference between
    the two groups, which nobody can see from labels alone, and not to be taken for a fault of the fit.

    Args:
        features_url: the feature table, with its hidden labels.
        scores: at least the hidden entities' rows of the scores table: `entity_id` and `probability`.
        facts: `calibration` of the scores' run.json; None where an earlier version scored.

    Returns:
        The comparison, without bins where no label is hidden; None where there are no probabilities. The error is the
        expected calibration error, sum over bins of their share of rows times |observed - predicted| (Naeini, Cooper
        and Hauskrecht, AAAI 2015).
    """
    if not facts or facts["method"] == "none" or "probability" not in scores:
        return None
    hidden = table.holdout(features_url).merge(scores[[ENTITY, "probability"]], on=ENTITY).sort_values(ENTITY)
    truth = (hidden[LABEL] == table.schema(features_url).rare).to_numpy()
    stated = hidden["probability"].to_numpy(dtype=np.float64)
    bins = min(BINS, len(stated) // ROWS_PER_BIN) or min(1, len(stated))
    parts = np.array_split(np.argsort(stated, kind="stable"), bins) if bins else []
    predicted = [float(stated[rows].mean()) for rows in parts]
    observed = [float(truth[rows].mean()) for rows in parts]
    counts = [len(rows) for rows in parts]
    gaps = np.abs(np.subtract(observed, predicted))
    return Calibration(
        method=facts["method"],
        rows=facts["rows"],
        rare=facts["rare"],
        population_share=facts["population_share"],
        predicted=predicted,
        observed=observed,
        counts=counts,
        error=float(np.average(gaps, weights=counts)) if bins else None,
    )
