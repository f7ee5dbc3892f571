"""SSGAN: the vanilla semi-supervised GAN that ScarceGAN is compared with.

After Odena, "Semi-Supervised Learning with Generative Adversarial Networks", ICML 2016 workshop, in the form of the
ScarceGAN authors' baseline: two heads on one trunk. Takes a reader; gives an artifact over the known classes, without
`unknown`.

1. The supervised head learns the class of labelled rows by cross-entropy.
2. The second head learns to tell unlabelled rows from generated ones by binary cross-entropy, an update for each.
3. The generator learns to pass as real (non-saturating).

Networks, learning rates, batches, folds and the choice of the best networks are ScarceGAN's, to differ in the method
alone; the authors' baseline learned 10 to 100 times as fast (their rate: supervised_rate = adversarial_rate = 0.01).

Shapes: M members, B rows, K known classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.dense_network import DenseNetworkArtifact
from training.keras import fitting, losses
from training.keras.players import Move, Players, adversarial_adam, supervised_adam
from training.keras.sampling import Batch
from training.keras.scarcegan_moves import networks
from training.keras.stacked import as_dense_networks
from training.settings import SSGANSettings
from training.trainer import Reader

Tensor = Any


def players(settings: SSGANSettings, inputs: int, known: int, seeds: Sequence[int]) -> Players:
    """Build the networks of all members and their moves; see `scarcegan_moves.players`."""
    nets = networks(settings, inputs, seeds, logits=known, second=1)
    second = [nets.trunk.weights, nets.second.weights]
    unsupervised = adversarial_adam(settings.adversarial_rate)

    def supervised(batch: Batch) -> Tensor:
        return losses.supervised(nets.logits(batch.labeled_MBI), batch.targets_MBK)

    def real(batch: Batch) -> Tensor:
        return losses.says_real(nets.second_logits(batch.unlabeled_MBI)[..., 0])

    def fake(batch: Batch) -> Tensor:
        return losses.says_fake(nets.second_logits(nets.fakes(batch))[..., 0])

    def deceive(batch: Batch) -> Tensor:
        return losses.says_real(nets.second_logits(nets.fresh_fakes(batch))[..., 0])

    moves = (
        Move("supervised", supervised, [nets.trunk.weights, nets.head.weights], supervised_adam(settings)),
        Move("unsupervised_real", real, second, unsupervised),
        Move("unsupervised_fake", fake, second, unsupervised),
        Move("generator", deceive, nets.generator.trained, adversarial_adam(settings.adversarial_rate)),
    )
    variables = (nets.trunk.weights, nets.head.weights, nets.second.weights)
    generator = (*nets.generator.trained, nets.generator.moments)
    return Players(moves, variables + generator, lambda: as_dense_networks((nets.trunk, nets.head), known))


class SSGAN(SSGANSettings):
    """An ensemble of vanilla semi-supervised GANs."""

    def fit(self, reader: Reader) -> DenseNetworkArtifact:
        """Learn from labelled and unlabelled rows; refuses what `ScarceGAN.fit` refuses."""
        method = fitting.Method(
            name="ssgan",
            extra_classes=(),
            targets=lambda weak: np.eye(len(weak.classes), dtype=np.float32),
            players=lambda inputs, known, seeds: players(self, inputs, known, seeds),
        )
        return fitting.fit(self, reader, method)
