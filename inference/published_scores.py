"""Read what the report needs of a published scores table, which may hold far more entities than memory does."""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from feature_extraction import publishing
from feature_extraction.schema import ENTITY, UNKNOWN
from inference import table

ALERT_COLUMNS = ("score", "probability", "rank", "alert", "verdict", "uncertainty", "reasons")
MEASURED_COLUMNS = ("score", "probability", "alert", "verdict")


def alerts(url: str) -> pd.DataFrame:
    """Return the rows of the alerts, most likely rare first."""
    frame = table.select(url, _there(url, ALERT_COLUMNS), ds.field("alert"))
    return frame.sort_values("rank", ignore_index=True)


def of_entities(url: str, entities: Sequence[str]) -> pd.DataFrame:
    """Return the scores of some entities, without their reasons, in no order; one that has none is left out."""
    among = ds.field(ENTITY).isin(pa.array(entities, pa.string()))
    return table.select(url, _there(url, MEASURED_COLUMNS), among)


def unknown_share(url: str, classes: Sequence[str]) -> float | None:
    """Return the share of all entities found `unknown`; None where the model has no such class, or nobody."""
    total = publishing.footer_rows(url)
    if UNKNOWN not in classes or not total:
        return None
    return table.count(url, ds.field("verdict") == UNKNOWN) / total


def _there(url: str, columns: Sequence[str]) -> list[str]:
    """Leave out columns that scores of an earlier version lack."""
    found = set(table.column_names(url))
    return [name for name in columns if name in found]
