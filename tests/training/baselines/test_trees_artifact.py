"""Forests kept as arrays give what the libraries give that grew them."""

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from tests.training.trainer_checks import SCHEMA, toy_table
from training.baselines.forests import ExtraTrees, RandomForest
from training.baselines.isolation import IsolationForest
from training.reader import ArrayReader


def holed(seed=1):
    """Return rows in which any feature may be missing, also one that never was in training."""
    rows = toy_table(seed).features.copy()
    rows[np.random.default_rng(seed).random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.mark.parametrize(
    ("trainer", "kind"), [(ExtraTrees, ExtraTreesClassifier), (RandomForest, RandomForestClassifier)]
)
def test_probabilities_are_those_of_scikit_learn_missing_values_too(trainer, kind):
    rows = toy_table().labeled()
    own = kind(20, min_samples_leaf=2, class_weight="balanced", random_state=3).fit(rows.features, rows.labels)
    made = trainer(trees=20, rows_per_leaf=(2,), seed=3).fit(toy_table())
    np.testing.assert_allclose(made.predict(holed()), own.predict_proba(holed()), atol=1e-6)


@pytest.mark.parametrize("trainer", [ExtraTrees(trees=10), RandomForest(trees=10), IsolationForest(trees=10)])
def test_a_feature_that_is_missing_throughout_is_not_asked_about(trainer):
    reader = toy_table()
    reader.features[:, 2] = np.nan
    made = trainer.fit(ArrayReader(reader.features, reader.labels, SCHEMA))
    rows = toy_table(1).features
    changed = rows.copy()
    changed[:, 2] = 1e6
    np.testing.assert_array_equal(made.predict(rows), made.predict(changed))
    assert not made.contributions(rows[:5])[:, 2].any()


def test_isolation_forest_orders_rows_as_scikit_learn_does():
    reader = toy_table()
    labeled = reader.labels >= 0
    made = IsolationForest(trees=30, rows_per_tree=64, seed=2).fit(reader)
    order = np.concatenate([np.flatnonzero(labeled), np.flatnonzero(~labeled)])
    # The unlabelled rows come in the reader's draw.
    hidden = next(reader.unlabeled(int((~labeled).sum()), seed=2))
    own = ensemble.IsolationForest(n_estimators=30, max_samples=64, random_state=2)
    own.fit(np.concatenate([reader.features[order[: labeled.sum()]], hidden]))
    score = made.predict(holed())[:, 1].astype(np.float64)
    rank = np.argsort(np.argsort(-own.score_samples(holed())))
    assert np.corrcoef(rank, np.argsort(np.argsort(score)))[0, 1] > 0.9999


def test_isolation_forest_learns_from_no_label_but_the_threshold():
    reader = toy_table()
    known = reader.labels >= 0
    turned = np.where(known, 1 - reader.labels, reader.labels).astype(np.int8)
    one, other = (
        IsolationForest(trees=10).fit(ArrayReader(reader.features, labels, SCHEMA)).predict(reader.features)[:, 1]
        for labels in (reader.labels, turned)
    )
    np.testing.assert_array_equal(np.argsort(one, kind="stable"), np.argsort(other, kind="stable"))
    assert (one[reader.labels == 0] > 0.5).mean() == pytest.approx(0.05, abs=0.01)


def test_xgboost_is_kept_without_a_model_file_of_its_own():
    xgboost = pytest.importorskip("xgboost", reason="the xgboost extra is not installed")
    from training.baselines.xgboost_trees import XGBoost, trees_of

    rows, random = toy_table().labeled(), np.random.default_rng(0)
    for classes in (2, 3):
        labels = rows.labels.astype(np.int64) + (random.random(len(rows.labels)) < 0.3) * (classes - 2)
        model = xgboost.XGBClassifier(n_estimators=12, max_depth=3).fit(rows.features, labels)
        found = trees_of(model.get_booster(), classes)
        np.testing.assert_allclose(found.predict_proba(holed()), model.predict_proba(holed()), atol=1e-5)
    assert XGBoost(trees=3, depth=(2,)).fit(toy_table()).manifest.versions["xgboost"] == xgboost.__version__
