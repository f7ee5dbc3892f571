"""Which method to use, and when it is not worth it: plain sentences, each figure of them computed.

Takes all results; speaks of the event logs first, or of the tables alone where no log was measured.
"""

import math

import numpy as np
import pandas as pd

from jobs.arena import comparisons
from jobs.arena.comparisons import Difference
from jobs.arena.fit import DONE
from jobs.arena.plan import AUTO, NAIVE, REFERENCE, is_baseline
from jobs.arena.splits import BUDGETS
from jobs.arena.tables import listed

NOISE = 0.05  # a method within this share of the best one's figure is about as good
NOTHING = "Nothing is measured yet that would answer this."


def section(rows: pd.DataFrame) -> str:
    """Return the whole advice."""
    done = rows[rows["main"] & (rows["outcome"] == DONE)]
    is_log = done["kind"] == "log"
    own, others, what = (done[is_log], done[~is_log], "event logs") if is_log.any() else (done, done[:0], "tables")
    if own.empty:
        return NOTHING
    parts = [
        f"Of {own['data'].nunique()} {what}, at the label budgets measured. Average precision throughout; a method is "
        "*about as good* as another within 5 % of its figure.",
        "### Which one?\n\n" + "\n".join(_choices(own)),
        "### When is it not worth it?\n\n" + "\n".join(_not_worth(rows, own)),
    ]
    if len(others):
        number = others["data"].nunique()
        parts.insert(2, f"### And on {number} tables without a history?\n\n" + "\n".join(_choices(others)))
    return "\n\n".join(parts)


def _choices(own: pd.DataFrame) -> list[str]:
    means = comparisons.means(own)
    lines = []
    for budget in (name for name in BUDGETS if name in set(own["budget"])):
        table = means[means.index.get_level_values("budget") == budget].droplevel(["features", "budget"])
        costs = own[own["budget"] == budget].groupby("trainer")["cpu_seconds"].median()
        lines += [_choice(table, budget, costs), *_auto(own, table, budget)]
    return [line for line in lines if line]


def _choice(table: pd.DataFrame, budget: str, costs: "pd.Series[float]") -> str:
    """Say which method ranks best at a budget, and which cheaper one comes close."""
    whole = table.loc[:, table.notna().all()]
    if whole.empty:
        return ""
    ranks = whole.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    first = str(ranks.index[0])
    if len(ranks) == 1:
        return f"- {shown(budget)}: only `{first}` is measured on each of {len(whole)}, so none is named."
    close = whole.ge(whole.max(axis=1) * (1 - NOISE), axis=0).sum()
    enough = [name for name in map(str, whole) if close[name] >= close[first] and name != first]
    cheaper = sorted((name for name in enough if costs[name] < costs[first] / 2), key=lambda name: float(costs[name]))
    said = (
        f"- {shown(budget)}: `{first}` ranks best (mean rank {ranks.iloc[0]:.1f} of {len(ranks)} over {len(whole)}); "
        f"it is the best or about as good on {close[first]}, and takes {costs[first]:.1f} s of a processor (median)."
    )
    if cheaper:
        name = cheaper[0]
        said += f" `{name}` is so on {close[name]} and takes {costs[name]:.1f} s."
    return said


def shown(budget: str) -> str:
    """Return a budget in words."""
    few = BUDGETS[budget]
    return "All labels" if few.rare is None else f"{few.rare} rare labels and {100 * few.negatives:.0f} % of the others"


def _auto(own: pd.DataFrame, table: pd.DataFrame, budget: str) -> list[str]:
    if not {AUTO, REFERENCE} <= set(table):
        return []
    found = _by_data(own[own["budget"] == budget], AUTO, REFERENCE)
    gain = (table[AUTO] / table[REFERENCE] - 1).dropna()
    better = [data for data, each in found.items() if each.is_better]
    worse = [data for data, each in found.items() if each.is_worse]
    if gain.empty:
        return []
    return [
        f"  - `{AUTO}` against `{REFERENCE}`: {gain.mean():+.0%} on average over {len(gain)}; beyond noise it is "
        f"better on {listed(better)} and worse on {listed(worse)}."
    ]


