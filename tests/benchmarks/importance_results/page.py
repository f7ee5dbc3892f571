"""The page of results: what was asked and whether it holds, then each section as a table.

Takes the rows of `importance.csv`; gives Markdown. Every figure is a mean ± standard deviation over seeds.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DASH = "–"
TITLES = {
    "pseudo_labels": (
        "Without labels: pseudo-labels",
        ["nmi", "f1", "average_precision", "auroc", "share_found"],
        "The smaller cluster counts as rare; average precision and AUROC are those of the importance, or of the "
        "membership in that cluster. `information alone` is the report's network without importances. As published "
        "the importance says which group is rare, also after retraining, so F1 falls to 0 where it means the "
        "opposite; NMI does not heed names. With the report's cut every row is rare here, and SMOTE has nothing to "
        "fill up. The thinned tables hold other rare rows for each seed. The report's own figures on biopsy: NMI "
        "0.186 and F1 0.657 for the importance, NMI 0.807 after retraining; it repeated nothing.",
    ),
    "scalings": (
        "What the importance means under four scalings",
        ["auroc", "f1_third", "f1_midpoint", "f1_kmeans", "f1_mixture", "f1_otsu"],
        "AUROC of the importance for malignant, biopsy. `trained number` is the report's, with the F1 of each rule "
        "for the cut; `cluster` is 1 / (K share), weighted by membership.",
    ),
    "losses": (
        "The entropy loss",
        ["nmi_first", "nmi_best", "nmi"],
        "NMI of the report's network with the truth after the first, the best and the last of 100 epochs. The report: "
        "0.636, 0.824, 0.794. `conditional` is H(p) alone, `information` H(p) less the entropy of the mean.",
    ),
    "several_classes": (
        "Three classes",
        ["f1", "clusters", "small", "rows_of_smallest"],
        "Blobs of 300, 60 and 30 rows; F1 is the mean over classes that clusters are matched with.",
    ),
    "few_labels": (
        "With few labels",
        ["average_precision", "f1", "gmean"],
        "Half of each table, 10 rare and 40 regular rows of it with labels; figures on the other half. The same "
        "network learns in all rows but logistic regression. `pseudo-labels` always learns from them; `importance "
        "vector` is the trainer by default, which takes labels alone, SMOTE or pseudo-labels by 3 folds of the "
        "labelled rows; `all labels` knows every label of its half.",
    ),
    "ablations": (
        "One setting changed at a time",
        ["nmi", "f1", "average_precision", "auroc"],
        "The repaired clusters. The defaults of alpha, beta and the memory of sizes were chosen on three other "
        "thinnings of this table (seeds 100 to 102), so they are not blind to it.",
    ),
}
PAIRS = {
    "pseudo_labels": ("repaired", "k-means", ("f1", "nmi", "average_precision")),
    "few_labels": ("importance vector", "class weights", ("average_precision", "f1", "gmean")),
}
MORE_PAIRS = {"few_labels": [("importance vector", "SMOTE"), ("pseudo-labels", "class weights")]}
HEAD = """# The importance vector

Written by `python tests/benchmarks/importance.py`; the rows behind it are in `importance.csv`. After an internship
report that was not published as a paper (VIPLAB, IIT Kharagpur, 2021). Figures are means ± standard deviations over
seeds; a paired difference is taken seed by seed. Truth is used for scoring alone, except in the section with labels.
"""


def write(place: Path, rows: pd.DataFrame) -> None:
    """Write the page."""
    parts = [HEAD, _asked(rows)]
    parts += [_section(name, rows[rows["section"] == name]) for name in TITLES if (rows["section"] == name).any()]
    place.write_text("\n".join(parts))


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of the benchmark's last line, null where nothing was measured."""
    found = {name: value for name, (value, _, _) in _bars(rows).items()}
    return {name: None if math.isnan(value) else round(value, 4) for name, value in found.items()}


