"""What the solver is given: series in compressed rows, and the model's settings with Prophet's defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CONVERGED, CONSTANT, SIGMA_FLOOR, TOO_SHORT, REJECTED, NOT_CONVERGED = range(6)
STATUS_NAMES = ("converged", "constant", "sigma_floor", "too_short", "rejected", "not_converged")
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True)
class Seasonality:
    """A Fourier pattern.

    Attributes:
        name: what it is called.
        period: its period in days.
        order: number of sine and cosine pairs.
        prior_scale: standard deviation of the normal prior on its coefficients, in scaled y.
        condition: name of the flags of the rows it acts on (Prophet's `condition_name`); empty for all rows.
    """

    name: str
    period: float
    order: int
    prior_scale: float = 10.0
    condition: str = ""


@dataclass(frozen=True)
class Regressor:
    """An additive column that comes with the rows.

    Attributes:
        name: what it is called.
        prior_scale: standard deviation of the normal prior on its coefficient, in scaled y.
        standardize: whether the mean of each history is subtracted and its standard deviation divided by; "auto" does
            so unless the column holds just 0 and 1. A column of one value is left as it is.
    """

    name: str
    prior_scale: float = 10.0
    standardize: Literal["auto"] | bool = "auto"


@dataclass(frozen=True)
class ModelSettings:
    """Prophet's settings, under Prophet's names and with its defaults.

    Attributes:
        growth: "linear", or "flat" for a trend that is constant.
        seasonality_mode: whether patterns and regressors add to the trend or are shares of it.
        scaling: "absmax" divides y by its largest absolute value; "minmax" maps it to 0..1.
        n_changepoints: potential changepoints of the trend.
        changepoint_range: leading share of the rows that may hold them.
        changepoints: their dates, where they are known, in place of the two settings above; a series whose history does
            not hold them all is rejected.
        changepoint_prior_scale: scale of the Laplace prior on slope changes.
        seasonality_prior_scale: prior scale of the three built-in seasonalities.
        yearly_seasonality: "auto", on or off, or the Fourier order.
        weekly_seasonality: the same for the week.
        daily_seasonality: the same for the day.
        seasonalities: further patterns.
        regressors: what the columns of `Histories.regressors` are.
    """

    growth: Literal["linear", "flat"] = "linear"
    seasonality_mode: Literal["additive", "multiplicative"] = "additive"
    scaling: Literal["absmax", "minmax"] = "absmax"
    n_changepoints: int = 25
    changepoint_range: float = 0.8
    changepoints: tuple[np.datetime64 | str, ...] | None = None
    changepoint_prior_scale: float = 0.05
    seasonality_prior_scale: float = 10.0
    yearly_seasonality: Literal["auto"] | bool | int = "auto"
    weekly_seasonality: Literal["auto"] | bool | int = "auto"
    daily_seasonality: Literal["auto"] | bool | int = "auto"
    seasonalities: tuple[Seasonality, ...] = ()
    regressors: tuple[Regressor, ...] = ()

    def __post_init__(self) -> None:
        columns: tuple[Seasonality | Regressor, ...] = (*self.seasonalities, *self.regressors)
        named = [one.name for one in columns]
        if len(set(named)) < len(named):
            raise ValueError(f"seasonalities and regressors are called {named}; give each a name of its own")
        scales = [one.prior_scale for one in columns]
        scales += [self.changepoint_prior_scale, self.seasonality_prior_scale]
        if min(scales) <= 0:
            raise ValueError(f"prior scales are {scales}; each must be above 0")
        if self.seasonality_mode == "multiplicative" and self.scaling == "minmax":
            raise ValueError(
                "seasonality_mode is multiplicative, scaling minmax: Prophet would fit shares of y less its smallest "
                "value and predicts shares of y; take the scaling absmax"
            )
        if self.n_changepoints < 0 or not 0 < self.changepoint_range <= 1:
            raise ValueError(
                f"n_changepoints is {self.n_changepoints} and changepoint_range {self.changepoint_range}; "
                "the first must be 0 or more, the second in (0, 1]"
            )

    @property
    def num_changepoints(self) -> int:
        """Most changepoints that a series can have; a flat trend has none."""
        if self.growth == "flat":
            return 0
        return self.n_changepoints if self.changepoints is None else len(self.changepoints)

    @property
    def changepoint_times(self) -> Integers:
        """The given changepoints in order of time, nanoseconds since 1970; empty where they follow from the rows."""
        if self.growth == "flat" or self.changepoints is None:
            return np.empty(0, np.int64)
        return np.sort(nanoseconds(np.array(self.changepoints, dtype="datetime64[ns]")))

    def pattern(self, flags: int) -> tuple[Seasonality, ...]:
        """Return the seasonalities of a series whose bits 0, 1, 2 allow yearly, weekly, daily ones on "auto".

        Blocks come in Prophet's order; the orders are Prophet's 10, 3 and 4.
        """
        builtin = (
            ("yearly", 365.25, 10, self.yearly_seasonality),
            ("weekly", 7.0, 3, self.weekly_seasonality),
            ("daily", 1.0, 4, self.daily_seasonality),
        )
        found = [
            Seasonality(name, period, _order(wanted, order, bool(flags >> bit & 1)), self.seasonality_prior_scale)
            for bit, (name, period, order, wanted) in enumerate(builtin)
        ]
        named = {seasonality.name for seasonality in self.seasonalities}
        return self.seasonalities + tuple(one for one in found if one.order > 0 and one.name not in named)


def _order(wanted: bool | int | str, default: int, allowed: bool) -> int:
    if wanted == "auto":
        return default if allowed else 0
    if wanted is True:
        return default
    return int(wanted)


@dataclass(frozen=True)
class Histories:
    """B series one behind the other: series i holds the rows `offsets[i]` to `offsets[i + 1]`.

    Make one with `of`, which checks. Attributes:
        times: (N,) nanoseconds since 1970.
        values: (N,) y; NaN is a missing measurement.
        offsets: (B + 1,) from 0 to N.
        regressors: (N, E) additive regressors and holiday indicators, in units of their own.
        conditions: by name, the rows (N,) that conditional seasonalities act on.
    """

    times: Integers
    values: Doubles
    offsets: Integers
    regressors: Doubles = field(default_factory=lambda: np.empty((0, 0)))
    conditions: Mapping[str, Flags] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(
        cls,
        times: ArrayLike,
        values: ArrayLike,
        offsets: ArrayLike,
        regressors: ArrayLike | None = None,
        conditions: Mapping[str, ArrayLike] | None = None,
    ) -> "Histories":
        """Return checked histories.

        Args:
            times: (N,) whole seconds since 1970 as integers, or datetime64 of any unit for finer steps.
            values: (N,) the series.
            offsets: (B + 1,) where each begins, and N.
            regressors: (N, E), or none.
            conditions: (N,) of true and false or 0 and 1 by name, or none.

        Raises:
            ValueError: if the arrays do not fit together or a time is missing or out of range.
        """
        instants = nanoseconds(np.asarray(times))
        numbers = np.ascontiguousarray(values, dtype=np.float64)
        bounds = np.ascontiguousarray(offsets, dtype=np.int64)
        extra = np.empty((len(numbers), 0)) if regressors is None else np.ascontiguousarray(regressors, np.float64)
        if not len(bounds) or bounds[0] != 0 or bounds[-1] != len(numbers) or (np.diff(bounds) < 0).any():
            raise ValueError(
                f"offsets must rise from 0 to the {len(numbers)} values, found {bounds[:3]}..{bounds[-1:]}"
            )
        if instants.shape != numbers.shape or len(extra) != len(numbers) or extra.ndim != 2:
            raise ValueError(
                f"times {instants.shape}, values {numbers.shape} and regressors {extra.shape} must have one row each"
            )
        return cls(instants, numbers, bounds, extra, _flags(conditions or {}, len(numbers)))

    @classmethod
    def of_panel(cls, values: Doubles, times: ArrayLike, regressors: Doubles | None = None) -> "Histories":
        """Return the finite values of a panel (B, T) whose columns are at `times` (T,), with regressors (T, E)."""
        there = np.isfinite(values)
        offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        instants = np.broadcast_to(nanoseconds(np.asarray(times)), values.shape)[there]
        if regressors is None:
            return cls(instants, values[there], offsets, np.empty((len(instants), 0)))
        return cls(instants, values[there], offsets, np.ascontiguousarray(regressors)[np.nonzero(there)[1]])

    def cleaned(self) -> "Histories":
        """Return the histories without NaN values and in order of time; rows of one time keep their order."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        keep = ~np.isnan(self.values)
        rows = np.flatnonzero(keep)
        rows = rows[np.lexsort((self.times[rows], owner[rows]))]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[keep], minlength=len(self)))])
        conditions = {name: flags[rows] for name, flags in self.conditions.items()}
        return Histories(self.times[rows], self.values[rows], offsets, self.regressors[rows], conditions)


