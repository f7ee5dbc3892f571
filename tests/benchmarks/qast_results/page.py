"""The page of results, `qast.md`: every number on it is made from the rows of the ledger.

Takes the ledger's rows and the jobs of the whole plan; gives Markdown.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import pandas as pd

from feature_extraction import storage
from tests.benchmarks.qast_results import arms, compare, tables
from tests.benchmarks.qast_results.arms import ARMS, BLSTM, MEASURES, PLAIN, QAST_ARMS, REPAIRED, SMOTE, Job
from tests.benchmarks.qast_results.compare import SHOWN, Difference
from tests.benchmarks.qast_results.ledger import LEDGER
from tests.benchmarks.results.markdown import spread, table

PAGE = "qast.md"
INTRODUCTION = """# QAST on its authors' tables

Written by `python tests/benchmarks/qast.py`; the rows behind it are in `qast.csv`, which is also the ledger: what it
holds is not measured again. The learner is scikit-learn's gradient boosting with its defaults and the same seed in all
arms, unless a section says BLSTM. Minority recall is the mean recall of the classes that the authors declare small.

- `plain`: real rows alone. `weights`: every class weighs the same.
- `smote`, `jitter`: the declared small classes are filled up to the published quota, by SMOTE (3 neighbors, scaled
  features) or by copies with noise of a tenth of a column's standard deviation.
- `published`: QAST with every step as published, with the authors' folds and small classes by table.
- `repaired`: QAST by default: small classes by rule, per-class generation, and no rows for a class where inner
  validation finds that better by more than a standard error.

