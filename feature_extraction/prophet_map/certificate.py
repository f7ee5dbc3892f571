"""Proof that a fit is the MAP, from the raw rows in extended precision: log posterior and optimality conditions.

Nothing of the solver is used but the Fourier columns. One series at a time: for tests and benchmarks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_extraction.prophet_map.design import fourier_rows
from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.problem import Doubles, Histories, Seasonality
from feature_extraction.prophet_map.regressors import scaled
from feature_extraction.prophet_map.solve import TREND_PRIOR_SCALE
from feature_extraction.prophet_map.summary import clean

Precise = NDArray[np.longdouble]


@dataclass(frozen=True)
class _Problem:
    """One series' columns u and h, its scaled y, and parameters; D the inverse prior variances of theta."""

    y: Precise
    ridge: Precise
    hinge: Precise
    theta: Precise
    delta: Precise
    inverse_prior: Precise
    prior_scale: np.longdouble
    variance: np.longdouble

    @property
    def residual(self) -> Precise:
        """Return y - u theta - h delta."""
        return np.asarray(self.y - self.ridge @ self.theta - self.hinge @ self.delta)


def log_posterior(histories: Histories, fits: Fits) -> Doubles:
    """Return Prophet's log density (B,) at the parameters in `fits`, without its constants; NaN where there are none.

    -theta'D theta / 2 - sum |delta| / tau - 2 v - T log sigma - RSS / (2 v), v = sigma^2: Stan's `lp__`.
    A multiplicative model is taken linear at these parameters, where that changes neither residuals nor gradients.
    """
    return _each(histories, fits, _density)


def kkt_violation(histories: Histories, fits: Fits) -> Doubles:
    """Return by how much each fit (B,) misses the conditions of a mode; NaN where nothing was fitted.

    The largest of: the gradient in theta in standard deviations of the score, |u'r/v - D theta| / sqrt(u'u/v + D); the
    distance of tau h'r/v from the subgradients of |delta|; and the relative error of v in 4 v^2 + T v = RSS.
    """
    return _each(histories, fits, _violation)


def _density(problem: _Problem) -> float:
    variance, residual = problem.variance, problem.residual
    return float(
        -(problem.inverse_prior * problem.theta**2).sum() / 2
        - np.abs(problem.delta).sum() / problem.prior_scale
        - 2 * variance
        - len(residual) * np.log(variance) / 2
        - residual @ residual / (2 * variance)
    )


def _violation(problem: _Problem) -> float:
    variance, residual, rows = problem.variance, problem.residual, len(problem.y)
    score = problem.ridge.T @ residual / variance - problem.inverse_prior * problem.theta
    score /= np.sqrt((problem.ridge**2).sum(axis=0) / variance + problem.inverse_prior)
    subgradient = problem.prior_scale * (problem.hinge.T @ residual) / variance
    moved = np.abs(subgradient - np.sign(problem.delta))
    distance = np.where(problem.delta != 0, moved, np.maximum(np.abs(subgradient) - 1, 0))
    squares = residual @ residual
    implied = 2 * squares / (rows + np.sqrt(rows**2 + 16 * squares))
    return float(max(np.abs(score).max(), distance.max(initial=0), abs(implied / variance - 1)))


def _each(histories: Histories, fits: Fits, measure: Callable[[_Problem], float]) -> Doubles:
    rows = scaled(clean(histories), fits.settings.regressors, fits.scaling)
    found = np.full(len(rows), np.nan)
    for pattern, chosen in fits.groups():
        scales = [np.full(2 * one.order, one.prior_scale) for one in pattern]
        scales = [
            np.full(2, TREND_PRIOR_SCALE),
            *scales,
            np.array([one.prior_scale for one in fits.settings.regressors]),
        ]
        inverse_prior = (1 / np.concatenate(scales) ** 2).astype(np.longdouble)
        for series in chosen:
            part = slice(int(rows.offsets[series]), int(rows.offsets[series + 1]))
            columns = np.hstack([_seasonal(pattern, rows, part), rows.regressors[part]])
            found[series] = measure(_problem(rows, fits, int(series), columns, inverse_prior))
    return found


def _seasonal(pattern: tuple[Seasonality, ...], rows: Histories, part: slice) -> Doubles:
    """Return the Fourier columns of some rows, 0 where a condition is not met."""
    found = [np.empty((part.stop - part.start, 0))]
    for one in pattern:
        columns = fourier_rows(rows.times[part], np.array([one.period]), np.array([one.order]))
        found.append(columns * rows.conditions[one.condition][part, None] if one.condition else columns)
    return np.hstack(found)


def _problem(rows: Histories, fits: Fits, series: int, columns: Doubles, inverse_prior: Precise) -> _Problem:
    part = slice(int(rows.offsets[series]), int(rows.offsets[series + 1]))
    t = (rows.times[part] - fits.start[series]) / fits.span[series]
    y = (rows.values[part] - fits.y_floor[series]) / fits.y_scale[series]
    number = fits.num_changepoints[series]
    hinge = np.maximum(t[:, None] - fits.changepoint[series, :number], 0)
    slope = t if fits.settings.growth == "linear" else np.zeros(len(t))
    theta = np.concatenate([[fits.m[series], fits.k[series]], fits.beta[series, : columns.shape[1]]])
    ridge = np.column_stack([np.ones(len(t)), slope, columns]).astype(np.longdouble)
    delta = fits.delta[series, :number].astype(np.longdouble)
    precise: tuple[Precise, Precise, Precise] = (y.astype(np.longdouble), ridge, hinge.astype(np.longdouble))
    if fits.settings.seasonality_mode == "multiplicative":
        precise = _linear(*precise, theta.astype(np.longdouble), delta)
    return _Problem(
        *precise,
        theta=theta.astype(np.longdouble),
        delta=delta,
        inverse_prior=inverse_prior,
        prior_scale=np.longdouble(fits.settings.changepoint_prior_scale),
        variance=np.longdouble(fits.sigma[series]) ** 2,
    )


def _linear(
    y: Precise, ridge: Precise, hinge: Precise, theta: Precise, delta: Precise
) -> tuple[Precise, Precise, Precise]:
    """Return y + g (w - 1) and the columns w [1, t], g x and w h, for the trend g and w = 1 + X beta."""
    trend = ridge[:, :2] @ theta[:2] + hinge @ delta
    factor = 1 + ridge[:, 2:] @ theta[2:]
    columns = np.hstack([factor[:, None] * ridge[:, :2], trend[:, None] * ridge[:, 2:]])
    return y + trend * (factor - 1), columns, factor[:, None] * hinge
