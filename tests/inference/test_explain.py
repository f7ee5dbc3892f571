"""The report's three files, from what the stages before left: complete, readable, and the same numbers in each."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from feature_extraction import definitions
from feature_extraction.schema import ENTITY, UNLABELED, FeatureSchema
from inference.evaluate import evaluate
from inference.explain import Findings, explain, report_of
from inference.report import EntityStory
from inference.settings import CardSettings, ScoreSettings
from tests.inference import small_table
from training import artifact as artifacts

TYPES = {
    ENTITY: "string",
    "rank": "int64",
    "place": "int64",
    "feature": "string",
    "value": "double",
    "contribution": "double",
    "typical": "double",
    "unit": "string",
    "definition": "string",
}


def findings(small, features_url, model_url, others=(), **changes):
    model = artifacts.load(model_url)
    scores = small_table.scores(small, features_url, model, reasons=5)
    facts = {
        "run_id": "small",
        "title": "Rare entities to review",
        "settings": {"score": {"alerts": 10}},
        "features_url": features_url,
        "scores": scores,
        "model": model,
        "manifest": model.manifest,
        "evaluation": evaluate(features_url, scores, model.manifest.trainer, dict(others)),
        "stories": [],
    }
    return Findings(**facts | changes)


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def whole(example, features_url, network, logistic):
    return findings(example, features_url, network, [("logistic_regression", logistic)])


@pytest.fixture(scope="module")
def written(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, explain(whole, str(folder))


def test_four_files_are_written(written):
    files = ["alerts.parquet", "metrics.json", "reasons.parquet", "report.html"]
    assert sorted(path.name for path in written[0].iterdir()) == files


def test_metrics_are_the_evaluations(written, whole):
    found = strict((written[0] / "metrics.json").read_text())
    assert found == {
        "run": "small",
        "evaluation": json.loads(json.dumps(whole.evaluation.to_json())),
        "validation": {"average_precision": {"value": 0.5, "low": 0.4, "high": 0.6}},
        "alerts": 10,
        "unknown": None,
        "drift": None,
    }


def test_alerts_are_listed_by_rank_with_their_reasons(written, whole):
    listed = whole.scores[whole.scores["alert"]]
    assert [alert.entity_id for alert in written[1]] == listed[ENTITY].tolist()
    assert [alert.rank for alert in written[1]] == listed["rank"].tolist()
    assert [alert.verdict for alert in written[1]] == listed["verdict"].tolist()
    for alert, reasons in zip(written[1], listed["reasons"], strict=True):
        assert [reason.feature for reason in alert.reasons] == [reason["feature"] for reason in reasons]
        assert [reason.value for reason in alert.reasons] == [reason["value"] for reason in reasons]
        assert alert.reasons


def test_reasons_are_stored_as_they_are_listed(written):
    found = parquet.read_table(written[0] / "reasons.parquet")
    assert {field.name: str(field.type) for field in found.schema} == TYPES
    expected = [
        (alert.entity_id, alert.rank, place, reason.feature, reason.value, reason.contribution, reason.typical)
        for alert in written[1]
        for place, reason in enumerate(alert.reasons, 1)
    ]
    assert [tuple(row.values())[:7] for row in found.to_pylist()] == expected


def test_typical_is_the_median_of_the_labeled_regular_entities(written, example):
    regular = example.features[example.labels == 0]
    expected = dict(zip(small_table.NAMES, np.nanmedian(regular, axis=0), strict=True))
    reasons = [reason for alert in written[1] for reason in alert.reasons]
    assert {reason.feature for reason in reasons} == set(small_table.NAMES)
    assert not np.isclose(np.nanmedian(example.features, axis=0), list(expected.values()), atol=1e-4).any()
    for reason in reasons:
        assert reason.typical == pytest.approx(expected[reason.feature])


def test_features_are_defined_also_by_number(written):
    page = (written[0] / "report.html").read_text()
    known = {feature.name: feature for feature in definitions.metric_features(30)}
    reasons = [reason for alert in written[1] for reason in alert.reasons]
    seventh = [reason for reason in reasons if reason.feature == "visits__residual_last_7"]
    assert seventh[0].definition == "residual 6 steps before the last one"
    assert "residual 6 steps before the last one" in page
    for reason in reasons:
        metric, name = reason.feature.split("__")
        assert (reason.metric, reason.unit, reason.definition) == (metric, known[name].unit, known[name].definition)


def test_the_page_shows_the_measures(written, whole):
    page = (written[0] / "report.html").read_text()
    measured = whole.evaluation.methods["scarcegan"]["average_precision"]["value"]
    assert f"{measured:.3f}" in page
    assert "recall of regular" in page
    assert "logistic_regression" in page
    assert "does not add up" not in page


def test_the_networks_disagreement_is_told_of_every_alert(written, whole):
    page = (written[0] / "report.html").read_text()
    listed = whole.scores[whole.scores["alert"]]
    assert [alert.uncertainty for alert in written[1]] == listed["uncertainty"].tolist()
    assert page.count("<small>± ") == len(listed)
    assert f"by {listed['uncertainty'].max():.3f} on the one they disagree on most" in page


def test_a_model_that_states_no_uncertainty_gets_no_word_of_it(example, features_url, logistic, whole, tmp_path):
    told = findings(example, features_url, logistic)
    bare = replace(whole, scores=whole.scores.drop(columns="uncertainty"))
    for number, one in enumerate((told, bare)):
        assert {alert.uncertainty for alert in explain(one, str(tmp_path / str(number)))} == {None}
        assert "±" not in (tmp_path / str(number) / "report.html").read_text()


def test_the_report_holds_shares_limits_and_the_unknown(whole):
    page = report_of(replace(whole, unknown=0.25))
    assert page.unknown == 0.25
    assert all(alert.shares and alert.neighbors and alert.remarks for alert in page.alerts)
    assert "25% of all entities fit none of the classes it knows." in page.card.limits
    assert not any("no gradient" in limit for limit in page.card.limits)
    named = {change.feature for alert in page.alerts for change in alert.counterfactual.changes}
    assert {feature.split("__")[1] for feature in named} <= set(page.glossary)


def test_a_model_without_gradient_is_said_to_have_none(example, features_url, boosted):
    card = report_of(findings(example, features_url, boosted)).card
    assert sum("no gradient" in limit for limit in card.limits) == 1


def test_the_run_files_words_on_its_use_are_on_the_card(whole):
    own = ScoreSettings(card=CardSettings(intended_use="To call customers.", sensitive_use="Not for prices."))
    card = report_of(replace(whole, score=own)).card
    assert (card.intended_use, card.sensitive_use) == (["To call customers."], ["Not for prices."])


def test_the_page_tells_how_training_went(whole, tmp_path):
    history = {"best_step": 10, "step": [5, 10], "validation_average_precision": [0.25, 0.75]}
    explain(replace(whole, manifest=replace(whole.manifest, history=history)), str(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "10 steps, measured 2 times. The model is made of the networks as they were at step 10." in page
    assert "average precision of rare 0.25 at step 5, 0.75 at step 10, kept" in page


def test_a_story_is_linked_to_its_alert(whole, tmp_path):
    first = whole.scores.loc[whole.scores["alert"], ENTITY].iloc[0]
    told = replace(whole, stories=[EntityStory(first, [], "Spend fell.")])
    explain(told, str(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "Spend fell." in page
    assert 'href="#history-1"' in page


def test_works_without_hidden_labels(example, network, tmp_path):
    url = replace(example, hidden={}).write(tmp_path / "features")
    explain(findings(example, url, network), str(tmp_path / "report"))
    assert strict((tmp_path / "report/metrics.json").read_text())["evaluation"] is None
    assert "has not been measured" in (tmp_path / "report/report.html").read_text()


@pytest.mark.parametrize("kept", ["rare", "regular"])
def test_works_with_one_hidden_class(example, network, tmp_path, kept):
    hidden = {entity: name for entity, name in example.hidden.items() if name == kept}
    url = replace(example, hidden=hidden).write(tmp_path / "features")
    explain(findings(example, url, network), str(tmp_path / "report"))
    methods = strict((tmp_path / "report/metrics.json").read_text())["evaluation"]["methods"]
    assert methods["scarcegan"]["auroc"]["value"] is None
    assert "a ranking needs both" in methods["scarcegan"]["auroc"]["reason"]
    assert "a ranking needs both" in (tmp_path / "report/report.html").read_text()


@pytest.mark.parametrize(("classes", "rare"), [((), ""), (("regular",), "")], ids=["no label", "no rare label"])
def test_works_where_the_table_has_fewer_labels_than_the_model(example, network, tmp_path, classes, rare):
    schema = FeatureSchema(small_table.NAMES, classes, rare, "2024-05-01T00:00:00", "2024-08-01T00:00:00")
    codes = np.where(example.labels == 0, 0 if classes else UNLABELED, UNLABELED).astype(np.int8)
    later = replace(example, schema=schema, labels=codes, hidden={})
    alerts = explain(findings(later, later.write(tmp_path / "features"), network), str(tmp_path / "report"))
    typical = {reason.typical for alert in alerts for reason in alert.reasons}
    assert (typical == {None}) == (not classes)


def test_works_without_a_single_reason(whole, tmp_path):
    silent = whole.scores.assign(reasons=[[] for _ in range(len(whole.scores))])
    alerts = explain(replace(whole, scores=silent), str(tmp_path))
    assert len(alerts) == 10
    assert not any(alert.reasons for alert in alerts)
    found = parquet.read_table(tmp_path / "reasons.parquet")
    assert (found.num_rows, {field.name: str(field.type) for field in found.schema}) == (0, TYPES)
    assert "no reasons given" in (tmp_path / "report.html").read_text()


def test_works_without_a_single_alert(whole, tmp_path):
    assert explain(replace(whole, scores=whole.scores.assign(alert=False)), str(tmp_path)) == []
    assert "No entity is on the list." in (tmp_path / "report.html").read_text()


def test_a_missing_value_stays_missing(whole, tmp_path):
    missing = [[{"feature": "spend__level", "value": None, "contribution": 1.0}] for _ in range(len(whole.scores))]
    explain(replace(whole, scores=whole.scores.assign(reasons=missing)), str(tmp_path))
    found = pd.read_parquet(tmp_path / "reasons.parquet")
    assert found["value"].isna().all()
    assert found["value"].dtype == np.float64
    assert "missing, typically" in (tmp_path / "report.html").read_text()


def test_a_number_that_json_does_not_know_is_refused(whole, tmp_path):
    broken = replace(whole.manifest, metrics={"average_precision": {"value": float("nan")}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        explain(replace(whole, manifest=broken), str(tmp_path))
