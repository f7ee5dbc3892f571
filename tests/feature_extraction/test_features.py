"""Every feature of every definition against a plain loop, on random series with gaps, constants and short ones."""

from dataclasses import replace

import numpy as np
import pytest

from feature_extraction import definitions
from feature_extraction.components import Components
from feature_extraction.features import feature_columns
from feature_extraction.settings import FeaturesSettings
from tests.feature_extraction import feature_references as reference

SERIES, STEPS, CHANGEPOINTS = 32, 60, 6
STATUSES = ("fitted", "fitted", "fitted", "too_short", "constant", "sigma_floor", "fitted_by_prophet", "failed")


def random_series(generator):
    """(SERIES, STEPS) of counts and of floats, some late, with gaps, constant, of one value, or all zero."""
    counts = generator.poisson(0.7, (SERIES, STEPS)).astype(float)
    values = np.where(np.arange(SERIES)[:, None] % 2, counts, generator.normal(3, 2, (SERIES, STEPS)))
    values[3::8] = np.where(generator.random((4, STEPS)) < 0.3, np.nan, values[3::8])
    values[4::8] = 0.1  # its mean is not exactly itself
    values[9] = 0.0
    values[11, 1:] = np.nan
    values[17, :-1], values[17, -1] = 0.0, 2.0
    values[19] = np.where(np.arange(STEPS) % 5, np.nan, values[19])
    first = np.where(np.arange(SERIES) % 3 == 0, 0, generator.integers(0, STEPS, SERIES))
    first[11] = 0
    values[np.arange(STEPS) < first[:, None]] = np.nan
    values[13] = np.nan
    return values, first


def random_components(generator, values, first):
    """Fits as an engine gives them: NaN where it made none, fewer changepoints here and there."""
    shape = (SERIES, CHANGEPOINTS)
    status = np.array([STATUSES[i % len(STATUSES)] for i in range(SERIES)], dtype="<U17")
    made = ~np.isin(status, ["too_short", "failed"])
    span = (STEPS - 1.0 - first).clip(1)
    place = first[:, None] + span[:, None] * np.linspace(0.1, 0.8, CHANGEPOINTS)
    delta = generator.normal(0, 0.1, shape) * (generator.random(shape) < 0.6)
    delta[6] = 0.0
    own = np.arange(CHANGEPOINTS) < np.where(np.arange(SERIES) % 5, CHANGEPOINTS, 4)[:, None]
    before = np.arange(STEPS) < first[:, None]
    weekly = generator.normal(size=(SERIES, 7))
    weekly[8] = 0.0
    logistic = np.arange(SERIES) % 5 == 2

    def of_made(array, also=True):
        return np.where((made & np.array(also).T).T if array.ndim == 1 else made[:, None] & also, array, np.nan)

    return Components(
        status=status,
        k=of_made(generator.normal(size=SERIES)),
        m=of_made(generator.normal(size=SERIES)),
        delta=of_made(delta, own),
        changepoint=of_made(place, own),
        sigma=of_made(generator.uniform(0.1, 2, SERIES)),
        y_scale=of_made(np.nan_to_num(np.abs(values)).max(axis=1).clip(1)),
        span=of_made(span),
        trend=of_made(generator.normal(3, 1, (SERIES, STEPS)), ~before),
        seasonal=of_made(generator.normal(0, 1, (SERIES, STEPS)), ~before),
        weekly=of_made(weekly),
        cap=of_made(generator.uniform(4, 9, SERIES), logistic),
    )


def fit_of(components, row):
    """One series' fit as plain lists; None where there is none."""
    if np.isnan(components.k[row]):
        return None
    own = np.isfinite(components.delta[row])
    whole = {name: getattr(components, name)[row].tolist() for name in ("trend", "seasonal", "weekly")}
    single = {name: float(getattr(components, name)[row]) for name in ("k", "m", "sigma", "y_scale", "span", "cap")}
    return (
        whole
        | single
        | {
            "delta": components.delta[row][own].tolist(),
            "changepoint": components.changepoint[row][own].tolist(),
            "status": str(components.status[row]),
        }
    )