def _bars(rows: pd.DataFrame) -> dict[str, tuple[float, float, str]]:
    """Return by name the value, the bar, and what it is."""
    mean = _Means(rows)
    found = {
        "repaired_f1": (mean("pseudo_labels", "biopsy", "repaired", "f1"), 0.93, "biopsy, F1 of `repaired`"),
        "repaired_nmi": (mean("pseudo_labels", "biopsy", "repaired", "nmi"), 0.70, "biopsy, NMI of `repaired`"),
        "f1_at_10": (mean("pseudo_labels", "biopsy 10 %", "repaired", "f1"), 0.80, "10 % malignant, F1 of `repaired`"),
        "f1_at_5": (mean("pseudo_labels", "biopsy 5 %", "repaired", "f1"), 0.70, "5 % malignant, F1 of `repaired`"),
        "f1_3_levels": (
            mean("pseudo_labels", "biopsy, 3 levels", "repaired", "f1"),
            0.93,
            "3 levels, F1 of `repaired`",
        ),
        "nmi_3_levels": (mean("pseudo_labels", "biopsy, 3 levels", "repaired", "nmi"), 0.75, "3 levels, NMI"),
        "blobs_f1": (mean("several_classes", "blobs", "three given", "f1"), 0.9, "three blobs, matched macro-F1"),
    }
    for scaling in ("standard", "minmax", "maxabs"):
        value = mean("scalings", scaling, "cluster", "auroc", least=True)
        found[f"auroc_{scaling}"] = (value, 0.95, f"{scaling} scaling, AUROC of the cluster importance, worst seed")
    losses = rows[rows["section"] == "losses"]
    for method, good, text in (
        ("information", losses.get("nmi", 0) >= 0.75, "NMI at least 0.75 under information"),
        ("conditional", losses.get("nmi", 0) <= 0.05, "NMI at most 0.05 under conditional entropy"),
    ):
        chosen = losses["method"] == method if len(losses) else []
        value = float(good[chosen].mean()) if len(losses) else float("nan")
        found[f"{method}_share"] = (value, 0.8, f"share of seeds with a final {text}")
    return found


class _Means:
    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows

    def __call__(self, section: str, data: str, method: str, measure: str, *, least: bool = False) -> float:
        rows = self._rows
        if measure not in rows:
            return float("nan")
        chosen = rows[(rows["section"] == section) & (rows["data"] == data) & (rows["method"] == method)][measure]
        return float(chosen.min() if least else chosen.mean())


def _asked(rows: pd.DataFrame) -> str:
    lines = ["## What was asked", ""]
    for value, bar, text in _bars(rows).values():
        verdict = "**not measured**" if math.isnan(value) else f"{value:.3f}: {_verdict(value, bar)}"
        lines.append(f"- {text[0].upper()}{text[1:]}, at least {bar:g}: {verdict}.")
    return "\n".join([*lines, ""])


def _verdict(value: float, bar: float) -> str:
    return "**holds**" if value >= bar else f"**is missed by {bar - value:.3f}**"


def _section(name: str, rows: pd.DataFrame) -> str:
    title, measures, text = TITLES[name]
    measures = [measure for measure in measures if measure in rows]
    lines = [f"## {title}", "", text, "", _line(["data", "method", "seeds", *measures])]
    lines.append(_line(["---"] * (3 + len(measures))))
    for (data, method), own in rows.groupby(["data", "method"], sort=False):
        lines.append(_line([data, method, str(len(own)), *(_spread(own[measure]) for measure in measures)]))
    return "\n".join([*lines, "", *_differences(name, rows)])


def _differences(name: str, rows: pd.DataFrame) -> list[str]:
    if name not in PAIRS:
        return []
    one, other, measures = PAIRS[name]
    measures = tuple(measure for measure in measures if measure in rows)
    lines = [_line(["data", "paired difference", *measures]), _line(["---"] * (2 + len(measures)))]
    for data, own in rows.groupby("data", sort=False):
        for first, second in [(one, other), *MORE_PAIRS.get(name, [])]:
            cells = [_difference(own, first, second, measure) for measure in measures]
            lines.append(_line([str(data), f"{first} less {second}", *cells]))
    return [*lines, ""]


def _difference(rows: pd.DataFrame, one: str, other: str, measure: str) -> str:
    figures_of = [rows[rows["method"] == method].set_index("seed")[measure] for method in (one, other)]
    found = (figures_of[0] - figures_of[1]).dropna()
    if not len(found):
        return DASH
    spread = f" ± {found.std():.3f}" if len(found) > 1 else ""
    return f"{found.mean():+.3f}{spread}, better in {int((found > 0).sum())} of {len(found)}"


def _spread(values: "pd.Series[float]") -> str:
    present = values.dropna()
    if not len(present):
        return DASH
    spread = float(present.std()) if len(present) > 1 else 0.0
    return f"{np.mean(present):.3f} ± {spread:.3f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
