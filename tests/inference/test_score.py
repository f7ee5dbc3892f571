"""Scoring on Spark: the table's contract, the same numbers however the rows lie, ranks, alerts and reasons."""

import math
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import threadpoolctl
from pandas.testing import assert_frame_equal
from pyarrow import parquet

from feature_extraction import publishing
from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema, SchemaMismatch
from inference import ranking, scored_rows
from inference.score import ScoringError, choose_alerts, partition_scores, score
from inference.settings import ScoreSettings
from tests.inference import small_table
from training import artifact as artifacts
from training import calibrating
from training.baselines import LogisticRegression

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
    assert score(local_spark, features_url, network, SETTINGS, url).rows == 240
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
        ("probability", "float"),
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


def test_probabilities_are_calibrated_on_held_out_rows_and_rise_with_the_score(spark, features_url, boosted, tmp_path):
    settings = ScoreSettings(alerts=200, threshold="recall", target=0.5, population_share=0.1, review="all")
    done = score(spark, features_url, boosted, settings, str(tmp_path / "scores"))
    found, known = read(str(tmp_path / "scores")), artifacts.load(boosted).manifest.held_out
    expected = calibrating.fit(known).of_population(0.1).probability(found["score"]).astype(np.float32)
    assert (found["probability"] == expected).all()
    assert (found["probability"].diff().dropna() <= 0).all()
    assert 0 < found["probability"].min() < found["probability"].max() < 1
    assert (done.calibration["method"], done.calibration["rows"]) == ("platt", 80)
    assert done.calibration["population_share_from"] == "settings"
    listed = found.loc[found["alert"], "score"]
    assert listed.min() == done.listed["lowest_score"] >= done.listed["line"]
    assert (found["score"] >= done.listed["line"]).sum() == len(listed) == done.listed["alerts"] < 200
    assert done.listed["ended_by"] == "line"
    assert done.listed["expected_recall"] <= 0.75


def test_the_network_answers_with_every_class_and_unknown(scored):
    assert set(scored["verdict"]) == set(CLASSES)


@pytest.mark.parametrize(("files", "rows_at_once"), [(1, 10_000), (3, 1), (7, 5)])
def test_scores_do_not_depend_on_how_the_rows_lie(spark, example, scored, network, tmp_path, files, rows_at_once):
    order = np.random.default_rng(files).permutation(len(example.ids))
    features_url = example.write(tmp_path / "features", files, order.tolist())
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows_at_once))
    spark.conf.set("spark.sql.shuffle.partitions", str(files))
    score(spark, features_url, network, SETTINGS, str(tmp_path / "scores"))
    assert_frame_equal(comparable(read(str(tmp_path / "scores"))), comparable(scored), check_exact=True)


def test_rank_orders_by_score_then_entity(scored):
    expected = scored.sort_values(["score", ENTITY], ascending=[False, True])
    assert scored["rank"].tolist() == list(range(1, 241))
    assert expected["rank"].tolist() == scored["rank"].tolist()


@pytest.mark.parametrize("distinct", [1, 500], ids=["all tied", "nearly all differ"])
def test_rank_is_exact_across_bins_and_ties(spark, example, monkeypatch, tmp_path, distinct):
    monkeypatch.setattr(ranking, "ROWS_PER_BIN", 50)
    features_url = tied(example, distinct).write(tmp_path / "features")
    LogisticRegression().fit(tied(example, distinct).reader()).save(str(tmp_path / "model"))
    score(spark, features_url, str(tmp_path / "model"), SETTINGS, str(tmp_path / "scores"))
    found = read(str(tmp_path / "scores"))
    expected = found.sort_values(["score", ENTITY], ascending=[False, True])
    assert found["score"].nunique() <= distinct
    assert found["rank"].tolist() == list(range(1, 241))
    assert expected["rank"].tolist() == found["rank"].tolist()
    assert (len(publishing.part_files(str(tmp_path / "scores"))) > 1) == (distinct == 500)


def tied(example, distinct):
    """The table with so many different rows."""
    return replace(example, features=example.features[np.arange(len(example.ids)) % distinct])