def _flags(conditions: Mapping[str, ArrayLike], rows: int) -> dict[str, Flags]:
    found = {name: np.asarray(flags) for name, flags in conditions.items()}
    for name, flags in found.items():
        if flags.shape != (rows,) or not np.isin(flags, (0, 1)).all():
            raise ValueError(f"condition {name!r} has shape {flags.shape}; give true or false for each of {rows} rows")
    return {name: flags.astype(bool) for name, flags in found.items()}


def nanoseconds(times: NDArray[np.generic]) -> Integers:
    """Return instants as int64 nanoseconds since 1970.

    Raises:
        ValueError: for other types, for NaT, and outside the years 1678 to 2262.
    """
    if np.issubdtype(times.dtype, np.datetime64):
        if np.isnat(times).any():
            raise ValueError(f"{int(np.isnat(times).sum())} times are missing (NaT); remove these rows")
        seconds, exact = times.astype("datetime64[s]").astype(np.int64), times.astype("datetime64[ns]").astype(np.int64)
    elif np.issubdtype(times.dtype, np.integer):
        seconds = times.astype(np.int64)
        exact = seconds * SECOND
    else:
        raise ValueError(f"times are {times.dtype}; give whole seconds as integers, or datetime64 for finer steps")
    if len(seconds) and np.abs(seconds).max() >= np.iinfo(np.int64).max // SECOND:
        raise ValueError("times reach beyond the years 1678 to 2262; integers are seconds since 1970")
    return np.ascontiguousarray(exact)
