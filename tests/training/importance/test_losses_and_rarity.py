"""Losses against numpy, importance, cuts and the report's arithmetic."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score, normalized_mutual_info_score

from training.dense_network import softmax
from training.torch.importance import losses, rarity

LOGITS = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32) * 2
CHANCES = np.stack([softmax(logits) for logits in LOGITS])
CONDITIONAL = -(CHANCES * np.log(CHANCES)).sum(axis=2).mean(axis=1)
MEANS = CHANCES.mean(axis=1)
MARGINAL = -(MEANS * np.log(MEANS)).sum(axis=1)


def same(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_entropies():
    same(losses.conditional_entropy(torch.from_numpy(LOGITS)), CONDITIONAL)
    same(losses.marginal_entropy(torch.from_numpy(LOGITS)), MARGINAL)
    same(losses.information(torch.from_numpy(LOGITS), 2.0), CONDITIONAL - 2 * MARGINAL)


def test_information_under_equal_sizes_is_the_prior_divergence_less_a_constant():
    logits, prior = torch.from_numpy(LOGITS), torch.full((3,), 1 / 3)
    same(losses.prior_divergence(logits, prior), np.log(3) - MARGINAL)


def test_prior_divergence_is_zero_at_the_prior():
    logits = torch.from_numpy(LOGITS)
    same(losses.prior_divergence(logits, torch.from_numpy(MEANS.astype(np.float32))), [0, 0])


def test_consistency_moves_the_perturbed_prediction_alone():
    logits = torch.from_numpy(LOGITS).requires_grad_()
    perturbed = (torch.from_numpy(LOGITS) + 0.5 * torch.randn(2, 7, 3)).requires_grad_()
    loss = losses.consistency(logits, perturbed)
    expected = [softmax(one) for one in perturbed.detach().numpy()]
    same(loss.detach(), (CHANCES * np.log(CHANCES / np.stack(expected))).sum(axis=2).mean(axis=1))
    loss.sum().backward()
    assert logits.grad is None
    assert perturbed.grad.abs().sum() > 0


def test_cross_entropy_weighs_rows():
    targets = np.eye(3, dtype=np.float32)[np.array([[0, 1, 2, 0, 1, 2, 0]] * 2)]
    weights = np.arange(14, dtype=np.float32).reshape(2, 7)
    found = losses.cross_entropy(torch.from_numpy(LOGITS), torch.from_numpy(targets), torch.from_numpy(weights))
    each = -(targets * np.log(CHANCES)).sum(axis=2)
    same(found, (each * weights).sum(axis=1) / weights.sum(axis=1))


def test_the_arithmetic_of_the_report():
    confusion = np.array([[388, 70], [89, 152]])  # rows: benign, malignant; columns: pseudo-labels
    truth = np.repeat([0, 0, 1, 1], confusion.ravel())
    found = np.repeat([0, 1, 0, 1], confusion.ravel())
    np.testing.assert_array_equal(confusion_matrix(truth, found), confusion)
    assert f1_score(truth, found) == pytest.approx(0.6566, abs=5e-5)
    assert normalized_mutual_info_score(truth, found) == pytest.approx(0.18564, abs=5e-6)
    assert found.mean() == pytest.approx(0.3176, abs=5e-5)
    counts = rarity.sizes(found, 2)
    after = counts.copy()
    for code, rows in rarity.targets(counts, 10.0).items():
        after[code] = rows
    assert after.sum() == 954


def test_importance_is_one_for_an_average_cluster_and_grows_with_rarity():
    np.testing.assert_allclose(rarity.cluster_importance(np.array([0.25, 0.5, 0.25])), [4 / 3, 2 / 3, 4 / 3])
    shares = np.array([0.9, 0.1])
    mixed = rarity.row_importance(np.array([[1, 0], [0.5, 0.5], [0, 1]]), shares)
    np.testing.assert_allclose(mixed, [1 / 1.8, (1 / 1.8 + 5) / 2, 5])


def test_small_clusters_have_less_than_an_equal_share():
    assert rarity.small_clusters(np.array([0.6, 0.3, 0.1])) == (1, 2)
    assert rarity.small_clusters(np.array([0.5, 0.5])) == ()


def test_targets_stop_at_the_growth():
    assert rarity.targets(np.array([300, 60, 30, 10, 0]), 10.0) == {1: 300, 2: 300, 3: 100}
    assert rarity.targets(np.array([5, 5]), 10.0) == {}


@pytest.mark.parametrize("rule", ["midpoint", "kmeans", "mixture", "otsu"])
def test_cuts_part_two_groups(rule):
    random = np.random.default_rng(0)
    importance = np.concatenate([random.normal(1, 0.05, 300), random.normal(2, 0.05, 60)])
    assert 1.2 < rarity.cut(importance, rule) < 1.8


def test_the_cut_of_the_report_takes_everything_where_importances_are_near_one():
    importance = np.linspace(0.8, 1.3, 100)
    assert rarity.cut(importance, "third") == pytest.approx(2.1 / 3)
    assert (importance > rarity.cut(importance, "third")).all()
