"""What pages of results are written with: tables in Markdown, and means with their spread."""

from collections.abc import Sequence

import pandas as pd

DASH = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: "pd.Series[float]", digits: int = 3) -> str:
    """Return `mean ± standard deviation`, a dash where there is none."""
    values = values.dropna()
    if not len(values):
        return DASH
    return f"{values.mean():.{digits}f}" + (f" ± {values.std():.{digits}f}" if len(values) > 1 else "")
