"""Evaluation: scikit-learn's numbers on the hidden rows alone, one budget for all, and every class recalled right."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

from feature_extraction.schema import ENTITY, UNLABELED, FeatureSchema, SchemaMismatch
from inference.evaluate import evaluate
from tests.inference import small_table
from training import artifact as artifacts
from training.baselines import LogisticRegression


@pytest.fixture(scope="module")
def scores(example, features_url, network):
    return small_table.scores(example, features_url, artifacts.load(network), alerts=40)


@pytest.fixture(scope="module")
def found(features_url, scores, logistic, boosted):
    others = {"logistic_regression": logistic, "gradient_boosting": boosted}
    return evaluate(features_url, scores, "scarcegan", others)


def hidden_rows(example, scores):
    hidden = pd.Series(example.hidden).sort_index()
    return hidden, scores.set_index(ENTITY).loc[hidden.index]


def given(small, verdicts):
    """Scores that say of each entity what `verdicts` does, or `unknown`."""
    rows = [(entity, 0.5, False, verdicts.get(entity, "unknown")) for entity in small.ids]
    return pd.DataFrame(rows, columns=[ENTITY, "score", "alert", "verdict"])


def test_ranking_measures_are_scikit_learns_on_the_hidden_rows(found, example, scores):
    hidden, published = hidden_rows(example, scores)
    truth = (hidden == "rare").to_numpy()
    measured = found.methods["scarcegan"]
    assert measured["average_precision"]["value"] == average_precision_score(truth, published["score"])
    assert measured["auroc"]["value"] == roc_auc_score(truth, published["score"])
    assert (found.rows, found.rare_rows) == (80, 16)
    assert found.truth.tolist() == truth.tolist()
    assert found.scores["scarcegan"].tolist() == published["score"].tolist()


def test_the_budget_is_the_alerts_that_fell_on_hidden_rows(found, example, scores):
    hidden, published = hidden_rows(example, scores)
    alerts = published["alert"].to_numpy()
    caught = (alerts & (hidden == "rare").to_numpy()).sum()
    assert 0 < alerts.sum() < 40
    assert found.budget == alerts.sum()
    assert found.methods["scarcegan"]["recall_at_budget"]["value"] == caught / 16
    assert found.methods["scarcegan"]["precision_at_budget"]["value"] == caught / alerts.sum()


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_others_get_the_same_rows_and_budget(found, example, name, request):
    model = artifacts.load(request.getfixturevalue({"logistic_regression": "logistic"}.get(name, "boosted")))
    rows = [example.ids.index(entity) for entity in sorted(example.hidden)]
    chances = model.predict(example.features[rows])
    score, truth = chances[:, 1].astype(np.float64), found.truth
    assert found.scores[name].tolist() == score.tolist()
    assert found.methods[name]["average_precision"]["value"] == average_precision_score(truth, score)
    top = np.argsort(-score, kind="stable")[: found.budget]
    assert found.methods[name]["recall_at_budget"]["value"] == truth[top].sum() / truth.sum()
    expected = recall_score(truth, chances.argmax(axis=1), average=None)
    assert list(found.class_recall[name].values()) == pytest.approx(expected)


def test_every_measure_has_an_interval_around_it(found):
    assert list(found.methods) == ["scarcegan", "logistic_regression", "gradient_boosting"]
    for measures in found.methods.values():
        assert set(measures) == {"average_precision", "auroc", "recall_at_budget", "precision_at_budget"}
        for estimate in measures.values():
            assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1


def test_the_same_seed_gives_the_same_intervals(found, features_url, scores):
    assert evaluate(features_url, scores, "scarcegan", {}).methods["scarcegan"] == found.methods["scarcegan"]
    other = evaluate(features_url, scores, "scarcegan", {}, seed=1).methods["scarcegan"]
    assert other["auroc"] != found.methods["scarcegan"]["auroc"]


def test_rows_that_training_saw_never_enter(found, features_url, example, scores):
    shown = [entity for entity, code in zip(example.ids, example.labels, strict=True) if code != UNLABELED]
    spoiled = scores.copy()
    spoiled.loc[spoiled[ENTITY].isin(shown), ["score", "alert", "verdict"]] = [1.0, True, "rare"]
    again = evaluate(features_url, spoiled, "scarcegan", {})
    assert again.methods["scarcegan"] == found.methods["scarcegan"]
    assert again.class_recall["scarcegan"] == found.class_recall["scarcegan"]
    assert again.budget == found.budget


def test_the_order_of_the_scores_does_not_matter(found, features_url, scores):
    shuffled = scores.sample(frac=1, random_state=0)
    assert evaluate(features_url, shuffled, "scarcegan", {}).methods["scarcegan"] == found.methods["scarcegan"]


def test_weak_classes_count_as_the_class_they_were_made_from(found, example, scores):
    hidden, published = hidden_rows(example, scores)
    regular = hidden == "regular"
    verdicts = published["verdict"].set_axis(hidden.index)
    assert verdicts[regular].isin(["unknown", "rare"]).any()
    expected = verdicts[regular].isin(["regular_low", "regular_mid", "regular_high"]).mean()
    assert found.class_recall["scarcegan"]["regular"] == pytest.approx(expected)
    assert found.class_recall["scarcegan"]["rare"] == pytest.approx((verdicts[~regular] == "rare").mean())


@pytest.mark.parametrize(
    ("classes", "verdicts", "expected"),
    [
        # The rare class's name begins like a weak one's.
        (("risk", "risk_none"), {"risk": "risk_low", "risk_none": "risk_none"}, {"risk": 1, "risk_none": 1}),
        (("risk", "risk_none"), {"risk": "risk_none", "risk_none": "risk_low"}, {"risk": 0, "risk_none": 0}),
        # With three classes none is split: a name that is none of them is no one's.
        (("a", "b", "rare"), {"a": "a", "b": "a", "rare": "rare"}, {"a": 1, "b": 0, "rare": 1}),
        (("a", "a_b", "rare"), {"a": "a_b", "a_b": "a_b", "rare": "a"}, {"a": 0, "a_b": 1, "rare": 0}),
        (("a", "b", "rare"), {"a": "a_low", "b": "unknown", "rare": "rare"}, {"a": 0, "b": 0, "rare": 1}),
    ],
    ids=["prefix", "prefix, all wrong", "three", "three with a prefix", "three, strangers"],
)
def test_class_recall_by_hand(tmp_path, classes, verdicts, expected):
    schema = FeatureSchema(small_table.NAMES, classes, classes[-1])
    small = small_table.example(60, schema)
    url = small.write(tmp_path / "features")
    said = {entity: verdicts[name] for entity, name in small.hidden.items()}
    assert evaluate(url, given(small, said), "main", {}).class_recall == {"main": expected}


def test_three_classes_are_recalled_by_a_trained_model(tmp_path):
    schema = FeatureSchema(small_table.NAMES, ("calm", "calm_ish", "rare"), "rare")
    small = small_table.example(120, schema)
    model = LogisticRegression().fit(small.reader())
    model.save(str(tmp_path / "model"))
    url = small.write(tmp_path / "features")
    scores = small_table.scores(small, url, model)
    found = evaluate(url, scores, "main", {"other": str(tmp_path / "model")})
    truth = [small.hidden[entity] for entity in sorted(small.hidden)]
    rows = [small.ids.index(entity) for entity in sorted(small.hidden)]
    verdicts = np.array(schema.classes)[model.predict(small.features[rows]).argmax(axis=1)]
    expected = recall_score(truth, verdicts, labels=list(schema.classes), average=None)
    assert list(found.class_recall["main"].values()) == pytest.approx(expected)
    assert found.class_recall["other"] == found.class_recall["main"]


def test_no_hidden_labels_is_no_evaluation(example, scores, tmp_path):
    url = replace(example, hidden={}).write(tmp_path / "features")
    assert evaluate(url, scores, "scarcegan", {}) is None


@pytest.mark.parametrize(("kept", "reason"), [("regular", "no row is rare"), ("rare", "every row is rare")])
def test_one_class_alone_is_null_with_its_reason(example, scores, tmp_path, kept, reason):
    hidden = {entity: name for entity, name in example.hidden.items() if name == kept}
    url = replace(example, hidden=hidden).write(tmp_path / "features")
    found = evaluate(url, scores, "scarcegan", {})
    for estimate in found.methods["scarcegan"].values():
        assert estimate["value"] is estimate["low"] is estimate["high"] is None
        assert estimate["reason"].startswith(f"{reason} among {len(hidden)}")
    assert found.class_recall["scarcegan"][kept] is not None
    assert found.class_recall["scarcegan"][{"rare": "regular"}.get(kept, "rare")] is None
    json.dumps(found.to_json(), allow_nan=False)


def test_the_base_rate_is_the_share_of_the_rare(found):
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["base_rate"] == 0.2
    assert plain["budget"] == found.budget
    assert set(plain) == {"rows", "rare_rows", "budget", "base_rate", "methods", "class_recall"}


def test_no_alert_on_hidden_rows_still_measures_the_first_one(features_url, scores):
    found = evaluate(features_url, scores.assign(alert=False), "scarcegan", {})
    assert found.budget == 1
    assert found.methods["scarcegan"]["precision_at_budget"]["value"] in (0, 1)


def test_a_hidden_entity_without_score_is_named(features_url, example, scores):
    lost = sorted(example.hidden)[:2]
    with pytest.raises(ValueError, match=f"2 of 80 entities with a hidden label have no score, such as '{lost[0]}'"):
        evaluate(features_url, scores[~scores[ENTITY].isin(lost)], "scarcegan", {})


def test_another_method_of_other_features_is_refused(features_url, scores, example, tmp_path):
    names = (*small_table.NAMES[:4], "visits__trend_slope")
    other = replace(example, schema=replace(small_table.SCHEMA, names=names))
    LogisticRegression().fit(other.reader()).save(str(tmp_path / "model"))
    with pytest.raises(SchemaMismatch, match=r"-visits__trend_slope\n\+visits__residual_last_7"):
        evaluate(features_url, scores, "scarcegan", {"logistic_regression": str(tmp_path / "model")})
