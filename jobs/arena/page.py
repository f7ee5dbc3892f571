"""The page of results and what lies beside it: `arena.md` for people, `arena.csv` with a row a fit, drawings as SVG.

Every sentence with a figure in it is written from the rows.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from feature_extraction import storage
from jobs.arena import advice, claims, comparisons, ledger, missing, plots, tables
from jobs.arena.fit import DONE
from jobs.arena.plan import AUTO, NAIVE, REFERENCE, Plan
from jobs.arena.splits import BUDGETS, FOLDS

PAGE = "arena.md"
LOGS, OTHERS = "Event logs", "Tables"
COLLECTIONS = {"adbench_": "ADBench", "qast_": "QAST's tables", "sklearn_": "scikit-learn's tables"}
INTRODUCTION = f"""# The arena

Written by `python -m jobs.benchmark`; the rows behind it are in `{ledger.TWIN}`, one a fit. Every method, ours and what
people would use instead (marked *baseline*), on the same rows with the same labels.

- **Splits**: stratified {FOLDS}-fold by entity, repeated; seed k tests on fold k mod {FOLDS} of partition
  k div {FOLDS}, so that {FOLDS} seeds test each entity once. The seed also draws the labels and seeds the method. A fit
  runs in a process of its own, which is given no label of a test row, nor its features before it has learned.
- **Label budgets**: *all*; or 20, 50 or 200 labelled rows of the rare class and 5 % of the others. The rest of the
  training part is there without labels.
- **Figures**: mean ± standard deviation over seeds (number of seeds). Differences are taken seed by seed, ± the
  standard error corrected for training rows that seeds share (Nadeau and Bengio, 2003), then at how many seeds the
  first is better; *beyond noise*: 0 lies outside the 95 % interval. Recall at 1 % (5 %) is the share of the rare test
  rows found by reviewing as many of the highest scores.
- **Best baseline**: the baseline with the highest mean on the very rows it is compared on. That is hindsight, which no
  user has, and favors it.
- **Seen before**: what methods do by default, and what `auto` takes and how, was chosen with the eight event logs in
  sight. Tables had no part in that, but for annthyroid of ADBench, on which the score of `aae` was chosen, and QAST's,
  on which `qast`, `mgvae` and `imsic` were tried: they tell whether what was found on the logs holds elsewhere.
- **Tuning**: each method tunes on its own training rows, if at all; the search is part of its time. Times are seconds
  of a processor unless the clock is named, with one thread a fit unless the command said otherwise."""


def write(folder: str, fits: Path, results: pd.DataFrame, plan: Plan) -> str:
    """Write page, twin and drawings with these results and those before them; return where the page is.

    Args:
        folder: of the page, local or s3://bucket/prefix.
        fits: folder of the finished fits, which gets `results.parquet`.
        results: a row a fit.
        plan: what they were measured by; tells which earlier rows are of other code.
    """
    rows = ledger.merged(folder, results)
    ledger.write(folder, fits, rows)
    parts = [INTRODUCTION]
    for title, text in _sections(rows, plan, folder):
        parts.append(f"## {title}\n\n{text}")
    place = storage.join(folder, PAGE)
    storage.write_bytes(place, ("\n\n".join(parts) + "\n").encode())
    return place


def _sections(rows: pd.DataFrame, plan: Plan, folder: str) -> Iterator[tuple[str, str]]:
    main = rows[rows["main"]]
    yield "Which one should I use, and when is it not worth it?", advice.section(rows)
    if main["data"].isin(list(claims.BARS)).any():  # nothing was asked of a stranger's data
        yield "What was asked", claims.section(rows)
    yield "What is missing", missing.section(rows, plan)
    for title, own in _collections(main):
        yield title, "\n\n".join(_collection(title, own, folder))
    yield "What the features add", _features(rows)
    yield "Time and memory", _costs(main)


def _collections(main: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give the rows of the logs, then those of each collection of tables, where any is measured."""
    tabular = main[main["kind"] == "table"]
    prefix = tabular["data"].str.extract(f"^({'|'.join(COLLECTIONS)})", expand=False)
    groups = {LOGS: main[main["kind"] == "log"]}
    groups |= {title: tabular[prefix == start] for start, title in COLLECTIONS.items()}
    groups[OTHERS] = tabular[prefix.isna()]
    yield from ((title, own) for title, own in groups.items() if (own["outcome"] == DONE).any())


