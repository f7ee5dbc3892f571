"""What rows of results say: means, paired differences with their standard errors, and whether the bars hold.

Takes the rows of the ledger; gives numbers and sentences.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tests.benchmarks.qast_results import tables
from tests.benchmarks.qast_results.arms import BOOSTING, PLAIN, REPAIRED, SMOTE

MACRO_F1_ON_CWRU, SLACK, CPU_SECONDS = 0.87, 0.01, 240.0
SEEDS = 5
SHOWN = {"macro_f1": "macro-F1", "gmean": "G-mean", "minority_recall": "minority recall", "accuracy": "accuracy"}


class Difference(NamedTuple):
    """A mean difference, its standard error (NaN for one value alone) and of how many values it is."""

    mean: float
    error: float
    number: int

    def __str__(self) -> str:
        """Return `+0.012 ± 0.003 (5)`, a dash where there is none."""
        if not self.number:
            return "–"
        error = "" if np.isnan(self.error) else f" ± {self.error:.3f}"
        return f"{self.mean:+.3f}{error} ({self.number})"


NONE = Difference(float("nan"), float("nan"), 0)


def chosen(rows: pd.DataFrame, split: str, learner: str = BOOSTING) -> pd.DataFrame:
    """Return the rows of a split and a learner."""
    return rows[(rows["split"] == split) & (rows["learner"] == learner)]


def differences(rows: pd.DataFrame, arm: str, other: str, measure: str) -> pd.Series:
    """Return arm less other by (table, seed), where both were measured."""
    return paired(rows, arm, other, [measure])[measure].dropna()


def paired(rows: pd.DataFrame, arm: str, other: str, measures: Sequence[str]) -> pd.DataFrame:
    """Return arm less other by (table, seed), a column a measure, NaN where one of them was not measured."""
    return _figures(rows, arm, measures) - _figures(rows, other, measures)


def _figures(rows: pd.DataFrame, arm: str, measures: Sequence[str]) -> pd.DataFrame:
    return rows.loc[rows["arm"] == arm].set_index(["table", "seed"])[list(measures)].astype(float)


def of_values(values: ArrayLike) -> Difference:
    """Return mean and standard error of independent values."""
    found = np.asarray(values, np.float64)
    if not len(found):
        return NONE
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else float("nan")
    return Difference(float(found.mean()), float(error), len(found))


def by_table(paired: pd.Series) -> dict[str, Difference]:
    """Return each table's mean difference over its seeds or splits."""
    return {str(name): of_values(group) for name, group in paired.groupby(level="table", sort=False)}


def over_tables(paired: pd.Series) -> Difference:
    """Return the mean of the tables' means; its error is that of tables drawn from many like them."""
    return of_values([found.mean for found in by_table(paired).values()])


def over_these_tables(paired: pd.Series) -> Difference:
    """Return the mean of the tables' means; its error is that of other splits of the same tables."""
    found = list(by_table(paired).values())
    if not found:
        return NONE
    error = float(np.sqrt(sum(one.error**2 for one in found)) / len(found))
    return Difference(float(np.mean([one.mean for one in found])), error, len(found))


def gains(rows: pd.DataFrame, arm: str = REPAIRED) -> dict[str, Difference]:
    """Return an arm's gains over plain and SMOTE on the resplit tables, by the name of the figure."""
    resplit = chosen(rows, tables.RESPLIT)
    return {
        f"mean_{measure}_gain_over_{other}": over_these_tables(differences(resplit, arm, other, measure))
        for other in (PLAIN, SMOTE)
        for measure in ("gmean", "macro_f1")
    }


def on_cwru(rows: pd.DataFrame, measure: str, arm: str = REPAIRED) -> pd.Series:
    """Return an arm's figures on CWRU 1:20, supplied split, by seed."""
    own = chosen(rows, tables.SUPPLIED)
    return own[(own["table"] == "CWRU_1_20") & (own["arm"] == arm)][measure].astype(float).dropna()


def bars(rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each thing that was asked for."""
    cwru = on_cwru(rows, "macro_f1")
    asked = (
        f"CWRU 1:20, supplied split, macro-F1 of `repaired`, mean of {len(cwru)} of {SEEDS} seeds, "
        f"at least {MACRO_F1_ON_CWRU}"
    )
    first = _bar(asked, of_values(cwru), MACRO_F1_ON_CWRU, whole=len(cwru) == SEEDS)
    return [first, *_gain_bars(rows), _time_bar(on_cwru(rows, "cpu_seconds"))]


def _gain_bars(rows: pd.DataFrame) -> list[str]:
    pairs = len(differences(chosen(rows, tables.RESPLIT), REPAIRED, PLAIN, "macro_f1"))
    most, found, sentences = SEEDS * len(tables.RESPLIT_TABLES), gains(rows), []
    for measure, other, least in (
        ("gmean", PLAIN, 0.0),
        ("macro_f1", PLAIN, -SLACK),
        ("gmean", SMOTE, -SLACK),
        ("macro_f1", SMOTE, -SLACK),
    ):
        asked = (
            f"Resplit tables{' (the goal)' if other == SMOTE else ''}, {SHOWN[measure]} of `repaired` less that of "
            f"`{other}`, mean of {pairs} of {most} splits, at least {least:g}"
        )
        sentences.append(_bar(asked, found[f"mean_{measure}_gain_over_{other}"], least, whole=pairs == most))
    return sentences


def _time_bar(seconds: pd.Series) -> str:
    asked = f"CWRU 1:20, one core's seconds for a training, mean of {len(seconds)} of {SEEDS} seeds, at most "
    asked += f"{CPU_SECONDS:.0f}"
    if not len(seconds):
        return f"{asked}: **not measured**"
    mean = float(seconds.mean())
    held = "holds" if mean <= CPU_SECONDS else f"is missed by {mean - CPU_SECONDS:.0f}"
    return f"{asked}: {mean:.0f}: **{held}{'' if len(seconds) == SEEDS else ' so far'}**"


def _bar(asked: str, found: Difference, least: float, *, whole: bool) -> str:
    if not found.number:
        return f"{asked}: **not measured**"
    held = "holds" if found.mean >= least else f"is missed by {least - found.mean:.3f}"
    error = "" if np.isnan(found.error) else f" ± {found.error:.3f}"
    return f"{asked}: {found.mean:.3f}{error}: **{held}{'' if whole else ' so far'}**"
