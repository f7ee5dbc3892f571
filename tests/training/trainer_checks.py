"""What every trainer must do, whatever its method: one list of checks over a toy table."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from feature_extraction.schema import UNLABELED, FeatureSchema, SchemaMismatch
from tests.training.tiny_settings import TINY_SETTINGS
from training.artifact import load
from training.integrated_gradients import TOLERANCE, incompleteness
from training.reader import ArrayReader
from training.trainer import TRAINERS, AddsUp, Artifact, Trainer, load_class

SCHEMA = FeatureSchema(
    names=("spend__level", "spend__trend_slope", "spend__active_share", "login__level", "login__gap"),
    classes=("regular", "rare"),
    rare="rare",
)
RARE, REGULAR, HIDDEN = 30, 170, 400
# Share of rare rows among the first RARE. The autoencoder learns from no label of the rare class, and regular rows
# have heavy tails of their own; a random order would reach 0.15.
RANKED_FIRST = {"aae": 0.6, "isolation_forest": 0.35}
# Trees have no gradient: their contributions are by occlusion, which adds up to nothing.
NO_GRADIENT = {"qast", "auto"} | {
    name for name, place in TRAINERS.items() if place.startswith("training.baselines.") and "logistic" not in name
}
# These see "rare" and "not rare" alone.
TELLS_NEGATIVES_APART = set(TRAINERS) - {"aae", "isolation_forest", "xgbod", "devnet"}


def trainer(name: str, **settings: Any) -> Trainer:
    """Build a trainer with its tiny settings."""
    return load_class(TRAINERS[name])(**TINY_SETTINGS[name] | settings)


def toy_table(seed: int = 0) -> ArrayReader:
    """Heavy-tailed features of which two tell the rare rows; one row in ten lacks its last feature."""
    random = np.random.default_rng(seed)
    labels = np.repeat([1, 0, UNLABELED], [RARE, REGULAR, HIDDEN]).astype(np.int8)
    rare = labels == 1
    rare[-HIDDEN : -HIDDEN + RARE] = True  # rare ones among the unlabelled
    features = np.exp(random.normal(size=(len(labels), len(SCHEMA.names))))
    features[rare, 1] *= 20
    features[rare, 3] *= 5
    features[random.random(len(labels)) < 0.1, 4] = np.nan
    return ArrayReader(features.astype(np.float32), labels, SCHEMA)


def check_probabilities_sum_to_one(name: str, fitted: Artifact) -> None:
    probabilities = fitted.predict(toy_table(1).features)
    assert probabilities.dtype == np.float32
    assert probabilities.shape[1] == len(fitted.classes)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def check_names_the_rare_class(name: str, fitted: Artifact) -> None:
    assert fitted.rare == SCHEMA.rare
    assert fitted.rare in fitted.classes


def check_contributions_have_one_column_per_feature(name: str, fitted: Artifact) -> None:
    rows = toy_table(1).features[:50]
    shares = fitted.contributions(rows)
    assert shares.shape == rows.shape
    assert shares.dtype == np.float32
    assert np.isfinite(shares).all()


def check_contributions_of_every_row_add_up(name: str, fitted: Artifact) -> None:
    assert isinstance(fitted, AddsUp) == (name not in NO_GRADIENT)
    if isinstance(fitted, AddsUp):
        rows = toy_table(1).features
        totals = fitted.contribution_totals(rows)
        assert incompleteness(fitted.contributions(rows), totals).max() <= TOLERANCE * 1.001  # float32 rounds
        if name in {"aae", "logistic_regression"}:  # whose score is a function of the log-odds that are shared out
            score = fitted.predict(rows)[:, fitted.classes.index(fitted.rare)].astype(np.float64)
            steady = (score > 0.001) & (score < 0.999)
            apart = np.diff(totals[steady]) - np.diff(np.log(score / (1 - score))[steady])
            assert np.abs(apart).max() < 0.01


def check_telling_features_contribute_most(name: str, fitted: Artifact) -> None:
    shares = fitted.contributions(toy_table(1).features[:RARE]).mean(axis=0)
    assert set(np.argsort(-shares)[:2]) == {1, 3}


def check_no_rows_give_no_scores(name: str, fitted: Artifact) -> None:
    nothing = np.empty((0, len(SCHEMA.names)), dtype=np.float32)
    assert fitted.predict(nothing).shape == (0, len(fitted.classes))
    assert fitted.contributions(nothing).shape == nothing.shape


def check_rare_rows_rank_first(name: str, fitted: Artifact) -> None:
    reader = toy_table(1)  # fresh rows: the first ones are rare
    score = fitted.predict(reader.features)[:, fitted.classes.index(fitted.rare)]
    known = reader.labels != UNLABELED
    best = np.argsort(-score[known])[:RARE]
    assert (reader.labels[known][best] == 1).mean() > RANKED_FIRST.get(name, 0.8)


def check_missing_values_are_accepted(name: str, fitted: Artifact) -> None:
    rows = np.full((2, len(SCHEMA.names)), np.nan, dtype=np.float32)
    assert np.isfinite(fitted.predict(rows)).all()
    assert np.isfinite(fitted.contributions(rows)).all()


def check_scores_do_not_depend_on_the_other_rows(name: str, fitted: Artifact) -> None:
    rows = toy_table(1).features[:20]
    alone = np.concatenate([fitted.predict(row[None]) for row in rows])
    np.testing.assert_allclose(alone, fitted.predict(rows), rtol=1e-5, atol=1e-7)


def check_wrong_width_is_refused(name: str, fitted: Artifact) -> None:
    narrow = toy_table(1).features[:, :-1]
    with pytest.raises(SchemaMismatch, match="5 features"):
        fitted.predict(narrow)
    with pytest.raises(SchemaMismatch, match="5 features"):
        fitted.contributions(narrow)


def check_wrong_names_are_refused(name: str, fitted: Artifact) -> None:
    with pytest.raises(SchemaMismatch, match="-login__gap"):
        fitted.schema.check((*SCHEMA.names[:-1], "login__pause"), "the table")


def check_same_seed_gives_same_scores(name: str, fitted: Artifact) -> None:
    again = trainer(name).fit(toy_table())
    rows = toy_table(1).features
    np.testing.assert_array_equal(again.predict(rows), fitted.predict(rows))


def check_save_and_load_give_equal_scores(name: str, fitted: Artifact, folder: Path) -> None:
    fitted.save(str(folder / name))
    loaded = load(str(folder / name))
    rows = toy_table(1).features
    np.testing.assert_array_equal(loaded.predict(rows), fitted.predict(rows))
    np.testing.assert_array_equal(loaded.contributions(rows[:20]), fitted.contributions(rows[:20]))
    assert (loaded.classes, loaded.rare, loaded.schema) == (fitted.classes, fitted.rare, fitted.schema)


def check_manifest_tells_the_run(name: str, fitted: Any) -> None:
    manifest = fitted.manifest
    assert manifest.trainer == name
    assert manifest.schema == SCHEMA
    assert manifest.rows["rare"] == RARE
    assert manifest.metrics["average_precision"]["value"] > 0.5
    assert manifest.metrics["average_precision"]["low"] <= manifest.metrics["average_precision"]["value"]
    assert manifest.versions["numpy"] == np.__version__
    assert load_class(TRAINERS[name])(**manifest.settings).seed == manifest.seed


def check_held_out_rows_are_those_that_were_measured(name: str, fitted: Any) -> None:
    known, metrics = fitted.manifest.held_out, fitted.manifest.metrics
    assert (len(known.scores), sum(known.is_rare)) == (metrics["rows"], metrics["rare_rows"])
    value = average_precision_score(known.is_rare, known.scores)
    assert value == pytest.approx(metrics["average_precision"]["value"])
    rows = toy_table()  # the artifact's own scores of the same rows lie on the same scale
    own = fitted.predict(rows.features)[rows.labels != UNLABELED, fitted.classes.index(fitted.rare)]
    assert np.median(known.scores) == pytest.approx(np.median(own), abs=0.2)


def check_no_rare_label_is_refused(name: str) -> None:
    reader = toy_table()
    labels = np.where(reader.labels == 1, UNLABELED, reader.labels).astype(np.int8)
    with pytest.raises(ValueError, match="no labelled row is of the rare class 'rare'"):
        trainer(name).fit(ArrayReader(reader.features, labels, SCHEMA))


def check_one_class_is_refused(name: str) -> None:
    reader = toy_table()
    labels = np.where(reader.labels == 0, UNLABELED, reader.labels).astype(np.int8)
    with pytest.raises(ValueError, match="all 30 labelled rows are of the rare class"):
        trainer(name).fit(ArrayReader(reader.features, labels, SCHEMA))


def check_single_rare_row_is_refused(name: str) -> None:
    reader = toy_table()
    labels = reader.labels.copy()
    labels[1:RARE] = UNLABELED
    with pytest.raises(ValueError, match="class 'rare' has 1 labelled rows; at least 2"):
        trainer(name).fit(ArrayReader(reader.features, labels, SCHEMA))


def check_rare_class_may_stand_first(name: str) -> None:
    reader = toy_table()
    labels = np.where(reader.labels == UNLABELED, UNLABELED, 1 - reader.labels).astype(np.int8)
    turned = replace(SCHEMA, classes=("rare", "regular"))
    fitted = trainer(name).fit(ArrayReader(reader.features, labels, turned))
    check_rare_rows_rank_first(name, fitted)
    check_telling_features_contribute_most(name, fitted)


def check_three_classes_are_learned(name: str) -> None:
    reader = toy_table()
    labels = reader.labels.copy()
    labels[RARE + 20 : RARE + 90] = 2
    features = reader.features.copy()
    features[labels == 2, 0] *= 20
    schema = replace(SCHEMA, classes=("regular", "rare", "heavy"))
    fitted = trainer(name).fit(ArrayReader(features, labels, schema))
    if name not in TELLS_NEGATIVES_APART:
        assert fitted.classes == ("not rare", "rare")
        return
    assert fitted.classes[:3] == schema.classes
    verdict = fitted.predict(features).argmax(axis=1)
    for code in range(3):
        assert (verdict[labels == code] == code).mean() > 0.5
    check_telling_features_contribute_most(name, fitted)


FITTED_CHECKS: tuple[Callable[[str, Any], None], ...] = (
    check_probabilities_sum_to_one,
    check_names_the_rare_class,
    check_contributions_have_one_column_per_feature,
    check_contributions_of_every_row_add_up,
    check_telling_features_contribute_most,
    check_no_rows_give_no_scores,
    check_rare_rows_rank_first,
    check_missing_values_are_accepted,
    check_scores_do_not_depend_on_the_other_rows,
    check_wrong_width_is_refused,
    check_wrong_names_are_refused,
    check_same_seed_gives_same_scores,
    check_manifest_tells_the_run,
    check_held_out_rows_are_those_that_were_measured,
)
TRAINER_CHECKS: tuple[Callable[[str], None], ...] = (
    check_no_rare_label_is_refused,
    check_one_class_is_refused,
    check_single_rare_row_is_refused,
    check_rare_class_may_stand_first,
    check_three_classes_are_learned,
)
