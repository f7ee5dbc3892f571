"""What MGVAE must do on digits of 8 x 8 pixels, 0 to 4 the majority: not collapse, translate, not copy, and help."""

from functools import cache

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import dense, gate
from training.torch.augmentation.gate import Arm
from training.torch.augmentation.nearness import nearest
from training.torch.course import Place
from training.torch.mgvae import generator
from training.torch.mgvae.settings import MGVAESettings

SLOW = tables.DIGITS | {"units": (128, 128)}
QUICK = SLOW | {"exemplars": 100, "pretrain_steps": 350, "finetune_steps": 150}
SEEDS = (0, 1, 2)


@cache
def trained(seed=0, **changes):
    digits = tables.Digits(5, seed)
    settings = MGVAESettings(**QUICK | changes)
    return digits, generator.train(digits.task, settings=settings, seed=seed, place=Place("digits"))


def variance_share(made, real):
    return made.var(axis=0).sum() / real.var(axis=0).sum()


def reconstruction_share(digits, network):
    """Squared error of majority rows through a drawn code, as a share of their variance."""
    rows = torch.from_numpy(digits.task.features[digits.task.labels == 0] / 16)
    random = np.random.default_rng(0)
    with torch.no_grad():
        mean, log_variance = network.encode(rows)
        noise = torch.from_numpy(random.standard_normal(mean.shape, np.float32))
        made = network.decode(mean + noise * (log_variance / 2).exp())
    return ((made - rows).square().sum() / (rows - rows.mean(dim=0)).square().sum()).item()


def test_the_code_does_not_collapse():
    digits, found = trained()
    assert found.looks[-1].kl > 3
    pretrained = trained(finetune_steps=0)[1].generator.networks[1]
    assert reconstruction_share(digits, pretrained) < 0.5


def test_the_published_likelihood_collapses():
    digits, found = trained(likelihood="published", finetune_steps=0)
    assert found.looks[-1].kl < 1.5
    assert reconstruction_share(digits, found.generator.networks[1]) > 0.5


def test_a_translation_depends_on_the_row_that_is_translated():
    digits, found = trained()
    majority = digits.task.features[digits.task.labels == 0]
    translated = found.generator.translate(majority, 1).translated
    assert variance_share(translated, digits.rare_images) >= 0.1


def test_synthetic_rows_are_neither_copies_nor_far_away():
    digits, found = trained()
    real = digits.task.features[digits.task.labels == 1]
    made = found.generator.sample(1, 500, seed=0).features
    assert 0.5 < nearest(made, real).mean() / nearest(real, real, skip=1).mean() < 1.5


def test_synthetic_rows_are_told_from_the_majority():
    digits, found = trained()
    made = found.generator.sample(1, 300, seed=0)
    majority = digits.task.features[digits.task.labels == 0]
    judged = found.generator.judges[1].judge(found.generator.codec.encode(majority))
    assert made.confidence.mean() > judged.confidence.mean() + 0.2


@cache
def accuracies(seed):
    digits, found = trained(seed, **SLOW, finetune_steps=300)
    settings = found.generator.settings

    def fitted(arm):
        rows, labels = gate.augmented(digits.task, found.generator, arm, seed=seed)
        return gate.fit_classifier(digits.task, rows, labels, settings, seed=seed)

    plain = dense.fit(
        digits.task.features, digits.task.labels, classes=2, settings=settings, seed=seed, loss=functional.cross_entropy
    )
    classifiers = {"plain": plain, "copies": fitted(Arm("copies")), "mgvae": fitted(Arm("mgvae"))}
    return {name: 100 * digits.balanced_accuracy(one) for name, one in classifiers.items()}


def mean_accuracy(name):
    return np.mean([accuracies(seed)[name] for seed in SEEDS])


@pytest.mark.slow
def test_plain_training_on_logits_does_not_stay_at_all_majority():
    assert mean_accuracy("plain") > 60


@pytest.mark.slow
def test_translated_rows_help_the_classifier():
    assert mean_accuracy("mgvae") >= mean_accuracy("plain") + 5
    assert mean_accuracy("mgvae") >= mean_accuracy("copies") - 2
