"""Varied series, and what Prophet makes of them: `python tests/feature_extraction/prophet_map/make_reference.py`.

Writes `reference.npz`: the series and, of each, Prophet's own fit by CmdStan with 17 digits. The tests compare with
these stored values, so that they need no CmdStan; the benchmark and one slow test call `prophet_fit` themselves.
"""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np
import pandas as pd

from feature_extraction.prophet_map.problem import ModelSettings

REFERENCE = Path(__file__).with_name("reference.npz")
DAY, HOUR = 86_400, 3_600
MONDAY = 18_260 * DAY  # 2019-12-30
# Settings under which the kinds below are fitted; a series stores which of them is its own.
MODELS = (
    ModelSettings(),
    ModelSettings(yearly_seasonality=True),
    ModelSettings(scaling="minmax", changepoint_prior_scale=0.5),
    ModelSettings(changepoint_prior_scale=0.005, seasonality_prior_scale=0.5, n_changepoints=10, changepoint_range=0.9),
    ModelSettings(growth="flat"),
)


@dataclass(frozen=True)
class Case:
    """A series: its kind, the index of its settings, seconds since 1970 and values."""

    kind: str
    model: int
    seconds: np.ndarray
    values: np.ndarray


def _days(count, step=DAY):
    return MONDAY + np.arange(count) * step


def _week(generator, t):
    return generator.normal(0, 1) * np.sin(2 * np.pi * t / 7 + generator.uniform(0, 6))


def gaussian(generator, rows):
    t = np.arange(rows)
    return _days(rows), 10 + 0.02 * generator.normal() * t + _week(generator, t) + generator.normal(0, 0.5, rows)


def breaks(generator, rows):
    t = np.arange(rows)
    slopes = np.where(generator.random(rows) < 6 / rows, generator.normal(0, 0.3, rows), 0.0).cumsum()
    return _days(rows), 20 + slopes.cumsum() + _week(generator, t) + generator.normal(0, 0.5, rows)


def counts(generator, rows):
    return _days(rows), generator.poisson(generator.uniform(0.1, 3), rows).astype(float)


def heavy_tails(generator, rows):
    return _days(rows), 5 + generator.standard_t(2, rows)


def zero_inflated(generator, rows):
    return _days(rows), np.where(generator.random(rows) < 0.8, 0.0, generator.lognormal(1, 1, rows))


def random_walk(generator, rows):
    return _days(rows), generator.normal(0, 1, rows).cumsum()


def business_days(generator, rows):
    seconds, values = gaussian(generator, rows)
    keep = np.arange(rows) % 7 < 5
    return seconds[keep], values[keep]


def irregular(generator, rows):
    seconds = np.sort(generator.choice(rows * 24, rows, replace=False)) * HOUR + MONDAY + 17
    return seconds, 3 + np.sin(seconds / DAY) + generator.normal(0, 0.3, rows)


def hourly(generator, rows):
    t = np.arange(rows)
    return _days(rows, HOUR), 3 + np.sin(2 * np.pi * t / 24) + generator.normal(0, 0.3, rows)


def offset(generator, rows):
    return _days(rows), 1000 + generator.normal(0, 1, rows)


def duplicated(generator, rows):
    seconds, values = gaussian(generator, rows)
    return np.sort(generator.choice(seconds, rows)), values


def weekly_steps(generator, rows):
    return _days(rows, 7 * DAY), 4 + generator.normal(0, 1, rows).cumsum() + 3 * np.sin(np.arange(rows) / 8.3)


KINDS = (
    gaussian,
    breaks,
    counts,
    heavy_tails,
    zero_inflated,
    random_walk,
    business_days,
    irregular,
    hourly,
    offset,
    duplicated,
    weekly_steps,
)
LENGTHS = (60, 90, 120, 180, 365)


def varied(number, seed=0):
    """Return `number` synthetic cases; values have four digits, so that they can be stored."""
    generator, cases = np.random.default_rng(seed), []
    for i in range(number):
        make = KINDS[i % len(KINDS)]
        model = int(generator.choice(len(MODELS), p=(0.6, 0.1, 0.1, 0.1, 0.1)))
        rows = 760 if model == 1 else LENGTHS[(i // len(KINDS)) % len(LENGTHS)]
        seconds, values = make(generator, rows)
        cases.append(Case(make.__name__, model, seconds, np.round(values, 4)))
    return cases


def prophet_fit(case, settings=None, **arguments):
    """Fit a case by the library, with its own settings or others; return the fitted Prophet and Stan's log density."""
    from prophet import Prophet

    logging.getLogger("prophet").setLevel(logging.CRITICAL)
    logging.getLogger("cmdstanpy").disabled = True
    settings = settings or MODELS[case.model]
    model = Prophet(
        growth=settings.growth,
        seasonality_mode=settings.seasonality_mode,
        n_changepoints=settings.n_changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_prior_scale=settings.seasonality_prior_scale,
        yearly_seasonality=settings.yearly_seasonality,
        scaling=settings.scaling,
        uncertainty_samples=0,
    )
    model.fit(pd.DataFrame({"ds": pd.to_datetime(case.seconds, unit="s"), "y": case.values}), **arguments)
    density = model.stan_fit.optimized_params_dict["lp__"] if model.stan_fit is not None else np.nan
    model.stan_backend.cleanup()
    return model, float(density)


def padded(rows):
    """Stack vectors of different lengths, NaN behind the short ones."""
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table


def main():
    cases = varied(120)
    fitted = [prophet_fit(case, sig_figs=17) for case in cases]
    models = [model for model, _ in fitted]
    np.savez_compressed(
        REFERENCE,
        kind=np.array([case.kind for case in cases]),
        model=np.array([case.model for case in cases]),
        seconds=np.concatenate([case.seconds for case in cases]),
        values=np.concatenate([case.values for case in cases]),
        offsets=np.cumsum([0, *(len(case.values) for case in cases)]),
        density=np.array([density for _, density in fitted]),
        k=np.array([model.params["k"].item() for model in models]),
        m=np.array([model.params["m"].item() for model in models]),
        sigma=np.array([model.params["sigma_obs"].item() for model in models]),
        delta=padded([model.params["delta"][0] for model in models]),
        beta=padded([model.params["beta"][0] for model in models]),
        changepoint=padded([model.changepoints_t for model in models]),
        y_scale=np.array([model.y_scale for model in models]),
        y_floor=np.array([model.y_min for model in models]),
        seasonalities=np.array([" ".join(model.seasonalities) for model in models]),
    )


if __name__ == "__main__":
    main()
