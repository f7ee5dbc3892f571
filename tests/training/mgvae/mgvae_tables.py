"""Tables and tiny settings that the tests of MGVAE share."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.reader import ArrayReader
from training.torch.augmentation.task import Task
from training.torch.mgvae.settings import MGVAESettings

SHARED = Path(__file__).resolve().parents[4] / "shared"
TINY = {
    "units": (24,),
    "latent_dim": 3,
    "exemplars": 40,
    "batch_size": 24,
    "pretrain_steps": 60,
    "finetune_steps": 20,
    "fisher_rows": 10,
    "folds": 2,
    "ratios": (0.5, 1.0),
    "classifier_units": (16,),
    "classifier_members": 2,
    "classifier_lengths": (1.0,),
    "classifier_steps": 80,
    "classifier_batch": 40,
    "classifier_rate": 1e-2,
    "checkpoint_every": 20,
}
NAMES = ("size", "kind", "whole", "gaps")
CLASSES = ("many", "few", "fewer")
COUNTS = (60, 14, 7)


def tiny(**changes):
    return MGVAESettings(**TINY | changes)


def features_and_labels(seed=0, counts=COUNTS):
    """A number in heavy tails, a category, whole numbers, and a number that one row in five lacks; classes differ."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    level = random.normal(size=len(labels))
    columns = [
        np.exp(level + 2 * labels),
        (labels + (random.random(len(labels)) < 0.1)) % 3,
        np.round(100 * random.random(len(labels)) + 50 * labels),
        np.where(random.random(len(labels)) < 0.2, np.nan, level - labels),
    ]
    return np.stack(columns, axis=1).astype(np.float32), labels.astype(np.int64)


def with_a_shared_gap(seed=0):
    """The same, and a fifth column, "beside", that is missing wherever "gaps" is."""
    features, labels = features_and_labels(seed)
    beside = np.where(np.isnan(features[:, 3]), np.nan, np.random.default_rng(seed).normal(size=len(labels)))
    return np.column_stack([features, beside]).astype(np.float32), labels, (*NAMES, "beside")


def task(seed=0):
    features, labels = features_and_labels(seed)
    return Task(features, labels, CLASSES, NAMES, 0, (1, 2))


def reader(unlabeled=20):
    features, labels = features_and_labels()
    more, _ = features_and_labels(5)
    labels = np.concatenate([labels, np.full(unlabeled, UNLABELED)]).astype(np.int8)
    return ArrayReader(np.concatenate([features, more[:unlabeled]]), labels, FeatureSchema(NAMES, CLASSES, "fewer"))


class Digits:
    """Digits 0 to 4 against the first rows of each of 5 to 9, of 8 x 8 pixels up to 16."""

    def __init__(self, rows_per_digit, seed=0, training=1078):
        digits = load_digits()
        order = np.random.default_rng(seed).permutation(len(digits.target))
        known, held_out = order[:training], order[training:]
        images, target = digits.data.astype(np.float32), digits.target
        rare = [known[target[known] == digit][:rows_per_digit] for digit in range(5, 10)]
        chosen = [known[target[known] < 5], np.concatenate(rare)]
        labels = np.repeat([0, 1], [len(rows) for rows in chosen])
        names = tuple(f"pixel{number}" for number in range(64))
        self.task = Task(images[np.concatenate(chosen)], labels, ("low", "high"), names, 0, (1,))
        self.images, self.truth = images[held_out], (target[held_out] > 4).astype(np.int64)
        self.rare_images = images[known[target[known] > 4]]

    def balanced_accuracy(self, classifier):
        verdict = classifier.predict_proba(self.images).argmax(axis=1)
        return float(np.mean([(verdict[self.truth == code] == code).mean() for code in (0, 1)]))


ALONE = {"classifier_members": 1, "classifier_lengths": (1.0,)}  # as published
DIGITS = {
    "image": (1, 8, 8),
    "brightest": 16.0,
    "exemplars": 300,
    "pretrain_steps": 900,
    "classifier_steps": 800,
} | ALONE
