"""What the figures of many fits say together: means and spreads, paired differences, ranks.

Takes rows of results, one a fit; gives frames. Methods are compared on the same rows with the same labels: a difference
is taken seed by seed, never between means of other seeds.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from jobs.arena.fit import DONE
from jobs.arena.plan import is_baseline
from jobs.arena.splits import FOLDS

PRECISION = "average_precision"
# Nadeau and Bengio (Machine Learning 52, 2003): test rows as a share of training rows, which repeated splits share.
OVERLAP = 1 / (FOLDS - 1)
LEVEL = 0.05
LEVELS = ["data", "features", "budget"]


class Difference(NamedTuple):
    """One method less another, by seeds that both have.

    Attributes:
        mean: of the differences; NaN without any.
        error: standard error of the mean, corrected for training rows that the seeds share; NaN with one seed.
        better: seeds at which the difference is above 0.
        seeds: seeds that both have.
    """

    mean: float
    error: float
    better: int
    seeds: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval by Student's t, NaN with one seed."""
        if self.seeds < 2:
            return math.nan, math.nan
        half = float(stats.t.ppf(1 - LEVEL / 2, self.seeds - 1)) * self.error
        return self.mean - half, self.mean + half

    @property
    def is_better(self) -> bool:
        """Whether the first is better beyond noise: the interval lies above 0."""
        return self.interval[0] > 0

    @property
    def is_worse(self) -> bool:
        """Whether the first is worse beyond noise: the interval lies below 0."""
        return self.interval[1] < 0


def difference(one: "pd.Series[float]", other: "pd.Series[float]") -> Difference:
    """Compare two methods whose figures are indexed by seed."""
    found = (one - other).dropna()
    count = len(found)
    error = math.sqrt(found.var() * (1 / count + OVERLAP)) if count > 1 else math.nan
    return Difference(float(found.mean()) if count else math.nan, error, int((found > 0).sum()), count)


def by_seed(results: pd.DataFrame, measure: str = PRECISION) -> pd.DataFrame:
    """Return a measure of finished fits, a row for each (data, features, budget, seed), a column for each trainer."""
    done = results[results["outcome"] == DONE]
    if done.empty:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], [], [], []], names=[*LEVELS, "seed"]))
    return done.pivot_table(index=[*LEVELS, "seed"], columns="trainer", values=measure)


def means(results: pd.DataFrame, measure: str = PRECISION) -> pd.DataFrame:
    """Return the mean over seeds for each (data, features, budget), a column for each trainer.

    Counted are the seeds that at least half as many methods have as any seed has. A method that lacks one of these has
    no mean: its figures would be those of other rows.
    """
    table = by_seed(results, measure)
    if table.empty:
        return table.droplevel("seed")
    methods = table.notna().sum(axis=1)
    kept = table[methods >= methods.groupby(level=LEVELS).transform("max") / 2].groupby(level=LEVELS)
    return kept.mean().where(kept.count().eq(kept.size(), axis=0))


def best_baseline(row: "pd.Series[float]") -> str:
    """Return the baseline with the highest mean of a row of `means`; empty without any.

    It is chosen by the figures that it is compared on, which favors the baselines.
    """
    own = row[[name for name in row.index if is_baseline(str(name))]].dropna()
    return str(own.idxmax()) if len(own) else ""


class Ranking(NamedTuple):
    """How methods rank over data sets.

    Attributes:
        ranks: mean rank of each method, the best first; 1 is best.
        blocks: data sets that they were ranked on, at one budget.
        left_out: methods without figures on some of these.
        friedman: p-value of all methods being alike (Friedman, with Iman and Davenport's F).
        critical: by how much two mean ranks differ by luck alone in at most 5 of 100 such comparisons (Nemenyi).
    """

    ranks: "pd.Series[float]"
    blocks: int
    left_out: tuple[str, ...]
    friedman: float
    critical: float


def ranking(table: pd.DataFrame) -> Ranking | None:
    """Rank the methods (columns) of a table of means on its data sets (rows), the highest first.

    A method lacking on more than a third of the data sets is left out, then each data set on which one of the others
    lacks. None where fewer than three methods or three data sets are left.
    """
    kept = table.loc[:, table.notna().mean() >= 2 / 3].dropna()
    blocks, methods = kept.shape
    if blocks < 3 or methods < 3:
        return None
    ranks = kept.rank(axis=1, ascending=False)
    left_out = tuple(sorted({str(name) for name in table} - {str(name) for name in kept}))
    critical = nemenyi(methods, blocks)
    return Ranking(ranks.mean().sort_values(kind="stable"), blocks, left_out, friedman(ranks.to_numpy()), critical)


def friedman(ranks: NDArray[np.float64]) -> float:
    """Return the p-value of ranks (data sets, methods) being dealt at random, by Iman and Davenport's F."""
    blocks, methods = ranks.shape
    spread = ((ranks - (methods + 1) / 2) ** 2).sum()
    between = blocks * ((ranks.mean(axis=0) - (methods + 1) / 2) ** 2).sum()
    within = spread - between
    if within <= 1e-12 * max(spread, 1.0):
        return 0.0 if between > 0 else 1.0
    return float(stats.f.sf((blocks - 1) * between / within, methods - 1, (methods - 1) * (blocks - 1)))


def nemenyi(methods: int, blocks: int) -> float:
    """Return the critical difference of mean ranks at 5 % (Nemenyi; Demsar, JMLR 7, 2006)."""
    quantile = float(stats.studentized_range.ppf(1 - LEVEL, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))


def against(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Compare each method of a table of means with one of them over the data sets both have.

    Returns:
        A row for each other method: `data_sets`, `better` (data sets on which it is better), `gain` (mean of its figure
        relative to the reference's, less 1), `p` (Wilcoxon's signed ranks) and `p_holm` (for all rows together).
    """
    rows = {}
    for name in (str(name) for name in table if name != reference):
        both = table[[name, reference]].dropna()
        change = both[name] - both[reference]
        moved = change[change != 0]
        p = float(stats.wilcoxon(moved).pvalue) if len(moved) > 1 else math.nan
        gain = float((both[name] / both[reference]).mean() - 1) if len(both) else math.nan
        rows[name] = {"data_sets": len(both), "better": int((change > 0).sum()), "gain": gain, "p": p}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["data_sets", "better", "gain", "p"])
    return found.assign(p_holm=holm(found["p"].tolist()))


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being looked at together (Holm, 1979); NaN stays."""
    adjusted = [math.nan] * len(values)
    known = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    highest = 0.0
    for number, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - number)))
        adjusted[place] = highest
    return adjusted
