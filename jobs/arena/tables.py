"""The tables of the page, as Markdown: each figure with its spread and the number of seeds behind it."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import pandas as pd

from jobs.arena import comparisons
from jobs.arena.comparisons import PRECISION, Difference
from jobs.arena.fit import DONE
from jobs.arena.measures import NAMES
from jobs.arena.plan import AUTO, NAIVE, REFERENCE, is_baseline
from jobs.arena.splits import BUDGETS
from jobs.kddcup99.tables import markdown

MOST_COLUMNS = 10  # data sets side by side; more are summarized
DASH = "–"
ALIKE = 0.0005  # as good as the figures show
MEASURES = {
    PRECISION: "average precision",
    "recall_1pct": "recall at 1 %",
    "recall_5pct": "recall at 5 %",
    "auroc": "AUROC",
}


def named(trainer: str) -> str:
    """Return a method's name, marked where it is a baseline."""
    return f"`{trainer}`" + (" (baseline)" if is_baseline(trainer) else "")


def figure(values: "pd.Series[float]") -> str:
    """Return `mean ± standard deviation (seeds)`, a dash without any."""
    found = values.dropna()
    if found.empty:
        return DASH
    return f"{found.mean():.3f}" + (f" ± {found.std():.3f}" if len(found) > 1 else "") + f" ({len(found)})"


def signed(found: Difference) -> str:
    """Return a paired difference with its standard error, and at how many seeds it is above 0."""
    if not found.seeds:
        return DASH
    error = "" if math.isnan(found.error) else f" ± {found.error:.3f}"
    return f"{found.mean:+.3f}{error}, {found.better} of {found.seeds}"


def precision(own: pd.DataFrame) -> str:
    """Return methods by data sets at one budget, or their summary where these are too many for a page."""
    names = sorted(own["data"].unique())
    if len(names) > MOST_COLUMNS:
        return summary(own)
    done = own[own["outcome"] == DONE]
    groups = done.groupby(["trainer", "data"])[PRECISION]
    found = {key: figure(values) for key, values in groups}
    top = comparisons.means(own).max(axis=1).groupby(level="data").max()
    means = groups.mean()
    rows = []
    for trainer in by_rank(own):
        cells = [found.get((trainer, name), DASH) for name in names]
        best = [abs(means.get((trainer, name), math.nan) - top.get(name, math.nan)) < ALIKE for name in names]
        shown = (f"**{cell}**" if is_best else cell for cell, is_best in zip(cells, best, strict=True))
        rows.append([named(trainer), *shown])
    return markdown(["method", *names], rows)


def summary(own: pd.DataFrame) -> str:
    """Return for each method at one budget its mean figures over data sets and how it stands to the reference."""
    tables = {measure: comparisons.means(own, measure) for measure in NAMES}
    table = tables[PRECISION]
    ranks = comparisons.ranking(table)
    beside = comparisons.against(table, REFERENCE) if REFERENCE in table else pd.DataFrame()
    rows = []
    for trainer in by_rank(own):
        if trainer not in table:
            continue
        rank = f"{ranks.ranks[trainer]:.1f}" if ranks and trainer in ranks.ranks else DASH
        figures = [_mean(tables[measure][trainer]) for measure in MEASURES]
        rows.append([named(trainer), str(table[trainer].count()), rank, *figures, *_beside(beside, trainer)])
    header = ["method", "data sets", "mean rank", *MEASURES.values(), f"gain on `{REFERENCE}`", "better on", "p (Holm)"]
    return markdown(header, rows)


def _beside(found: pd.DataFrame, trainer: str) -> list[str]:
    row = found.to_dict("index").get(trainer)
    if row is None or not row["data_sets"]:
        return [DASH] * 3
    return [f"{row['gain']:+.0%}", f"{row['better']} of {row['data_sets']}", _probability(row["p_holm"])]


def _probability(value: float) -> str:
    if math.isnan(value):
        return DASH
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def _mean(values: "pd.Series[float]") -> str:
    return DASH if values.isna().all() else f"{values.mean():.3f}"


def by_rank(own: pd.DataFrame) -> list[str]:
    """Return the methods of rows at one budget, the best by mean rank first, those that never finished last."""
    ranks = comparisons.means(own).rank(axis=1, ascending=False).mean()
    rest = [name for name in sorted(own["trainer"].unique()) if name not in ranks.index]
    return [str(name) for name in ranks.sort_values(kind="stable").index] + rest


def differences(own: pd.DataFrame) -> str:
    """Return how `auto` differs from the best baseline and from the reference, by data set and budget, seed by seed.

    Where the data sets are too many for a page it is told in a sentence for each budget.
    """
    found = list(_against(own))
    if not found:
        return f"`{AUTO}` is not measured yet."
    if own["data"].nunique() > MOST_COLUMNS:
        return "\n".join(_counted(found, budget) for budget in BUDGETS if any(budget == each.budget for each in found))
    rows = [
        [f"{each.data}, labels {each.budget}", figure(each.auto), each.best, *(signed(one) for one in each.less)]
        for each in sorted(found, key=lambda each: (each.data, list(BUDGETS).index(each.budget)))
    ]
    header = ["data", f"`{AUTO}`", "best baseline", f"`{AUTO}` less it", f"`{AUTO}` less `{REFERENCE}`"]
    return markdown(header, rows)


