"""The solver against Prophet run here and now, on series the stored reference has not seen."""

import dataclasses
import logging
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_extraction.prophet_map import certificate, solve
from feature_extraction.prophet_map.convert import to_prophet
from feature_extraction.prophet_map.problem import CONVERGED, Histories, ModelSettings, Regressor

reference = runpy.run_path(str(Path(__file__).with_name("make_reference.py")))


@pytest.mark.slow
def test_prophet_finds_nothing_better():
    """Neither from its own start nor, restarted at our parameters, from ours."""
    for case in reference["varied"](48, seed=99):
        if case.model == 4:  # flat: Prophet still counts slope changes, which to_prophet leaves at 0
            continue
        rows = Histories.of(case.seconds, case.values, [0, len(case.values)])
        fits = solve.fit(rows, reference["MODELS"][case.model])
        assert fits.status[0] == CONVERGED
        ours = certificate.log_posterior(rows, fits)[0]
        _, theirs = reference["prophet_fit"](case, sig_figs=17)
        own = to_prophet(fits, rows, 0).params
        start = {name: own[name][0] if name in ("delta", "beta") else own[name].item() for name in own}
        _, restarted = reference["prophet_fit"](case, sig_figs=17, init=start)
        assert ours > theirs - 1e-6
        assert restarted < ours + 1e-6


@pytest.mark.slow
def test_regressors_and_holidays_are_prophets():
    """A holiday is an indicator with the holidays' prior, a regressor a column with its own; Prophet sorts by name."""
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True
    case = reference["varied"](1, seed=3)[0]
    rows, generator = len(case.values), np.random.default_rng(0)
    days = pd.to_datetime(case.seconds, unit="s")
    columns = np.column_stack([np.arange(rows) % 30 == 3, generator.normal(size=rows)]).astype(float)
    values = case.values + columns @ [4.0, 0.5]
    model = Prophet(holidays=pd.DataFrame({"holiday": "fair", "ds": days[columns[:, 0] == 1]}))
    model.add_regressor("weather", prior_scale=2.0, standardize=False)
    model.fit(pd.DataFrame({"ds": days, "y": values, "weather": columns[:, 1]}), sig_figs=17)
    histories = Histories.of(case.seconds, values, [0, rows], columns)
    regressors = (Regressor("fair"), Regressor("weather", 2.0, standardize=False))
    fits = solve.fit(histories, ModelSettings(regressors=regressors))
    found = {name: model.params[name] for name in ("delta", "beta")}
    found |= {ours: model.params[name][0] for ours, name in (("k", "k"), ("m", "m"), ("sigma", "sigma_obs"))}
    theirs = dataclasses.replace(fits, **found)
    density = float(model.stan_fit.optimized_params_dict["lp__"])
    assert abs(certificate.log_posterior(histories, theirs)[0] - density) < 1e-6
    assert certificate.log_posterior(histories, fits)[0] > density - 1e-6
    assert certificate.kkt_violation(histories, fits)[0] < 1e-4
