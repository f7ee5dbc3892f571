"""The solver as an engine against the library as an engine: same statuses, same features, same bits in any batch."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from feature_extraction import prophet_library
from feature_extraction.components import Calendar
from feature_extraction.features import feature_columns
from feature_extraction.prophet_map import engine
from feature_extraction.settings import FeaturesSettings

STEPS = 180
CALENDAR = Calendar(datetime(2024, 1, 1), timedelta(days=1), STEPS)
SETTINGS = FeaturesSettings()
ODD = {"late": 5, "holes": 6, "constant": 7, "too_short": 8, "zero": 9}


@pytest.fixture(scope="module")
def values():
    generator, t = np.random.default_rng(1), np.arange(STEPS)
    week = 3 * np.sin(2 * np.pi * t / 7 + generator.normal(size=(24, 1)))
    panel = generator.normal(20, 5, (24, 1)) + week + generator.normal(0, 1, (24, STEPS))
    panel[::2, 90:] += 0.2 * (t[90:] - 90)
    panel[ODD["late"], :60] = np.nan
    panel[ODD["holes"], generator.random(STEPS) < 0.1] = np.nan
    panel[ODD["constant"]] = 4.0
    panel[ODD["too_short"], :170] = np.nan
    panel[ODD["zero"]] = 0.0
    return panel


@pytest.fixture(scope="module")
def engines(values):
    return engine.fit(values, CALENDAR, SETTINGS), prophet_library.fit(values, CALENDAR, SETTINGS)


def test_statuses_are_the_librarys(engines):
    ours, theirs = engines
    assert ours.status.tolist() == theirs.status.tolist()
    assert ours.status[ODD["constant"]] == "constant"


def test_what_is_missing_is_missing_in_both(engines):
    ours, theirs = engines
    for name in vars(theirs):
        if name != "status":
            assert np.array_equal(np.isnan(getattr(ours, name)), np.isnan(getattr(theirs, name))), name


@pytest.mark.parametrize("name", ["y_scale", "span", "changepoint"])
def test_what_is_not_fitted_is_equal(engines, name):
    ours, theirs = engines
    assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-13, atol=0, equal_nan=True)


@pytest.mark.parametrize(("name", "most"), [("trend", 1.0), ("yhat", 1.0), ("seasonal", 0.1), ("weekly", 0.1)])
def test_curves_are_near_the_librarys_in_sigmas(engines, name, most):
    """Prophet stops early, and its default and tight fits differ by 0.04 sigma (median) to several (most)."""
    ours, theirs = engines
    regular = theirs.status == "fitted"
    apart = np.abs(getattr(ours, name) - getattr(theirs, name))[regular] / theirs.sigma[regular, None]
    assert np.nanmax(apart) < most
    assert np.median(np.nanmax(apart, axis=1)) < 0.3 * most


def test_constant_series_have_the_librarys_curves(engines):
    ours, theirs = engines
    row = ODD["constant"]
    assert np.abs(ours.yhat[row] - theirs.yhat[row]).max() < 1e-12
    assert ours.sigma[row] == theirs.sigma[row]


def test_features_are_the_same_columns_and_near(values, engines):
    first = np.zeros(len(values), dtype=np.int64)
    ours, theirs = (feature_columns(values, first, one, SETTINGS) for one in engines)
    assert list(ours) == list(theirs)
    for name in ("level", "trend_last", "weekly_amplitude", "residual_sigma"):
        assert np.allclose(ours[name], theirs[name], rtol=0.05, equal_nan=True), name


def test_an_entity_gives_the_same_bits_in_any_batch(values, engines):
    ours, _ = engines
    for row in range(len(values)):
        alone = engine.fit(values[row : row + 1], CALENDAR, SETTINGS)
        for name in vars(alone):
            one, among = getattr(alone, name)[0], getattr(ours, name)[row]
            assert np.array_equal(one, among, equal_nan=name != "status"), (name, row)


def test_an_empty_batch():
    assert len(engine.fit(np.empty((0, STEPS)), CALENDAR, SETTINGS).status) == 0


@pytest.mark.parametrize("step", [timedelta(days=7), timedelta(hours=12)])
def test_other_steps_than_days(step):
    """Their series fill no daily calendar, so their Fourier columns are made row by row."""
    generator = np.random.default_rng(2)
    panel = 10 + generator.normal(0, 1, (3, 160)) + np.sin(np.arange(160) / 3)
    calendar = Calendar(datetime(2020, 1, 1, 6), step, 160)
    ours, theirs = (fit(panel, calendar, SETTINGS) for fit in (engine.fit, prophet_library.fit))
    assert ours.status.tolist() == theirs.status.tolist()
    assert np.array_equal(np.isnan(ours.weekly), np.isnan(theirs.weekly))
    assert (np.abs(ours.yhat - theirs.yhat).max(axis=1) / theirs.sigma).max() < 1.0
