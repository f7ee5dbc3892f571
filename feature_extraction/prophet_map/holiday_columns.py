"""Holidays as 0/1 columns, the way Prophet makes them from a table of dates (`Prophet.make_holiday_features`)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from feature_extraction.prophet_map.problem import DAY, Doubles, Integers, Regressor, nanoseconds

PRIOR_SCALE = 10.0  # Prophet's default


def holiday_columns(
    times: ArrayLike, holidays: pd.DataFrame, prior_scale: float = PRIOR_SCALE
) -> tuple[tuple[Regressor, ...], Doubles]:
    """Return one regressor for each holiday and day of its window, and their columns (N, E) at `times`.

    A column is 1 all through the calendar day that lies so many days from a date of the holiday. They come in Prophet's
    order; Prophet names them `NAME_delim_+1` where we write `NAME_+1`, which it leaves free for regressors.

    Args:
        times: (N,) seconds since 1970 or datetime64.
        holidays: columns `holiday` and `ds`; optional `lower_window` (0 or less) and `upper_window` (0 or more), days
            before and behind the date, and `prior_scale`.
        prior_scale: that of the holidays without one of their own.

    Raises:
        ValueError: columns are missing, a window points the wrong way, or a holiday has two prior scales.
    """
    if not {"holiday", "ds"} <= set(holidays):
        raise ValueError(f"the holidays have the columns {list(holidays)}; they need 'holiday' and 'ds'")
    table = _whole(holidays, prior_scale)
    days, row = np.unique(nanoseconds(np.asarray(times)) // DAY, return_inverse=True)
    dates = table["ds"].to_numpy().astype("datetime64[D]").astype(np.int64)
    marked: dict[str, tuple[Regressor, list[Integers]]] = {}
    for name, scale, lower, upper, day in zip(
        table["holiday"], table["prior_scale"], table["lower_window"], table["upper_window"], dates, strict=True
    ):
        for offset in range(int(lower), int(upper) + 1):
            key = f"{name}_delim_{'+' if offset >= 0 else '-'}{abs(offset)}"
            regressor = Regressor(f"{name}_{offset:+d}", float(scale), standardize=False)
            marked.setdefault(key, (regressor, []))[1].append(day + offset)
    columns = np.zeros((len(days), len(marked)))
    for e, key in enumerate(sorted(marked)):
        columns[:, e] = np.isin(days, marked[key][1])
    return tuple(marked[key][0] for key in sorted(marked)), columns[row]


def country_holidays(country: str, years: Iterable[int]) -> pd.DataFrame:
    """Return the public holidays of a country as a table of `holiday` and `ds`, as `Prophet.add_country_holidays` does.

    Raises:
        ValueError: the holidays package does not know the country.
    """
    import holidays

    if country not in holidays.list_supported_countries():
        raise ValueError(f"{country!r} is no country the holidays package knows; use its code of ISO 3166, such as US")
    found = getattr(holidays, country)(expand=False, language="en_US", years=list(years))
    pairs = [(name, day) for day in found for name in found.get_list(day)]
    return pd.DataFrame(pairs, columns=["holiday", "ds"]).astype({"ds": "datetime64[ns]"})


def _whole(holidays: pd.DataFrame, prior_scale: float) -> pd.DataFrame:
    """Return the table with every optional column; a window that is missing on one side is taken as none."""
    names = ["lower_window", "upper_window"]
    table = holidays.reindex(columns=["holiday", "ds", *names, "prior_scale"])
    table[[name for name in names if name not in holidays]] = 0
    table.loc[table[names].isna().any(axis=1), names] = 0
    if (table["lower_window"] > 0).any() or (table["upper_window"] < 0).any():
        raise ValueError("a holiday has lower_window above 0 or upper_window below 0; they count days from the date")
    table["prior_scale"] = table["prior_scale"].fillna(prior_scale)
    scales = table.groupby("holiday")["prior_scale"].nunique()
    if (scales > 1).any():
        raise ValueError(f"the holidays {list(scales.index[scales > 1])} have two prior scales each; give them one")
    table["ds"] = pd.to_datetime(table["ds"])
    return table
