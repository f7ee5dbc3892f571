"""A fitted series as an object of the prophet library, for its plots and its `predict`."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from feature_extraction.prophet_map.fits import Fits
from feature_extraction.prophet_map.problem import Histories
from feature_extraction.prophet_map.summary import clean


def to_prophet(fits: Fits, histories: Histories, series: int) -> Any:  # noqa: ANN401  (the library publishes no types)
    """Return a `Prophet` that holds the parameters of one series and behaves as if it had been fitted.

    Raises:
        ValueError: if the series was not fitted, or the model has regressors.
    """
    if not np.isfinite(fits.k[series]) or fits.settings.regressor_prior_scales:
        raise ValueError(f"series {series} was not fitted or has regressors; only a plain fit can become a Prophet")
    model = _unfitted(fits)
    rows = clean(histories)
    part = slice(int(rows.offsets[series]), int(rows.offsets[series + 1]))
    frame = pd.DataFrame({"ds": pd.to_datetime(rows.times[part]), "y": rows.values[part]})
    inputs = model.preprocess(frame)
    delta = np.zeros(inputs.S)
    number = int(fits.num_changepoints[series])
    delta[:number] = fits.delta[series, :number]
    beta = np.zeros(inputs.K)
    columns = sum(2 * one.order for one in fits.settings.pattern(int(fits.flags[series])))
    beta[:columns] = fits.beta[series, :columns]
    model.params = {
        "k": fits.k[series].reshape(1, 1),
        "m": fits.m[series].reshape(1, 1),
        "sigma_obs": fits.sigma[series].reshape(1, 1),
        "delta": delta.reshape(1, -1),
        "beta": beta.reshape(1, -1),
    }
    return model


def _unfitted(fits: Fits) -> Any:  # noqa: ANN401
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # it speaks of plotly during the import
    from prophet import Prophet

    logging.getLogger("prophet").setLevel(logging.ERROR)
    settings = fits.settings
    model = Prophet(
        growth=settings.growth,
        scaling=settings.scaling,
        n_changepoints=settings.n_changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
        yearly_seasonality=settings.yearly_seasonality,
        weekly_seasonality=settings.weekly_seasonality,
        daily_seasonality=settings.daily_seasonality,
    )
    for one in settings.seasonalities:
        model.add_seasonality(one.name, one.period, one.order, one.prior_scale)
    return model