class _Against(NamedTuple):
    """`auto` on one data set at one budget; `less` holds its differences from the best baseline and the reference."""

    data: str
    budget: str
    auto: "pd.Series[float]"
    best: str
    less: tuple[Difference, Difference]


def _against(own: pd.DataFrame) -> Iterator[_Against]:
    seeds, means = comparisons.by_seed(own), comparisons.means(own)
    if AUTO not in seeds:
        return
    nothing = pd.Series(dtype="float64")
    for key, row in means.iterrows():
        data, features, budget = (str(name) for name in cast(tuple[str, str, str], key))
        best, here = comparisons.best_baseline(row), seeds.xs((data, features, budget))
        less = [comparisons.difference(here[AUTO], here.get(name, nothing)) for name in (best, REFERENCE)]
        if here[AUTO].notna().any():
            named = f"`{best}` {row[best]:.3f}" if best else DASH
            yield _Against(data, budget, here[AUTO], named, (less[0], less[1]))


def _counted(found: Sequence[_Against], budget: str) -> str:
    own = [each for each in found if each.budget == budget]
    said = []
    for place, name in enumerate(("the best baseline", f"`{REFERENCE}`")):
        intervals = [each.less[place].interval for each in own if each.less[place].seeds > 1]
        better, worse = sum(low > 0 for low, _ in intervals), sum(high < 0 for _, high in intervals)
        said.append(f"than {name} better on {better} and worse on {worse} of {len(intervals)}")
    return f"- Labels {budget}: beyond noise, {' and '.join(said)}."


def ours(own: pd.DataFrame, budgets: Sequence[str]) -> str:
    """Return how each of our methods stands to the best baseline of each data set, by budget."""
    means = comparisons.means(own)
    best = means.apply(lambda row: row.get(comparisons.best_baseline(row), math.nan), axis=1)
    rows = []
    for trainer in (str(name) for name in means if not is_baseline(str(name))):
        gain = (means[trainer] / best - 1).dropna()
        cells = [_gain(gain[gain.index.get_level_values("budget") == budget]) for budget in budgets]
        rows.append([f"`{trainer}`", *cells])
    return markdown(["method", *(f"labels: {budget}" for budget in budgets)], rows)


def _gain(found: "pd.Series[float]") -> str:
    return f"{found.mean():+.0%}, better on {int((found > 0).sum())} of {len(found)}" if len(found) else DASH


def features(rows: pd.DataFrame, budget: str) -> str:
    """Return what the reference makes of each feature set of each log, and what the main one adds to the naive one."""
    own = rows[(rows["trainer"] == REFERENCE) & (rows["kind"] == "log") & (rows["budget"] == budget)]
    done = own[own["outcome"] == DONE]
    names = sorted(done["features"].unique(), key=lambda name: (name != NAIVE, name))
    lines = []
    for data in sorted(done["data"].unique()):
        here = done[done["data"] == data].pivot(index="seed", columns="features", values=PRECISION)
        cells = [figure(here[name]) if name in here else DASH for name in names]
        added = [
            signed(comparisons.difference(here[name], here[NAIVE])) if {name, NAIVE} <= set(here) else DASH
            for name in names
            if name != NAIVE
        ]
        lines.append([data, *cells, *added])
    header = ["log", *(f"`{name}`" for name in names), *(f"`{name}` less `{NAIVE}`" for name in names if name != NAIVE)]
    return markdown(header, lines) if lines else "Not measured yet."


def costs(own: pd.DataFrame) -> str:
    """Return the time and memory of each method's fits on its main feature set, over all data sets and budgets."""
    done = own[own["outcome"] == DONE]
    rows = []
    for trainer, found in sorted(done.groupby("trainer"), key=lambda pair: float(pair[1]["cpu_seconds"].median())):
        seconds, clock = found["cpu_seconds"], found["seconds"]
        cells = [f"{value:,.1f}" for value in (seconds.median(), seconds.max(), clock.median())]
        peak, own_mb = found["peak_mb"], found["peak_mb"] - found["start_mb"]
        rows.append([named(str(trainer)), str(len(found)), *cells, f"{peak.max():,.0f}", f"{own_mb.max():,.0f}"])
    header = ["method", "fits", "median s", "most s", "median s by the clock", "most MiB", "of them for the fit"]
    return markdown(header, rows)


def listed(names: Sequence[str]) -> str:
    """Join names by commas; of none say so."""
    return ", ".join(names) or "none"
