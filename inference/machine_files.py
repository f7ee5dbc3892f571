"""What the report says of each alert, for programs: `reasons.parquet` and `alerts.parquet`."""

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from feature_extraction.schema import ENTITY
from inference.report_alerts import Alert

# Spelled out, so that a list without members, or without a value, is stored with the same types.
REASONS = pa.schema(
    [
        (ENTITY, pa.string()),
        ("rank", pa.int64()),
        ("place", pa.int64()),
        ("feature", pa.string()),
        ("value", pa.float64()),
        ("contribution", pa.float64()),
        ("typical", pa.float64()),
        ("unit", pa.string()),
        ("definition", pa.string()),
    ]
)
SHARE = pa.struct([("metric", pa.string()), ("component", pa.string()), ("contribution", pa.float64())])
NEIGHBOR = pa.struct([(ENTITY, pa.string()), ("label", pa.string()), ("distance", pa.float64())])
CHANGE = pa.struct(
    [
        ("feature", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("needed", pa.float64()),
        ("unit", pa.string()),
        ("definition", pa.string()),
    ]
)
COUNTERFACTUAL = pa.struct(
    [("changes", pa.list_(CHANGE)), ("score", pa.float64()), ("line", pa.float64()), ("reached", pa.bool_())]
)
MOVE = pa.struct(
    [
        ("feature", pa.string()),
        ("metric", pa.string()),
        ("before", pa.float64()),
        ("after", pa.float64()),
        ("own", pa.float64()),
        ("spreads", pa.float64()),
        ("unit", pa.string()),
        ("definition", pa.string()),
    ]
)
TRANSLATION = pa.struct(
    [
        (ENTITY, pa.string()),
        ("label", pa.string()),
        ("moves", pa.list_(MOVE)),
        ("score", pa.float64()),
        ("translated_score", pa.float64()),
    ]
)
ALERTS = pa.schema(
    [
        (ENTITY, pa.string()),
        ("rank", pa.int64()),
        ("score", pa.float64()),
        ("probability", pa.float64()),
        ("uncertainty", pa.float64()),
        ("verdict", pa.string()),
        ("remarks", pa.list_(pa.string())),
        ("shares", pa.list_(SHARE)),
        ("neighbors", pa.list_(NEIGHBOR)),
        ("counterfactual", COUNTERFACTUAL),
        ("translation", TRANSLATION),
    ]
)


def reasons_file(alerts: Sequence[Alert]) -> bytes:
    """Return `reasons.parquet`: one row for each reason of each alert."""
    rows = [
        {ENTITY: alert.entity_id, "rank": alert.rank, "place": place} | asdict(reason)
        for alert in alerts
        for place, reason in enumerate(alert.reasons, 1)
    ]
    return _packed(rows, REASONS)


def alerts_file(alerts: Sequence[Alert]) -> bytes:
    """Return `alerts.parquet`: one row for each alert, with all that is said of it but its reasons."""
    return _packed([asdict(alert) for alert in alerts], ALERTS)


def _packed(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema), buffer)
    return buffer.getvalue()