def _by_data(own: pd.DataFrame, one: str, other: str) -> dict[str, Difference]:
    seeds = comparisons.by_seed(own)
    if not {one, other} <= set(seeds):
        return {}
    groups = seeds.groupby(level="data")
    found = {str(data): comparisons.difference(part[one], part[other]) for data, part in groups}
    return {data: each for data, each in found.items() if each.seeds}


def _not_worth(rows: pd.DataFrame, own: pd.DataFrame) -> list[str]:
    return [line for line in (_features(rows), _methods(own), _precision(own)) if line] or [NOTHING]


def _features(rows: pd.DataFrame) -> str:
    """Say on which logs the pipeline's features add to naive aggregates, with all labels and the same model."""
    study = rows[(rows["trainer"] == REFERENCE) & (rows["kind"] == "log") & (rows["budget"] == "all")]
    study = study[(study["main"] | (study["features"] == NAIVE)) & (study["outcome"] == DONE)]
    named = study.assign(trainer=np.where(study["features"] == NAIVE, NAIVE, "pipeline"), features="")
    found = _by_data(named, "pipeline", NAIVE)
    if not found:
        return ""
    groups = {
        "adds beyond noise on": [data for data, each in found.items() if each.is_better],
        "takes away on": [data for data, each in found.items() if each.is_worse],
        "makes no difference that could be told on": [
            data for data, each in found.items() if not (each.is_better or each.is_worse)
        ],
    }
    said = "; ".join(f"{what} {listed(names)}" for what, names in groups.items())
    return (
        f"- The features of the pipeline, beside naive aggregates and for the same `{REFERENCE}` with all labels: the "
        f"pipeline {said}. Where it adds nothing, counts, means and last values by event type will do."
    )


def _methods(own: pd.DataFrame) -> str:
    """Name the methods of ours that fall short of the best baseline on most data sets, and what they cost."""
    means = comparisons.means(own)
    best = means.apply(lambda row: row.get(comparisons.best_baseline(row), math.nan), axis=1)
    cost = own.groupby("trainer")["cpu_seconds"].median()
    short, names = [], [str(name) for name in means if not is_baseline(str(name))]
    for name in names:
        gain = (means[name] / best - 1).dropna()
        if len(gain) and (gain > 0).mean() < 0.5:
            times = f", {_times(cost[name] / cost[REFERENCE])} the processor's time" if REFERENCE in cost else ""
            short.append(f"`{name}` ({gain.mean():+.0%}, better on {int((gain > 0).sum())} of {len(gain)}{times})")
    if not short:
        said = "- Each of our methods measured beats the best baseline on at least half of the data sets and budgets."
        return said if names else ""
    return (
        "- Against the best baseline of each data set and budget, which is chosen with hindsight, these of ours lose "
        f"more often than they win: {', '.join(short)}; the times are those of `{REFERENCE}`."
    )


def _precision(own: pd.DataFrame) -> str:
    """Say how small a difference these seeds can tell at all."""
    lines = []
    for budget in BUDGETS:
        found = _by_data(own[own["budget"] == budget], AUTO, REFERENCE).values()
        halves = [each.interval[1] - each.mean for each in found if each.seeds > 1]
        lines += [f"{np.median(halves):.3f} ({shown(budget).lower()})"] if halves else []
    return (
        f"- Differences of average precision below {', '.join(lines)} are not told from luck on the median data set; "
        "where yours is as small, choose by cost and by how well reasons can be read."
        if lines
        else ""
    )


def _times(ratio: float) -> str:
    return f"{ratio:.0f} times" if ratio >= 2 else f"{ratio:.1g} times"
