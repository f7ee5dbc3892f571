"""All results there are, from this command and those before it: a row a fit.

They lie in `arena.csv` beside the page, which is read again, so that a page grows from a fresh checkout on, and in
`results.parquet` beside the finished fits.
"""

import io
from pathlib import Path

import pandas as pd

from feature_extraction import storage
from jobs.arena.fit import DONE
from jobs.arena.plan import Plan
from jobs.arena.runs import COLUMNS, KEYS, NOT_RUN
from training.trainer import TRAINERS

PARQUET, TWIN = "results.parquet", "arena.csv"
TEXT = ("data", "features", "trainer", "budget", "kind", "method", "outcome", "error", "chosen", "digest")
TYPES = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys(TEXT, "object") | {"seed": "int64", "main": "bool"}


def merged(page: str, results: pd.DataFrame) -> pd.DataFrame:
    """Return the results of a run and those that earlier runs left, which they replace.

    Args:
        page: folder of the page and its twin.
        results: a row a fit, with `COLUMNS`.
    """
    parts = [part for part in (_twin(page), results) if part is not None]
    rows = pd.concat([typed(part) for part in parts if len(part)])
    rows = rows[rows["trainer"].isin(set(TRAINERS))]
    # Of equal keys the last that is no mere wish.
    order = rows.assign(known=rows["outcome"] != NOT_RUN).sort_values("known", kind="stable")
    kept = order.drop_duplicates(KEYS, keep="last")[COLUMNS].sort_values(KEYS, kind="stable")
    return typed(_read(_text(kept)))  # the page says what its twin says, to the last digit


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the types that figures, names and seeds have, whatever was left open in them."""
    texts = {name: rows[name].astype("object").where(rows[name].notna(), "") for name in TEXT}
    return rows.assign(**texts).astype(TYPES)


def write(page: str, folder: Path, rows: pd.DataFrame) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / PARQUET, index=False)
    storage.write_bytes(storage.join(page, TWIN), _text(rows))


def _text(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False, float_format="%.6g").encode()


def _read(text: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(text), dtype=dict.fromkeys(TEXT, "str"))


def stale(rows: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the finished rows whose method has other settings, source or libraries by now."""
    done = rows[rows["outcome"] == DONE]
    current = {name: plan.method(name) for name in done["trainer"].unique()}
    return done[done["method"] != done["trainer"].map(current)]


def _twin(page: str) -> pd.DataFrame | None:
    place = storage.join(page, TWIN)
    if not storage.exists(place):
        return None
    return _checked(_read(storage.read_bytes(place)), place)


def _checked(rows: pd.DataFrame, place: str) -> pd.DataFrame:
    if list(rows) != COLUMNS:
        others = sorted({str(name) for name in rows} ^ set(COLUMNS))
        raise ValueError(
            f"{place} holds other columns than this program writes ({others} differ); move it away, and the page is "
            "written from the fits that are finished"
        )
    return rows
