"""All that is said of each alert: it agrees with the model, with the table, and from file to file."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from feature_extraction.schema import ENTITY, LABEL
from inference import machine_files, table
from inference.alerts import alerts_of
from inference.remarks import Wording
from inference.report_alerts import EntityStory, MetricStory
from inference.settings import ScoreSettings
from tests.inference import small_table
from training import artifact as artifacts
from training.trainer import AddsUp

WORDING = Wording(86_400, 28, frozenset({"spend"}))


@pytest.fixture(scope="module")
def scored(example, features_url, network):
    return small_table.scores(example, features_url, artifacts.load(network), reasons=5)


def told(features_url, model_url, scores, stories=(), **settings):
    model = artifacts.load(model_url)
    return alerts_of(features_url, scores, model, ScoreSettings(**settings), stories, WORDING)


@pytest.fixture(scope="module")
def alerts(features_url, network, scored):
    return told(features_url, network, scored)


@pytest.mark.parametrize("kind", ["network", "logistic", "boosted"])
def test_shares_sum_to_the_contributions_of_all_features(kind, example, features_url, scored, request):
    url = request.getfixturevalue(kind)
    model = artifacts.load(url)
    assert isinstance(model, AddsUp) == (kind != "boosted")
    for alert in told(features_url, url, scored):
        row = table.features(features_url, model.schema.names, [alert.entity_id])
        total = sum(share.contribution for share in alert.shares)
        assert total == pytest.approx(model.contributions(row).sum(), abs=1e-4)
        if isinstance(model, AddsUp):
            assert total == pytest.approx(model.contribution_totals(row)[0], rel=0.011, abs=0.0011)


def test_neighbours_are_labelled_rows_of_training(alerts, example, features_url):
    labels = table.rows(features_url, [LABEL])[LABEL]
    for alert in alerts:
        assert [neighbor.label for neighbor in alert.neighbors].count("rare") == 3
        assert len(alert.neighbors) == 6
        for neighbor in alert.neighbors:
            assert example.schema.classes[labels[neighbor.entity_id]] == neighbor.label
            assert neighbor.entity_id not in example.hidden


def test_the_counterfactual_is_what_the_model_says(alerts, example, features_url, network):
    model = artifacts.load(network)
    code, names = model.classes.index(model.rare), list(model.schema.names)
    for alert in alerts:
        found = alert.counterfactual
        row = table.features(features_url, names, [alert.entity_id])
        for change in found.changes:
            assert change.value == row[0, names.index(change.feature)]
            for metric in change.metric.split(", "):
                row[0, names.index(f"{metric}__{change.feature.split('__')[1]}")] = change.needed
        assert model.predict(row)[0, code] == pytest.approx(found.score, abs=1e-5)
        assert found.line == min(alert.score for alert in alerts)
        assert found.reached == (found.score < found.line)
    assert any(alert.counterfactual.reached and alert.counterfactual.changes for alert in alerts)


def test_remarks_are_told_of_every_alert(alerts):
    for alert in alerts:
        assert 1 <= len(alert.remarks) <= 4
        assert all(remark.endswith(".") for remark in alert.remarks)


def test_a_share_in_a_remark_is_that_of_the_labelled_regular_entities(alerts, example):
    regular = example.features[example.labels == 0]
    first = alerts[0]
    recency = next(reason for reason in first.reasons if reason.feature == "spend__level")
    high = recency.value > recency.typical
    count = int((regular[:, 0] >= recency.value).sum() if high else (regular[:, 0] <= recency.value).sum())
    words = f"{100 * count / len(regular):.1f}".removesuffix(".0") + "%" if count else "none of the"
    (remark,) = [one for one in first.remarks if one.startswith("Spend at")]
    assert f"; {words} " in remark


def test_a_story_is_told_before_common_values(features_url, network, scored, example):
    first = scored.loc[scored["alert"], ENTITY].iloc[0]
    values = [2.0] * 80 + [30.0]
    times = [str(np.datetime64("2024-01-01") + day) + "T00:00:00" for day in range(81)]
    series = MetricStory(
        "spend", times, values, *[[2.5] * 81 for _ in range(4)], outlier=80, outlier_sigmas=9.0
    )  # fmt: skip
    stories = [EntityStory(first, [series], "x.")]
    alert = told(features_url, network, scored, stories)[0]
    assert any("Spend on 21 Mar 2024 was 30, 9 standard deviations" in remark for remark in alert.remarks)


def test_nothing_is_sought_that_was_not_asked_for(features_url, network, scored):
    for alert in told(features_url, network, scored, counterfactual=0, neighbors=0):
        assert alert.counterfactual is None
        assert alert.neighbors == []


def test_the_probability_is_shown_where_the_scores_have_one(features_url, network, scored):
    calibrated = scored.assign(probability=np.where(scored["rank"] % 2 == 0, 0.25, np.nan))
    assert {alert.probability for alert in told(features_url, network, calibrated)} == {0.25, None}
    without = scored.drop(columns="probability", errors="ignore")
    assert {alert.probability for alert in told(features_url, network, without)} == {None}


def test_programs_find_all_that_people_do(alerts, tmp_path):
    (tmp_path / "alerts.parquet").write_bytes(machine_files.alerts_file(alerts))
    found = parquet.read_table(tmp_path / "alerts.parquet")
    assert found.schema.equals(machine_files.ALERTS)
    for row, alert in zip(found.to_pylist(), alerts, strict=True):
        expected = asdict(alert)
        assert row == {name: expected[name] for name in row}
        assert row["neighbors"]
    assert len(pd.read_parquet(tmp_path / "alerts.parquet")) == len(alerts)


def test_an_alert_with_nothing_to_say_is_stored_with_the_same_types(tmp_path, features_url, network, scored):
    (tmp_path / "a.parquet").write_bytes(
        machine_files.alerts_file(told(features_url, network, scored, counterfactual=0, neighbors=0))
    )
    assert parquet.read_schema(tmp_path / "a.parquet").equals(machine_files.ALERTS)
    (tmp_path / "b.parquet").write_bytes(machine_files.alerts_file([]))
    assert parquet.read_schema(tmp_path / "b.parquet").equals(machine_files.ALERTS)
