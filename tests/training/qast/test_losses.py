"""Each loss against a few lines of numpy."""

import numpy as np
import pytest
import torch

from training.torch.qast import losses

RANDOM = np.random.default_rng(0)
REAL, FAKE = RANDOM.normal(size=20), RANDOM.normal(size=20)
LABELS = np.array([0] * 10 + [1] * 4 + [2] * 2 + [0] * 4)
EACH = RANDOM.exponential(size=20)


def tensor(array):
    return torch.from_numpy(np.asarray(array))


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def test_published_discriminator_is_binary_cross_entropy():
    expected = -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean()
    assert float(losses.published_discriminator(tensor(REAL), tensor(FAKE))) == pytest.approx(expected)


def test_published_real():
    assert float(losses.published_real(tensor(FAKE))) == pytest.approx(-np.log(sigmoid(FAKE)).mean())


def test_hinge_discriminator():
    expected = np.maximum(0, 1 - REAL).mean() + np.maximum(0, 1 + FAKE).mean()
    assert float(losses.hinge_discriminator(tensor(REAL), tensor(FAKE))) == pytest.approx(expected)


def test_wasserstein_and_deceive():
    assert float(losses.wasserstein_discriminator(tensor(REAL), tensor(FAKE))) == pytest.approx(
        FAKE.mean() - REAL.mean()
    )
    assert float(losses.deceive(tensor(FAKE))) == pytest.approx(-FAKE.mean())


def quadratic(rows):
    return (rows**2 * torch.tensor([1.0, 2.0, 3.0], dtype=rows.dtype)).sum(dim=1)


@pytest.mark.parametrize("columns", [None, 2])
def test_penalties_of_a_known_gradient(columns):
    rows = RANDOM.normal(size=(6, 3))
    inputs = tensor(rows).requires_grad_()
    squared = losses.gradient_norms(quadratic(inputs), inputs, columns)
    norms = np.linalg.norm((rows * [2, 4, 6])[:, :columns], axis=1)
    np.testing.assert_allclose(squared.detach().numpy(), norms**2)
    assert float(losses.gradient_penalty(squared).detach()) == pytest.approx(((norms - 1) ** 2).mean())
    assert float(losses.r1(squared).detach()) == pytest.approx((norms**2).mean() / 2)


def test_penalties_have_a_gradient_even_where_the_score_is_flat():
    inputs = torch.zeros(4, 3, requires_grad=True)
    losses.gradient_penalty(losses.gradient_norms(quadratic(inputs), inputs)).backward()
    assert torch.isfinite(inputs.grad).all()


def heavy(counts):
    return np.clip(counts.sum() / (counts + 1e-5), 1, 150)


def test_class_weights():
    counts = np.array([400.0, 10.0, 1.0])
    expected = heavy(counts) / heavy(counts).sum()
    np.testing.assert_allclose(losses.class_weights(tensor(counts)).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("normalizer", ["present", "all"])
def test_absent_classes_dilute_the_others_only_as_published(normalizer):
    counts = np.array([10.0, 0.0, 5.0])
    weights = heavy(counts)
    if normalizer == "present":
        weights[1] = 0
    found = losses.class_weights(tensor(counts), normalizer=normalizer).numpy()
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-6)


def mined(counted, small, normalizer="present"):
    members = np.eye(3)[LABELS] * counted[:, None]
    return float(
        losses.mined_cross_entropy(tensor(EACH), tensor(members), small_K=tensor(small), normalizer=normalizer)
    )


def by_hand(counted, small, normalizer="present"):
    counts = np.array([(counted * (code == LABELS)).sum() for code in range(3)])
    weights, total = losses.class_weights(tensor(counts), normalizer=normalizer).numpy(), 0.0
    for code in np.flatnonzero(counts):
        own = np.sort(EACH[(code == LABELS) & (counted > 0)])[::-1]
        taken = own if small[code] else own[: max(1, len(own) // 3)]
        total += weights[code] * taken.mean()
    return total


@pytest.mark.parametrize("small", [[False, True, True], [False, False, False], [True, True, True]])
def test_mined_cross_entropy(small):
    everything = np.ones(20)
    assert mined(everything, np.array(small)) == pytest.approx(by_hand(everything, np.array(small)))


@pytest.mark.parametrize("normalizer", ["present", "all"])
def test_rows_that_do_not_count_and_absent_classes(normalizer):
    counted = (np.arange(20) % 2).astype(float) * (LABELS != 2)
    small = np.array([False, True, True])
    assert mined(counted, small, normalizer) == pytest.approx(by_hand(counted, small, normalizer))


@pytest.mark.parametrize("normalizer", ["present", "all"])
def test_no_row_that_counts_gives_no_loss(normalizer):
    assert mined(np.zeros(20), np.array([False, True, True]), normalizer) == 0


def test_only_the_hardest_third_of_a_large_class_gets_a_gradient():
    each = tensor(EACH).requires_grad_()
    small = tensor(np.array([False, True, True]))
    losses.mined_cross_entropy(each, tensor(np.eye(3)[LABELS]), small_K=small).backward()
    large = LABELS == 0
    hardest = np.flatnonzero(large)[np.argsort(-EACH[large])[: large.sum() // 3]]
    expected = sorted([*hardest, *np.flatnonzero(~large)])
    assert np.flatnonzero(each.grad.numpy()).tolist() == expected


def test_reconstruction_is_the_mean_distance():
    one, two = RANDOM.normal(size=(5, 4)), RANDOM.normal(size=(5, 4))
    expected = np.linalg.norm(one - two, axis=1).mean()
    assert float(losses.reconstruction(tensor(one), tensor(two))) == pytest.approx(expected)


def test_reconstruction_of_equal_rows_has_a_gradient():
    rows = torch.ones(3, 2, requires_grad=True)
    losses.reconstruction(rows, torch.ones(3, 2)).backward()
    assert torch.isfinite(rows.grad).all()


def test_partners_are_the_best_permutation_within_each_class():
    labels = np.array([1, 0, 1, 0, 1])
    real = np.array([[0.0], [10.0], [1.0], [20.0], [2.0]])
    made = np.array([[2.1], [19.0], [0.2], [9.0], [0.9]])
    partners = losses.matched(tensor(made), tensor(real), tensor(labels)).numpy()
    np.testing.assert_array_equal(partners, [[2.0], [20.0], [0.0], [10.0], [1.0]])


def test_every_real_row_is_somebodys_partner_and_no_class_is_left():
    labels = RANDOM.integers(0, 3, 40)
    real = RANDOM.normal(size=(40, 2)) + 100 * labels[:, None]
    partners = losses.matched(tensor(np.zeros((40, 2))), tensor(real), tensor(labels)).numpy()
    np.testing.assert_array_equal(np.sort(partners[:, 0]), np.sort(real[:, 0]))
    np.testing.assert_array_equal(partners[:, 0].round(-2) // 100, labels)