All settings were fixed before these runs; nothing reads test rows but the final score. Of the repaired arm's, 100
epochs in place of 301, rows as generated in place of the most confident first, and the committee's smaller boosting
were chosen on resplits of ecoli, new-thyroid, dermatology and winequality-red, so these four say less than the others.
The standard error was chosen on four other resplits each of CWRU 1:20, glass, balance, ecoli, new-thyroid and thyroid.
There, rows for all classes were worth +0.011 of macro-F1 and +0.067 of G-mean over plain, rows wherever inner
validation saw a gain of any size +0.006 and +0.039, and with a tolerance of 0.02 to 0.05 of macro-F1 +0.012 to +0.014
and +0.067; the gain that validation sees told little of that on test rows (correlation 0.27 over 24). What a generated
row is drawn to (its class, the batch, between the two, the class's moments) made no difference that two to four
resplits of five tables could tell from luck. Seeds of the supplied split cover learner and generator, not the choice
of rows; resplits are stratified halves and cover that too. Some supplied splits hold the same features on both sides
(flare, log2, winequality-white and -red, contraceptive, yeast), and some small classes have few test rows (CWRU 1:20:
six of each class), so single tables say little. The bar on CWRU 1:20 was set by the rows that the authors ship, which
are no part of this project: the leading ones of their file gave 0.907, of which it asks 0.87; 20 random draws from the
same file gave 0.854 ± 0.025, the trailing ones 0.745."""


def write(folder: str, rows: pd.DataFrame, jobs: Sequence[Job]) -> None:
    """Write the page to a folder.

    Args:
        folder: local or s3://bucket/prefix.
        rows: the ledger.
        jobs: the whole plan, done or not.
    """
    parts = [
        INTRODUCTION,
        _missing(rows, jobs),
        "## What was asked\n\n" + "\n".join(f"- {sentence}." for sentence in compare.bars(rows)),
        _resplit_section(compare.chosen(rows, tables.RESPLIT)),
        _supplied_section(compare.chosen(rows, tables.SUPPLIED)),
        _blstm_section(compare.chosen(rows, tables.SUPPLIED, BLSTM)),
        _qast_section(rows[rows["failure"] == ""]),
        _failures(rows),
    ]
    text = "\n\n".join(part for part in parts if part)
    storage.write_bytes(storage.join(folder, PAGE), f"{text}\n".encode())


def _missing(rows: pd.DataFrame, jobs: Sequence[Job]) -> str:
    keys = {tuple(row) for row in rows[list(LEDGER.keys)].itertuples(index=False, name=None)}
    lacking = [job for job in jobs if job[:5] not in keys]
    done = len(jobs) - len(lacking)
    head = f"## What is still missing\n\n{done:,} of {len(jobs):,} measurements of the plan are done."
    by_part: dict[tuple[str, str, str], list[str]] = {}
    for split, learner, arm in dict.fromkeys((job.split, job.learner, job.arm) for job in jobs):
        by_part.setdefault((split, learner, _lacking(lacking, split, learner, arm)), []).append(f"`{arm}`")
    lines = [
        f"- {', '.join(of)}, {learner.replace('_', ' ')}, {split} split: {names}."
        for (split, learner, names), of in by_part.items()
        if names
    ]
    return "\n\n".join([head, "\n".join(lines)] if lines else [head])


def _lacking(jobs: Sequence[Job], split: str, learner: str, arm: str) -> str:
    """Return how many seeds of each table lack, by their number, or nothing where none does."""
    counts = Counter(job.table for job in jobs if (job.split, job.learner, job.arm) == (split, learner, arm))
    by_number: dict[int, list[str]] = {}
    for name in tables.TABLES:
        by_number.setdefault(counts[name], []).append(name)
    return "; ".join(
        f"{number} seed{'s' * (number > 1)} of {', '.join(names)}"
        for number, names in sorted(by_number.items())
        if number
    )


def _resplit_section(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    parts = [
        "## Five resplits of five tables\n\nMeans ± standard deviations over stratified 50/50 splits.",
        _means(rows),
        "Differences on the same split, mean ± standard error over splits (splits):",
        _differences(rows),
        "Means of these over the tables; the standard error is that of other splits of the same tables (tables):",
        _mean_differences(rows, compare.over_these_tables),
    ]
    return "\n\n".join(parts)


def _supplied_section(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    parts = ["## All tables, supplied split\n\nMeans ± standard deviations over seeds."]
    parts += [f"{title[0].upper() + title[1:]}:\n\n{_wide(rows, measure)}" for measure, title in SHOWN.items()]
    parts += [
        "Differences at the same seed, mean ± standard error over seeds (seeds):",
        _differences(rows),
        "Means of these over the tables; the standard error is that of tables drawn from many like them (tables):",
        _mean_differences(rows, compare.over_tables),
        _better(rows),
    ]
    return "\n\n".join(parts)


def _blstm_section(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    return "\n\n".join(
        [
            "## The BLSTM, supplied split\n\nThe repaired classifier in all arms: scaled features, its number of "
            "epochs chosen on held-out training rows. It takes no class weights.",
            _means(rows),
            "Differences at the same seed, mean ± standard error over seeds (seeds):",
            _differences(rows),
        ]
    )


def _names(rows: pd.DataFrame) -> list[str]:
    present = set(rows["table"])
    return [name for name in tables.TABLES if name in present]


def _means(rows: pd.DataFrame) -> str:
    lines = []
    for name in _names(rows):
        for arm in ARMS:
            own = rows[(rows["table"] == name) & (rows["arm"] == arm)]
            if len(own):
                lines.append([name, f"`{arm}`", str(len(own)), *(spread(own[measure]) for measure in MEASURES)])
    return table(["table", "arm", "runs", *SHOWN.values()], lines)


def _wide(rows: pd.DataFrame, measure: str) -> str:
    lines = []
    for name in _names(rows):
        own = rows[rows["table"] == name]
        lines.append([name, *(spread(own[own["arm"] == arm][measure]) for arm in ARMS)])
    return table(["table", *(f"`{arm}`" for arm in ARMS)], lines)


def _differences(rows: pd.DataFrame) -> str:
    found = {
        arm: [compare.by_table(paired) for other in (PLAIN, SMOTE) for paired in _paired(rows, arm, other)]
        for arm in QAST_ARMS
    }
    lines = []
    for name in _names(rows):
        for arm, columns in found.items():
            cells = [str(column.get(name, compare.NONE)) for column in columns]
            if set(cells) != {"–"}:
                lines.append([name, f"`{arm}`", *cells])
    return table(["table", "arm", *_compared(MEASURES[:3])], lines) if lines else "None yet."


def _mean_differences(rows: pd.DataFrame, mean: Callable[[pd.Series], Difference]) -> str:
    lines = []
    for arm in ARMS[1:]:
        cells = [
            "" if arm == other else str(mean(paired))
            for other in (PLAIN, SMOTE)
            for paired in _paired(rows, arm, other)
        ]
        lines.append([f"`{arm}`", *cells])
    return table(["arm", *_compared(MEASURES[:3])], lines)


def _paired(rows: pd.DataFrame, arm: str, other: str) -> list[pd.Series]:
    """Return arm less other, of the measures that differences are shown of."""
    found = compare.paired(rows, arm, other, MEASURES[:3])
    return [found[measure].dropna() for measure in found]


def _compared(measures: Sequence[str]) -> list[str]:
    return [f"{SHOWN[measure]} less `{other}`'s" for other in (PLAIN, SMOTE) for measure in measures]


def _better(rows: pd.DataFrame) -> str:
    sentences = []
    for other in (PLAIN, SMOTE):
        found = compare.by_table(compare.differences(rows, REPAIRED, other, "macro_f1"))
        better = sum(one.mean > 0 for one in found.values())
        worse = sum(one.mean < 0 for one in found.values())
        sentences.append(f"than `{other}` on {better} of {len(found)} tables and worse on {worse}")
    return f"By macro-F1, `{REPAIRED}` is better {', better '.join(sentences)}."


def _qast_section(rows: pd.DataFrame) -> str:
    own = rows[rows["arm"].isin(QAST_ARMS)]
    if own.empty:
        return ""
    lines = []
    for (name, learner, arm), group in own.groupby(["table", "learner", "arm"], sort=False):
        lines.append(
            [
                str(name),
                str(learner).replace("_", " "),
                f"`{arm}`",
                str(len(group)),
                ", ".join(f"{epochs:.0f}" for epochs in sorted(group["epochs"].unique())),
                f"{group['synthetic_rows'].mean():.0f}",
                f"{group['shortfall'].mean():.0f}",
                "; ".join(f"{source} ({number})" for source, number in group["sources"].value_counts().items()),
                f"{group['cpu_seconds'].mean():.0f}",
            ]
        )
    current = int((own["code"] == arms.code_digest()).sum())
    budgets = [
        f"- {', '.join(name for name, known in tables.TABLES.items() if known.budget == budget)}: "
        + ", ".join(f"{name} {number:,}" for name, number in budget.items())
        for budget in (tables.LARGE, tables.LARGEST)
    ]
    return "\n\n".join(
        [
            "## What the trainings were",
            "Tables of many rows have a bounded budget, the same for both QAST arms:\n\n" + "\n".join(budgets),
            "Means over runs. `shortfall`: rows that the generator could not make up to the quota; `sources`: where "
            "the rows of how many small classes came from, and in how many runs; seconds of one core, with inner "
            "validation and the learner.",
            table(
                ["table", "learner", "arm", "runs", "epochs", "synthetic rows", "shortfall", "sources", "seconds"],
                lines,
            ),
            f"Of these {len(own)} runs {current} were measured by the code as it was when this page was written.",
        ]
    )


def _failures(rows: pd.DataFrame) -> str:
    lines = [
        f"- {row['table']}, {row['split']} {row['seed']}, {row['learner']}, `{row['arm']}`: {row['failure']}"
        for row in rows[rows["failure"] != ""].to_dict("records")
    ]
    return "\n".join(["## What failed", "", *lines]) if lines else ""
