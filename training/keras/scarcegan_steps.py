"""One ScarceGAN's networks, their optimizers and the compiled training step.

Takes stacks of scaled batches; gives mean losses, and the whole state as named arrays for checkpoints.
Shapes: S steps, B rows, I inputs, K known classes, C = K + 2 logits, T trunk features, Z latent.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.dense_network import DenseNetwork
from training.keras import networks
from training.keras import scarcegan_losses as losses
from training.settings import ScarceGANSettings
from training.trainer import Floats

Tensor = Any
State = dict[str, NDArray[Any]]

LOSSES = ("supervised", "unsupervised", "generator")
DISCRIMINATOR_NOISE, GENERATOR_NOISE = 0, 1


class Batches(NamedTuple):
    """Scaled batches of consecutive steps.

    Attributes:
        labeled_SBI: class-balanced labelled rows.
        targets_SBK: their soft targets over the known classes and unknown.
        unlabeled_SBI: unlabelled rows; as many rows are generated.
    """

    labeled_SBI: Floats
    targets_SBK: Floats
    unlabeled_SBI: Floats


class Players:
    """Generator and discriminator with three optimizers, one for each kind of update."""

    def __init__(self, settings: ScarceGANSettings, *, inputs: int, known: int, seed: int) -> None:
        """Build all weights from `seed`; `known` is the number of known classes K.

        Building is quick, the first `run` compiles. So an ensemble runs on one of these and swaps states.
        """
        self.settings, self.known = settings, known
        first = 1000 * seed  # each layer's initializer takes the next seed
        units = settings.discriminator_units
        self.generator = networks.generator(settings.latent_dim, settings.generator_units, inputs, seed=first)
        self.trunk = networks.trunk(inputs, units, seed=first + 10)
        self.head = networks.head(units[-1], known + 2, seed=first + 10 + len(units))
        self.optimizers = _optimizers(settings)
        for optimizer, variables in zip(self.optimizers, self._played(), strict=True):
            optimizer.build(variables)
        self._run = tf.function(self._steps, reduce_retracing=True)

    def run(self, batches: Batches, first_step: int, *, seed: int) -> dict[str, float]:
        """Take one step per batch, from step number `first_step` on, and return the mean of each loss.

        Noise depends on `seed` and the number of the step alone.
        """
        numbers = (tf.constant(first_step), tf.constant(seed))
        means = self._run(*(tf.constant(part) for part in batches), *numbers)
        return dict(zip(LOSSES, means.numpy().tolist(), strict=True))

    def step_supervised(self, labeled_BI: Tensor, targets_BK: Tensor) -> Tensor:
        """Update the discriminator by the supervised loss with leeway."""
        with tf.GradientTape() as tape:
            loss = losses.supervised(self._logits(labeled_BI), targets_BK)
        return self._apply(0, tape, loss)

    def step_unsupervised(self, unlabeled_BI: Tensor, fake_BI: Tensor) -> Tensor:
        """Update the discriminator by the real, known-share and fake terms."""
        rows = tf.shape(unlabeled_BI)[0]
        with tf.GradientTape() as tape:
            logits_BC = self._logits(tf.concat([unlabeled_BI, fake_BI], axis=0))
            real_BC, fake_BC = logits_BC[:rows], logits_BC[rows:]
            known = losses.known_share(real_BC, self.settings.known_share)
            loss = losses.real(real_BC) + self.settings.known_weight * known + losses.fake(fake_BC)
        return self._apply(1, tape, loss)

    def step_generator(self, noise_BZ: Tensor, unlabeled_BI: Tensor) -> Tensor:
        """Update the generator by feature matching, pull-away and low density."""
        settings = self.settings
        unlabeled_BT = self.trunk(unlabeled_BI)
        sure_B = tf.sort(losses.confidence(self.head(unlabeled_BT)))
        last = tf.cast(tf.shape(sure_B)[0] - 1, tf.float32)
        threshold = sure_B[tf.cast(settings.low_density_quantile * last, tf.int32)]
        with tf.GradientTape() as tape:
            fake_BT = self.trunk(self.generator(noise_BZ, training=True))
            loss = (
                settings.feature_matching * losses.feature_matching(fake_BT, unlabeled_BT)
                + settings.pull_away * losses.pull_away(fake_BT)
                + settings.low_density * losses.low_density(self.head(fake_BT), threshold)
            )
        return self._apply(2, tape, loss)

    def fakes(self, noise_BZ: Tensor) -> Tensor:
        """Generate rows by running batch statistics: a discriminator step must not touch the generator."""
        return self.generator(noise_BZ, training=False)

    def discriminator(self) -> DenseNetwork:
        """Copy the classifier, over the known classes and unknown, to numpy."""
        return networks.as_dense_network([self.trunk, self.head], self.known + 1)

    def state(self) -> State:
        """Copy every weight and optimizer variable to named arrays."""
        return {str(number): np.array(variable) for number, variable in enumerate(self._variables())}

    def restore(self, state: State) -> None:
        """Set every variable to what `state` gave."""
        for number, variable in enumerate(self._variables()):
            variable.assign(state[str(number)])

    def _steps(
        self,
        labeled_SBI: Tensor,
        targets_SBK: Tensor,
        unlabeled_SBI: Tensor,
        first_step: Tensor,
        seed: Tensor,
    ) -> Tensor:
        shape = (tf.shape(unlabeled_SBI)[1], self.settings.latent_dim)
        steps = tf.shape(unlabeled_SBI)[0]
        total = tf.zeros(len(LOSSES))
        for step in tf.range(steps):
            key = 2 * (first_step + step)
            fake_BI = self.fakes(tf.random.stateless_normal(shape, [seed, key + DISCRIMINATOR_NOISE]))
            noise_BZ = tf.random.stateless_normal(shape, [seed, key + GENERATOR_NOISE])
            by_supervised = self.step_supervised(labeled_SBI[step], targets_SBK[step])
            by_unsupervised = self.step_unsupervised(unlabeled_SBI[step], fake_BI)
            by_generator = self.step_generator(noise_BZ, unlabeled_SBI[step])
            total += tf.stack([by_supervised, by_unsupervised, by_generator])
        return total / tf.cast(steps, tf.float32)

    def _logits(self, inputs_BI: Tensor) -> Tensor:
        return self.head(self.trunk(inputs_BI))

    def _apply(self, number: int, tape: Tensor, loss: Tensor) -> Tensor:
        variables = self._played()[number]
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self.optimizers[number].apply(gradients, variables)
        return loss

    def _played(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Return what each optimizer may change: the last one the generator and nothing else."""
        discriminator = self.trunk.trainable_variables + self.head.trainable_variables
        return discriminator, discriminator, self.generator.trainable_variables

    def _variables(self) -> list[Any]:
        weights: list[Any] = self.generator.variables + self.trunk.variables + self.head.variables
        return weights + [variable for optimizer in self.optimizers for variable in optimizer.variables]


def _optimizers(settings: ScarceGANSettings) -> tuple[Any, Any, Any]:
    decayed = keras.optimizers.schedules.ExponentialDecay(
        settings.supervised_rate, decay_steps=500, decay_rate=0.96, staircase=True
    )
    rate = settings.adversarial_rate
    return (
        keras.optimizers.Adam(decayed, beta_1=0.5, beta_2=0.9),
        keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.999),
        keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.999),
    )
