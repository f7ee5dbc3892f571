"""Scoring on Spark: the table's contract, the same numbers however the rows lie, ranks, alerts and reasons."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pyarrow import parquet
from pyspark.sql import types as T

from feature_extraction import publishing
from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema, SchemaMismatch
from inference import score as scoring
from inference.score import ScoringError, choose_alerts, partition_scores, ranked, score, scores_of
from inference.settings import ScoreSettings
from tests.inference import small_table
from training import artifact as artifacts
from training.baselines import LogisticRegression
from training.dense_network import DenseNetwork

pytestmark = pytest.mark.spark
SETTINGS = ScoreSettings(alerts=12, reasons=3)
CLASSES = ("regular_low", "regular_mid", "regular_high", "rare", "unknown")


def read(url):
    return pd.concat(map(pd.read_parquet, publishing.part_files(url))).sort_values("rank", ignore_index=True)


def predicted(features_url, model_url):
    """The collected table's probabilities, by entity."""
    model, rows = artifacts.load(model_url), small_table.collected(features_url)
    features = rows[list(model.schema.names)].to_numpy(dtype=np.float32)
    return pd.DataFrame(model.predict(features), rows.index, [f"p_{name}" for name in model.classes])


def comparable(frame):
    return frame.assign(reasons=[[tuple(reason.values()) for reason in reasons] for reasons in frame["reasons"]])


@pytest.fixture(scope="module")
def scored_url(local_spark, features_url, network, tmp_path_factory):
    url = str(tmp_path_factory.mktemp("scores") / "run=small")
    assert score(local_spark, features_url, network, SETTINGS, url) == 240
    return url


@pytest.fixture(scope="module")
def scored(scored_url):
    return read(scored_url)


def test_columns_and_types_are_as_contracted(scored_url):
    found = parquet.read_schema(publishing.part_files(scored_url)[0])
    chances = [(f"p_{name}", "float") for name in CLASSES]
    assert [(field.name, str(field.type)) for field in found][:-1] == [
        (ENTITY, "string"),
        ("score", "float"),
        ("rank", "int64"),
        ("alert", "bool"),
        ("verdict", "string"),
        ("uncertainty", "float"),
        *chances,
    ]
    reason = found.field("reasons").type.value_type
    assert [(field.name, str(field.type)) for field in reason] == [
        ("feature", "string"),
        ("value", "float"),
        ("contribution", "float"),
    ]


def test_every_entity_has_one_row_whatever_its_id(scored, example):
    assert sorted(scored[ENTITY]) == sorted(example.ids)
    assert set(small_table.ODD_IDS) <= set(scored[ENTITY])


def test_a_row_without_any_value_is_scored(scored, example):
    row = scored.set_index(ENTITY).loc[example.ids[-1]]
    assert np.isnan(example.features[-1]).all()
    assert 0 < row["score"] < 1


@pytest.mark.parametrize("name", ["network", "logistic", "boosted"])
def test_probabilities_are_the_artifacts_bit_for_bit(spark, features_url, name, request, tmp_path):
    model_url, url = request.getfixturevalue(name), str(tmp_path / "scores")
    score(spark, features_url, model_url, SETTINGS, url)
    found, expected = read(url).set_index(ENTITY).sort_index(), predicted(features_url, model_url)
    assert_frame_equal(found[list(expected)], expected, check_exact=True)
    assert (found["score"] == expected["p_rare"]).all()
    likeliest = expected.idxmax(axis=1).str.removeprefix("p_")
    assert (found["verdict"] == likeliest).all()


def test_uncertainty_is_the_networks_spread_bit_for_bit(scored, features_url, network):
    model, rows = artifacts.load(network), small_table.collected(features_url)
    expected = model.uncertainty(rows[list(model.schema.names)].to_numpy(dtype=np.float32))
    assert (scored.set_index(ENTITY).loc[rows.index, "uncertainty"].to_numpy() == expected).all()
    assert 0 < expected.min() < expected.max() <= 0.5


def test_uncertainty_is_null_where_the_model_states_none(spark, features_url, logistic, tmp_path):
    score(spark, features_url, logistic, SETTINGS, str(tmp_path / "scores"))
    tables = [parquet.read_table(file) for file in publishing.part_files(str(tmp_path / "scores"))]
    assert {str(table.schema.field("uncertainty").type) for table in tables} == {"float"}
    assert sum(table["uncertainty"].null_count for table in tables) == 240


def test_an_ensemble_is_asked_once_a_block(example, network, monkeypatch):
    model, asked = artifacts.load(network), []
    logits = DenseNetwork.logits
    monkeypatch.setattr(DenseNetwork, "logits", lambda self, rows: asked.append(len(rows)) or logits(self, rows))
    frame = pd.DataFrame(example.features, columns=list(example.schema.names))
    scores_of(frame.assign(**{ENTITY: example.ids, LABEL: example.labels}), model)
    assert asked == [scoring.ROWS_PER_BLOCK] * len(model.members)


def test_the_network_answers_with_every_class_and_unknown(scored):
    assert set(scored["verdict"]) == set(CLASSES)


