"""What a fit gives back: the MAP parameters of every series of a batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feature_extraction.prophet_map.problem import Doubles, Integers, ModelSettings, Seasonality
from feature_extraction.prophet_map.regressors import Scaling
from feature_extraction.prophet_map.summary import Summaries


@dataclass(frozen=True)
class Fits:
    """MAP parameters of B series, in scaled y and scaled time; NaN where nothing was fitted.

    Attributes:
        settings: the model's settings.
        status: (B,) codes, in the order of `problem.STATUS_NAMES`.
        k: (B,) initial slope.
        m: (B,) offset.
        sigma: (B,) noise.
        delta: (B, S) slope changes, 0 beyond a series' own.
        changepoint: (B, S) their scaled times, NaN beyond a series' own.
        num_changepoints: (B,) how many it has.
        beta: (B, K) coefficients of the series' own pattern, block after block, then of the regressors.
        y_scale: (B,) what y - y_floor was divided by.
        y_floor: (B,) 0, or the smallest y under "minmax".
        start: (B,) first time, nanoseconds.
        span: (B,) last time less first, nanoseconds.
        flags: (B,) see `ModelSettings.pattern`.
        scaling: what is subtracted from the regressors, and what they are divided by.
    """

    settings: ModelSettings
    status: Integers
    k: Doubles
    m: Doubles
    sigma: Doubles
    delta: Doubles
    changepoint: Doubles
    num_changepoints: Integers
    beta: Doubles
    y_scale: Doubles
    y_floor: Doubles
    start: Integers
    span: Integers
    flags: Integers
    scaling: Scaling

    def groups(self) -> Iterator[tuple[tuple[Seasonality, ...], Integers]]:
        """Iterate over the patterns and the indices of the fitted series that have them."""
        fitted = np.isfinite(self.k)
        for flags in np.unique(self.flags[fitted]):
            yield self.settings.pattern(int(flags)), np.flatnonzero(fitted & (self.flags == flags))


def empty_fits(settings: ModelSettings, summaries: Summaries, scaling: Scaling) -> Fits:
    """Return fits in which only what the summaries say is filled in."""
    number = len(summaries.status)
    floor = summaries.lowest if settings.scaling == "minmax" else np.zeros(number)
    with np.errstate(invalid="ignore"):  # infinite values, of rejected series
        size = np.maximum(summaries.highest - floor, floor - summaries.lowest)
    patterns = [settings.pattern(int(flags)) for flags in np.unique(summaries.flags)]
    columns = max((sum(2 * one.order for one in pattern) for pattern in patterns), default=0)
    columns += len(settings.regressors)
    changepoints = settings.num_changepoints
    k, m, sigma = np.full((3, number), np.nan)
    return Fits(
        settings=settings,
        status=summaries.status.copy(),
        k=k,
        m=m,
        sigma=sigma,
        delta=np.full((number, changepoints), np.nan),
        changepoint=np.full((number, changepoints), np.nan),
        num_changepoints=np.zeros(number, np.int64),
        beta=np.full((number, columns), np.nan),
        y_scale=np.where(size == 0, 1.0, size),
        y_floor=floor,
        start=summaries.start,
        span=summaries.span,
        flags=summaries.flags,
        scaling=scaling,
    )
