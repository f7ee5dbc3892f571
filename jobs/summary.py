"""The last lines of a run: what was found, how good it is, and where to look."""

import json
import sys
from typing import Any

import pandas as pd

from feature_extraction import storage
from feature_extraction.publishing import Run

SHOWN = 5
SHOWN_REASONS = 3
ID_WIDTH = 40


def write(report: Run, scores: pd.DataFrame, main: str) -> None:
    """Write the summary of a run to standard output."""
    measured = json.loads(storage.read_text(storage.join(report.url, "metrics.json")))["evaluation"]
    lines = ["", *_entities(scores[scores["alert"]].head(SHOWN)), "", *_measures(measured, main), ""]
    page = storage.join(report.url, "report.html")
    lines.append(f"Report: {page if storage.is_s3(page) else storage.local_path(page).resolve()}")
    sys.stdout.write("\n".join(lines) + "\n")


def _entities(first: pd.DataFrame) -> list[str]:
    lines = [f"The first {len(first)} to review:"]
    for row in first.to_dict("records"):
        reasons = ", ".join(_reason(reason) for reason in list(row["reasons"])[:SHOWN_REASONS])
        entity = str(row["entity_id"]).encode("unicode_escape").decode()
        shown = entity if len(entity) <= ID_WIDTH else entity[: ID_WIDTH - 3] + "..."
        lines.append(
            f"  {row['rank']:>4}. {shown:<12} score {row['score']:.3f}  {reasons or 'no reason speaks for it'}"
        )
    return lines


def _reason(reason: dict[str, Any]) -> str:
    value = reason["value"]
    return f"{reason['feature']} = {'missing' if pd.isna(value) else format(value, '.3g')}"


def _measures(measured: dict[str, Any] | None, main: str) -> list[str]:
    if measured is None:
        return ["No hidden labels, so nothing is measured: set labels.holdout_share or labels.holdout_url."]
    rows = f"{measured['rows']:,} entities whose labels training never saw, {measured['rare_rows']:,} of them rare"
    lines = [f"On {rows} (average precision of a random order: {measured['base_rate']:.3f}):"]
    for name in sorted(measured["methods"], key=lambda name: name != main):
        found = measured["methods"][name]
        precision, recall = found["average_precision"], found["recall_at_budget"]
        lines.append(
            f"  {name:<22} average precision {_interval(precision)}"
            f"  recall in {measured['budget']} alerts {_interval(recall)}"
        )
    return lines


def _interval(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return f"undefined: {estimate['reason']}"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
