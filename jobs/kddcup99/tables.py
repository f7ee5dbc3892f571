"""Results as text: means over seeds beside the reference, paired differences, and which bars hold.

Takes the rows of results; gives Markdown. Every sentence with a number in it is written from the rows.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from jobs.kddcup99.fits import CHOSEN, KEYS, SECONDS
from jobs.kddcup99.plan import Bar, Method, Plan
from training.kddcup99.setups import Setup

COMPARED = ("recall_rare", "average_precision")


def setup_section(plan: Plan, setup: Setup, results: pd.DataFrame) -> str:
    """Return a setup's heading, its table, its paired differences and what it was asked for."""
    own = results[results["setup"] == setup.name]
    present = [method for method in plan.methods if method.name in set(own["method"])]
    parts = [
        f"## {setup.title}",
        _task(setup),
        _means(setup, present, own[own["method"].isin([method.name for method in present])]),
        _notes(present),
        _differences(plan, [method.name for method in present], own),
        _bars([bar for bar in plan.bars if bar.setup == setup.name], own),
        _choices(present, own),
    ]
    return "\n\n".join(part for part in parts if part)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: pd.Series) -> str:
    """Return `mean ± standard deviation` over seeds, a dash where nothing is defined."""
    defined = values.dropna()
    if defined.empty:
        return "–"
    return f"{defined.mean():.3f}" + (f" ± {defined.std():.3f}" if len(defined) > 1 else "")


def paired(one: pd.DataFrame, other: pd.DataFrame, measure: str) -> str:
    """Return the mean difference over the seeds that both have, with its standard error."""
    difference = (one.set_index("seed")[measure] - other.set_index("seed")[measure]).dropna()
    if difference.empty:
        return "–"
    error = f" ± {difference.std() / np.sqrt(len(difference)):.3f}" if len(difference) > 1 else ""
    return f"{difference.mean():+.3f}{error}"


def _task(setup: Setup) -> str:
    classes = "; ".join(
        f"{name} = {' + '.join(groups)}, {setup.labeled[name]:,} labelled" for name, groups in setup.classes.items()
    )
    pool = setup.unlabeled
    unlabeled = f"{pool:,} rows of the rest" if isinstance(pool, int) else _by_class(pool)
    columns = f"{len(setup.columns)} columns" if setup.columns else "all 41 columns"
    names = setup.logarithm if isinstance(setup.logarithm, str) else ", ".join(setup.logarithm)
    bent = f", {names} as log(1 + x)" if names else ""
    repeated = "Distinct rows only, tested on rows that the training file does not hold. " if setup.distinct else ""
    overlap = "Labelled rows drawn with replacement, unlabelled ones without regard to them. " if setup.overlap else ""
    return (
        f"Classes: {classes}. Unlabelled: {unlabeled}. Rare: {setup.rare}. Features: {columns}{bent}. "
        f"{repeated}{overlap}Means ± standard deviations over seeds; `reference` is another program's numbers."
    )


def _by_class(rows: dict[str, int]) -> str:
    return ", ".join(f"{num:,} {name}" for name, num in rows.items())


def _means(setup: Setup, methods: Sequence[Method], own: pd.DataFrame) -> str:
    measures = [str(name) for name in own if name not in (*KEYS, CHOSEN, SECONDS) and own[name].notna().any()]
    rows = []
    for method in methods:
        found = own[own["method"] == method.name]
        rows.append([f"`{method.name}`", str(len(found)), *(spread(found[name]) for name in measures)])
        reference = method.reference.get(setup.name)
        if reference:
            rows.append(["reference", reference.get("runs", "–"), *(reference.get(name, "–") for name in measures)])
    return markdown(["method", "runs", *(name.replace("_", " ") for name in measures)], rows)


def _notes(methods: Sequence[Method]) -> str:
    return "\n".join(f"- `{method.name}`: {method.note}" for method in methods if method.note)


def _differences(plan: Plan, methods: Sequence[str], own: pd.DataFrame) -> str:
    others = [name for name in plan.compare_to if name in methods]
    if not others:
        return ""
    rows = []
    for name in methods:
        cells = [
            "" if name == other else paired(own[own["method"] == name], own[own["method"] == other], measure)
            for other in others
            for measure in COMPARED
        ]
        if any(cells):
            rows.append([f"`{name}`", *cells])
    header = [f"{measure.replace('_', ' ')} less `{other}`'s" for other in others for measure in COMPARED]
    return "Differences seed by seed, mean ± standard error:\n\n" + markdown(["method", *header], rows)


def _bars(bars: Sequence[Bar], own: pd.DataFrame) -> str:
    sentences = [_bar(bar, own) for bar in bars]
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _bar(bar: Bar, own: pd.DataFrame) -> str:
    found = own[own["method"] == bar.method]
    value = found[bar.measure].mean() if len(found) else float("nan")
    needed = bar.at_least * (found[bar.times].mean() if bar.times and len(found) else 1.0)
    asked = f"{bar.at_least:g} times {bar.times.replace('_', ' ')}, {needed:.3f}" if bar.times else f"{needed:.3f}"
    what = f"`{bar.method}`, {bar.measure.replace('_', ' ')}, mean of {len(found)} seeds: {value:.3f}"
    if np.isnan(value) or np.isnan(needed):
        return f"{what}; asked at least {asked}: **not measured**"
    return f"{what}; asked at least {asked}: **{'holds' if value >= needed else 'does not hold'}**"


def _choices(methods: Sequence[Method], own: pd.DataFrame) -> str:
    lines = []
    for method in methods:
        if method.candidates:
            counts = own[own["method"] == method.name][CHOSEN].value_counts()
            chosen = "; ".join(f"`{setting}` at {count} of {counts.sum()} seeds" for setting, count in counts.items())
            lines.append(f"- `{method.name}` chose, by held-out training rows alone: {chosen}")
    return "\n".join(lines)