@pytest.fixture(scope="module", params=[28, 100], ids=["recent-28", "recent-all"])
def compared(request):
    """Features found and expected, both (SERIES,) by name; an interval of 68.27 % is one sigma wide."""
    generator = np.random.default_rng(11)
    values, first = random_series(generator)
    components = random_components(generator, values, first)
    settings = FeaturesSettings(last_residuals=3, recent_steps=request.param, interval_width=0.682689492137086)
    found = feature_columns(values, first, components, settings.model_copy(update={"active_values": True}))
    recent = min(request.param, STEPS)
    expected = []
    for row in range(SERIES):
        y, fit = values[row].tolist(), fit_of(components, row)
        expected.append(
            reference.levels(y, recent)
            | reference.activity(y, int(first[row]), recent)
            | reference.periods(y)
            | reference.growth(fit)
            | reference.changepoints(fit, STEPS)
            | reference.trends(y, fit, recent)
            | reference.residuals(y, fit, recent, 1.0, 3)
            | reference.active_values(y, recent)
        )
    return found, {name: np.array([row[name] for row in expected]) for name in expected[0]}, request.param


NAMES = [feature.name for feature in definitions.metric_features(3, active_values=True)]
ORDINARY = [feature.name for feature in definitions.metric_features(3)]


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_equals_its_plain_loop(compared, name):
    found, expected, _ = compared
    np.testing.assert_allclose(found[name], expected[name], rtol=2e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_missing_and_not_zero(compared, name):
    found, expected, _ = compared
    np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected[name]))


def test_the_series_reach_every_feature(compared):
    found, _, recent = compared
    unreached = [name for name in NAMES if not np.isfinite(found[name]).any()]
    # With all steps recent there are none before to compare them with.
    assert unreached == ([] if recent < STEPS else ["level_change"])


def test_every_definition_has_a_column_and_every_column_a_definition(compared):
    found, expected, _ = compared
    assert list(found) == NAMES
    assert set(expected) == set(NAMES)
    assert {column.dtype for column in found.values()} == {np.dtype(np.float32)}


def test_what_needs_a_fit_says_so():
    generator = np.random.default_rng(2)
    values, first = random_series(generator)
    components = random_components(generator, values, first)
    found = feature_columns(values, first, components, FeaturesSettings(last_residuals=3))
    unfitted = np.isnan(components.k)
    for feature in definitions.metric_features(3):
        if feature.fitted:
            assert np.isnan(found[feature.name][unfitted]).all(), feature.name


def test_names_are_unique_and_the_table_of_the_docs_holds_them_all():
    assert len(set(NAMES)) == len(NAMES)
    tables = definitions.markdown_table(3), definitions.markdown_table(active_values=True)
    ordinary, more = ([line.split("`")[1] for line in table.splitlines()[2:]] for table in tables)
    assert (ordinary, ordinary + more) == (ORDINARY, NAMES)
    assert definitions.columns(("a", "b"), 3) == tuple(f"{metric}__{name}" for metric in "ab" for name in ORDINARY)
    with_more = definitions.columns(("a", "b"), 3, active_values=True)
    assert with_more == tuple(f"{metric}__{name}" for metric in "ab" for name in NAMES)


def test_plain_numbers_of_active_steps_join_only_where_they_are_asked_for():
    values, first = random_series(np.random.default_rng(2))
    components = random_components(np.random.default_rng(2), values, first)
    assert list(feature_columns(values, first, components, FeaturesSettings(last_residuals=3))) == ORDINARY


def test_without_changepoints_their_features_are_missing_or_none():
    generator = np.random.default_rng(2)
    values, first = random_series(generator)
    components = random_components(generator, values, first)
    none = np.empty((SERIES, 0))
    bare = replace(components, delta=none, changepoint=none)
    found = feature_columns(values, first, bare, FeaturesSettings(last_residuals=3))
    fitted = np.isfinite(components.k)
    for name in ("changepoint_count", "break_size"):
        np.testing.assert_array_equal(found[name][fitted], 0.0)
    np.testing.assert_array_equal(found["trend_slope_change"][fitted & np.isnan(components.cap)], 0.0)
    for name in ("growth_mean", "growth_std", "delta_mean", "changepoint_gap_mean", "break_age"):
        assert np.isnan(found[name]).all()
    linear = np.isnan(components.cap)
    slope = (components.k * components.y_scale / components.span)[linear]
    np.testing.assert_allclose(found["trend_slope"][linear], slope, rtol=1e-6)
