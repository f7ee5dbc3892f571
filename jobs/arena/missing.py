"""What the page does not know: fits that failed, were left out, are old, or were never run."""

import pandas as pd

from jobs.arena import ledger
from jobs.arena.fit import DONE
from jobs.arena.plan import SEEDS, Plan
from jobs.arena.runs import LEFT_OUT, NOT_RUN
from jobs.arena.splits import BUDGETS
from training.trainer import TRAINERS

LONGEST = 160
SHOWN = 12


def section(rows: pd.DataFrame, plan: Plan) -> str:
    """Return what is missing, as a list."""
    lines = [*_progress(rows), *_failures(rows), *_left_out(rows), *_stale(rows, plan)]
    return "\n".join(f"- {line}" for line in lines)


def _progress(rows: pd.DataFrame) -> list[str]:
    """Say how much of the whole grid of the data sets seen is measured, and which methods lack the most."""
    own = rows[rows["main"] & (rows["seed"] < SEEDS) & (rows["outcome"] != NOT_RUN)]
    if own.empty:
        return ["No method was tried on the main feature set of any data set."]
    each = own["data"].nunique() * len(BUDGETS) * SEEDS
    known = own.groupby("trainer").size()
    lacking = {name: each - int(known.get(name, 0)) for name in TRAINERS if known.get(name, 0) < each}
    said = (
        f"{len(own):,} of {each * len(TRAINERS):,} fits ({own['data'].nunique()} data sets, {len(BUDGETS)} label "
        f"budgets, {len(TRAINERS)} methods, {SEEDS} seeds) were tried."
    )
    if lacking:
        named = sorted(lacking, key=lambda name: -lacking[name])
        said += " Not yet tried: " + ", ".join(f"`{name}` {lacking[name]}" for name in named) + "."
    return [said]


def _failures(rows: pd.DataFrame) -> list[str]:
    bad = rows[~rows["outcome"].isin([DONE, LEFT_OUT, NOT_RUN])]
    lines = []
    groups = bad.assign(error=bad["error"].astype(str).str[:LONGEST]).groupby(["trainer", "outcome"], sort=True)
    for (trainer, outcome), found in groups:
        errors = found["error"].value_counts()
        places = ", ".join(f"{data} ({count})" for data, count in found["data"].value_counts().sort_index().items())
        more = f" and {len(errors) - 1} other messages" if len(errors) > 1 else ""
        lines.append(f"`{trainer}`: {len(found)} fits {outcome} ({errors.index[0]}{more}): {places}.")
    return lines


def _left_out(rows: pd.DataFrame) -> list[str]:
    """Name the data sets and budgets that no method was fitted on, once each."""
    out = rows[rows["outcome"] == LEFT_OUT].drop_duplicates(["data", "features", "budget", "error"])
    out = out.drop_duplicates(["data", "budget"])
    lines = [f"{row['data']}, labels {row['budget']}: left out: {row['error']}." for _, row in out.iterrows()]
    more = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"{more} more are left out; `{ledger.TWIN}` names them."] if more > 0 else [])


def _stale(rows: pd.DataFrame, plan: Plan) -> list[str]:
    old = ledger.stale(rows, plan)
    if old.empty:
        return []
    named = ", ".join(f"`{name}` {count}" for name, count in old["trainer"].value_counts().sort_index().items())
    return [
        f"{len(old):,} figures were measured with other settings, source or libraries than the present ones: {named}. "
        "The same command measures them again."
    ]