@pytest.mark.parametrize(("files", "rows_at_once"), [(1, 10_000), (3, 1), (7, 5)])
def test_scores_do_not_depend_on_how_the_rows_lie(spark, example, scored, network, tmp_path, files, rows_at_once):
    order = np.random.default_rng(files).permutation(len(example.ids))
    features_url = example.write(tmp_path / "features", files, order.tolist())
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows_at_once))
    score(spark, features_url, network, SETTINGS, str(tmp_path / "scores"))
    assert_frame_equal(comparable(read(str(tmp_path / "scores"))), comparable(scored), check_exact=True)


def test_a_row_scores_the_same_alone():
    # Wide enough for BLAS to add up a single row in another order than one of many.
    names = tuple(f"spend__residual_last_{number}" for number in range(1, 31)) + small_table.NAMES
    small = small_table.example(schema=replace(small_table.SCHEMA, names=names))
    model = small_table.network(small)
    rows = pd.DataFrame(small.features, columns=list(names)).assign(**{ENTITY: small.ids, LABEL: small.labels})
    alone = pd.concat([scores_of(rows.iloc[[row]], model) for row in range(len(rows))], ignore_index=True)
    assert_frame_equal(alone, scores_of(rows, model), check_exact=True)
    assert scores_of(rows.iloc[:0], model).columns.tolist() == alone.columns.tolist()


def test_rank_orders_by_score_then_entity(scored):
    expected = scored.sort_values(["score", ENTITY], ascending=[False, True])
    assert scored["rank"].tolist() == list(range(1, 241))
    assert expected["rank"].tolist() == scored["rank"].tolist()


@pytest.mark.parametrize("distinct", [1, 4, 500], ids=["all tied", "few values", "nearly all differ"])
@pytest.mark.parametrize("rows_per_bin", [3, 1000])
def test_rank_is_the_same_in_bins(spark, monkeypatch, distinct, rows_per_bin):
    monkeypatch.setattr(scoring, "ROWS_PER_BIN", rows_per_bin)
    random = np.random.default_rng(0)
    values = (random.integers(distinct, size=120) / distinct).astype(np.float32)
    frame = pd.DataFrame({ENTITY: [f"é{row}" if row % 3 else f"Z{row}" for row in range(120)], "score": values})
    schema = T.StructType([T.StructField(ENTITY, T.StringType()), T.StructField("score", T.FloatType())])
    found = ranked(spark.createDataFrame(frame, schema).repartition(5), 120).toPandas().sort_values("rank")
    expected = frame.sort_values(["score", ENTITY], ascending=[False, True])
    assert found["rank"].tolist() == list(range(1, 121))
    assert found[ENTITY].tolist() == expected[ENTITY].tolist()
    assert list(found.columns) == [ENTITY, "score", "rank"]


def test_alerts_are_the_first_unlabeled_entities(scored, example):
    label = dict(zip(example.ids, example.labels, strict=True))
    candidates = [entity for entity in scored[ENTITY] if label[entity] == UNLABELED]
    assert scored.loc[scored["alert"], ENTITY].tolist() == candidates[:12]
    assert scored.loc[~scored["alert"], ENTITY].map(label).ne(UNLABELED).any()


@pytest.mark.parametrize(("review", "alerts", "expected"), [("all", 7, 7), ("unlabeled", 999, 4), ("all", 999, 10)])
def test_alerts_fill_the_budget_and_no_more(spark, review, alerts, expected):
    labels = [0, 1, 0, 1, 0, 1, -1, -1, -1, -1]
    rows = [(f"e{row}", label, 1 - row / 20) for row, label in enumerate(labels)]
    frame = spark.createDataFrame(rows, f"{ENTITY} string, {LABEL} int, score double")
    chosen = choose_alerts(frame, ScoreSettings(alerts=alerts, review=review))
    assert chosen == [row[0] for row in rows if review == "all" or row[1] == UNLABELED][:alerts]
    assert len(chosen) == expected


def test_a_tie_at_the_budget_goes_by_entity(spark):
    frame = spark.createDataFrame(
        [("b", -1, 0.5), ("a", -1, 0.5), ("c", -1, 0.9)], f"{ENTITY} string, label int, score double"
    )
    assert choose_alerts(frame, ScoreSettings(alerts=2)) == ["c", "a"]


def test_no_candidate_gives_no_alert(spark, example, network, tmp_path):
    known = replace(example, labels=np.maximum(example.labels, 0).astype(np.int8))
    score(spark, known.write(tmp_path / "features"), network, SETTINGS, str(tmp_path / "scores"))
    found = read(str(tmp_path / "scores"))
    assert len(found) == 240
    assert not found["alert"].any()
    assert found["reasons"].map(len).eq(0).all()


