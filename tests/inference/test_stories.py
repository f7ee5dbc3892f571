"""Stories: the series and fits that the features were made of, in the order asked for, and sentences that are true."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from feature_extraction import events
from feature_extraction.components import CONSTANT, FAILED, FITTED, TOO_SHORT, Calendar
from feature_extraction.extract import series_of
from feature_extraction.feature_rows import ENGINES, Extraction, feature_rows
from feature_extraction.schema import ENTITY
from feature_extraction.settings import EventsSettings, FeaturesSettings, LabelsSettings, WindowSettings
from inference import turns
from inference.stories import sentence, tell, unfitted

DAYS = 60
START = datetime(2024, 1, 1)
QUOTED = 'O\'Brien "x" \\ `y`'
RECENT = 7


def job(url="unused", step_days=1.0):
    metrics = {"amount": {"column": "amount", "minimum": 0}, "mood": {"column": "mood", "aggregate": "mean"}}
    return Extraction(
        EventsSettings(url=str(url), entity="who", time="at", metrics=metrics),
        WindowSettings(start=START, end=START + timedelta(days=DAYS * step_days), step_days=step_days),
        LabelsSettings(),
        FeaturesSettings(recent_steps=RECENT, changepoints=3),
    )


def log():
    """Four entities, one of which appears on day 20 and one on the last day alone; a refused and an outside event."""
    random = np.random.default_rng(0)
    rows = []
    for entity, first in (("b", 0), (QUOTED, 20), ("a", 0), ("late", DAYS - 1)):
        for day in range(first, DAYS):
            for _ in range(int(random.integers(0, 3)) or day == first):
                time = START + timedelta(days=day, minutes=int(random.integers(1440)))
                rows.append((entity, time, float(random.gamma(2, 10)), float(random.normal())))
    rows.append(("a", START + timedelta(days=3), -1.0, 0.0))
    rows.append(("a", START - timedelta(days=3), 1.0, 0.0))
    return pd.DataFrame(rows, columns=["who", "at", "amount", "mood"]).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def events_url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    for number, part in enumerate(np.array_split(np.arange(len(log())), 3)):
        frame = log().iloc[part]
        frame.to_parquet(folder / f"{number}.parquet", index=False, coerce_timestamps="us")
    return folder


@pytest.fixture(scope="module")
def told(local_spark, events_url):
    return tell(local_spark, job(events_url), ["late", QUOTED, "a"])


@pytest.fixture(scope="module")
def batch(local_spark, events_url):
    """What extraction makes features of: the series of every entity."""
    local_spark.conf.set("spark.sql.session.timeZone", "UTC")
    made = job(events_url)
    validated = events.validate(events.read(local_spark, made.events), made.events, made.window)
    return series_of(validated, made)


@pytest.mark.spark
def test_the_order_asked_for_is_kept(told):
    assert [story.entity_id for story in told] == ["late", QUOTED, "a"]
    assert [[metric.metric for metric in story.metrics] for story in told] == [["amount", "mood"]] * 3


@pytest.mark.spark
def test_series_are_those_of_the_extraction(told, batch):
    for story in told:
        row, first = batch.entities.tolist().index(story.entity_id), batch.first
        for metric in story.metrics:
            np.testing.assert_array_equal(metric.values, batch.values[metric.metric][row, first[row] :])
            assert metric.times[0] == (START + timedelta(days=int(first[row]))).isoformat()
            assert metric.times[-1] == (START + timedelta(days=DAYS - 1)).isoformat()


@pytest.mark.spark
def test_series_are_the_sums_of_the_log(told):
    rows = log().query("amount >= 0 and at >= @START")
    rows = rows.assign(day=(rows["at"] - START).dt.days)
    for story in told:
        daily = rows[rows["who"] == story.entity_id].groupby("day")
        days = range(DAYS - len(story.metrics[0].values), DAYS)
        np.testing.assert_allclose(story.metrics[0].values, daily["amount"].sum().reindex(days, fill_value=0.0))
        np.testing.assert_allclose(story.metrics[1].values, daily["mood"].mean().reindex(days))


@pytest.mark.spark
def test_curves_are_those_that_the_features_say(told, batch):
    features = pd.DataFrame(feature_rows(batch, job())).set_index(ENTITY)
    for story in told[1:]:
        row = features.loc[story.entity_id]
        amount = story.metrics[0]
        assert row["amount__fit_status"] == FITTED
        assert np.float32(amount.trend[-1]) == row["amount__trend_last"]
        residual = np.array(amount.values) - np.array(amount.expected)
        assert residual[-1] / row["amount__residual_sigma"] == pytest.approx(row["amount__residual_last_1"], rel=1e-5)
        outside = (np.array(amount.values) < amount.lower) | (np.array(amount.values) > amount.upper)
        assert outside[-RECENT:].mean() == pytest.approx(row["amount__outside_share"])
        middle = (np.array(amount.lower) + np.array(amount.upper)) / 2
        np.testing.assert_allclose(middle, amount.expected)


@pytest.mark.spark
def test_turns_and_outliers_are_those_of_the_fit(told, batch):
    made = job("unused")
    for story in told[1:]:
        row = batch.entities.tolist().index(story.entity_id)
        amount, begin = story.metrics[0], int(batch.first[row])
        fit = ENGINES["map"](batch.values["amount"], Calendar.of(made.window), made.features)
        times = [(START + timedelta(days=day)).isoformat() for day in range(DAYS)]
        assert amount.breaks == turns.breaks(fit, row, times)
        assert amount.weekly == fit.weekly[row].tolist()
        residual = np.abs(np.array(amount.values) - np.array(amount.expected)) / fit.sigma[row]
        found = turns.outlier(fit, row, batch.values["amount"][row])
        assert (amount.outlier is None) == (residual.max() <= 3)
        if found:
            assert (amount.outlier + begin, amount.outlier_sigmas) == found


@pytest.mark.spark
def test_a_series_too_short_for_a_fit_has_no_curves(told):
    assert len(told[0].metrics[0].values) == 1
    for metric in told[0].metrics:
        assert np.isnan([metric.trend, metric.lower, metric.upper, metric.expected]).all()
        assert (metric.breaks, metric.weekly, metric.outlier, metric.outlier_sigmas) == ([], [], None, None)
    assert told[0].sentence == "Active in the last day. No trend for amount, mood: too few observations for Prophet."


@pytest.mark.spark
def test_sentences_are_those_of_the_series(told):
    for story in told[1:]:
        series = {metric.metric: np.array(metric.values) for metric in story.metrics}
        assert story.sentence == sentence(series, job())


@pytest.mark.spark
def test_an_entity_without_usable_events_is_named(spark, events_url):
    with pytest.raises(ValueError, match="no usable event of 1 of 2 entities, such as 'nobody'; give the log"):
        tell(spark, job(events_url), ["a", "nobody"])


def test_nobody_asked_for_needs_no_log():
    assert tell(None, job("nowhere"), []) == []


def said(step_days=1.0, **series):
    return sentence({name: np.array(values, dtype=np.float64) for name, values in series.items()}, job("-", step_days))


def test_a_fall_is_told_with_its_numbers():
    assert said(spend=[4, 6] * 10 + [1, 3] * 3 + [2]) == (
        "Spend fell from 5 to 2 a day in the last 7 days; active in the last day."
    )


def test_a_rise_is_told_with_thousands_in_full():
    assert said(spend=[1000, 1100] * 10 + [25_000] * RECENT) == (
        "Spend rose from 1,050 to 25,000 a day in the last 7 days; active in the last day."
    )


def test_the_metric_that_moved_most_for_itself_is_told():
    noisy = [0, 1000] * 10 + [400] * RECENT
    assert said(noisy=noisy, steady=[1, 1.1] * 10 + [2] * RECENT).startswith("Steady rose from 1.05 to 2 a day")


def test_silence_is_counted_over_all_metrics():
    quiet = [5] * 20 + [0] * 12
    assert said(spend=quiet, visits=quiet) == (
        "Spend fell from 4 to 0 a day in the last 7 days; last active 12 days before the end."
    )
    assert said(spend=quiet, visits=[1] * 30 + [0, 0]).endswith("last active 2 days before the end.")
    assert said(spend=[5] * 20 + [0]).endswith("last active 1 day before the end.")


@pytest.mark.parametrize("value", [3, 0.1, 1e-9, 1e9, -2.7])
def test_a_constant_series_has_not_moved(value):
    assert said(spend=[value] * 50) == "Active in the last day."


def test_a_series_that_ends_at_its_old_level_stayed():
    assert said(spend=[2, 4] * 10 + [3] * RECENT) == (
        "Spend stayed at 3 a day in the last 7 days; active in the last day."
    )
    assert said(spend=[2, 4] * 10 + [3.0001] * RECENT).startswith("Spend stayed at 3 a day")


def test_nothing_but_zeros_or_gaps_is_no_activity():
    assert said(spend=[0] * 40) == "No active day in the window."
    assert said(spend=[0] * 40, mood=[np.nan] * 40) == "No active day in the window."


def test_gaps_are_left_out_of_the_means():
    assert said(mood=[np.nan, 2, 4, np.nan] * 5 + [np.nan] * 6 + [8]).startswith("Mood rose from 3 to 8 a day")
    assert said(mood=[2, 4] * 5 + [np.nan] * RECENT) == "Last active 7 days before the end."


def test_a_series_shorter_than_the_recent_steps_has_nothing_to_compare():
    assert said(spend=[1, 2, 3]) == "Active in the last day."


@pytest.mark.parametrize(
    ("step_days", "words"),
    [(1 / 24, "an hour in the last 7 hours"), (7, "a week in the last 7 weeks"), (2, "a step in the last 7 steps")],
)
def test_steps_have_their_name(step_days, words):
    assert words in said(step_days, spend=[4, 6] * 10 + [1, 3] * 3 + [2])


def test_metrics_without_a_trend_are_named_by_reason():
    status = {"a": TOO_SHORT, "b": FITTED, "c": FAILED, "d": TOO_SHORT, "e": CONSTANT}
    assert unfitted(status) == (
        " No trend for a, d: too few observations for Prophet. No trend for c: Prophet's fit failed."
    )
    assert unfitted({"a": FITTED}) == ""
