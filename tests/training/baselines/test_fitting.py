"""A baseline's setting is chosen on held-out rows, and its manifest says what was tried."""

import numpy as np
import pytest

from feature_extraction.schema import UNLABELED, FeatureSchema
from tests.training.trainer_checks import SCHEMA, toy_table
from training.baselines import boosting
from training.baselines.boosting import GradientBoosting, PlainGradientBoosting
from training.baselines.fitting import Way, fitted, unlabeled_rows
from training.baselines.linear import LogisticRegression
from training.reader import ArrayReader
from training.trainer import Batch

TINY = {"trees": 5, "bins": 16}


def test_the_setting_with_the_best_held_out_rows_is_taken():
    made = LogisticRegression(C=(1e-6, 0.1)).fit(toy_table()).manifest
    alone = {strength: LogisticRegression(C=(strength,)).fit(toy_table()).manifest for strength in (1e-6, 0.1)}
    values = {strength: found.metrics["average_precision"]["value"] for strength, found in alone.items()}
    best = max(values, key=values.__getitem__)
    assert made.settings["C"] == (best,)
    assert made.held_out == alone[best].held_out
    assert made.history["tried"] == "; ".join(f"C {strength:g}: {value:.4f}" for strength, value in values.items())
    assert alone[best].history == {}


def test_every_combination_is_tried_once_a_fold_and_the_best_learns_from_all_rows(monkeypatch):
    seen, learn = [], boosting.learn

    def noting(settings, manifest, rows):
        seen.append((settings.leaves, settings.rows_per_leaf, len(rows.labels)))
        return learn(settings, manifest, rows)

    settings = GradientBoosting(leaves=(2, 4), **TINY)
    made = fitted(Way("gradient_boosting", ("leaves",)), settings, toy_table(), noting)
    assert [(leaves, rows) for leaves, _, rows in seen] == [((2,), 160)] * 5 + [((4,), 160)] * 5 + [
        (made.manifest.settings["leaves"], 200)
    ]


def test_plain_boosting_gives_the_share_of_rare_rows_and_balanced_boosting_one_half():
    rows = toy_table().labeled()
    plain = PlainGradientBoosting(leaves=(2,), **TINY).fit(toy_table()).predict(rows.features)
    balanced = GradientBoosting(leaves=(2,), **TINY).fit(toy_table()).predict(rows.features)
    assert plain[:, 1].mean() == pytest.approx((rows.labels == 1).mean(), abs=0.02)
    weights = np.where(rows.labels == 1, 1 / (rows.labels == 1).sum(), 1 / (rows.labels == 0).sum())
    assert np.average(balanced[:, 1], weights=weights) == pytest.approx(0.5, abs=0.02)


def test_unlabeled_rows_are_all_there_are_or_a_draw():
    reader = toy_table()
    hidden = reader.features[reader.labels == UNLABELED]
    every = unlabeled_rows(reader, 10_000, seed=0)
    assert sorted(every[:, 0].tolist()) == sorted(hidden[:, 0].tolist())
    some = unlabeled_rows(reader, 30, seed=0)
    assert len(some) == 30
    assert set(some[:, 0].tolist()) <= set(hidden[:, 0].tolist())
    rows = reader.labeled()
    assert unlabeled_rows(ArrayReader(rows.features, rows.labels, SCHEMA), 30, seed=0).shape == (0, 5)


def test_a_table_is_read_no_further_than_for_as_many_rows_as_are_wanted(monkeypatch):
    reader, read = toy_table(), []
    every = [Batch(reader.features[at : at + 1], reader.labels[at : at + 1]) for at in range(len(reader.labels))]
    monkeypatch.setattr(ArrayReader, "scan", lambda self: (read.append(batch.labels[0]) or batch for batch in every))
    assert len(unlabeled_rows(reader, 30, seed=0)) == 30
    assert read.count(UNLABELED) == 30
    assert len(read) < len(every)


def test_boosting_grows_the_trees_of_all_features_on_those_that_tell_rows_apart():
    rows = toy_table().labeled()
    twice = np.hstack([rows.features, np.ones_like(rows.features), rows.features])
    schema = FeatureSchema(tuple(f"x{number}" for number in range(15)), SCHEMA.classes, SCHEMA.rare)
    made = GradientBoosting(leaves=(8,)).fit(ArrayReader(twice, rows.labels, schema))
    assert made.present == (0, 1, 2, 3, 4)
    of_all = boosting.model_of(GradientBoosting(leaves=(8,))).fit(twice, rows.labels)
    np.testing.assert_array_equal(made.predict(twice), of_all.predict_proba(twice).astype(np.float32))
