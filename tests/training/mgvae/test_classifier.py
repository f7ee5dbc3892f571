"""The dense classifier of the augmented table, and how many steps a class is fine-tuned for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.training.mgvae import mgvae_tables as tables
from training.artifact import unpack_arrays
from training.torch.augmentation import dense, gate, mlp
from training.torch.augmentation.task import Task
from training.torch.course import Place, seeded
from training.torch.mgvae import course, generator
from training.torch.second_stage import ARRAYS

FEATURES, LABELS = tables.features_and_labels(0, (200, 30, 10))


def fitted(**named):
    settings = tables.tiny(**named.pop("changes", {}))
    return dense.fit(FEATURES, LABELS, classes=3, settings=settings, seed=0, **named)


def test_weights_let_each_class_count_the_same():
    weights = dense.class_weights(LABELS, 4)
    counts = np.append(np.bincount(LABELS), 0)
    np.testing.assert_allclose(weights[:3] * counts[:3], 80, rtol=1e-5)
    assert weights[3] == 0


def test_the_classes_are_told_apart():
    found = fitted(changes={"classifier_steps": 300})
    again, truth = tables.features_and_labels(7, (50, 50, 50))
    assert (found.predict_proba(again).argmax(axis=1) == truth).mean() > 0.8


def test_another_loss_may_be_given():
    plain = fitted(loss=functional.cross_entropy)
    ambiguous = np.full((1, 4), np.nan, np.float32)
    assert plain.predict_proba(ambiguous)[0, 0] > fitted().predict_proba(ambiguous)[0, 0]


def test_a_network_begins_as_torchs_own_layers_do():
    cpu, rows = torch.device("cpu"), torch.from_numpy(np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32))
    with seeded(3, dense.NETWORK_STREAM, device=cpu):
        alone = dense.dense((5, 4, 3))
    members = dense._networks((5, 4, 3), tables.tiny(), 3, cpu)
    with torch.no_grad():
        torch.testing.assert_close(members(rows.expand(2, 7, 5))[0], alone(rows))


@pytest.mark.parametrize("members", [1, 3])
def test_files_give_the_classifier_back(members):
    found = fitted(changes={"classifier_members": members})
    assert len(found.networks) == members
    again = mlp.from_files(found.files())
    np.testing.assert_array_equal(again.predict_proba(FEATURES), found.predict_proba(FEATURES))


def test_a_classifier_of_one_network_that_was_saved_before_is_read():
    """Its arrays had no member's name."""
    found = fitted(changes={"classifier_members": 1})
    assert set(unpack_arrays(found.files()[ARRAYS])) == {"kernel0", "bias0", "kernel1", "bias1"}


def test_a_member_is_the_same_whatever_the_others_are():
    alone, first, second = (*fitted(changes={"classifier_members": 1}).networks, *fitted().networks)
    for one, same, other in zip(alone.kernels, first.kernels, second.kernels, strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-3, atol=1e-5)
        assert np.abs(one - other).max() > 0.1


def test_chances_and_log_odds_are_the_members_means():
    found = fitted()
    alone = [replace(found, networks=(network,)) for network in found.networks]
    chances = np.mean([one.predict_proba(FEATURES) for one in alone], axis=0)
    np.testing.assert_allclose(found.predict_proba(FEATURES), chances, atol=1e-6)
    odds = np.mean([one.log_odds(FEATURES, 2) for one in alone], axis=0)
    np.testing.assert_allclose(found.log_odds(FEATURES, 2), odds, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"finetune_steps": 400}, {1: 168, 2: 84}),
        ({"finetune_steps": 100}, {1: 100, 2: 84}),
        ({"finetune_steps": 100, "steps_per_row": 0}, {1: 100, 2: 100}),
        ({"finetune_steps": 0}, {1: 0, 2: 0}),
    ],
)
def test_few_rows_get_few_steps(changes, steps):
    settings = tables.tiny(pretrain_steps=5, **changes)
    trained = generator.train(tables.task(), settings=settings, seed=0, place=Place("x"))
    assert {code: looks[-1].step if looks else 0 for code, looks in trained.finetuned.items()} == steps


@pytest.mark.parametrize(("per_row", "steps"), [(1, 60), (2, 120), (9, 150), (0, 150)])
def test_a_small_majority_gets_few_steps_too(per_row, steps):
    task = tables.task()
    few = np.flatnonzero(task.labels == 0)[:60]
    few = np.sort(np.append(few, np.flatnonzero(task.labels)))
    task = task._replace(features=task.features[few], labels=task.labels[few])
    settings = tables.tiny(pretrain_steps=150, finetune_steps=1, steps_per_row=per_row)
    assert generator.pretrain(task, settings=settings, seed=0, place=Place("x")).looks[-1].step == steps


@pytest.mark.parametrize(
    ("per_row", "length", "steps"), [(1, 1.0, 240), (4, 1.0, 960), (4, 0.3, 288), (5, 1.0, 1000), (0, 0.1, 100)]
)
def test_the_classifiers_steps_go_by_real_rows_whatever_the_arm(per_row, length, steps, monkeypatch):
    asked = []
    monkeypatch.setattr(dense, "fit", lambda *_, settings, **__: asked.append(settings.classifier_steps))
    task = Task(FEATURES, LABELS, ("many", "few", "fewer"), ("a", "b", "c", "d"), 0, (1, 2))
    settings = tables.tiny(classifier_steps=1000, classifier_steps_per_row=per_row)
    for more in (1, 3):
        gate.fit_classifier(task, np.tile(FEATURES, (more, 1)), np.tile(LABELS, more), settings, seed=0, length=length)
    assert asked == [steps, steps]


def test_held_out_rows_may_choose_the_steps(monkeypatch):
    asked = []

    def best_steps(vae, lesson, held_out, settings):
        asked.append((len(lesson.rows_NW), len(held_out), lesson.steps))
        return 10

    monkeypatch.setattr(course, "best_steps", best_steps)
    settings = tables.tiny(pretrain_steps=5, held_out=0.2, finetune_steps=400)
    trained = generator.train(tables.task(), settings=settings, seed=0, place=Place("x"))
    assert asked == [(11, 3, 168), (6, 1, 84)]
    assert [looks[-1].step for looks in trained.finetuned.values()] == [10, 10]


def test_without_pre_training_the_variance_is_the_rare_classs_own():
    settings = tables.tiny(pretrain_steps=0, finetune_steps=60, steps_per_row=0)
    trained = generator.train(tables.task(), settings=settings, seed=0, place=Place("x"))
    variances = [network.variance_V.numpy() for network in trained.generator.networks.values()]
    assert trained.looks == []
    assert not np.allclose(variances[0], variances[1])
    assert (variances[0] < 1).any()