def test_files_are_the_ranking_in_order(spark, features_url, network, scored, monkeypatch, tmp_path):
    monkeypatch.setattr(ranking, "ROWS_PER_BIN", 50)
    score(spark, features_url, network, SETTINGS, str(tmp_path / "scores"))
    files = publishing.part_files(str(tmp_path / "scores"))
    assert len(files) == 5
    in_order = pd.concat(map(pd.read_parquet, files), ignore_index=True)
    assert_frame_equal(comparable(in_order), comparable(scored), check_exact=True)


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
    chosen = choose_alerts(frame, ScoreSettings(alerts=alerts, review=review), -math.inf)
    assert list(chosen) == [row[0] for row in rows if review == "all" or row[1] == UNLABELED][:alerts]
    assert len(chosen) == expected


def test_a_tie_at_the_budget_goes_by_entity_and_a_line_goes_before(spark):
    frame = spark.createDataFrame(
        [("b", -1, 0.5), ("a", -1, 0.5), ("c", -1, 0.9)], f"{ENTITY} string, label int, score double"
    )
    assert choose_alerts(frame, ScoreSettings(alerts=2), 0.5) == {"c": 0.9, "a": 0.5}
    assert choose_alerts(frame, ScoreSettings(alerts=2), 0.51) == {"c": 0.9}
    assert choose_alerts(frame, ScoreSettings(alerts=2), math.inf) == {}


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


def test_another_table_is_refused_with_what_differs(spark, example, network, tmp_path):
    names = (*small_table.NAMES[:4], "visits__trend_slope")
    other = replace(example, schema=replace(small_table.SCHEMA, names=names)).write(tmp_path / "features")
    with pytest.raises(SchemaMismatch, match=r"(?s)-visits__residual_last_7.*\+visits__trend_slope.*retrain"):
        score(spark, other, network, SETTINGS, str(tmp_path / "scores"))


def test_series_of_another_step_are_refused(spark, example, network, tmp_path):
    weekly = replace(example, schema=replace(small_table.SCHEMA, step_seconds=604_800)).write(tmp_path / "features")
    with pytest.raises(SchemaMismatch, match="604,800 seconds, the model was trained on steps of 86,400"):
        score(spark, weekly, network, SETTINGS, str(tmp_path / "scores"))


def test_a_table_without_rows_is_refused(spark, example, network, tmp_path):
    url = example.write(tmp_path / "features", files=1)
    for part in publishing.part_files(url):
        parquet.write_table(parquet.read_table(part).slice(0, 0), part)
    with pytest.raises(ScoringError, match=r"holds no entity to score; re-run jobs/extract_features"):
        score(spark, url, network, SETTINGS, str(tmp_path / "scores"))


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


def test_workers_load_no_framework_and_use_one_thread(spark, features_url, network, monkeypatch):
    # Another environment gets another worker: one that scored a scikit-learn model has what skops imports.
    monkeypatch.setitem(spark.sparkContext.environment, "SCARCE_TEST_WORKER", "fresh")
    monkeypatch.setitem(spark.sparkContext.environment, "OMP_NUM_THREADS", "2")
    run = partition_scores(scored_rows.parts(features_url, small_table.SCHEMA), network)

    def looked(batches):
        rows = sum(len(scores) for scores in run(batches))
        threads = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
        yield pa.RecordBatch.from_pylist([{"rows": rows, "modules": " ".join(sys.modules), "threads": threads}])

    found = spark.range(0, 3, 1, 1).mapInArrow(looked, "rows long, modules string, threads array<bigint>").toPandas()
    assert found["rows"].tolist() == [240]
    loaded = set(found["modules"][0].split())
    assert "training.dense_network" in loaded
    assert not loaded & {"tensorflow", "keras", "torch", "petastorm", "sklearn"}
    assert set(found["threads"][0]) == {1}


def test_one_process_loads_a_model_once(network, monkeypatch):
    monkeypatch.setattr(scored_rows.artifacts, "load", lambda url: object())
    assert scored_rows.loaded(f"{network}#once") is scored_rows.loaded(f"{network}#once")
    scored_rows.loaded.cache_clear()
