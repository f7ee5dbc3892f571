"""ScarceGAN: each loss by hand, who moves whom, the optimum under leeway, determinism, and going on after a kill."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from scipy.stats import norm

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.keras import scarcegan_losses as losses
from training.keras.scarcegan import ScarceGAN
from training.keras.scarcegan_members import TrainingDiverged
from training.keras.scarcegan_steps import Batches, Players
from training.reader import ArrayReader
from training.settings import ScarceGANSettings

LOGITS = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32) * 2  # 4 known classes, unknown, fake
SCHEMA = FeatureSchema(("m__active_share", "m__slope", "m__gap"), ("regular", "rare"), "rare")
TINY = {"members": 2, "steps": 60, "evaluate_every": 20, "supervised_rate": 5e-3}


def table(labeled=80, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(size=(300, 3)).astype(np.float32)
    labels = np.full(300, UNLABELED, dtype=np.int8)
    labels[:labeled] = np.arange(labeled) % 4 == 0
    features[labels == 1, 1] += 3
    return ArrayReader(features, labels, SCHEMA)


def test_leeway_targets_leave_a_share_of_each_negative_to_unknown():
    targets = losses.leeway_targets(np.array([0.3, 0.2, 0.0]))
    np.testing.assert_allclose(targets, [[0.7, 0, 0, 0.3], [0, 0.8, 0, 0.2], [0, 0, 1, 0]], rtol=1e-6)


def test_supervised_is_soft_cross_entropy_without_fake():
    targets = losses.leeway_targets(np.array([0.3, 0.3, 0.3, 0.0]))[np.arange(16) % 4]
    expected = -(targets * log_softmax(LOGITS[:, :5], axis=1)).sum(axis=1).mean()
    assert losses.supervised(LOGITS, targets).numpy() == pytest.approx(expected, rel=1e-5)
    other_fake = LOGITS + np.eye(6, dtype=np.float32)[5] * 7
    assert losses.supervised(other_fake, targets).numpy() == pytest.approx(expected, rel=1e-5)


def test_real_and_fake_are_the_logs_of_the_last_probability():
    fake = softmax(LOGITS, axis=1)[:, 5]
    assert losses.real(LOGITS).numpy() == pytest.approx(-np.log(1 - fake).mean(), rel=1e-5)
    assert losses.fake(LOGITS).numpy() == pytest.approx(-np.log(fake).mean(), rel=1e-5)


def test_known_share_is_the_divergence_of_the_batch_mean():
    known = 1 - softmax(LOGITS[:, :5], axis=1)[:, 4].mean()
    expected = 0.9 * np.log(0.9 / known) + 0.1 * np.log(0.1 / (1 - known))
    assert losses.known_share(LOGITS, 0.9).numpy() == pytest.approx(expected, rel=1e-4)
    assert losses.known_share(LOGITS, known).numpy() == pytest.approx(0, abs=1e-5)
    assert losses.known_share(LOGITS, 1.0).numpy() == pytest.approx(-np.log(known), rel=1e-4)


def test_feature_matching_is_the_squared_distance_of_means():
    fake, unlabeled = LOGITS[:, :3], LOGITS[:10, 3:]
    expected = ((fake.mean(axis=0) - unlabeled.mean(axis=0)) ** 2).sum()
    assert losses.feature_matching(fake, unlabeled).numpy() == pytest.approx(expected, rel=1e-5)


def test_pull_away_is_1_for_collapsed_and_an_eighth_for_random_features():
    direction = np.arange(1, 9, dtype=np.float32)
    collapsed = direction * np.random.default_rng(0).uniform(0.1, 9, size=(32, 1)).astype(np.float32)
    assert losses.pull_away(collapsed).numpy() == pytest.approx(1, abs=1e-4)
    spread = np.random.default_rng(1).normal(size=(2000, 8)).astype(np.float32)
    assert losses.pull_away(spread).numpy() == pytest.approx(1 / 8, abs=0.003)
    assert losses.pull_away(np.eye(8, dtype=np.float32)).numpy() == pytest.approx(0, abs=1e-6)


def test_low_density_counts_only_what_the_discriminator_is_sure_of():
    confidence = softmax(LOGITS[:, :5], axis=1)[:, :4].max(axis=1)
    expected = np.where(confidence > 0.5, np.log(confidence), 0).mean()
    assert losses.low_density(LOGITS, 0.5).numpy() == pytest.approx(expected, rel=1e-4)
    assert losses.low_density(LOGITS, 1.1).numpy() == 0


@pytest.fixture
def players():
    return Players(ScarceGANSettings(), inputs=3, known=4, seed=5)


def weights(*models):
    return [np.array(variable) for model in models for variable in model.variables]


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_generator_step_leaves_the_discriminator_bit_identical(players):
    before, generator = weights(players.trunk, players.head), weights(players.generator)
    players.step_generator(tf.ones((4, 10)) * tf.range(4.0)[:, None], tf.random.normal((4, 3), seed=1))
    assert same(before, weights(players.trunk, players.head))
    assert not same(generator, weights(players.generator))


def test_discriminator_steps_leave_the_generator_bit_identical(players):
    before, discriminator = weights(players.generator), weights(players.trunk, players.head)
    rows = tf.random.normal((4, 3), seed=1)
    players.step_unsupervised(rows, players.fakes(tf.ones((4, 10))))
    after_unsupervised = weights(players.trunk, players.head)
    players.step_supervised(rows, losses.leeway_targets(np.array([0.3, 0.3, 0.3, 0.0])))
    assert same(before, weights(players.generator))
    assert not same(discriminator, after_unsupervised)
    assert not same(after_unsupervised, weights(players.trunk, players.head))


def test_state_brings_players_back_bit_for_bit(players):
    random = np.random.default_rng(0)
    targets = losses.leeway_targets(np.array([0.3, 0.3, 0.3, 0.0]))[np.zeros((5, 8), dtype=int)]
    labeled, unlabeled = random.normal(size=(2, 5, 8, 3)).astype(np.float32)
    batches = Batches(labeled, targets, unlabeled)
    players.run(batches, 0, seed=1)
    state = players.state()
    first = players.run(batches, 5, seed=1), players.state()
    players.restore(state)
    again = players.run(batches, 5, seed=1), players.state()
    assert first[0] == again[0]
    assert same(first[1].values(), again[1].values())


def test_trained_head_reaches_the_optimum_under_leeway():
    """Four normal densities on a line, drawn at their quantiles, so the posteriors pi_k(x) are known.

    The supervised loss is least where class k gets (1 - leeway_k) pi_k and unknown sum_k leeway_k pi_k.
    """
    centers, rows = np.array([-1.5, 0.0, 1.0, 2.5]), 250
    inputs = norm.ppf((np.arange(rows) + 0.5) / rows, loc=centers[:, None]).reshape(-1, 1).astype(np.float32)
    targets = losses.leeway_targets(np.array([0.3, 0.3, 0.2, 0.0]))
    players = Players(ScarceGANSettings(supervised_rate=0.003), inputs=1, known=4, seed=0)
    step = tf.function(players.step_supervised)
    for _ in range(3000):
        step(tf.constant(inputs), tf.constant(np.repeat(targets, rows, axis=0)))
    line = np.linspace(-2.5, 3.5, 25)[:, None]
    posterior = norm.pdf(line, loc=centers)
    expected = posterior / posterior.sum(axis=1, keepdims=True) @ targets
    found = softmax(players.discriminator().logits(line.astype(np.float32)), axis=1)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_one_negative_class_at_the_default_leeway_is_warned_of(caplog):
    ScarceGAN(steps=1, members=1, negative_classes=1).fit(table())
    assert "'unknown' is out of reach" in caplog.text


def test_unlabelled_rows_change_the_model():
    reader = table()
    fitted = ScarceGAN(steps=1, members=1).fit(reader)
    other = reader.features.copy()
    other[reader.labels == UNLABELED] += 1
    changed = ScarceGAN(steps=1, members=1).fit(ArrayReader(other, reader.labels, SCHEMA))
    assert not np.array_equal(fitted.members[0].kernels[0], changed.members[0].kernels[0])
    assert fitted.classes[-1] == "unknown"


def test_table_without_unlabelled_rows_is_refused():
    reader = table()
    known = reader.labels != UNLABELED
    with pytest.raises(ValueError, match="unlabelled"):
        ScarceGAN(**TINY).fit(ArrayReader(reader.features[known], reader.labels[known], SCHEMA))


def test_other_seeds_give_other_networks():
    first, second = (ScarceGAN(steps=1, members=1, seed=seed).fit(table()) for seed in (0, 7))
    assert not np.array_equal(first.predict(table().features), second.predict(table().features))


def test_diverging_training_is_stopped_with_words():
    with pytest.raises(TrainingDiverged, match="lower supervised_rate"):
        ScarceGAN(**TINY | {"supervised_rate": 1e30}).fit(table())


def test_leeway_of_a_class_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"class_leeway names \['normal'\]"):
        ScarceGAN(**TINY, class_leeway={"normal": 0.1}).fit(table())


def test_progress_is_logged_about_ten_times_with_the_class_names(caplog):
    with caplog.at_level(logging.INFO):
        ScarceGAN(**TINY | {"steps": 40, "evaluate_every": 1, "members": 1}).fit(table())
    said = [record.getMessage() for record in caplog.records]
    lines = [text for text in said if "scarcegan step" in text]
    assert len(lines) == 10
    assert all("regular_low, regular_mid, regular_high, rare" in line for line in lines)
    assert "average precision of 'rare'" in lines[-1]


class Killed(RuntimeError):
    """Stands for the end of the process."""


class DyingReader(ArrayReader):
    """A reader whose table is lost after some batches."""

    batches_left = 0

    def unlabeled(self, rows, *, seed, start=0):
        for batch in super().unlabeled(rows, seed=seed, start=start):
            if rows == ScarceGANSettings().unlabeled_rows:
                self.batches_left -= 1
            if self.batches_left < 0:
                raise Killed
            yield batch


def test_killed_run_ends_with_the_same_scores(tmp_path, caplog):
    reader, settings = table(), TINY | {"checkpoint": str(tmp_path)}
    dying = DyingReader(reader.features, reader.labels, SCHEMA)
    dying.batches_left = 45  # of 60; the last checkpoint is that of step 40
    with pytest.raises(Killed):
        ScarceGAN(**settings).fit(dying)
    with caplog.at_level(logging.INFO):
        resumed = ScarceGAN(**settings).fit(reader)
    assert "goes on from step 40" in caplog.text
    whole = ScarceGAN(**TINY).fit(reader)
    np.testing.assert_array_equal(resumed.predict(reader.features), whole.predict(reader.features))
    assert resumed.manifest == whole.manifest
    again = ScarceGAN(**settings).fit(reader)  # nothing is left to do
    np.testing.assert_array_equal(again.predict(reader.features), whole.predict(reader.features))


def test_checkpoint_of_another_run_is_ignored(tmp_path, caplog):
    settings = {"steps": 1, "members": 1, "checkpoint": str(tmp_path)}
    ScarceGAN(**settings).fit(table())
    ScarceGAN(**settings).fit(table())
    assert "belongs to other settings or data" not in caplog.text
    fresh = ScarceGAN(**settings | {"checkpoint": ""}).fit(table(seed=1))
    found = ScarceGAN(**settings).fit(table(seed=1))
    assert caplog.text.count("belongs to other settings or data") == 1
    np.testing.assert_array_equal(found.predict(table().features), fresh.predict(table().features))
    ScarceGAN(**settings, leeway=0.4).fit(table(seed=1))
    assert caplog.text.count("belongs to other settings or data") == 2
