"""Prophet's MAP for a batch of series: scale, sum, eliminate, solve, one series after the other in compiled code.

Taylor and Letham, "Forecasting at scale", The American Statistician 72(1), 2018, with growth "linear" or "flat" and
columns that are all additive or all multiplicative. Maximizes
-k^2/50 - m^2/50 - sum |delta|/tau - sum beta^2/(2 s^2) - 2 v - T log sigma - RSS/(2 v) over all parameters,
v = sigma^2; of several modes of an additive model the one with the largest sigma, which is the first that Prophet's
optimizer can meet on its way down from sigma = 1.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from feature_extraction.prophet_map.design import make_design
from feature_extraction.prophet_map.fits import Fits, empty_fits
from feature_extraction.prophet_map.one_series import FIT_RANGE, Data, Found, Model
from feature_extraction.prophet_map.problem import CONSTANT, REJECTED, Histories, Integers, ModelSettings
from feature_extraction.prophet_map.regressors import scaled, scaling_of
from feature_extraction.prophet_map.summary import Summaries, clean, summarize

TREND_PRIOR_SCALE = 5.0  # of the normal priors on k and m: Prophet's


def fit(histories: Histories, settings: ModelSettings | None = None, num_threads: int = 1) -> Fits:
    """Fit every series of `histories`.

    Each series' parameters are the same bits whatever else is in the batch and whatever the number of threads.

    Args:
        histories: the series; NaN values are left out, and rows are put in order of time.
        settings: the model, by default Prophet's.
        num_threads: threads to share the series among.

    Raises:
        ValueError: if the histories lack what the settings name: regressors, or conditions of seasonalities.
    """
    model = settings or ModelSettings()
    rows = clean(histories)
    summaries = _with_changepoints(summarize(rows), model)
    scaling = scaling_of(rows, model.regressors)
    rows = scaled(rows, model.regressors, scaling)
    fits = empty_fits(model, summaries, scaling)
    for flags in np.unique(summaries.flags):
        chosen = np.flatnonzero((summaries.flags == flags) & (summaries.status <= CONSTANT))
        if len(chosen):
            _fit_group(rows, summaries, fits, chosen, num_threads)
    return fits


def _with_changepoints(summaries: Summaries, settings: ModelSettings) -> Summaries:
    """Reject series whose history does not hold the given changepoints; Prophet raises there."""
    given = settings.changepoint_times
    if len(given):
        outside = (given[0] < summaries.start) | (given[-1] - summaries.start > summaries.span)
        summaries.status[outside & (summaries.status <= CONSTANT)] = REJECTED
    return summaries


def _fit_group(rows: Histories, summaries: Summaries, fits: Fits, chosen: Integers, num_threads: int) -> None:
    """Fit the series `chosen`, which have one pattern, and write them into `fits`."""
    settings = fits.settings
    pattern = settings.pattern(int(summaries.flags[chosen[0]]))
    grid = summaries.grid[chosen]
    design = make_design(pattern, summaries.start[chosen], summaries.span[chosen], grid, rows)
    scales = [np.full(2 * one.order, one.prior_scale) for one in pattern]
    scales = [np.full(2, TREND_PRIOR_SCALE), *scales, np.array([one.prior_scale for one in settings.regressors])]
    model = Model(
        settings.num_changepoints,
        settings.changepoint_range,
        settings.changepoint_times,
        settings.changepoint_prior_scale,
        settings.growth == "linear",
        1.0 / np.square(np.concatenate(scales)),
    )
    data = Data(rows.times, rows.values, rows.offsets, chosen, fits.y_scale, fits.y_floor)
    found = _empty_found(summaries.status[chosen], len(model.penalty), fits.delta.shape[1])
    fit_range = FIT_RANGE[settings.seasonality_mode]
    _shared(num_threads, len(chosen), lambda first, last: fit_range(data, design, model, found, first, last))
    _write(fits, found, chosen)


def _shared(num_threads: int, number: int, work: Callable[[int, int], int]) -> None:
    """Call `work` on consecutive ranges of 0..number - 1, one to a thread."""
    if num_threads == 1:
        work(0, number)
        return
    bounds = np.linspace(0, number, min(num_threads, number) + 1).astype(np.int64)
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))


def _empty_found(status: Integers, columns: int, changepoints: int) -> Found:
    number = len(status)
    delta, changepoint = np.full((2, number, changepoints), np.nan)
    return Found(status, np.zeros((number, columns)), np.zeros(number), delta, changepoint, np.zeros(number, np.int64))


def _write(fits: Fits, found: Found, chosen: Integers) -> None:
    fits.status[chosen], fits.sigma[chosen] = found.status, found.sigma
    fits.m[chosen], fits.k[chosen] = found.theta[:, 0], found.theta[:, 1]
    fits.beta[chosen, : found.theta.shape[1] - 2] = found.theta[:, 2:]
    fits.delta[chosen], fits.changepoint[chosen] = found.delta, found.changepoint
    fits.num_changepoints[chosen] = found.num_changepoints
