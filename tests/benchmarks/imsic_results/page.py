"""The page of results, `imsic.md`: every number on it is from the rows of the ledger.

Takes the ledger's rows and the jobs of the plan; gives Markdown.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tests.benchmarks.imsic_results.arms import (
    ARMS,
    AS_MANY,
    CONDITIONAL,
    ERM,
    HUNDRED,
    IMSIC,
    MEASURES,
    PLANS,
    RECALLS,
    ROS,
    SMOTE,
    WEIGHTS,
    Job,
    amount,
)
from tests.benchmarks.results.markdown import DASH, spread, table, verdict

OWN = (IMSIC, AS_MANY, HUNDRED)
TOLERANCE = 1.0  # points by which the augmented classifier may lie below ERM on the five rarest
MANY_COPIES = 0.1  # share of copies among made rows beyond which a result is not the generator's
INTRODUCTION = """# IMSIC on MNIST and Fashion-MNIST

Written by `python tests/benchmarks/imsic.py`; the rows behind it are in `imsic.csv`, which is also the ledger: what it
holds is not measured again. The paper's long tail, 4,000 rows of class 0 down to 40 of class 9, 9,000 in all, tested on
the whole balanced test set. A seed draws the rows, the same for every arm, and everything else. Generators learn from
these 9,000 rows alone, 141 batches of 64: those that were released had been trained on all 60,000, so that figures
measured with them hold rare rows which the classifier is said not to have.

- `erm`: real rows alone. `class_weights`: each class weighs the same in the loss.
- `ros`, `smote`: copies, or rows between neighbors (5), up to the largest class's number in every class.
- `conditional_gan`: rows by IMSIC's networks with weight 0 of the structure loss, drawn and refused in the same way.
- `imsic`: the same with weight 3, which of 1 and 3 is the one under which all edges of the graph hold on MNIST with
  seed 0. Four codes; the fourth factor depends on the last three codes.
- `imsic_as_many`, `imsic_hundred`: by the same generator as many rows of a class as there are real ones, or a hundred,
  as published.

The classifier is the paper's, of two convolutions and two dense layers, on logits, with a ReLU between the last two and
batches drawn anew; it takes as many steps in every arm. ACSA is the mean recall of the ten classes, the G-mean their
geometric mean, `five rarest` the mean recall of classes 5 to 9, AP the average precision of each class against all
others, whatever the threshold, in the mean of ten and of the five rarest; all measures are in percent. The paper's own
figures were not at hand.

Every amount is measured whether it helps or not. The trainer `imsic` chooses on held-out rows: real rows alone, copies,
SMOTE, or its own rows in one of several amounts."""
TITLES = {
    "acsa": "ACSA",
    "gmean": "G-mean",
    "macro_f1": "macro-F1",
    "rarest_recall": "five rarest",
    "average_precision": "AP",
    "rarest_precision": "AP of five rarest",
}


def text(rows: pd.DataFrame, jobs: Sequence[Job]) -> str:
    """Return the page for the rows of the ledger and the jobs of the whole plan."""
    done = {tuple(row) for row in rows[list(Job._fields)].itertuples(index=False, name=None)}
    missing = sum(tuple(job) not in done for job in jobs)
    parts = [INTRODUCTION, f"{len(jobs) - missing:,} of {len(jobs):,} measurements of the plan are done."]
    for (plan, data), own in rows.groupby(["plan", "data"], sort=False):
        parts += [
            f"## {data}, plan `{plan}`",
            _schedule(str(plan)),
            _measures(own),
            _bars(own),
            _differences(own),
            "Recall of each class, from the most rows to the fewest:",
            _recalls(own),
            _structure(own),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _schedule(plan: str) -> str:
    known = PLANS[plan]
    size = known.classifier
    return (
        f"{known.epochs:g} epochs of the generator, channels {known.channels['generator_channels']} and of its "
        f"discriminator {known.channels['trunk_channels']}; {size.steps:,} steps of the classifier, channels "
        f"({size.first}, {size.second}) and {size.units:,} units; {known.rows_per_class:,} rows of each class."
    )


def _measures(rows: pd.DataFrame) -> str:
    lines = []
    for arm in ARMS:
        own = rows[rows["arm"] == arm]
        if len(own):
            cells = [spread(100 * own[name], 1) for name in MEASURES]
            lines.append([f"`{arm}`", str(len(own)), *cells, f"{own['cpu_seconds'].mean():.0f}"])
    return table(["arm", "seeds", *TITLES.values(), "processor seconds"], lines)


def _bars(rows: pd.DataFrame) -> str:
    """Say of each amount whether its classifier is no worse than ERM on the five rarest."""
    asked = f"Mean recall of the five rarest less that of `{ERM}` on the same rows, at least −{TOLERANCE:g} point:"
    return "\n".join([asked, "", *(f"- `{arm}`: {_verdict(rows, arm)}" for arm in OWN)])


def _verdict(rows: pd.DataFrame, arm: str) -> str:
    own = _gain(rows, arm, ERM)
    if not len(own):
        return "**not measured**."
    found = verdict(own.mean(), -TOLERANCE)
    copies = _copies(rows, arm)
    if copies > MANY_COPIES:
        found += f", but says little: copies stand for {100 * copies:.0f} % of the rows that it was to make"
    return f"{_points(own)}: {found}."


def _copies(rows: pd.DataFrame, arm: str) -> float:
    """Return the share of an arm's rows for which copies stand."""
    known = PLANS[str(rows["plan"].iloc[0])]
    wanted = sum(amount(arm, count, known.rows_per_class) for count in known.tail if count < known.rows_per_class)
    return float(rows.loc[rows["arm"] == arm, "shortfall"].mean()) / wanted


