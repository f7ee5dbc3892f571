"""How long the dense classifier of an augmented table learns, as held-out rows choose it."""

import numpy as np
import pytest

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import gate
from training.torch.augmentation.task import Task
from training.torch.course import Place
from training.torch.mgvae import augment
from training.torch.mgvae.settings import MGVAESettings


@pytest.mark.parametrize(
    ("given", "best"),
    [({0.1: 0.5, 0.3: 0.7, 1.0: 0.7}, 0.3), ({0.1: 0.5, 0.3: 0.4, 1.0: 0.6}, 1.0), ({0.3: 0.5}, 0.3)],
    ids=["least of equals", "all", "one"],
)
def test_real_rows_alone_say_how_long_the_classifier_learns(given, best, monkeypatch):
    asked = []

    def scores(fold, rows, labels, settings, length):
        asked.append((len(rows) - len(fold.task.labels), length))
        return np.full((len(fold.labels), 3), length)

    monkeypatch.setattr(gate._Fold, "scores", scores)
    monkeypatch.setattr(gate._Fold, "precision", lambda fold, scores: given[scores[0, 0]])
    settings = tables.tiny(classifier_lengths=tuple(given))
    found = augment.validate(tables.task(), rare_code=2, settings=settings, place=Place("x"))
    assert found.length == best
    first = 2 * len(given) if len(given) > 1 else 0  # two folds
    assert asked[:first] == [(0, length) for length in given for _ in range(2)][:first]
    assert {length for _, length in asked[first:]} == {best}
    assert any(more > 0 for more, _ in asked[first:])


def overlapping(random, rows):
    """Both classes lie on the same ground, rare rows a little to one side."""
    labels = (random.random(rows) < 0.3).astype(np.int64)
    features = random.normal(size=(rows, 8)).astype(np.float32)
    features[labels == 1, :2] += 0.6
    return features, labels


def clear(random, rows):
    """One class lies around the other, and no plane tells them apart."""
    labels = (random.random(rows) < 0.3).astype(np.int64)
    features = random.normal(size=(rows, 3)).astype(np.float32)
    features *= np.where(labels, 1.6, 1.0)[:, None] / np.linalg.norm(features, axis=1, keepdims=True)
    return features.astype(np.float32), labels


@pytest.mark.parametrize(("make", "lengths"), [(overlapping, {0.1}), (clear, {0.3, 1.0})], ids=["overlapping", "clear"])
def test_classes_that_overlap_are_learned_shortly(make, lengths):
    """What the default lengths are for."""
    parts = []
    for seed in range(2):
        random = np.random.default_rng(seed)
        features, labels = make(random, 100)
        task = Task(features, labels, ("many", "few"), tuple(map(str, range(features.shape[1]))), 0, (1,))
        parts.append(gate._Fold(task, *make(random, 1000), seed, Place("x")))
    assert gate._best_length(parts, MGVAESettings(classifier_members=2)) in lengths
