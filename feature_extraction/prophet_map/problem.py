"""What the solver is given: series in compressed rows, and the model's settings with Prophet's defaults."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

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
    """

    name: str
    period: float
    order: int
    prior_scale: float = 10.0


@dataclass(frozen=True)
class ModelSettings:
    """Prophet's settings, under Prophet's names and with its defaults.

    Attributes:
        growth: "linear", or "flat" for a trend that is constant.
        scaling: "absmax" divides y by its largest absolute value; "minmax" maps it to 0..1.
        n_changepoints: potential changepoints of the trend.
        changepoint_range: leading share of the rows that may hold them.
        changepoint_prior_scale: scale of the Laplace prior on slope changes.
        seasonality_prior_scale: prior scale of the three built-in seasonalities.
        yearly_seasonality: "auto", on or off, or the Fourier order.
        weekly_seasonality: the same for the week.
        daily_seasonality: the same for the day.
        seasonalities: further patterns.
        regressor_prior_scales: prior scale of each column of the regressors given to the fit.
    """

    growth: Literal["linear", "flat"] = "linear"
    scaling: Literal["absmax", "minmax"] = "absmax"
    n_changepoints: int = 25
    changepoint_range: float = 0.8
    changepoint_prior_scale: float = 0.05
    seasonality_prior_scale: float = 10.0
    yearly_seasonality: Literal["auto"] | bool | int = "auto"
    weekly_seasonality: Literal["auto"] | bool | int = "auto"
    daily_seasonality: Literal["auto"] | bool | int = "auto"
    seasonalities: tuple[Seasonality, ...] = ()
    regressor_prior_scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        scales = (self.changepoint_prior_scale, self.seasonality_prior_scale, *self.regressor_prior_scales)
        if min(scales) <= 0:
            raise ValueError(f"prior scales are {scales}; each must be above 0")
        if self.n_changepoints < 0 or not 0 < self.changepoint_range <= 1:
            raise ValueError(
                f"n_changepoints is {self.n_changepoints} and changepoint_range {self.changepoint_range}; "
                "the first must be 0 or more, the second in (0, 1]"
            )

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
        regressors: (N, E) additive regressors and holiday indicators, scaled as they shall enter the model: Prophet
            subtracts the mean of a regressor that is not 0 or 1 and divides by its standard deviation.
    """

    times: Integers
    values: Doubles
    offsets: Integers
    regressors: Doubles = field(default_factory=lambda: np.empty((0, 0)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(
        cls, times: ArrayLike, values: ArrayLike, offsets: ArrayLike, regressors: ArrayLike | None = None
    ) -> "Histories":
        """Return checked histories.

        Args:
            times: (N,) whole seconds since 1970 as integers, or datetime64 of any unit for finer steps.
            values: (N,) the series.
            offsets: (B + 1,) where each begins, and N.
            regressors: (N, E), or none.

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
        return cls(instants, numbers, bounds, extra)

    @classmethod
    def of_panel(cls, values: Doubles, times: ArrayLike) -> "Histories":
        """Return the finite values of a panel (B, T) whose columns are at `times` (T,)."""
        there = np.isfinite(values)
        offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        instants = np.broadcast_to(nanoseconds(np.asarray(times)), values.shape)[there]
        return cls(instants, values[there], offsets, np.empty((len(instants), 0)))

    def cleaned(self) -> "Histories":
        """Return the histories without NaN values and in order of time; rows of one time keep their order."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        keep = ~np.isnan(self.values)
        rows = np.flatnonzero(keep)
        rows = rows[np.lexsort((self.times[rows], owner[rows]))]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[keep], minlength=len(self)))])
        return Histories(self.times[rows], self.values[rows], offsets, self.regressors[rows])


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
