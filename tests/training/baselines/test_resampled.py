"""Boosting on rows that SMOTE made, and on rows that it labelled itself."""

from dataclasses import replace

import numpy as np
import pytest

from feature_extraction.schema import UNLABELED
from tests.training.trainer_checks import RARE, REGULAR, SCHEMA, toy_table
from training.baselines import smote
from training.baselines.self_training import SelfTraining
from training.baselines.smote import SmoteBoosting
from training.reader import ArrayReader

TINY = {"trees": 5, "bins": 16, "leaves": (4,)}


def test_smote_fills_up_to_a_share_of_the_largest_class_and_starts_from_training_rows_alone(monkeypatch):
    asked, real = [], smote.oversample

    def noting(features, labels, targets, **settings):
        asked.append((len(labels), targets))
        return real(features, labels, targets, **settings)

    monkeypatch.setattr(smote, "oversample", noting)
    SmoteBoosting(shares=(0.5,), **TINY).fit(toy_table())
    assert asked == [(160, {1: REGULAR * 4 // 10})] * 5 + [(200, {1: REGULAR // 2})]


def test_smote_serves_a_class_of_two_rows_and_three_classes():
    reader = toy_table()
    labels = reader.labels.copy()
    labels[2:RARE] = UNLABELED
    labels[RARE : RARE + 8] = 2
    schema = replace(SCHEMA, classes=("regular", "rare", "heavy"))
    made = SmoteBoosting(shares=(1.0,), **TINY).fit(ArrayReader(reader.features, labels, schema))
    assert made.predict(reader.features).shape == (600, 3)


def test_self_training_takes_in_rows_it_is_sure_of_and_says_how_many():
    made = SelfTraining(confidences=(0.6,), trees=20, leaves=(4,)).fit(toy_table())
    assert made.manifest.rows["unlabeled"] == 400
    assert 0 < made.manifest.history["taken in"] <= 400
    unsure = SelfTraining(confidences=(0.999999,), trees=20, leaves=(4,)).fit(toy_table())
    assert unsure.manifest.history["taken in"] == 0
    rows = toy_table(1).features
    assert np.abs(made.predict(rows) - unsure.predict(rows)).max() > 0.01


def test_self_training_without_unlabeled_rows_is_boosting():
    rows = toy_table().labeled()
    made = SelfTraining(**TINY).fit(ArrayReader(rows.features, rows.labels, SCHEMA))
    assert "taken in" not in made.manifest.history
    assert made.manifest.metrics["average_precision"]["value"] > 0.5


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_beyond_its_range_is_refused(share):
    with pytest.raises(ValueError, match="shares"):
        SmoteBoosting(shares=(share,))
