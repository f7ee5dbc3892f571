"""The page of results and its twin: `kddcup99.md` for people, `kddcup99.csv` with a row a (setup, method, seed).

Each setup has a section of its own; a run replaces those it measured and leaves the others as they were.
"""

import io
import re

import pandas as pd

from feature_extraction import storage
from jobs.kddcup99 import tables
from jobs.kddcup99.fits import KEYS
from jobs.kddcup99.plan import AnomalyTables, Plan

PAGE, TWIN = "kddcup99.md", "kddcup99.csv"
MARK = re.compile(r"<!-- section: (\w+) -->\n")
DATA, ANOMALIES = "data", "anomalies"
INTRODUCTION = (
    "# KDD Cup 1999\n\nWritten by `python -m jobs.kddcup99`; the rows behind it are in `kddcup99.csv`. Training rows "
    "come from the 10 % file, test rows from `corrected`. A verdict is the class with the highest probability. "
    "Shares of rows of known types leave out the attack types that training does not hold; those are `unseen`."
)


def sections(plan: Plan, results: pd.DataFrame, duplicates: pd.DataFrame) -> dict[str, str]:
    """Return the page's parts that this run measured, by name."""
    parts = {DATA: _data_section(duplicates)}
    parts |= {setup.name: tables.setup_section(plan, setup, results) for setup in plan.setups}
    if plan.anomalies:
        parts[ANOMALIES] = _anomaly_section(plan.anomalies, results)
    return parts


def merged(folder: str, results: pd.DataFrame) -> pd.DataFrame:
    """Return the results and, before them, what other runs wrote to a folder of other setups."""
    twin = storage.join(folder, TWIN)
    if not storage.exists(twin):
        return results
    before = pd.read_csv(io.BytesIO(storage.read_bytes(twin)))
    kept = before[~before["setup"].isin(set(results["setup"]))]
    return pd.concat([part for part in (kept, results) if len(part)], ignore_index=True)


def write(folder: str, parts: dict[str, str], results: pd.DataFrame) -> None:
    """Write page and twin to a folder; sections of setups that have no part among `parts` stay as they were.

    Args:
        folder: local or s3://bucket/prefix.
        parts: what `sections` returned.
        results: what `merged` returned.
    """
    page = storage.join(folder, PAGE)
    known = _read_sections(storage.read_text(page)) if storage.exists(page) else {}
    text = "".join(f"\n\n<!-- section: {name} -->\n{part}" for name, part in (known | parts).items())
    storage.write_bytes(page, f"{INTRODUCTION}{text}\n".encode())
    rows = results.sort_values(KEYS, kind="stable").to_csv(index=False, float_format="%.6g")
    storage.write_bytes(storage.join(folder, TWIN), rows.encode())


def _read_sections(text: str) -> dict[str, str]:
    pieces = MARK.split(text)
    return {name: part.strip("\n") for name, part in zip(pieces[1::2], pieces[2::2], strict=True)}


def _data_section(duplicates: pd.DataFrame) -> str:
    rows = [[str(name), *(f"{value:,}" for value in counts)] for name, *counts in duplicates.itertuples()]
    header = ["group", *(name.replace("_", " ") for name in duplicates.columns)]
    known_by_heart, tested = (duplicates[name].to_dict()["all"] for name in ("test_in_train", "test"))
    return (
        "## The files, and rows that occur again\n\n"
        + tables.markdown(header, rows)
        + f"\n\nRows are equal where all 41 columns are. Of the test rows {known_by_heart / tested:.0%} occur in the "
        "training file too, so numbers on all rows say in part what was learned by heart; "
        "the setups of distinct rows leave those out."
    )


def _anomaly_section(settings: AnomalyTables, results: pd.DataFrame) -> str:
    names = [method.name for method in settings.methods]
    own = results[results["method"].isin(names)]
    rows = []
    for task in sorted(set(own["setup"])):
        found = [own[(own["setup"] == task) & (own["method"] == name)] for name in names]
        differences = [tables.paired(part, found[-1], "auroc") for part in found[:-1]]
        rows.append([str(task), str(len(found[-1])), *(tables.spread(part["auroc"]) for part in found), *differences])
    header = ["data", "runs", *(f"`{name}`" for name in names)]
    header += [f"`{name}` less `{names[-1]}`" for name in names[:-1]]
    labeled = ", ".join(f"{num} {name}" for name, num in settings.labeled.items())
    return (
        "## Anomaly detectors\n\nArea under the ROC curve of the rare class among rows of known types, mean ± standard "
        "deviation over seeds; differences seed by seed, mean ± standard error. All learn from the same rows: those "
        f"labelled as not rare and those without label, rare ones among them. Tables of ADBench: {labeled} labelled "
        f"rows, {settings.test_share:.0%} of all rows tested on.\n\n" + tables.markdown(header, rows)
    )
