"""Each loss of the Keras family against a few lines of numpy, for one batch and for a batch of each member."""

import numpy as np
import pytest
from keras import ops
from scipy.special import log_expit, log_softmax, softmax

from training.keras import losses

LOGITS = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32) * 2  # 4 known classes, unknown, fake
OTHER = np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)
TARGETS = losses.leeway_targets(np.array([0.3, 0.3, 0.3, 0.0]))[np.arange(16) % 4]


def value(loss):
    return float(ops.convert_to_numpy(loss))


def test_leeway_targets_leave_a_share_of_each_negative_to_unknown():
    targets = losses.leeway_targets(np.array([0.3, 0.2, 0.0]))
    np.testing.assert_allclose(targets, [[0.7, 0, 0, 0.3], [0, 0.8, 0, 0.2], [0, 0, 1, 0]], rtol=1e-6)


def test_published_targets_weigh_the_rare_class_by_alpha():
    targets = losses.published_targets(np.array([0.3, 0.0, 0.2]), rare=1, alpha=0.7)
    np.testing.assert_allclose(targets, [[0.7, 0, 0, 0.3], [0, 0.7, 0, 0], [0, 0, 0.8, 0.2]], rtol=1e-6)


def test_supervised_is_soft_cross_entropy():
    expected = -(TARGETS * log_softmax(LOGITS[:, :5], axis=1)).sum(axis=1).mean()
    assert value(losses.supervised(LOGITS[:, :5], TARGETS)) == pytest.approx(expected, rel=1e-5)


def test_real_and_fake_are_the_logs_of_the_last_probability():
    fake = softmax(LOGITS, axis=1)[:, 5]
    assert value(losses.real(LOGITS)) == pytest.approx(-np.log(1 - fake).mean(), rel=1e-5)
    assert value(losses.fake(LOGITS)) == pytest.approx(-np.log(fake).mean(), rel=1e-5)


def test_known_share_is_the_divergence_of_the_batch_mean():
    known = 1 - softmax(LOGITS[:, :5], axis=1)[:, 4].mean()
    expected = 0.9 * np.log(0.9 / known) + 0.1 * np.log(0.1 / (1 - known))
    assert value(losses.known_share(LOGITS, 0.9)) == pytest.approx(expected, rel=1e-4)
    assert value(losses.known_share(LOGITS, known)) == pytest.approx(0, abs=1e-5)
    assert value(losses.known_share(LOGITS, 1.0)) == pytest.approx(-np.log(known), rel=1e-4)


def test_feature_matching_is_the_squared_distance_of_means():
    expected = ((LOGITS.mean(axis=0) - OTHER[:10].mean(axis=0)) ** 2).sum()
    assert value(losses.feature_matching(LOGITS, OTHER[:10])) == pytest.approx(expected, rel=1e-5)


def test_published_feature_matching_is_the_mean_absolute_one():
    expected = np.abs(LOGITS.mean(axis=0) - OTHER[:10].mean(axis=0)).mean()
    assert value(losses.published_feature_matching(LOGITS, OTHER[:10])) == pytest.approx(expected, rel=1e-5)


def collapsed():
    lengths = np.random.default_rng(0).uniform(0.1, 9, size=(32, 1)).astype(np.float32)
    return np.arange(1, 9, dtype=np.float32) * lengths


def test_pull_away_is_1_for_collapsed_and_an_eighth_for_random_features():
    assert value(losses.pull_away(collapsed())) == pytest.approx(1, abs=1e-4)
    spread = np.random.default_rng(1).normal(size=(2000, 8)).astype(np.float32)
    assert value(losses.pull_away(spread)) == pytest.approx(1 / 8, abs=0.003)
    assert value(losses.pull_away(np.eye(8, dtype=np.float32))) == pytest.approx(0, abs=1e-6)


def test_pull_away_is_the_mean_squared_cosine():
    unit = LOGITS / np.linalg.norm(LOGITS, axis=1, keepdims=True)
    expected = (((unit @ unit.T) ** 2).sum() - 16) / (16 * 15)
    assert value(losses.pull_away(LOGITS)) == pytest.approx(expected, rel=1e-4)


def test_published_pull_away_is_all_but_absent_even_for_collapsed_features():
    unit = collapsed() / np.linalg.norm(collapsed())
    products = (unit @ unit.T) ** 2
    expected = (products.sum() - np.trace(products)) / (32 * 31)
    found = value(losses.published_pull_away(collapsed()))
    assert found == pytest.approx(expected, rel=1e-4)
    assert found < 1 / (32 * 31)


def test_low_density_counts_only_what_the_discriminator_is_sure_of():
    confidence = softmax(LOGITS[:, :5], axis=1)[:, :4].max(axis=1)
    expected = np.where(confidence > 0.5, np.log(confidence), 0).mean()
    assert value(losses.low_density(LOGITS, 0.5)) == pytest.approx(expected, rel=1e-4)
    assert value(losses.low_density(LOGITS, 1.1)) == 0


def test_published_real_has_one_target_for_every_row():
    logs = log_softmax(LOGITS[:, :3], axis=1)
    expected = -(0.7 * logs[:, 0] + 0.3 * logs[:, 1]).mean()
    assert value(losses.published_real(LOGITS[:, :3], 0.7)) == pytest.approx(expected, rel=1e-5)


def test_binary_losses_are_the_logs_of_the_sigmoid():
    assert value(losses.says_real(LOGITS[:, 0])) == pytest.approx(-log_expit(LOGITS[:, 0]).mean(), rel=1e-5)
    assert value(losses.says_fake(LOGITS[:, 0])) == pytest.approx(-log_expit(-LOGITS[:, 0]).mean(), rel=1e-5)


def test_reconstruction_is_the_mean_squared_error():
    assert value(losses.reconstruction(LOGITS, OTHER)) == pytest.approx(((LOGITS - OTHER) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        losses.real,
        losses.fake,
        losses.pull_away,
        losses.published_pull_away,
        lambda logits: losses.known_share(logits, 0.9),
        lambda logits: losses.published_real(logits, 0.7),
        lambda logits: losses.low_density(logits, np.full((logits.ndim - 1) * (1,), 0.4, np.float32)),
        lambda logits: losses.supervised(logits[..., :5], TARGETS),
        lambda logits: losses.feature_matching(logits, logits[..., :5, :]),
        lambda logits: losses.published_feature_matching(logits, logits[..., :5, :]),
        lambda logits: losses.says_real(logits[..., 0]),
        lambda logits: losses.says_fake(logits[..., 0]),
        lambda logits: losses.reconstruction(logits, logits[..., ::-1, :]),
    ],
)
def test_members_have_losses_of_their_own(loss):
    both = ops.convert_to_numpy(loss(np.stack([LOGITS, OTHER])))
    np.testing.assert_allclose(both, [value(loss(LOGITS)), value(loss(OTHER))], rtol=1e-4, atol=1e-6)
