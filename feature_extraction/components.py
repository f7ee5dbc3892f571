"""What an engine gives back for a batch of series: Prophet's parameters and curves, the same from each engine."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from feature_extraction.settings import FeaturesSettings, WindowSettings

Doubles = NDArray[np.float64]

FITTED = "fitted"
FITTED_BY_PROPHET = "fitted_by_prophet"
CONSTANT = "constant"
TOO_SHORT = "too_short"
SIGMA_FLOOR = "sigma_floor"
FAILED = "failed"
STATUSES = (FITTED, FITTED_BY_PROPHET, CONSTANT, TOO_SHORT, SIGMA_FLOOR, FAILED)
# An optimum with noise: FITTED_BY_PROPHET says that the map engine left the series to the library.
REGULAR = (FITTED, FITTED_BY_PROPHET)
# Below this noise (in scaled y) the fit interpolates the series, and residuals in sigmas mean nothing.
SMALLEST_SIGMA = 1e-6


@dataclass(frozen=True)
class Calendar:
    """The steps of the window.

    Attributes:
        start: start of the first one.
        step: their distance.
        num_steps: their number.
        is_own: whether each entity's series is moved to end with its last event.
    """

    start: datetime
    step: timedelta
    num_steps: int
    is_own: bool = False

    @classmethod
    def of(cls, window: WindowSettings) -> "Calendar":
        """Return the calendar of a window."""
        return cls(window.start, window.step, window.num_steps, window.align == "last_event")

    @property
    def steps_a_week(self) -> int:
        """Steps by which a series can be moved without a change of its weekdays; 1 where a step is no day."""
        days = self.step / timedelta(days=1)
        return round(7 / days) if days in (1.0, 7.0) else 1

    @property
    def times(self) -> pd.DatetimeIndex:
        """Start of every step, naive."""
        return pd.date_range(self.start, periods=self.num_steps, freq=self.step)


@dataclass(frozen=True)
class Components:
    """Fits of B series over a calendar of T steps, with at most S changepoints each; NaN where nothing was fitted.

    Attributes:
        status: (B,) one of `STATUSES`.
        k: (B,) initial slope, scaled y per scaled time; of a logistic trend its initial rate, per scaled time; 0 of a
            flat one.
        m: (B,) trend offset, scaled y; of a logistic trend the scaled time at which it would reach half its cap.
        delta: (B, S) changes of k; NaN beyond a series' own changepoints, of which a flat trend has none.
        changepoint: (B, S) step index of each changepoint.
        sigma: (B,) standard deviation of the noise, in units of the metric.
        y_scale: (B,) what y was divided by.
        span: (B,) steps from the first to the last observation: scaled time 1.
        trend: (B, T) trend in units of the metric.
        seasonal: (B, T) what seasonal patterns and holidays add to the trend, in units of the metric. Multiplicative
            ones are shares of the trend, and add that share of the trend of the same step.
        weekly: (B, 7) weekly pattern from Monday to Sunday, in units of the metric; NaN without one. A multiplicative
            one is given at the level of the trend in the last step.
        cap: (B,) what a logistic trend can reach at most, in units of the metric; NaN for other trends.
    """

    status: NDArray[np.str_]
    k: Doubles
    m: Doubles
    delta: Doubles
    changepoint: Doubles
    sigma: Doubles
    y_scale: Doubles
    span: Doubles
    trend: Doubles
    seasonal: Doubles
    weekly: Doubles
    cap: Doubles

    @property
    def yhat(self) -> Doubles:
        """Fitted values (B, T), in units of the metric."""
        return self.trend + self.seasonal

    @classmethod
    def empty(cls, num_series: int, calendar: Calendar, changepoints: int) -> "Components":
        """Return components in which nothing is fitted yet, to be filled in place by an engine."""

        def missing(*shape: int) -> Doubles:
            return np.full((num_series, *shape), np.nan)

        return cls(
            status=np.full(num_series, TOO_SHORT, dtype=f"<U{max(map(len, STATUSES))}"),
            k=missing(),
            m=missing(),
            delta=missing(changepoints),
            changepoint=missing(changepoints),
            sigma=missing(),
            y_scale=missing(),
            span=missing(),
            trend=missing(calendar.num_steps),
            seasonal=missing(calendar.num_steps),
            weekly=missing(7),
            cap=missing(),
        )


class Engine(Protocol):
    """Anything that fits a batch of regular series."""

    def __call__(self, values: Doubles, calendar: Calendar, settings: FeaturesSettings) -> Components:
        """Fit `values` (B, T), NaN for steps that are missing or precede the entity's first event."""
        ...


def long_enough(values: Doubles, settings: FeaturesSettings) -> NDArray[np.bool_]:
    """Tell for each series (B, T) whether it has the steps and the active steps that a fit needs."""
    observed = np.isfinite(values)
    active = observed & (values != 0)
    first = np.where(observed.any(axis=1), observed.argmax(axis=1), values.shape[1])
    return np.asarray(
        (values.shape[1] - first >= settings.min_steps)
        & (active.sum(axis=1) >= settings.min_active_steps)
        & (observed.sum(axis=1) >= settings.min_active_steps)
    )
