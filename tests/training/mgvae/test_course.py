"""Steps of pre-training and fine-tuning: what they draw, what they change, and how they go on after a kill."""

import copy
import logging

import numpy as np
import pytest
import torch

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import codec
from training.torch.course import Place, history, seeded
from training.torch.mgvae import course, objective
from training.torch.mgvae.course import Lesson
from training.torch.mgvae.networks import MajorityGuidedVAE
from training.torch.mgvae.objective import Anchor
from training.trainer import TrainingDiverged

FEATURES, LABELS = tables.features_and_labels()
CODEC = codec.fit(FEATURES, settings=tables.tiny(), names=tables.NAMES)
ROWS = torch.from_numpy(CODEC.encode(FEATURES))
MANY, FEW = ROWS[:60], ROWS[60:74]
PLACE = Place("test")


def network(**changes):
    with seeded(0, device=torch.device("cpu")):
        return MajorityGuidedVAE(CODEC.layout, tables.tiny(**changes))


def lesson(steps=60, **changes):
    return Lesson(MANY, MANY, steps, 1e-3, (0, 1), **changes)


def anchor(vae, weight=1.0):
    weights = [one.detach().clone() for one in vae.parameters()]
    return Anchor(weights, [torch.full_like(one, weight) for one in weights])


def assert_same(one, other):
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_pre_training_lowers_the_bound_and_the_variance():
    vae = network()
    looks = course.follow(vae, lesson(300), tables.tiny(), PLACE)
    assert [look.step for look in looks] == list(range(20, 301, 20))
    assert looks[-1].reconstruction + looks[-1].kl < looks[0].reconstruction - 1
    assert (vae.variance_V < 1).all()


def test_a_batch_follows_from_seed_and_step():
    settings = tables.tiny()
    one, same = course.draw(lesson(), 5, settings), course.draw(lesson(), 5, settings)
    assert all(torch.equal(part, other) for part, other in zip(one, same, strict=True))
    assert not torch.equal(one.rows_BW, course.draw(lesson(), 6, settings).rows_BW)
    assert len(one.rows_BW) == 24
    assert len(one.exemplars_SW) == 40


def test_pre_training_leaves_a_rows_own_component_out():
    settings = tables.tiny(exemplars=60)
    drawn = course.draw(lesson(), 0, settings)
    assert (drawn.excluded_BS.sum(dim=1) == 1).all()
    for row, own in zip(drawn.rows_BW, drawn.excluded_BS, strict=True):
        assert torch.equal(drawn.exemplars_SW[own][0], row)
    assert course.draw(lesson(), 0, tables.tiny(exemplar_draw="published")).excluded_BS is None
    assert course.draw(lesson(anchor=Anchor([], [])), 0, settings).excluded_BS is None


def test_fine_tuning_leaves_the_decoders_variance_alone():
    vae = network()
    held = anchor(vae)
    vae.variance_V.fill_(0.25)
    course.follow(vae, Lesson(FEW, MANY, 20, 1e-3, (0, 3, 1), held), tables.tiny(), PLACE)
    assert (vae.variance_V == 0.25).all()


def test_the_heavier_the_penalty_the_nearer_stay_the_weights():
    def drift(weight):
        vae = network()
        held = anchor(vae)
        settings = tables.tiny(ewc_weight=weight)
        looks = course.follow(vae, Lesson(FEW, MANY, 40, 1e-2, (0, 3, 1), held), settings, PLACE)
        moved = zip(vae.parameters(), held.weights, strict=True)
        return sum((now - then).detach().square().sum().item() for now, then in moved), looks[-1].penalty

    free, light, heavy = drift(0), drift(1.0), drift(100.0)
    assert free[1] == 0
    assert free[0] > light[0] > heavy[0] > 0


def test_the_number_of_steps_is_chosen_on_held_out_rows_and_the_network_stays_as_it_was():
    vae = network()
    before = copy.deepcopy(vae)
    own = Lesson(FEW[:10], MANY, 60, 1e-2, (0, 3, 1), anchor(vae))
    steps = course.best_steps(vae, own, FEW[10:], tables.tiny(ewc_weight=0))
    assert_same(vae, before)
    assert steps % course.PROBE_EVERY == 0

    def error_after(number):
        probe, optimizer_steps = copy.deepcopy(vae), Lesson(FEW[:10], MANY, number, 1e-2, (0, 3, 1), own.anchor)
        course.follow(probe, optimizer_steps, tables.tiny(ewc_weight=0), PLACE)
        return course.held_out_error(probe, FEW[10:], own, tables.tiny())

    errors = {number: error_after(number) for number in range(10, 61, 10)}
    assert errors[steps] == min(errors.values())


def test_a_killed_course_goes_on_bit_for_bit(tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    whole = network()
    looks = course.follow(whole, lesson(), tables.tiny(), PLACE)
    real = course.step

    def dies(vae, optimizer, own, number, settings):
        if number == 50:
            raise Killed
        return real(vae, optimizer, own, number, settings)

    place = Place("test course", str(tmp_path), "identity")
    monkeypatch.setattr(course, "step", dies)
    with pytest.raises(Killed):
        course.follow(network(), lesson(), tables.tiny(), place)
    monkeypatch.setattr(course, "step", real)
    resumed = network()
    assert course.follow(resumed, lesson(), tables.tiny(), place) == looks
    assert_same(resumed, whole)
    again = network()
    assert course.follow(again, lesson(), tables.tiny(), place) == looks
    assert_same(again, whole)


def test_a_checkpoint_of_other_data_is_ignored(tmp_path, caplog):
    settings = tables.tiny()
    course.follow(network(), lesson(20), settings, Place("test", str(tmp_path), "one"))
    whole, other = network(), network()
    course.follow(whole, lesson(20), settings, PLACE)
    with caplog.at_level(logging.WARNING):
        course.follow(other, lesson(20), settings, Place("test", str(tmp_path), "two"))
    assert "belongs to other settings or data" in caplog.text
    assert_same(other, whole)


def test_a_training_that_diverges_says_so():
    rows = MANY.clone()
    rows[:, 0] = torch.inf
    with pytest.raises(TrainingDiverged, match="test: by step 20 the means of reconstruction, kl, penalty became"):
        course.follow(network(), Lesson(rows, rows, 20, 1e-3, (0, 1)), tables.tiny(), PLACE)


def test_no_steps_are_no_change():
    vae = network()
    assert course.follow(vae, lesson(0), tables.tiny(), PLACE) == []
    assert_same(vae, network())


def test_history_has_a_column_for_each_term():
    looks = course.follow(network(), lesson(40), tables.tiny(), PLACE)
    found = history(looks, ("step", "kl"))
    assert found["step"] == [20, 40]
    assert found["kl"] == np.round([look.kl for look in looks], 5).tolist()


def test_the_noise_of_a_step_is_standard_gaussian():
    drawn = objective.noise(np.random.default_rng(0), 20_000, tables.tiny(), torch.device("cpu"))
    np.testing.assert_allclose(drawn.mean(dim=0), 0, atol=0.03)
    np.testing.assert_allclose(drawn.std(dim=0), 1, atol=0.03)
