"""What the arena was asked to show, and what its figures say of it.

Takes all results; gives sentences. A claim holds, or is missed by a figure, or is not measured as far as it says.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from jobs.arena import comparisons
from jobs.arena.comparisons import PRECISION, Difference
from jobs.arena.fit import DONE
from jobs.arena.plan import AUTO, NAIVE, REFERENCE, SEEDS
from jobs.arena.splits import BUDGETS
from jobs.arena.tables import figure, listed, signed
from jobs.kddcup99.tables import markdown
from training.trainer import TRAINERS

# Average precision of scikit-learn's boosting on naive aggregates, five folds, as published beside the logs.
BARS = {
    "backblaze_next20d": 0.154,
    "bpic12_fraudcheck": 0.808,
    "cdnow_whale250": 0.347,
    "completejourney_first_redeem": 0.101,
    "handbook_sim_compromised": 0.476,
    "nafld_death3y": 0.127,
    "oulad_distinction": 0.200,
    "physionet2012": 0.543,
}
WANTED_LOGS, WANTED_GAIN = 7, 0.15
FEW = ("20", "50")
MINUTES, CORES = 30, 2


class Verdict(NamedTuple):
    """How `auto` stands on one log with all labels.

    Attributes:
        data: the log.
        auto: its average precision by seed.
        naive: that of boosting on naive aggregates, tuned as every method here.
        published: `auto` less the published bar, a number.
        paired: `auto` less `naive`, seed by seed.
    """

    data: str
    auto: "pd.Series[float]"
    naive: "pd.Series[float]"
    published: Difference
    paired: Difference


def all_labels(rows: pd.DataFrame) -> str:
    """Say whether `auto` on the whole pipeline beats boosting on naive aggregates with all labels, and show how."""
    verdicts = [found for data in BARS if (found := _verdict(rows, data)) is not None]
    header = ["log", "published bar", f"`{AUTO}`", f"`{REFERENCE}` on `{NAIVE}`", f"`{AUTO}` less it"]
    lines = [
        [found.data, f"{BARS[found.data]:.3f}", figure(found.auto), figure(found.naive), signed(found.paired)]
        for found in verdicts
    ]
    bullets = f"{_against_published(verdicts)}\n{_against_measured(verdicts)}"
    return bullets + ("\n\n" + markdown(header, lines) if lines else "")


def _verdict(rows: pd.DataFrame, data: str) -> Verdict | None:
    done = rows[(rows["data"] == data) & (rows["budget"] == "all") & (rows["outcome"] == DONE)]
    auto = done[done["main"] & (done["trainer"] == AUTO)].set_index("seed")[PRECISION]
    naive = done[(done["features"] == NAIVE) & (done["trainer"] == REFERENCE)].set_index("seed")[PRECISION]
    if auto.notna().sum() < SEEDS:
        return None
    bar = pd.Series(BARS[data], index=auto.index)
    return Verdict(data, auto, naive, comparisons.difference(auto, bar), comparisons.difference(auto, naive))


def _against_published(verdicts: Sequence[Verdict]) -> str:
    better = [found.data for found in verdicts if found.published.mean > 0]
    worse = [found.data for found in verdicts if found.published.is_worse]
    missing = [data for data in BARS if data not in {found.data for found in verdicts}]
    if worse or len(better) + len(missing) < WANTED_LOGS:
        word = "is missed"
    else:
        word = "not decided yet" if len(better) < WANTED_LOGS else "holds" + " so far" * bool(missing)
    said = f"its mean is above on {len(better)} of {len(verdicts)} measured ones, worse beyond noise on {listed(worse)}"
    said += f"; with {SEEDS} seeds or more not measured on {', '.join(missing)}" if missing else ""
    return (
        f"- All labels: `{AUTO}` on the whole pipeline is to beat the bar that was published beside the logs, "
        f"scikit-learn's boosting on naive aggregates, on at least {WANTED_LOGS} of {len(BARS)} logs, "
        f"and to be worse beyond noise on none: {said}: **{word}**."
    )


def _against_measured(verdicts: Sequence[Verdict]) -> str:
    paired = [found for found in verdicts if found.paired.seeds]
    better = [found for found in paired if found.paired.mean > 0]
    clearly = [found.data for found in paired if found.paired.is_better]
    worse = [found.data for found in paired if found.paired.is_worse]
    return (
        f"- A harder bar than was asked: `{REFERENCE}` on naive aggregates of the same rows, classes balanced "
        f"and trees chosen by cross-validation. `{AUTO}` is better on {len(better)} of {len(paired)} measured ones, "
        f"beyond noise on {listed(clearly)}; worse beyond noise on {listed(worse)}."
    )


def few_labels(rows: pd.DataFrame) -> str:
    """Say by how much `auto` beats the reference on the same few labels, on average over the logs."""
    own = rows[rows["main"] & rows["data"].isin(list(BARS))]
    means = comparisons.means(own)
    gains = {budget: _gain(means, budget) for budget in FEW}
    return (
        f"- {' and '.join(FEW)} rare labels: `{AUTO}` is to beat `{REFERENCE}` on the same labels and features by "
        f"{WANTED_GAIN:.0%} of its average precision, on average over the logs. Labels "
        + "; ".join(f"{budget}: {_few_verdict(gain)}" for budget, gain in gains.items())
        + "."
    )


def _few_verdict(gain: "pd.Series[float]") -> str:
    if not len(gain):
        return "**not measured**"
    word = "holds" if gain.mean() >= WANTED_GAIN else "is missed"
    return f"{gain.mean():+.1%} over {len(gain)} logs, **{word}{' so far' * (len(gain) < len(BARS))}**"


def _gain(means: pd.DataFrame, budget: str) -> "pd.Series[float]":
    if not {AUTO, REFERENCE} <= set(means):
        return pd.Series(dtype="float64")
    own = means[means.index.get_level_values("budget") == budget]
    return (own[AUTO] / own[REFERENCE] - 1).dropna()


def column_time(rows: pd.DataFrame) -> str:
    """Say how long one log takes with every method and five seeds, if two processors shared the work."""
    own = rows[rows["main"] & rows["data"].isin(list(BARS)) & (rows["seed"] < SEEDS)]
    own = own[own["process_seconds"] > 0]
    asked = (
        f"- A column of the tables below (one log, every method, {SEEDS} seeds) is to take less than {MINUTES} minutes "
        f"on {CORES} processors"
    )
    if own.empty:
        return f"{asked}: **not measured**."
    budgets = [name for name in BUDGETS if name in set(own["budget"])]
    lines = [
        [str(data), *(_cell(of[of["budget"] == name]) for name in budgets), f"{_minutes(of):.1f}"]
        for data, of in own.groupby("data")
    ]
    header = ["log", *(f"labels {name}" for name in budgets), "all of it"]
    return (
        f"{asked}. Minutes for {CORES} processors with nothing else to do, {SEEDS} times the mean of a method's seeds "
        f"that are done (methods of {len(TRAINERS)}):\n\n{markdown(header, lines)}"
    )


def _cell(own: pd.DataFrame) -> str:
    """Return minutes and number of methods."""
    return f"{_minutes(own):.1f} ({own['trainer'].nunique()})" if len(own) else "–"


def _minutes(own: pd.DataFrame) -> float:
    return float(own.groupby(["trainer", "budget"])["process_seconds"].mean().sum()) * SEEDS / 60 / CORES


def section(rows: pd.DataFrame) -> str:
    """Return all claims and what became of them."""
    return "\n\n".join([few_labels(rows), all_labels(rows), column_time(rows)])
