"""Each player's step moves its own weights, batches hold the classes in equal shares, and a killed course goes on."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.imsic import imsic_tables as imsic
from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import codec
from training.torch.course import Place, seeded
from training.torch.imsic import course, generator, losses
from training.torch.imsic.course import Lesson, Players
from training.torch.imsic.structure import Structure
from training.trainer import TrainingDiverged

CPU = torch.device("cpu")
FEATURES, LABELS = tables.features_and_labels()


def prepared(structure_weight=1.0, **changes):
    settings = imsic.tiny(**changes)
    found = codec.fit(FEATURES, settings=settings, names=tables.NAMES)
    networks = generator.untrained(found, imsic.GRAPH, tables.NAMES, classes=3, settings=settings)
    players = Players.of(*networks, settings)
    graph = Structure.of(imsic.GRAPH, CPU)
    lesson = Lesson.of(found.encode(FEATURES), LABELS, graph, structure_weight, seed=(0,))
    return players, lesson, settings


def weights(network):
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def moved(before, network):
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def test_batches_hold_classes_in_equal_shares_and_their_own_rows():
    _, lesson, settings = prepared()
    with seeded(1, device=CPU):
        rows, labels = course.draw_rows(lesson, 30)
        causes = course.draw_causes(lesson, settings)
    assert torch.bincount(labels).tolist() == [10, 10, 10]
    assert torch.bincount(causes.labels_B).tolist() == [10, 10, 10]
    encoded = codec.fit(FEATURES, settings=settings, names=tables.NAMES).encode(FEATURES)
    for row, label in zip(rows.numpy(), labels.tolist(), strict=True):
        assert (encoded[label == LABELS] == row).all(axis=1).any()
    assert causes.codes_BK.abs().max() <= 1


def test_every_row_of_a_class_is_drawn():
    _, lesson, _ = prepared()
    with seeded(2, device=CPU):
        rows, labels = course.draw_rows(lesson, 3000)
    assert len(np.unique(rows[labels == 2].numpy(), axis=0)) == (LABELS == 2).sum()


def test_each_step_moves_its_own_weights():
    players, lesson, settings = prepared()
    before = weights(players.generator), weights(players.discriminator)
    course._discriminator_step(players, lesson, 0.5, settings)
    assert not any("factors" in name for name in moved(before[1], players.discriminator))
    assert {"validity.weight", "classes.weight"} <= moved(before[1], players.discriminator)
    assert all("running" in name or "num_batches" in name for name in moved(before[0], players.generator))
    between = weights(players.discriminator)
    course._generator_step(players, lesson, 0.5, settings)
    trained = {name for name in moved(between, players.discriminator) if not name.endswith(("left_H", "right_C"))}
    assert trained == {"factors.weight", "factors.bias"}
    assert {name for name, _ in players.generator.named_parameters()} <= moved(before[0], players.generator)


@pytest.mark.parametrize(("weight", "moves"), [(1.0, True), (0.0, False)])
def test_the_code_head_has_learned_after_100_steps_if_it_is_asked_to(weight, moves):
    players, lesson, settings = prepared(weight, steps=100)
    before = players.discriminator.factors.weight.detach().clone()
    course.follow(players, lesson, settings, Place("x"))
    assert bool((players.discriminator.factors.weight - before).abs().max() > 1e-3) == moves


def test_the_mean_of_the_generators_weights_follows_it():
    players, lesson, settings = prepared()
    first = copy.deepcopy(players.average)
    course.follow(players, lesson, settings, Place("x"))
    own, mean, before = (network.body[0].weight.detach() for network in (players.generator, players.average, first))
    assert 0 < (mean - before).norm() < (own - before).norm()
    assert (mean - own).norm() < (before - own).norm()


def test_without_a_mean_the_last_weights_are_taken():
    players, lesson, settings = prepared(average=0.0)
    course.follow(players, lesson, settings, Place("x"))
    for name, tensor in players.generator.state_dict().items():
        np.testing.assert_array_equal(players.average.state_dict()[name], tensor)


def test_the_temperature_falls_from_the_first_to_the_last():
    settings = imsic.tiny()
    found = [course.temperature_of(number, settings) for number in range(settings.steps)]
    assert found[0] == pytest.approx(0.66)
    assert found[-1] == pytest.approx(0.2)
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize(("per_row", "steps"), [(1, 40), (2, 80)])
def test_few_rows_get_few_steps(per_row, steps):
    few = np.arange(40)
    task = tables.task()
    task = task._replace(features=task.features[few], labels=task.labels[few])
    settings = imsic.tiny(steps=5000, steps_per_row=per_row)
    trained = generator.train(
        task, graph=imsic.GRAPH, structure_weight=1.0, settings=settings, seed=0, place=Place("x")
    )
    assert trained.looks[-1].step == steps


def test_a_killed_course_goes_on_bit_for_bit(tmp_path, monkeypatch):
    whole, lesson, settings = prepared()
    looks = course.follow(whole, lesson, settings, Place("x"))
    place, steps = Place("x", str(tmp_path), "me"), []
    real = course.step

    def step(players, lesson, number, settings):
        steps.append(number)
        if number == 45 and steps.count(45) == 1:
            raise KeyboardInterrupt
        return real(players, lesson, number, settings)

    monkeypatch.setattr(course, "step", step)
    with pytest.raises(KeyboardInterrupt):
        course.follow(prepared()[0], lesson, settings, place)
    again = prepared()[0]
    assert course.follow(again, lesson, settings, place) == looks
    assert steps == [*range(46), *range(40, 60)]
    for one, other in zip(whole.learners.networks.values(), again.learners.networks.values(), strict=True):
        for name, tensor in one.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[name], tensor)


def test_a_loss_that_is_no_number_is_told():
    players, lesson, settings = prepared()
    nn.init.constant_(players.discriminator.validity.weight, float("nan"))
    with pytest.raises(TrainingDiverged, match="lower the learning rates"):
        course.follow(players, lesson, settings, Place("x"))


@pytest.mark.parametrize(
    ("kind", "of_discriminator", "of_generator"),
    [
        ("hinge", (0.5 + 0) / 2 + (1.0 + 1.5) / 2, -(0.0 + 0.5) / 2),
        ("least_squares", ((0.25 + 1.0) / 2 + (0.0 + 0.25) / 2) / 2, (1.0 + 0.25) / 2),
    ],
)
def test_adversarial_losses(kind, of_discriminator, of_generator):
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([0.0, 0.5])
    assert losses.discriminator_loss(real, fake, kind) == pytest.approx(of_discriminator)
    assert losses.generator_loss(fake, kind) == pytest.approx(of_generator)
