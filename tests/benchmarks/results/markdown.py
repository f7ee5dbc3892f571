"""What pages of results are written with: tables in Markdown, and means with their spread."""

from collections.abc import Sequence

import pandas as pd

DASH = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def verdict(value: float, least: float) -> str:
    """Say whether a figure reaches what was asked of it, or by how much it does not."""
    return "**holds**" if value >= least else f"**is missed by {least - value:.1f}**"


def spread(values: "pd.Series[float]", digits: int = 3) -> str:
    """Return `mean ± standard deviation`, a dash where there is none."""
    values = values.dropna()
    if not len(values):
        return DASH
    return f"{values.mean():.{digits}f}" + (f" ± {values.std():.{digits}f}" if len(values) > 1 else "")
