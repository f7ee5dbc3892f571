"""What a ScarceGAN training step costs: `python tests/benchmarks/keras_step.py`.

The original style, as one writes it in Keras 3: for every batch, draw rows by Python lists, generate fakes twice by
`predict`, call `train_on_batch` four times (supervised, unsupervised on real and on generated rows, generator), then
predict all training rows, evaluate the validation rows and predict them. Ours: steps compiled in one call with a look
at the validation rows every 50, as a training takes them, for one network and for an ensemble of 8. Networks, rows and
batches are the same: 50 inputs, 8 labelled rows of each of 4 classes, 32 unlabelled and 32 generated ones.

The three take turns within each round; ratios are medians over the rounds. Compilation comes before. The steps
compiled by XLA are timed as well. Last line of stdout: one JSON object, the original's time of an iteration over ours
of a step, and the time of a step of 8 networks over that of one.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers, ops

from training.dense_network import softmax
from training.keras import losses, sampling, scarcegan_moves
from training.settings import ScarceGANSettings

INPUTS, CLASSES, LATENT, ROWS_PER_CLASS, UNLABELED = 50, 4, 10, 8, 32
ROUNDS, ITERATIONS, STEPS, LOOK_EVERY = 7, 5, 500, 50
ALPHA = 0.7


class Rows:
    """A labelled, a validation and an unlabelled table of noise."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.labeled, self.validation, self.unlabeled = (
            random.normal(size=(rows, INPUTS)).astype(np.float32) for rows in (544, 96, 20_000)
        )
        self.labels, self.validation_labels = np.arange(544) % CLASSES, np.arange(96) % CLASSES
        self.targets = losses.leeway_targets(np.array([1 - ALPHA] * 3 + [0]))


def one_by_one(rows: Rows) -> Callable[[], None]:
    """Build the networks of the original and return its iteration."""
    inputs, noise = keras.Input((INPUTS,)), keras.Input((LATENT,))
    features = inputs
    for units in (15, 21, 8):
        features = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(units)(features))
    trunk = keras.Model(inputs, features)
    supervised = keras.Model(inputs, layers.Dense(CLASSES + 1, activation="softmax")(features))
    unsupervised = keras.Model(inputs, layers.Dense(3, activation="softmax")(features))
    hidden = layers.LeakyReLU(negative_slope=0.2)(layers.BatchNormalization()(layers.Dense(30)(noise)))
    generator = keras.Model(noise, layers.Dense(INPUTS)(hidden))
    through = keras.Model(noise, trunk(generator(noise)))

    def generator_loss(labeled_BT, fake_BT):
        return losses.published_feature_matching(fake_BT, labeled_BT) + losses.published_pull_away(fake_BT)

    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 500, 0.96, staircase=True)
    supervised.compile(keras.optimizers.Adam(rate, 0.5, 0.9), "categorical_crossentropy", metrics=["accuracy"])
    unsupervised.compile(keras.optimizers.Adam(1e-4, 0.5, 0.999), "categorical_crossentropy")
    trunk.trainable = False
    through.compile(keras.optimizers.Adam(1e-4, 0.5, 0.999), generator_loss)
    random = np.random.default_rng(0)
    real, fake = np.tile(np.array([[ALPHA, 1 - ALPHA, 0]]), (32, 1)), np.tile(np.array([[0, 0, 1.0]]), (32, 1))

    def iteration() -> None:
        drawn: list[int] = []
        for code in range(CLASSES):
            drawn += list(random.choice(np.flatnonzero(rows.labels == code), ROWS_PER_CLASS, replace=False))
        labeled, targets = rows.labeled[drawn], rows.targets[rows.labels[drawn]]
        unlabeled = rows.unlabeled[random.choice(len(rows.unlabeled), UNLABELED, replace=False)]
        fakes = generator.predict(random.normal(size=(UNLABELED, LATENT)), verbose=0)
        supervised.train_on_batch(labeled, targets)
        unsupervised.train_on_batch(unlabeled, real)
        unsupervised.train_on_batch(fakes, fake)
        generator.predict(random.normal(size=(UNLABELED, LATENT)), verbose=0)
        matched = ops.convert_to_numpy(trunk(labeled))
        through.train_on_batch(random.normal(size=(UNLABELED, LATENT)), matched)
        supervised.predict(rows.labeled, verbose=0)
        supervised.evaluate(rows.validation, rows.targets[rows.validation_labels], verbose=0)
        supervised.predict(rows.validation, verbose=0)

    return iteration


def in_one_call(rows: Rows, members: int, *, xla: bool) -> Callable[[], None]:
    """Build an ensemble and return `STEPS` steps of it with their looks."""
    seeds = list(range(members))
    players = scarcegan_moves.players(ScarceGANSettings(), INPUTS, CLASSES, seeds)
    draw = partial(sampling.batch, rows_per_class=ROWS_PER_CLASS, unlabeled_rows=UNLABELED, latent_dim=LATENT)
    stretch = players.stretch(draw, xla=xla)
    data = sampling.data(
        rows.labeled,
        rows.targets[rows.labels],
        rows.labels.astype(np.int8),
        training=[np.arange(len(rows.labels))] * members,
        seeds=seeds,
        pool=ops.convert_to_tensor(rows.unlabeled),
    )

    def steps() -> None:
        for first in range(0, STEPS, LOOK_EVERY):
            stretch(first, LOOK_EVERY, data)
            for network in players.networks():
                softmax(network.logits(rows.validation))

    return steps


def seconds(work: Callable[[], None], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - begin


def main() -> None:
    rows = Rows()
    original = one_by_one(rows)
    ours = {(members, xla): in_one_call(rows, members, xla=xla) for members in (1, 8) for xla in (False, True)}
    for work in (original, *ours.values()):
        work()
    found: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        iteration = seconds(original, ITERATIONS) / ITERATIONS
        step = {key: seconds(work, 1) / STEPS for key, work in ours.items()}
        found.append(
            {
                "original ms": 1e3 * iteration,
                "one ms": 1e3 * step[1, False],
                "eight ms": 1e3 * step[8, False],
                "one, XLA ms": 1e3 * step[1, True],
                "eight, XLA ms": 1e3 * step[8, True],
                "step_ratio": iteration / step[1, False],
                "ensemble8_ratio": step[8, False] / step[1, False],
                "step_ratio, XLA": iteration / step[1, True],
                "ensemble8_ratio, XLA": step[8, True] / step[1, True],
            }
        )
        print({name: round(value, 3) for name, value in found[-1].items()}, flush=True)
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    print({name: round(value, 3) for name, value in medians.items()})
    print(json.dumps({name: round(medians[name], 2) for name in ("step_ratio", "ensemble8_ratio")}))


if __name__ == "__main__":
    main()