def _collection(title: str, own: pd.DataFrame, folder: str) -> Iterator[str]:
    slug = "_".join(title.lower().replace("'s", "").replace("-", " ").split())
    measured = set(own[own["outcome"] == DONE]["budget"])
    budgets = [name for name in BUDGETS if name in measured]
    for budget in budgets:
        here = own[own["budget"] == budget]
        yield f"### {title}, {advice.shown(budget).lower()}"
        if here["data"].nunique() <= tables.MOST_COLUMNS:
            yield "Average precision; the best mean of each data set in bold, the best method by mean rank first."
            yield tables.precision(here)
        yield "Means over data sets, of those for which a method has the seeds that most have:\n\n" + tables.summary(
            here
        )
        yield _ranks(here, f"arena_{slug}_{budget}_ranks.svg", folder)
    yield f"### {title}: `{AUTO}` against the best baseline and against `{REFERENCE}`\n\n" + tables.differences(own)
    drawn = plots.differences(own, budgets)
    if drawn:
        yield _saved(drawn, f"arena_{slug}_differences.svg", folder, f"{AUTO} less {REFERENCE} on each data set")
    yield f"### {title}: each of ours against the best baseline\n\n" + tables.ours(own, budgets)


def _ranks(own: pd.DataFrame, name: str, folder: str) -> str:
    found = comparisons.ranking(comparisons.means(own))
    if found is None:
        return "Too few data sets or methods to rank: three of each are needed."
    out = f" Left out, as it lacks too many data sets: {', '.join(found.left_out)}." if found.left_out else ""
    said = (
        f"Mean ranks over {found.blocks} data sets. That all methods are alike has p = {found.friedman:.2g} (Friedman, "
        f"Iman and Davenport); a bar joins methods whose ranks differ by less than {found.critical:.2f} (Nemenyi, "
        f"5 %).{out}"
    )
    return said + "\n\n" + _saved(plots.ranks(found), name, folder, "Mean ranks and critical difference")


def _saved(drawing: bytes, name: str, folder: str, title: str) -> str:
    storage.write_bytes(storage.join(folder, name), drawing)
    return f"![{title}]({name})"


def _features(rows: pd.DataFrame) -> str:
    parts = [
        f"`{REFERENCE}` on each feature set of each log, average precision: `{NAIVE}` aggregates (count, mean, spread, "
        "extremes and last value by event type, and recency); a `minimal` set of numbers of each series; the columns "
        "that the published extraction kept of `prophet`; `ours`; and ours with the aggregates."
    ]
    study = rows[(rows["trainer"] == REFERENCE) & (rows["kind"] == "log")]
    sets = study[study["outcome"] == DONE].groupby("budget")["features"].nunique()
    for budget in (name for name in BUDGETS if sets.get(name, 0) > 1):  # one alone adds nothing to another
        parts.append(f"### {advice.shown(budget)}\n\n" + tables.features(rows, budget))
    return "\n\n".join(parts if len(parts) > 1 else ["Not measured yet."])


def _costs(main: pd.DataFrame) -> str:
    if not (main["outcome"] == DONE).any():
        return "Not measured yet."
    return (
        f"Of the fits on {main['data'].nunique()} data sets at all budgets; this page was written on a machine of "
        f"{os.cpu_count()} processors. By the clock, times depend on what else the machine did. Memory is that of the "
        "whole process, libraries and table among it, then by how much it grew from the start of `fit`. Processes are "
        "forked from one that has loaded pandas and scikit-learn: loading those is no part of the times, and of code "
        "that a process shares with that one its memory holds what it touched.\n\n" + tables.costs(main)
    )
