"""One log in wide and long form, in every format, in any order and partitioning: the same table to the bit."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from feature_extraction import events, extract, publishing
from feature_extraction.extract import series_of
from feature_extraction.feature_rows import Extraction
from feature_extraction.series import SeriesBatch
from feature_extraction.settings import FeaturesSettings, WindowSettings
from tests.feature_extraction.event_logs import FEW_RESIDUALS, NO_LABELS, WINDOW, extracted, settings, write

pytestmark = pytest.mark.spark
WIDE = {"spend": {"column": "amount"}, "visits": {"aggregate": "count", "where": "amount > 10.0"}}


def log(entities=5, seed=3):
    """Random events with values of two digits after the point, which every format holds exactly."""
    generator = np.random.default_rng(seed)
    number = 60 * entities
    minutes = generator.integers(0, 60 * 24 * 60, number)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min")
    return pd.DataFrame(
        {
            "entity_id": [f"e{i}" for i in generator.integers(0, entities, number)],
            "ts": times.strftime("%Y-%m-%dT%H:%M:%S"),
            "amount": generator.integers(1, 3_000, number) / 100,
            "shop": generator.choice(["north", "south", "west"], number),
        }
    )


def long_form(wide):
    spend = wide.assign(kind="spend", value=wide["amount"])
    visits = wide[wide["amount"] > 10].assign(kind="visits", value=1.0)
    return pd.concat([spend, visits])[["entity_id", "ts", "kind", "value"]]


@pytest.fixture(scope="module")
def wide(running_spark, tmp_path_factory):
    """The wide form in parquet, one file, which the other forms are held against."""
    folder = tmp_path_factory.mktemp("wide")
    chosen = settings(write(log(), folder / "log", "parquet"), "parquet", metrics=WIDE)
    return extracted(running_spark, folder / "out", chosen)


def test_the_log_is_worth_comparing(wide):
    assert set(wide.rows["spend__fit_status"]) == {"fitted"}
    assert wide.rows[["spend__trend_slope", "visits__weekly_amplitude"]].notna().all(axis=None)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_formats_give_equal_features(spark, tmp_path, wide, kind):
    chosen = settings(write(log(), tmp_path / "log", kind, parts=2), kind, metrics=WIDE)
    assert_frame_equal(extracted(spark, tmp_path / "out", chosen).rows, wide.rows, check_exact=True)


def test_long_form_gives_the_features_of_wide_form(spark, tmp_path, wide):
    place = write(long_form(log()), tmp_path / "log", "parquet")
    metrics = {"spend": {}, "visits": {"aggregate": "count"}}
    found = extracted(spark, tmp_path / "out", settings(place, "parquet", type="kind", metrics=metrics)).rows
    assert_frame_equal(found.drop(columns="num_events"), wide.rows.drop(columns="num_events"), check_exact=True)


def test_a_metric_may_go_by_another_name_than_its_event_type(spark, tmp_path):
    place = write(long_form(log()), tmp_path / "log", "parquet")
    metrics = {"money": {"type": "spend"}, "big": {"type": "spend", "where": "value > 25"}}
    job = Extraction(settings(place, "parquet", type="kind", metrics=metrics), WINDOW, NO_LABELS, FEW_RESIDUALS)
    found = series(spark, job)
    spend = log().groupby("entity_id")["amount"]
    assert np.nansum(found.values["money"], axis=1) == pytest.approx(spend.sum())
    assert np.nansum(found.values["big"], axis=1) == pytest.approx(spend.apply(lambda x: x[x > 25].sum()))


@pytest.mark.parametrize(("partitions", "files"), [(1, 1), (3, 2), (7, 3)])
def test_neither_partitions_nor_order_nor_files_change_a_bit(spark, tmp_path, wide, monkeypatch, partitions, files):
    monkeypatch.setattr(extract, "FEWEST_PARTITIONS", partitions)
    shuffled = log().sample(frac=1, random_state=partitions)
    chosen = settings(write(shuffled, tmp_path / "log", "parquet", parts=partitions), "parquet", metrics=WIDE)
    found = extracted(spark, tmp_path / "out", chosen)
    assert len(publishing.part_files(found.features.url)) == files  # of five entities
    assert_frame_equal(found.rows.sort_index(), wide.rows.sort_index(), check_exact=True)


def series(spark, job):
    spark.conf.set("spark.sql.session.timeZone", job.events.time_zone)
    validated = events.validate(events.read(spark, job.events), job.events, job.window)
    found = series_of(validated, job)
    order = np.argsort(found.entities)
    values = {name: panel[order] for name, panel in found.values.items()}
    return SeriesBatch(found.entities[order], found.first[order], found.num_events[order], values, found.moved[order])


AGGREGATES = {
    "sum": lambda values: sum(values),
    "count": lambda values: len(values),
    "mean": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
    "nunique": lambda values: len(set(values)),
}


@pytest.fixture(scope="module", params=[1.0, 3.0, 0.25], ids=lambda days: f"{days}-days")
def aggregated(running_spark, request, tmp_path_factory):
    """The series of every aggregate of the events of the north and the west, some of whose amounts are missing."""
    frame = log().drop_duplicates(["entity_id", "ts"]).round({"amount": 0})
    frame.loc[frame.index % 7 == 0, "amount"] = np.nan
    metrics = {name: {"column": "amount", "aggregate": name, "where": "shop <> 'south'"} for name in AGGREGATES}
    place = write(frame, tmp_path_factory.mktemp("aggregates") / "log", "parquet")
    window = WindowSettings(start=WINDOW.start, end=WINDOW.end, step_days=request.param)
    job = Extraction(settings(place, "parquet", metrics=metrics), window, NO_LABELS, FeaturesSettings())
    return frame, window, series(running_spark, job)


def expected_series(frame, window, aggregate):
    """(entities, steps) by a loop over entities and steps; NaN before an entity's first event of any kind."""
    frame = frame.assign(step=(pd.to_datetime(frame["ts"]) - window.start) // window.step).sort_values("ts")
    rows = []
    for _, events_of_one in frame.groupby("entity_id"):
        row = []
        for step in range(window.num_steps):
            there = events_of_one[(events_of_one["step"] == step) & (events_of_one["shop"] != "south")]
            values = there["amount"] if aggregate == "count" else there["amount"].dropna()
            empty = 0.0 if aggregate in ("sum", "count", "nunique") else np.nan
            row.append(AGGREGATES[aggregate](values.tolist()) if len(values) else empty)
        first = events_of_one["step"].min()
        rows.append([np.nan] * first + row[first:])
    return np.array(rows, dtype=float)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_an_aggregate_equals_a_plain_loop(aggregated, aggregate):
    frame, window, found = aggregated
    assert found.entities.tolist() == sorted(set(frame["entity_id"]))
    np.testing.assert_allclose(
        found.values[aggregate], expected_series(frame, window, aggregate), rtol=1e-14, equal_nan=True
    )


def test_gaps_may_be_told_to_be_missing_or_zero(spark, tmp_path):
    frame = pd.DataFrame({"entity_id": "a", "ts": ["2024-01-02", "2024-01-04"], "amount": [5.0, 7.0]})
    metrics = {
        "kept": {"column": "amount", "gaps": "missing"},
        "filled": {"column": "amount", "aggregate": "mean", "gaps": "zero"},
    }
    window = WindowSettings(start="2024-01-01", end="2024-01-06")
    chosen = settings(write(frame, tmp_path / "log", "parquet"), "parquet", metrics=metrics)
    found = series(spark, Extraction(chosen, window, NO_LABELS, FEW_RESIDUALS)).values
    np.testing.assert_array_equal(found["kept"], [[np.nan, 5, np.nan, 7, np.nan]])
    np.testing.assert_array_equal(found["filled"], [[np.nan, 5, 0, 7, 0]])
