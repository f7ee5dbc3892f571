"""ScarceGAN's networks and moves, repaired and as published.

Takes settings and sizes; gives `Players` over batches of `sampling.Batch`. The losses stand in `losses`.

Shapes: M members, B rows, I inputs, K known classes, C = K + 2 logits, T trunk features, Z noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from training.keras import losses
from training.keras.players import Move, Players, adversarial_adam, supervised_adam
from training.keras.sampling import Batch
from training.keras.stacked import Generator, Stack, as_dense_networks, generator, stack
from training.settings import ScarceGANSettings, SemiSupervisedSettings

Tensor = Any

TRUNK, HEAD, SECOND_HEAD, GENERATOR = range(4)  # salts of the first weights; the generator takes two


@dataclass(frozen=True)
class Networks:
    """Trunk, heads and generator of all members; the second head is the published code's own."""

    trunk: Stack
    head: Stack
    second: Stack
    generator: Generator

    def logits(self, inputs_MBI: Tensor) -> Tensor:
        """Return the head's logits."""
        return self.head(self.trunk(inputs_MBI))

    def second_logits(self, inputs_MBI: Tensor) -> Tensor:
        """Return the second head's logits."""
        return self.second(self.trunk(inputs_MBI))

    def fakes(self, batch: Batch) -> Tensor:
        """Generate rows by running batch statistics: a discriminator's step must not touch the generator."""
        return self.generator(batch.noise_MBZ, training=False)

    def fresh_fakes(self, batch: Batch) -> Tensor:
        """Generate rows in training, for the generator's own step."""
        return self.generator(batch.fresh_noise_MBZ, training=True)


def networks(
    settings: SemiSupervisedSettings, inputs: int, seeds: Sequence[int], *, logits: int, second: int
) -> Networks:
    """Build the networks; `logits` and `second` are the outputs of the two heads."""
    units = settings.discriminator_units
    return Networks(
        trunk=stack((inputs, *units), seeds, salt=TRUNK, bent=True),
        head=stack((units[-1], logits), seeds, salt=HEAD),
        second=stack((units[-1], second), seeds, salt=SECOND_HEAD),
        generator=generator((settings.latent_dim, settings.generator_units, inputs), seeds, salt=GENERATOR),
    )


def players(settings: ScarceGANSettings, inputs: int, known: int, seeds: Sequence[int]) -> Players:
    """Build ScarceGAN in the wanted mode.

    Args:
        settings: mode, generator, sizes, weights and rates.
        inputs: columns of a scaled row.
        known: known classes K.
        seeds: one for each member.
    """
    published = settings.mode == "as_published"
    nets = networks(settings, inputs, seeds, logits=known + (1 if published else 2), second=3)
    moves = _published(settings, nets) if published else _repaired(settings, nets)
    variables = [nets.trunk.weights, nets.head.weights]
    if settings.generator == "none":
        moves = moves[:1]
    else:
        variables += [*nets.generator.trained, nets.generator.moments]
        variables += [nets.second.weights] if published else []
    return Players(tuple(moves), tuple(variables), lambda: as_dense_networks((nets.trunk, nets.head), known + 1))


def _repaired(settings: ScarceGANSettings, nets: Networks) -> list[Move]:
    """One head of K + 2 logits: known classes, unknown, fake."""
    discriminator = [nets.trunk.weights, nets.head.weights]

    def supervised(batch: Batch) -> Tensor:
        return losses.supervised(nets.logits(batch.labeled_MBI)[..., :-1], batch.targets_MBK)

    def unsupervised(batch: Batch) -> Tensor:
        rows = batch.unlabeled_MBI.shape[1]
        logits_MBC = nets.logits(ops.concatenate([batch.unlabeled_MBI, nets.fakes(batch)], axis=1))
        real_MBC, fake_MBC = logits_MBC[:, :rows], logits_MBC[:, rows:]
        known = settings.known_weight * losses.known_share(real_MBC, settings.known_share)
        return losses.real(real_MBC) + known + losses.fake(fake_MBC)

    def bad(batch: Batch) -> Tensor:
        unlabeled_MBT, fake_MBT = nets.trunk(batch.unlabeled_MBI), nets.trunk(nets.fresh_fakes(batch))
        sure_MB = ops.sort(losses.confidence(nets.head(unlabeled_MBT)), axis=-1)
        threshold = int(settings.low_density_quantile * (sure_MB.shape[-1] - 1))
        return (
            settings.feature_matching * losses.feature_matching(fake_MBT, unlabeled_MBT)
            + settings.pull_away * losses.pull_away(fake_MBT)
            + settings.low_density * losses.low_density(nets.head(fake_MBT), sure_MB[:, threshold, None])
        )

    def adversarial(batch: Batch) -> Tensor:
        return losses.real(nets.logits(nets.fresh_fakes(batch)))

    return [
        Move("supervised", supervised, discriminator, supervised_adam(settings)),
        Move("unsupervised", unsupervised, discriminator, adversarial_adam(settings.adversarial_rate)),
        Move(
            "generator",
            adversarial if settings.generator == "adversarial" else bad,
            nets.generator.trained,
            adversarial_adam(settings.adversarial_rate),
        ),
    ]


def _published(settings: ScarceGANSettings, nets: Networks) -> list[Move]:
    """Two heads without tied weights, three updates of the trunk, and one optimizer for all but the first.

    The published terms on false alarms are left out, as they have no gradient or are always 0.
    """
    alpha = 1 - settings.leeway
    second = [nets.trunk.weights, nets.second.weights]
    shared = adversarial_adam(settings.adversarial_rate)

    def supervised(batch: Batch) -> Tensor:
        return losses.supervised(nets.logits(batch.labeled_MBI), batch.targets_MBK)

    def real(batch: Batch) -> Tensor:
        return losses.published_real(nets.second_logits(batch.unlabeled_MBI), alpha)

    def fake(batch: Batch) -> Tensor:
        return losses.fake(nets.second_logits(nets.fakes(batch)))

    def bad(batch: Batch) -> Tensor:
        fake_MBT = nets.trunk(nets.fresh_fakes(batch))
        matched = losses.published_feature_matching(fake_MBT, nets.trunk(batch.labeled_MBI))
        return matched + losses.published_pull_away(fake_MBT)

    def adversarial(batch: Batch) -> Tensor:
        return losses.published_real(nets.second_logits(nets.fresh_fakes(batch)), alpha)

    generators: dict[str, tuple[Callable[[Batch], Tensor], list[Any]]] = {
        "bad": (bad, [nets.trunk.weights]),
        "adversarial": (adversarial, second),
    }
    loss, leaked = generators.get(settings.generator, (bad, []))
    moved = [*nets.generator.trained, *(leaked if settings.trunk_leak else [])]
    return [
        Move("supervised", supervised, [nets.trunk.weights, nets.head.weights], supervised_adam(settings)),
        Move("unsupervised_real", real, second, shared),
        Move("unsupervised_fake", fake, second, shared),
        Move("generator", loss, moved, shared),
    ]
