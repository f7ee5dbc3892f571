"""The adversarial epochs: every switch, resuming bit for bit, and what the classifier is given to learn."""

import numpy as np
import pytest
import torch

from tests.training.qast import qast_tables as tables
from training.torch import checkpoint
from training.torch.course import Place, seeded
from training.torch.qast import course, gate
from training.torch.qast.moves import Batch, Lesson, Players
from training.trainer import TrainingDiverged


def run(settings, *, place=None, judge=None, seed=0):
    fitted = tables.encoder(settings)
    players = tables.players(fitted, settings, seed)
    judge = judge or tables.by_distance(fitted)
    looks = course.follow(tables.table(fitted, settings, seed), players, judge, place or Place("qast"))
    return players, looks


def weights(players):
    return {name: tensor.clone() for name, tensor in checkpoint.state(players.learners).items()}


def assert_equal_weights(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize(
    "settings",
    [
        tables.tiny(),
        tables.published(),
        tables.tiny(adversarial="wgan_gp"),
        tables.tiny(adversarial="bce"),
        tables.tiny(labels="scalar"),
        tables.published(labels="onehot"),
        tables.tiny(gate="paper", matching="batch", inference="train"),
        tables.tiny(initialization="small", noise_labels="all", fake_weights="all"),
    ],
    ids=["repaired", "published", "wgan_gp", "bce", "scalar", "published_onehot", "paper", "others"],
)
def test_every_switch_trains_all_three_networks(settings):
    before = weights(tables.players(tables.encoder(settings), settings))
    players, looks = run(settings)
    after = weights(players)
    assert [look.epoch for look in looks] == [2, 4, 6]
    for name in ("generator.last.weight", "discriminator.last.weight", "classifier.body.0.query.bias"):
        assert not torch.equal(before[f"weight.{name}"], after[f"weight.{name}"])
    assert all(np.isfinite(list(look.losses.values())).all() for look in looks)


def test_one_seed_gives_one_course_and_another_another():
    settings = tables.tiny()
    one, again, other = (weights(run(settings, seed=seed)[0]) for seed in (0, 0, 1))
    assert_equal_weights(one, again)
    assert not torch.equal(one["weight.generator.last.weight"], other["weight.generator.last.weight"])


def test_training_leaves_torchs_own_draws_as_they_were():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run(tables.tiny(epochs=1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("make", [tables.tiny, tables.published], ids=["repaired", "published"])
def test_a_killed_course_goes_on_bit_for_bit(make, tmp_path):
    settings = make()
    whole, looks = run(settings)

    class Killed(Exception):
        pass

    fitted = tables.encoder(settings)
    judge, asked = tables.by_distance(fitted), []

    def dies(encoded):
        asked.append(len(encoded))
        if len(asked) == 2:
            raise Killed
        return judge(encoded)

    place = Place("qast", str(tmp_path), "identity")
    with pytest.raises(Killed):
        run(settings, place=place, judge=dies)
    notes = checkpoint.resume(place.url, tables.players(fitted, settings).learners, identity="identity")
    assert 0 < notes["looks"][-1][0] < settings.epochs
    resumed, looks_again = run(settings, place=place, seed=0)
    assert_equal_weights(weights(whole), weights(resumed))
    assert looks_again == looks


def test_a_finished_course_is_not_trained_again(tmp_path):
    place = Place("qast", str(tmp_path), "identity")
    done, looks = run(tables.tiny(), place=place)
    again, looks_again = run(tables.tiny(), place=place, judge=tables.refuses_to_judge)
    assert_equal_weights(weights(done), weights(again))
    assert looks_again == looks


def test_a_checkpoint_of_other_data_is_ignored(tmp_path, caplog):
    run(tables.tiny(epochs=2), place=Place("qast", str(tmp_path), "other"))
    anew, _ = run(tables.tiny(), place=Place("qast", str(tmp_path), "identity"))
    assert_equal_weights(weights(anew), weights(run(tables.tiny())[0]))
    assert "belongs to other settings or data" in caplog.text


def test_the_committee_is_not_asked_while_no_label_needs_a_vote():
    settings = tables.tiny(epochs=10)
    fitted = tables.encoder(settings)
    players, made = tables.players(fitted, settings), tables.table(fitted, settings)
    asked = []

    def judge(encoded):
        asked.append(len(encoded))
        return tables.by_distance(fitted)(encoded)

    course.follow(made, players, judge, Place("qast"))
    needed = [gate.label_threshold(gate.schedule_epoch(number, 10)) > 0 for number in range(10)]
    assert 0 < sum(needed) < 10
    assert len(asked) == sum(needed)  # once an epoch


def test_rows_for_the_gate_are_made_in_one_pass_and_keep_their_classes(monkeypatch):
    settings = tables.tiny(epochs=1, checkpoint_every=1)
    fitted = tables.encoder(settings)
    players, made, passes, lessons = tables.players(fitted, settings), tables.table(fitted, settings), [], []
    players.generator.register_forward_hook(lambda network, given, rows: passes.append(len(rows)))
    classify = Players.classify
    monkeypatch.setattr(
        Players, "classify", lambda self, batch, lesson: (lessons.append(lesson), classify(self, batch, lesson))[1]
    )
    course.follow(made, players, tables.by_distance(fitted), Place("qast"))
    steps = made.plan.epoch(0, 0.0)
    sizes = [len(step.codes) for step in steps]
    assert len(steps) > 1
    assert passes == [sum(sizes), *sizes]
    for step, lesson in zip(steps, lessons, strict=True):  # at epoch 0 every row is kept under its own label
        np.testing.assert_array_equal(lesson.labels_BK.argmax(dim=1).numpy(), step.codes)


def test_the_published_gate_asks_for_every_batch():
    settings = tables.published(epochs=3, folds=(6, 2))
    asked = []

    def judge(encoded):
        asked.append(len(encoded))
        return tables.by_distance(tables.encoder(settings))(encoded)

    run(settings, judge=judge)
    assert len(asked) == 2 * 6  # the first of three epochs stands for epoch 0, which needs no vote


def test_a_diverged_course_says_so():
    settings = tables.tiny(generator_rate=1e30)
    with pytest.raises(TrainingDiverged, match="lower the learning rates"):
        run(settings)


def test_a_generated_class_comes_to_lie_where_its_rows_are():
    settings = tables.tiny(epochs=30, checkpoint_every=30)
    fitted = tables.encoder(settings)
    players = run(settings)[0]
    generator = players.generator.eval()
    codes = torch.tensor([1, 2]).repeat_interleave(200)
    with seeded(5, device=tables.CPU), torch.no_grad():
        noise = generator.noise(400)
        rows = generator(noise[:, : fitted.width], torch.eye(3)[codes], noise[:, fitted.width :]).numpy()
    decoded = fitted.decode(rows)
    np.testing.assert_allclose(decoded[:200, :2].mean(axis=0), [6, 0], atol=1.5)
    np.testing.assert_allclose(decoded[200:, :2].mean(axis=0), [0, 6], atol=1.5)
    assert np.unique(decoded[:200], axis=0).shape[0] > 100  # no two noises need give one row


def batch(rows=12):
    settings = tables.tiny()
    fitted = tables.encoder(settings)
    players = tables.players(fitted, settings)
    made = tables.table(fitted, settings)
    chosen = torch.randperm(len(made.rows_NE))[:rows]
    fake = torch.rand(rows, fitted.width)
    labels = torch.eye(3)[torch.arange(rows) % 2 + 1]
    return players, Batch(made.rows_NE[chosen], made.labels_NK[chosen], fake, labels, made.rows_NE[chosen])


def test_rows_that_the_gate_drops_teach_the_classifier_nothing():
    players, given = batch()
    players.classifier.eval()  # no dropout
    dropped = given.fake_BK.clone()
    dropped[::2] = 0
    before = {name: tensor.clone() for name, tensor in players.classifier.state_dict().items()}
    first = players.classify(given, Lesson(given.fake_BE, dropped))
    players.classifier.load_state_dict(before)
    other_rows = given.fake_BE.clone()
    other_rows[::2] = 9.0
    torch.testing.assert_close(players.classify(given, Lesson(other_rows, dropped)), first)


def test_judging_by_eval_is_no_draw_and_by_train_is_one():
    players, given = batch()
    one, two = (players.adversaries.quality(given.real_BE, given.real_BK) for _ in range(2))
    assert torch.equal(one, two)
    assert players.discriminator.training
    drawn = type(players.adversaries)(players.generator, players.discriminator, tables.published())
    assert not torch.equal(drawn.quality(given.real_BE, given.real_BK), drawn.quality(given.real_BE, given.real_BK))


@pytest.mark.parametrize("name", ["discriminator", "classifier", "generator"])
def test_only_the_network_whose_move_it_is_changes(name):
    players, given = batch()
    noise = players.generator.noise(12)
    width = players.generator.width
    made = players.generator(noise[:, :width], given.fake_BK, noise[:, width:])
    given = given._replace(fake_BE=made)
    before = weights(players)
    if name == "discriminator":
        players.discriminate(given)
    elif name == "classifier":
        players.classify(given, Lesson(made.detach(), given.fake_BK))
    else:
        players.generate(given)
    after = weights(players)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key.split(".")[1] for key in changed} == {name}
