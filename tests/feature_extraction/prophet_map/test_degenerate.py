"""Input that breaks lesser solvers: it gets a status, never a crash, and its neighbours keep their bits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_extraction.prophet_map import certificate, solve
from feature_extraction.prophet_map.predict import curves
from feature_extraction.prophet_map.problem import (
    CONSTANT,
    CONVERGED,
    REJECTED,
    SIGMA_FLOOR,
    TOO_SHORT,
    Histories,
    ModelSettings,
)

DAY = 86_400
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "longitudinal"


def joined(*series):
    offsets = np.cumsum([0, *(len(values) for _, values in series)])
    return Histories.of(
        np.concatenate([np.asarray(seconds, dtype=np.int64) for seconds, _ in series]),
        np.concatenate([np.asarray(values, dtype=np.float64) for _, values in series]),
        offsets,
    )


def days(rows):
    return 18_262 * DAY + np.arange(rows) * DAY


def noise(rows, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(10, scale, rows)


CASES = {
    "no_rows": (([], []), TOO_SHORT),
    "one_row": (([0], [1.0]), TOO_SHORT),
    "only_nan": ((days(9), np.full(9, np.nan)), TOO_SHORT),
    "one_time": ((np.zeros(9), noise(9)), REJECTED),
    "infinite": ((days(40), np.append(noise(39), np.inf)), REJECTED),
    "minus_infinite": ((days(40), np.append(noise(39), -np.inf)), REJECTED),
    "constant": ((days(40), np.full(40, 7.0)), CONSTANT),
    "zero": ((days(40), np.zeros(40)), CONSTANT),
    "two_rows": ((days(2), [1.0, 2.0]), SIGMA_FLOOR),
    "three_rows": ((days(3), [1.0, 2.0, 4.0]), CONVERGED),
    "straight_line": ((days(90), np.arange(90) + 1.0), SIGMA_FLOOR),
    "fewer_rows_than_columns": ((18_262 * DAY + np.arange(12) * 70 * DAY, noise(12)), SIGMA_FLOOR),
    "repeated_times": ((np.repeat(days(40), 5), noise(200)), CONVERGED),
    "two_times": ((np.repeat(days(2), 50), noise(100)), CONVERGED),
    "large_numbers": ((days(90), 1e200 * noise(90)), CONVERGED),
    "small_numbers": ((days(90), 1e-200 * noise(90)), CONVERGED),
    "two_centuries": ((np.linspace(-4e9, 4e9, 90), noise(90)), CONVERGED),
    "one_spike": ((days(90), np.eye(90)[45]), CONVERGED),
}


@pytest.mark.parametrize("name", CASES)
def test_each_gets_its_status(name):
    series, status = CASES[name]
    fits = solve.fit(joined(series))
    assert fits.status.tolist() == [status]
    fitted = status not in (TOO_SHORT, REJECTED)
    assert np.isfinite([fits.k[0], fits.m[0], fits.sigma[0]]).all() == fitted
    assert np.isfinite(curves(fits, joined(series)).yhat).all() == fitted or len(series[1]) == 0


def test_neighbours_keep_their_bits():
    good = (days(120), noise(120, 3))
    alone = solve.fit(joined(good))
    parts = [part for series, _ in CASES.values() for part in (good, series)]
    among = solve.fit(joined(*parts))
    for name in ("k", "m", "sigma", "delta", "status"):
        values = getattr(among, name)[::2]
        assert all(np.array_equal(row, getattr(alone, name)[0], equal_nan=True) for row in values), name


def test_one_nan_among_thousands_costs_one_row():
    panel = np.random.default_rng(5).normal(10, 1, (3_000, 60))
    times = np.datetime64("2020-01-01") + np.arange(60)
    offsets = np.arange(3_001) * 60
    whole = solve.fit(Histories.of(np.tile(times, 3_000), panel.ravel(), offsets))
    panel[1_234, 7] = np.nan
    holed = solve.fit(Histories.of(np.tile(times, 3_000), panel.ravel(), offsets))
    assert (holed.status == CONVERGED).all()
    same = whole.k == holed.k
    assert np.flatnonzero(~same).tolist() == [1_234]


def test_interpolated_series_are_drawn_through():
    series = (days(90), np.arange(90) + 1.0)
    found = curves(solve.fit(joined(series)), joined(series)).yhat
    assert np.abs(found - series[1]).max() < 3e-5 * 90


@pytest.mark.parametrize("scaling", ["absmax", "minmax"])
def test_a_large_offset(scaling):
    """A billion plus or minus one: nine of sixteen digits are the offset's, and minmax gives them back."""
    rows = joined((days(180), 1e9 + noise(180)))
    fits = solve.fit(rows, ModelSettings(scaling=scaling))
    residual = rows.values - curves(fits, rows).yhat
    assert np.abs(residual).max() < 5
    assert fits.status[0] == (CONVERGED if scaling == "minmax" else SIGMA_FLOOR)
    if scaling == "minmax":
        assert certificate.kkt_violation(rows, fits)[0] < 1e-4


def test_steps_below_a_second():
    times = np.datetime64("2020-01-01", "ms") + np.arange(200) * np.timedelta64(250, "ms")
    fits = solve.fit(Histories.of(times, noise(200), [0, 200]))
    assert fits.status[0] == CONVERGED
    assert fits.span[0] == 199 * 250_000_000


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.array([0.5, 1.5]), "float64; give whole seconds"),
        (np.array(["2020-01-01", "NaT"], "M8[D]"), "1 times are missing"),
        (np.array([0, 10**12]), "1678 to 2262"),
        (np.array([0, 1, 2]), "one row each"),
    ],
)
def test_times_that_cannot_be_meant_are_refused(times, message):
    with pytest.raises(ValueError, match=message):
        Histories.of(times, [1.0, 2.0], [0, 2])


@pytest.mark.parametrize("offsets", [[], [0], [1, 2], [0, 3], [0, 2, 1, 2]])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets must rise"):
        Histories.of([0, 1], [1.0, 2.0], offsets)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="reads ../shared/data")
def test_sparse_laboratory_series():
    """8 to 59 irregular rows over years: 20 yearly columns, so many can be interpolated."""
    events = pd.read_parquet(SHARED / "nafld_death3y_events.parquet")
    sizes = events.groupby(["entity_id", "event_type"]).size()
    kept = events.set_index(["entity_id", "event_type"]).loc[sizes.index[(sizes >= 8) & (sizes < 60)]].reset_index()
    kept = kept.sort_values(["entity_id", "event_type", "ts"], kind="stable")
    number = kept.groupby(["entity_id", "event_type"], sort=False).size().to_numpy()
    rows = Histories.of(
        kept["ts"].to_numpy().astype("M8[ns]"), kept["value"].to_numpy(), np.concatenate([[0], number.cumsum()])
    )
    fits = solve.fit(rows)
    assert len(fits.status) > 1_000
    assert set(np.unique(fits.status)) <= {CONVERGED, CONSTANT, SIGMA_FLOOR, REJECTED, TOO_SHORT}
    regular = fits.status == CONVERGED
    assert certificate.kkt_violation(rows, fits)[regular].max() < 1e-4
    found = curves(fits, rows).yhat
    fitted = np.repeat(regular | (fits.status == SIGMA_FLOOR), number)
    assert np.isfinite(found[fitted]).all()
    floor = np.repeat(fits.status == SIGMA_FLOOR, number)
    scale = np.repeat(fits.y_scale, number)
    assert (np.abs(found - rows.values)[floor] / scale[floor]).max() < 1e-4
