"""What a model would change in a regular entity to make a rare one of it, asked of a small MGVAE that was trained."""

from dataclasses import asdict

import numpy as np
import pytest
from pyarrow import parquet

from inference import machine_files, table
from inference.alerts import alerts_of
from inference.labeled import LabeledRows
from inference.neighbors import nearest
from inference.remarks import Wording
from inference.report import render
from inference.settings import ScoreSettings
from inference.translations import LEAST, translations
from tests.inference import small_table
from tests.inference.conftest import saved
from tests.inference.report_example import example as report_example
from tests.inference.report_page import Page
from training import artifact as artifacts
from training.torch.mgvae.trainer import MGVAE
from training.trainer import Translates

TINY = {
    "units": (32,),
    "latent_dim": 4,
    "exemplars": 40,
    "batch_size": 32,
    "pretrain_steps": 1000,
    "rate": 3e-3,
    "finetune_steps": 200,
    "finetune_rate": 5e-3,
    "fisher_rows": 20,
    "folds": 0,
    "classifier_units": (16,),
    "classifier_steps": 400,
    "classifier_rate": 5e-3,
}


@pytest.fixture(scope="module")
def mgvae(example, tmp_path_factory):
    return artifacts.load(saved(MGVAE(**TINY).fit(example.reader()), tmp_path_factory.mktemp("mgvae")))


@pytest.fixture(scope="module")
def listed(mgvae, example, features_url):
    scores = small_table.scores(example, features_url, mgvae)
    return alerts_of(features_url, scores, mgvae, ScoreSettings(), (), Wording(86_400, 28, frozenset()))


def asked(model, labeled, features, most=5):
    entities = [f"new {number}" for number in range(len(features))]
    return translations(model, entities, features, model.contributions(features), labeled, most=most)


@pytest.fixture(scope="module")
def labeled(features_url, example):
    return LabeledRows.read(features_url, example.schema.names)


def test_the_translated_entity_is_the_nearest_labelled_regular_one(listed):
    for alert in listed:
        first = next(one for one in alert.neighbors if one.label == "regular")
        assert alert.translation.entity_id == first.entity_id
        assert alert.translation.label == "regular"


def test_moves_are_what_the_model_makes_of_that_entity(listed, mgvae, features_url):
    names = list(mgvae.schema.names)
    code = mgvae.classes.index("rare")
    assert any(alert.translation.moves for alert in listed)
    for alert in listed:
        found = alert.translation
        source = table.features(features_url, names, [found.entity_id])
        own = table.features(features_url, names, [alert.entity_id])[0]
        made = mgvae.translate(source).translated
        for move in found.moves:
            place = names.index(move.feature)
            expected = [
                None if np.isnan(row[place]) else pytest.approx(row[place], rel=1e-4)
                for row in (source[0], made[0], own)
            ]
            assert [move.before, move.after, move.own] == expected
            assert move.spreads >= LEAST
        sizes = [move.spreads for move in found.moves]
        assert sizes == sorted(sizes, reverse=True)
        assert found.score == pytest.approx(mgvae.predict(source)[0, code], rel=1e-5)
        assert found.translated_score == pytest.approx(mgvae.predict(made)[0, code], rel=1e-5)


def test_what_sets_the_rare_class_apart_moves_its_way(mgvae, labeled):
    found = asked(mgvae, labeled, labeled.features[:40])
    assert np.mean([one.translated_score > one.score for one in found]) > 0.8
    for feature in ("spend__level", "spend__recency"):  # of which rare entities have more
        risen = [move.after > move.before for one in found for move in one.moves if move.feature == feature]
        assert len(risen) > len(found) / 3
        assert np.mean(risen) > 0.8


def test_as_many_are_named_as_asked_for(mgvae, labeled):
    rows = labeled.features[labeled.is_rare][:3]
    assert [len(one.moves) <= 1 for one in asked(mgvae, labeled, rows, most=1)] == [True] * 3
    assert asked(mgvae, labeled, rows, most=0) == [None] * 3
    assert asked(mgvae, labeled, rows[:0]) == []


@pytest.mark.parametrize("kind", ["network", "logistic", "boosted"])
def test_models_that_make_no_rows_translate_none(kind, labeled, request):
    model = artifacts.load(request.getfixturevalue(kind))
    assert not isinstance(model, Translates)
    assert asked(model, labeled, labeled.features[:2]) == [None, None]


def test_no_translation_is_given_without_a_regular_entity_or_into_another_class(mgvae, labeled, example):
    rare = LabeledRows(
        labeled.names, *(part[labeled.is_rare] for part in (labeled.entities, labeled.labels, labeled.is_rare)),
        labeled.features[labeled.is_rare],
    )  # fmt: skip
    assert asked(mgvae, rare, labeled.features[:2]) == [None, None]
    assert mgvae.translated_from("regular") is None
    assert mgvae.translated_from("rare") == "regular"


def test_likeness_may_be_asked_of_some_entities_alone(labeled):
    rows, weights = labeled.features[:4], np.ones((1, len(labeled.names)), np.float32)
    some = np.arange(len(labeled.entities)) % 3 == 0
    found = nearest(["a", "b", "c", "d"], rows, weights, labeled, count=2, kinds=[some])
    assert {one.entity_id for row in found for one in row} <= {str(one) for one in labeled.entities[some]}
    assert [len(row) for row in found] == [2] * 4


def test_programs_find_it_and_people_read_it(listed, tmp_path):
    (tmp_path / "alerts.parquet").write_bytes(machine_files.alerts_file(listed))
    rows = parquet.read_table(tmp_path / "alerts.parquet").to_pylist()
    assert [row["translation"] for row in rows] == [asdict(alert)["translation"] for alert in listed]
    page = report_example(alerts=1, stories=0, days=60)
    first = next(alert for alert in listed if alert.translation.moves)
    text = Page(render(type(page)(**{**vars(page), "alerts": [first], "curves": ()}))).text
    assert "From regular to lapsed" in text
    assert "the model would change" in text