def test_reasons_are_the_largest_positive_contributions_of_alerts_alone(scored, features_url, network):
    model, values = artifacts.load(network), small_table.collected(features_url)
    assert scored.loc[~scored["alert"], "reasons"].map(len).eq(0).all()
    listed = scored[scored["alert"]]
    rows = values.loc[listed[ENTITY], list(small_table.NAMES)].to_numpy(dtype=np.float32)
    for reasons, shares, row in zip(listed["reasons"], model.contributions(rows), rows, strict=True):
        expected = [i for i in np.argsort(-shares) if shares[i] > 0][:3]
        assert [reason["feature"] for reason in reasons] == [small_table.NAMES[i] for i in expected]
        assert [reason["contribution"] for reason in reasons] == [float(shares[i]) for i in expected]
        missing_as_none = [None if np.isnan(row[i]) else float(row[i]) for i in expected]
        assert [reason["value"] for reason in reasons] == missing_as_none


def largest(values, contributions, count=5):
    found = scoring._largest(
        small_table.NAMES, np.array(values, dtype=np.float32), np.array(contributions, dtype=np.float32), count
    )
    return [(name, value) for name, value, _ in found]


def test_what_is_said_alike_of_two_metrics_is_told_once():
    assert largest([1, 63, 2, 63, 0], [0.1, 0.4, 0.2, 0.3, -1]) == [
        ("spend__recency", 63.0),
        ("visits__level", 2.0),
        ("spend__level", 1.0),
    ]
    assert largest([1, 63, 1, 62, 0], [0.1, 0.4, 0.2, 0.3, -1], 2) == [
        ("spend__recency", 63.0),
        ("visits__recency", 62.0),
    ]


def test_a_missing_value_is_null_and_told_once():
    nan = float("nan")
    assert largest([1, nan, 1, nan, nan], [0.1, 0.4, -0.2, 0.5, 0.2]) == [
        ("visits__recency", None),
        ("visits__residual_last_7", None),
        ("spend__level", 1.0),
    ]


def test_no_positive_contribution_gives_no_reason():
    assert largest([1, 2, 3, 4, 5], [0, -1, -2, 0, 0]) == []


def test_another_table_is_refused_with_what_differs(spark, example, network, tmp_path):
    names = (*small_table.NAMES[:4], "visits__trend_slope")
    other = replace(example, schema=replace(small_table.SCHEMA, names=names)).write(tmp_path / "features")
    with pytest.raises(SchemaMismatch, match=r"(?s)-visits__residual_last_7.*\+visits__trend_slope.*retrain"):
        score(spark, other, network, SETTINGS, str(tmp_path / "scores"))


def test_series_of_another_step_are_refused(spark, example, network, tmp_path):
    weekly = replace(example, schema=replace(small_table.SCHEMA, step_seconds=604_800)).write(tmp_path / "features")
    with pytest.raises(SchemaMismatch, match="604,800 seconds, the model was trained on steps of 86,400"):
        score(spark, weekly, network, SETTINGS, str(tmp_path / "scores"))


def test_lost_rows_are_not_published(spark, features_url, network, monkeypatch, tmp_path):
    true = publishing.footer_rows
    monkeypatch.setattr(publishing, "footer_rows", lambda url: true(url) + (url == features_url))
    with pytest.raises(ScoringError, match="241 entities in .* 240 scored, 240 written; run the job again"):
        score(spark, features_url, network, SETTINGS, str(tmp_path / "scores"))


def test_classes_may_have_any_name(spark, tmp_path):
    schema = FeatureSchema(small_table.NAMES, ("1.0", "not `sure`, (maybe)", "high risk"), "high risk")
    small = small_table.example(60, schema)
    LogisticRegression().fit(small.reader()).save(str(tmp_path / "model"))
    features_url, url = small.write(tmp_path / "features"), str(tmp_path / "scores")
    score(spark, features_url, str(tmp_path / "model"), SETTINGS, url)
    found, expected = read(url).set_index(ENTITY).sort_index(), predicted(features_url, str(tmp_path / "model"))
    assert_frame_equal(found[["p_1.0", "p_not `sure`, (maybe)", "p_high risk"]], expected, check_exact=True)


def test_classes_that_differ_in_case_alone_are_refused(spark, tmp_path):
    small = small_table.example(60, FeatureSchema(small_table.NAMES, ("Rare", "rare"), "rare"))
    LogisticRegression().fit(small.reader()).save(str(tmp_path / "model"))
    with pytest.raises(ScoringError, match=r"\['Rare', 'rare'\] would share a column.*rename"):
        score(spark, small.write(tmp_path / "features"), str(tmp_path / "model"), SETTINGS, str(tmp_path / "scores"))


def test_executors_load_no_framework(spark, features_url, network, monkeypatch):
    # Another environment gets another worker: one that scored a scikit-learn model has what skops imports.
    monkeypatch.setitem(spark.sparkContext.environment, "SCARCE_TEST_WORKER", "fresh")
    run = partition_scores(network)

    def modules(batches):
        rows = sum(len(scores) for scores in run(batches))
        yield pd.DataFrame({"rows": [rows], "modules": [" ".join(sys.modules)]})

    parts = spark.read.parquet(*publishing.part_files(features_url))
    found = parts.coalesce(1).mapInPandas(modules, "rows long, modules string").toPandas()
    assert found["rows"].tolist() == [240]
    loaded = set(found["modules"][0].split())
    assert "training.dense_network" in loaded
    assert not loaded & {"tensorflow", "keras", "torch", "petastorm"}
