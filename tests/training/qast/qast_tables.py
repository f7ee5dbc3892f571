"""Small tables, tiny settings and stand-ins for the tests of QAST."""

import numpy as np
import torch

from feature_extraction.schema import FeatureSchema
from training.reader import ArrayReader
from training.torch.course import seeded
from training.torch.qast import batches, moves, networks
from training.torch.qast.course import Pool, Table
from training.torch.qast.encoder import Encoder
from training.torch.qast.gate import Tally
from training.torch.qast.settings import QASTSettings
from training.torch.qast.stage import Task

CPU = torch.device("cpu")
TINY = {
    "epochs": 6,
    "modes": 3,
    "members": ("svc", "neighbors"),
    "committee_folds": 0,
    "rounds": 20,
    "boosting_trees": 10,
    "fallback_folds": 2,
    "checkpoint_every": 2,
}
CLASSES = ("many", "few", "fewer")
SIZES = (60, 14, 7)


def features_and_labels(seed=0):
    """Three clouds in two columns of numbers, with a column of whole numbers and one of three categories."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), SIZES)
    centers = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])[labels]
    numbers = centers + random.normal(size=(len(labels), 2))
    whole = random.poisson(20 + 10 * labels)
    categories = random.integers(0, 3, len(labels))
    return np.column_stack([numbers, whole, categories]).astype(np.float32), labels


def reader(seed=0):
    features, labels = features_and_labels(seed)
    schema = FeatureSchema(names=("a__x", "a__y", "b__count", "b__kind"), classes=CLASSES, rare="fewer")
    return ArrayReader(features, labels.astype(np.int8), schema)


def task(seed=0):
    features, labels = features_and_labels(seed)
    return Task(features, labels, features[:0], CLASSES, ("a__x", "a__y", "b__count", "b__kind"))


def by_distance(encoder, softness=1.0):
    """A judge that knows the clouds: probabilities by the distance to their centers."""
    centers = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])

    def judge(encoded):
        rows = encoder.decode(encoded)[:, :2]
        distance = ((rows[:, None] - centers) ** 2).sum(axis=2) / softness
        probability = np.exp(-(distance - distance.min(axis=1, keepdims=True)))
        probability /= probability.sum(axis=1, keepdims=True)
        votes = 7 * np.eye(3)[probability.argmax(axis=1)]
        return Tally(votes, np.eye(3)[probability.argmax(axis=1)], probability)

    return judge


def refuses_to_judge(encoded):
    raise AssertionError("the committee was asked while no label needs a vote")


def encoder(settings):
    return Encoder.fit(features_and_labels()[0], settings=settings, seed=0)


def table(fitted, settings, seed=0):
    features, labels = features_and_labels()
    small = labels > 0
    plan = batches.plan(labels, [labels[small]] * 2, num_classes=3, minority=(1, 2), settings=settings, seed=seed)
    rows, one_hot = torch.from_numpy(fitted.encode(features)), torch.eye(3)[torch.from_numpy(labels)]
    pool = Pool(rows[small], one_hot[small])
    return Table(rows, one_hot, pool, pool, plan)


def players(fitted, settings, seed=0):
    with seeded(seed, device=CPU):
        generator = networks.Generator(fitted.blocks, 3, labels=settings.labels, initialization=settings.initialization)
        discriminator = networks.Discriminator(fitted.width, 3, labels=settings.labels)
        classifier = networks.Classifier(fitted.width, 3)
    adversaries = moves.Adversaries(generator, discriminator, settings)
    return moves.players(adversaries, classifier, torch.tensor([False, True, True]))


def tiny(**changes):
    return QASTSettings(**TINY | changes)


def published(**changes):
    small = {name: TINY[name] for name in ("epochs", "modes", "rounds", "boosting_trees", "checkpoint_every")}
    members = {"members": ("svc", "smote_linear_svc")}
    return QASTSettings.as_published(**small | members | changes)
