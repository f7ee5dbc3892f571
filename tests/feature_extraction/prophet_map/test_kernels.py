"""The kernels against plain numpy, and the promise of the largest sigma."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from feature_extraction.prophet_map import solve
from feature_extraction.prophet_map.active_set import empty_active_set, minimize
from feature_extraction.prophet_map.design import fourier_rows, make_design
from feature_extraction.prophet_map.elimination import Reduced, eliminate, empty_reduced
from feature_extraction.prophet_map.gram import Rows, empty_gram, empty_moments, sum_columns, sum_trend
from feature_extraction.prophet_map.problem import DAY, Histories, Seasonality
from feature_extraction.prophet_map.summary import changepoint_rows, summarize
from feature_extraction.prophet_map.variance import SMALLEST_VARIANCE

ROOT = Path(__file__).resolve().parents[3]
WEEK = Seasonality("weekly", 7.0, 3)


def design_of(histories):
    found = summarize(histories)
    return make_design((WEEK,), found.start, found.span, found.grid, histories)


def gram_of(histories):
    """Return the Gram matrices, y'y and the dense columns [u, h] of one daily series."""
    design = design_of(histories)
    t = (histories.times - histories.times[0]) / (histories.times[-1] - histories.times[0])
    y = histories.values / np.abs(histories.values).max()
    at = design.base[0] + (histories.times - histories.times[0]) // DAY
    knot_rows = np.zeros(25, np.int64)
    knot_rows = knot_rows[: changepoint_rows(len(t), 25, 0.8, knot_rows)].copy()
    rows, gram = Rows(t, y, design.table, at), empty_gram(8, len(knot_rows))
    squares = sum_trend(gram, empty_moments(6), rows, t[knot_rows], knot_rows)
    sum_columns(gram, design, rows, True, np.zeros(21))
    ridge = np.column_stack([np.ones(len(t)), t, design.table[at]])
    hinge = np.maximum(t[:, None] - t[knot_rows], 0)
    return gram, squares, (y, ridge, hinge)


def series(rows, seed, missing=0.0):
    generator = np.random.default_rng(seed)
    values = 5 + generator.normal(0, 0.2, rows).cumsum() + generator.normal(0, 1, rows)
    keep = generator.random(rows) >= missing
    keep[[0, -1]] = True
    times = np.datetime64("2023-05-17") + np.arange(rows)
    return Histories.of(times[keep], values[keep], [0, keep.sum()])


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.4])
def test_products_are_those_of_the_dense_columns(missing):
    gram, squares, (y, ridge, hinge) = gram_of(series(200, 1, missing))
    assert squares == pytest.approx(y @ y, rel=1e-14)
    assert np.allclose(gram.ridge, np.tril(ridge.T @ ridge), rtol=0, atol=1e-12)
    assert np.allclose(gram.cross, ridge.T @ hinge, rtol=0, atol=1e-12)
    assert np.allclose(gram.hinge, np.tril(hinge.T @ hinge), rtol=1e-12, atol=0)
    assert np.allclose(gram.ridge_y, ridge.T @ y, rtol=0, atol=1e-12)
    assert np.allclose(gram.hinge_y, hinge.T @ y, rtol=0, atol=1e-12)


def test_the_table_and_the_single_rows_have_the_same_bits():
    days = Histories.of_panel(np.ones((1, 90)), np.datetime64("1969-11-30") + np.arange(90))
    design = design_of(days)
    own = fourier_rows(days.times, np.array([7.0]), np.array([3]))
    assert np.array_equal(design.table[design.base[0] : design.base[0] + 90], own)


@pytest.mark.parametrize("gap", [40, 4_000])
def test_a_table_holds_only_the_blocks_in_use(gap):
    times = np.datetime64("2001-01-01") + np.concatenate([np.arange(64), gap + np.arange(64)])
    design = design_of(Histories.of(times, np.ones(128), [0, 64, 128]))
    assert len(design.table) <= 6 * 32
    cells = np.concatenate([design.base[0] + np.arange(64), design.base[1] + np.arange(64)])
    own = fourier_rows(times.astype("M8[ns]").astype(np.int64), np.array([7.0]), np.array([3]))
    assert np.array_equal(design.table[cells], own)


@pytest.mark.parametrize("number", [1, 7, 25, 60])
@pytest.mark.parametrize("rows", [2, 3, 20, 31, 32, 33, 180])
@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
def test_changepoints_are_prophets(rows, number, share):
    found = np.zeros(number, np.int64)
    count = changepoint_rows(rows, number, share, found)
    history = int(np.floor(rows * share))
    expected = np.linspace(0, history - 1, min(number, history - 1) + 1).round().astype(int)[1:] if history > 1 else []
    assert found[:count].tolist() == list(expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_lasso_is_solved_exactly(seed):
    generator = np.random.default_rng(seed)
    columns = generator.normal(size=(40, 25)).cumsum(axis=0)
    quadratic, linear = columns.T @ columns, columns.T @ generator.normal(size=40)
    reduced = Reduced(np.eye(1), np.zeros((1, 25)), np.zeros(1), quadratic, linear)
    active = empty_active_set(25)
    for weight in (8.0, 2.0, 0.5, 3.0):  # each from the one before
        assert minimize(reduced, active, weight, quadratic.max())
        gradient = linear - quadratic @ active.delta
        on = active.delta != 0
        assert np.allclose(gradient[on], weight * np.sign(active.delta[on]), rtol=1e-8)
        assert (np.abs(gradient[~on]) <= weight * (1 + 1e-8)).all()


@pytest.mark.parametrize("seed", range(12))
def test_no_mode_has_a_larger_sigma(seed):
    """4 v^2 + T v - RSS(v) is positive from far above down to the v that was found: no fixed point was passed."""
    histories = series(36 + 12 * seed, seed)
    fits = solve.fit(histories)
    found = fits.sigma[0] ** 2
    assert found > SMALLEST_VARIANCE
    gram, _, (y, ridge, hinge) = gram_of(histories)
    reduced, active = empty_reduced(8, hinge.shape[1]), empty_active_set(hinge.shape[1])
    penalty = np.array([1 / 25, 1 / 25, *[1 / 100] * 6])
    for variance in np.geomspace(1.0, found * (1 + 1e-6), 300):
        eliminate(gram, reduced, penalty, variance)
        active.state[1] = 0
        assert minimize(reduced, active, variance / 0.05, gram.hinge.max())
        theta = np.linalg.solve(ridge.T @ ridge + variance * np.diag(penalty), ridge.T @ (y - hinge @ active.delta))
        residual = y - ridge @ theta - hinge @ active.delta
        assert 4 * variance**2 + len(y) * variance > residual @ residual


def test_a_place_that_cannot_be_written_to_is_no_obstacle(tmp_path):
    """Without a place for compiled code, kernels are compiled anew in each process."""
    code = (
        "from numba.core.caching import FunctionCache\n"
        "def nowhere(*_): raise RuntimeError('cannot cache function: no locator available')\n"
        "FunctionCache.__init__ = nowhere\n"
        "from feature_extraction.prophet_map.summary import is_clean\n"
        "import numpy as np\n"
        "assert is_clean(np.arange(3), np.ones(3), np.array([0, 3]))\n"
        "assert not is_clean(np.arange(3), np.full(3, np.nan), np.array([0, 3]))\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env=environment)
    assert list(tmp_path.rglob("*.nbi")) == []