def _differences(rows: pd.DataFrame) -> str:
    others = [other for other in (ERM, WEIGHTS, ROS, SMOTE, CONDITIONAL) if len(rows[rows["arm"] == other])]
    lines = []
    for arm in OWN:
        if len(rows[rows["arm"] == arm]):
            lines.append([f"`{arm}`", *(_points(_gain(rows, arm, other)) for other in others)])
    header = ["five rarest", *(f"less `{other}`" for other in others)]
    return table(header, lines) if lines and others else ""


def _gain(rows: pd.DataFrame, arm: str, other: str) -> "pd.Series[float]":
    figures = [rows[rows["arm"] == name].set_index("seed")["rarest_recall"] for name in (arm, other)]
    return 100 * (figures[0] - figures[1]).dropna()


def _points(gain: "pd.Series[float]") -> str:
    if not len(gain):
        return DASH
    error = f" ± {gain.std():.1f}" if len(gain) > 1 else ""
    return f"{gain.mean():+.1f}{error} ({len(gain)})"


def _recalls(rows: pd.DataFrame) -> str:
    lines = []
    for arm in ARMS:
        own = rows[rows["arm"] == arm]
        if len(own):
            lines.append([f"`{arm}`", *(spread(100 * own[name], 1) for name in RECALLS)])
    counts = PLANS[str(rows["plan"].iloc[0])].tail
    return table(["arm", *(f"{digit} ({count:,})" for digit, count in enumerate(counts))], lines)


def _structure(rows: pd.DataFrame) -> str:
    lines = []
    for arm in (CONDITIONAL, IMSIC):
        own = rows[rows["arm"] == arm]
        if len(own):
            shares = [f"{100 * own[name].mean():.0f} %" for name in ("class_accuracy", "edges_that_hold")]
            figures = [f"{own[name].mean():.2f}" for name in ("least_own", "most_forbidden")]
            lacking = own["shortfall"].mean()
            lines.append([f"`{arm}`", *shares, *figures, DASH if np.isnan(lacking) else f"{lacking:,.0f}"])
    header = ["arm", "class head right", "edges that hold", "least own code", "greatest forbidden", "rows not made"]
    explained = (
        "The generators: made rows that the class head takes for their class, edges of the graph that hold, the least "
        "correlation of a factor with the one code it depends on (at least 0.95 is asked), the greatest with a code "
        "that must not show (at most 0.10), and rows that were refused too often to be made, for which copies stand."
    )
    return f"{explained}\n\n{table(header, lines)}" if lines else ""
