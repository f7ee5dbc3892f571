"""A fitted series as an object of the prophet library, for its plots and its `predict`."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.problem import STATUS_NAMES, Histories, ModelSettings
from feature_extraction.prophet_map.summary import clean


def to_prophet(fits: Fits, histories: Histories, series: int) -> Any:  # noqa: ANN401  (the library publishes no types)
    """Return a `Prophet` that holds the parameters of one series and behaves as if it had been fitted.

    Its `predict` takes regressors and conditions as columns of their names, in units of their own.

    Raises:
        ValueError: if the series was not fitted.
    """
    if not np.isfinite(fits.k[series]):
        status = STATUS_NAMES[fits.status[series]]
        raise ValueError(f"series {series} was not fitted, its status is {status!r}; choose another")
    model = _unfitted(fits.settings)
    rows = clean(histories)
    inputs = model.preprocess(_frame(fits.settings, rows, slice(*map(int, rows.offsets[series : series + 2]))))
    delta = np.zeros(inputs.S)
    number = int(fits.num_changepoints[series])
    delta[:number] = fits.delta[series, :number]
    beta = np.zeros(inputs.K)
    columns = sum(2 * one.order for one in fits.settings.pattern(int(fits.flags[series])))
    columns += len(fits.settings.regressors)
    beta[:columns] = fits.beta[series, :columns]
    model.params = {
        "k": fits.k[series].reshape(1, 1),
        "m": fits.m[series].reshape(1, 1),
        "sigma_obs": fits.sigma[series].reshape(1, 1),
        "delta": delta.reshape(1, -1),
        "beta": beta.reshape(1, -1),
    }
    return model


def _frame(settings: ModelSettings, rows: Histories, part: slice) -> pd.DataFrame:
    columns: dict[str, Any] = {"ds": pd.to_datetime(rows.times[part]), "y": rows.values[part]}
    columns |= {one.name: rows.regressors[part, e] for e, one in enumerate(settings.regressors)}
    return pd.DataFrame(columns | {name: flags[part] for name, flags in rows.conditions.items()})


def _unfitted(settings: ModelSettings) -> Any:  # noqa: ANN401
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # it speaks of plotly during the import
    from prophet import Prophet

    logging.getLogger("prophet").setLevel(logging.ERROR)
    given = None if settings.changepoints is None else list(pd.to_datetime(settings.changepoint_times))
    model = Prophet(
        growth=settings.growth,
        seasonality_mode=settings.seasonality_mode,
        scaling=settings.scaling,
        changepoints=given,
        n_changepoints=settings.n_changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
        yearly_seasonality=settings.yearly_seasonality,
        weekly_seasonality=settings.weekly_seasonality,
        daily_seasonality=settings.daily_seasonality,
    )
    for one in settings.seasonalities:
        model.add_seasonality(one.name, one.period, one.order, one.prior_scale, condition_name=one.condition or None)
    for regressor in settings.regressors:
        model.add_regressor(regressor.name, regressor.prior_scale, regressor.standardize)
    return model
