"""AAE: an adversarial autoencoder that knows rows which are assumed normal, and finds what is unlike them.

After Makhzani, Shlens, Jaitly, Goodfellow and Frey, "Adversarial Autoencoders", ICLR 2016 workshop; a baseline of
ScarceGAN's authors. Takes a reader; gives an artifact over "not rare" and the rare class. Labels of the rare class
are used to measure it and for nothing else.

1. Rows that are assumed normal, the labelled ones that are not rare and the unlabelled ones, are coded as mean and
   log-variance; a code is drawn by reparametrisation.
2. The discriminator learns to tell codes from draws of the prior N(0, I).
3. Encoder and decoder learn to reconstruct the rows and to pass the codes as draws of the prior.
4. A row's score is its reconstruction error plus the surprise at its code, -log p(z) under the prior, each
   standardised by labelled rows that are not rare and were held out; a quantile of their scores is the threshold. The
   discriminator's own doubt, -log D, ranks worse: where it has been fooled it says 1/2 of every code, and far from
   what it saw anything at all.

Sizes and the weights in step 3 are the authors'. Their code has no step 4, their cosine term has no gradient, and
their dense layers before the encoder and batch normalisation are left out: inputs are standardised here.

Shapes: M members, B rows, N labelled rows, L rows that a member learns from, P rows of the pool, I inputs, Z code.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from sklearn.metrics import average_precision_score

from training.artifact import Manifest
from training.dense_network import DenseNetwork
from training.held_out import HeldOut
from training.keras import backends, course, draws, ensemble, fitting, losses
from training.keras.aae_artifact import AAEArtifact, Autoencoder, Doubles, Scale
from training.keras.course import Look, Plan
from training.keras.ensemble import Parts, Table
from training.keras.players import Move, Players, adversarial_adam
from training.keras.sampling import Pool
from training.keras.stacked import Stack, as_dense_networks, stack
from training.metrics import class_recall, held_out_scores, held_out_summary
from training.settings import AAESettings
from training.splits import check_labels
from training.trainer import Reader
from training.two_classes import rare_or_not
from training.weak_labels import WeakLabels

Tensor = Any

ENCODER, DECODER, DISCRIMINATOR = range(3)  # salts of the first weights
NAME = "aae"

logger = logging.getLogger(__name__)


class Data(NamedTuple):
    """What batches are drawn from: labelled rows, which of them a member learns from, how many, and the pool."""

    seeds_M: Tensor
    labeled_NI: Tensor
    rows_ML: Tensor
    counts_M: Tensor
    pool_PI: Tensor


class Batch(NamedTuple):
    """One step's rows for every member, noise for their codes in either move, and draws of the prior."""

    rows_MBI: Tensor
    noise_MBZ: Tensor
    fresh_noise_MBZ: Tensor
    prior_MBZ: Tensor


def draw(data: Data, step: Tensor, *, rows: int, latent_dim: int) -> Batch:
    """Draw a step's batch; each row that is assumed normal is as likely."""
    own_M1 = data.counts_M[:, None]
    noise = (2, rows, latent_dim)
    shares, first, second = draws.uniform(data.seeds_M, step, (rows,), noise, noise)
    places_MB = draws.positions(shares, own_M1 + data.pool_PI.shape[0])
    is_own_MB = places_MB < own_M1
    own_MB = ops.take_along_axis(data.rows_ML, ops.where(is_own_MB, places_MB, 0), axis=1)
    other_MB = ops.where(is_own_MB, 0, places_MB - own_M1)
    own_MBI, other_MBI = ops.take(data.labeled_NI, own_MB, axis=0), ops.take(data.pool_PI, other_MB, axis=0)
    rows_MBI = ops.where(is_own_MB[:, :, None], own_MBI, other_MBI)
    return Batch(rows_MBI, *draws.normal(first), draws.normal(second)[0])


def players(settings: AAESettings, inputs: int, seeds: Sequence[int]) -> Players:
    """Build the networks of all members and their two moves."""
    latent = settings.latent_dim
    encoder = stack((inputs, *settings.encoder_units, 2 * latent), seeds, salt=ENCODER)
    decoder = stack((latent, *settings.encoder_units[::-1], inputs), seeds, salt=DECODER)
    discriminator = stack((latent, *settings.discriminator_units, 1), seeds, salt=DISCRIMINATOR)

    def discriminate(batch: Batch) -> Tensor:
        codes_MBZ = coded(encoder, batch.rows_MBI, batch.noise_MBZ)
        prior = losses.says_real(discriminator(batch.prior_MBZ)[..., 0])
        return prior + losses.says_fake(discriminator(codes_MBZ)[..., 0])

    def autoencode(batch: Batch) -> Tensor:
        codes_MBZ = coded(encoder, batch.rows_MBI, batch.fresh_noise_MBZ)
        error = losses.reconstruction(batch.rows_MBI, decoder(codes_MBZ))
        fooled = losses.says_real(discriminator(codes_MBZ)[..., 0])
        return (1 - settings.adversarial_weight) * error + settings.adversarial_weight * fooled

    moves = (
        Move("discriminator", discriminate, [discriminator.weights], adversarial_adam(settings.rate)),
        Move("autoencoder", autoencode, [encoder.weights, decoder.weights], adversarial_adam(settings.rate)),
    )

    def networks() -> list[DenseNetwork]:
        pairs = zip(as_dense_networks((encoder,), latent), as_dense_networks((decoder,), inputs), strict=True)
        return [network for member in pairs for network in member]

    return Players(moves, (encoder.weights, decoder.weights, discriminator.weights), networks)


def coded(encoder: Stack, rows_MBI: Tensor, noise_MBZ: Tensor) -> Tensor:
    """Draw codes mean + noise * exp(log-variance / 2)."""
    latent = noise_MBZ.shape[-1]
    moments = encoder(rows_MBI)
    return moments[..., :latent] + noise_MBZ * ops.exp(moments[..., latent:] / 2)


class AAE(AAESettings):
    """An ensemble of adversarial autoencoders that differ in their seed and in the fold they hold out."""

    def fit(self, reader: Reader) -> AAEArtifact:
        """Learn from labelled rows that are not rare and from unlabelled rows.

        Args:
            reader: a feature table with rows of the rare class, of at least one other, and without label.

        Returns:
            An artifact over two classes: the rare one and, by its name if there is but one, what is not rare.

        Raises:
            ValueError: no labelled row is rare, all are, a class has one row only, or none is unlabelled.
            TrainingDiverged: a loss is no longer a number.
        """
        backends.prepare()
        table = self._table(reader)
        if self.latent_dim >= table.scaler.num_features:
            logger.warning(
                "a code of %d numbers can hold all of %d features, so reconstruction tells little; lower latent_dim",
                self.latent_dim,
                table.scaler.num_features,
            )
        seeds = [self.seed + number for number in range(self.members)]
        pool = Pool(reader, table.scaler, self, self.rows)
        fixed = self._data(table, seeds, pool)

        def look(step: int, means: Mapping[str, float], networks: list[DenseNetwork]) -> tuple[Look, str]:
            return _look(table, self._scale(table, networks), networks, Look(step, means))

        done = course.follow(
            Plan(NAME, self, fitting.identity(self, NAME, table), choose=False),
            players(self, table.scaler.num_inputs, seeds),
            draw=partial(draw, rows=self.rows, latent_dim=self.latent_dim),
            data=lambda looks: fixed._replace(pool_PI=pool.after(looks)),
            look=look,
        )
        scale = self._scale(table, done.networks)
        rows = {name: int((table.weak.labels == code).sum()) for code, name in enumerate(table.schema.classes)}
        manifest = Manifest(
            trainer=NAME,
            settings=fitting.own_settings(self),
            schema=table.schema,
            classes=table.classes,
            rare=table.weak.rare,
            rows=rows | {"unlabeled": pool.read(len(done.looks))},
            metrics=_metrics(table, scale, done.networks, self.seed),
            history=done.history(),
            seed=self.seed,
            versions=fitting.versions(),
            held_out=_rated(table, scale, done.networks),
        )
        reference = np.median(table.inputs[table.weak.labels != table.weak.rare_code], axis=0)
        return AAEArtifact(manifest, table.scaler, _members(done.networks), scale, reference)

    def _table(self, reader: Reader) -> Table:
        """Prepare the labelled rows; rare ones are held out from every member."""
        schema, labeled = reader.schema, reader.labeled()
        check_labels(labeled.labels, schema)
        weak = WeakLabels(labeled.labels, schema.classes, schema.rare)
        is_rare = labeled.labels == schema.rare_code
        dealt = ensemble.split(labeled.labels, self, schema.classes)
        training = [rows[~is_rare[rows]] for rows in dealt.training]
        held_out = [np.concatenate([rows[~is_rare[rows]], np.flatnonzero(is_rare)]) for rows in dealt.held_out]
        scaler = ensemble.fit_scaler(labeled.features, reader, self)
        classes = rare_or_not(schema)
        inputs, targets = scaler.transform(labeled.features), is_rare[:, None].astype(np.float32)
        return Table(schema, weak, classes, scaler, inputs, targets, Parts(training, held_out))

    def _data(self, table: Table, seeds: Sequence[int], pool: Pool) -> Data:
        training = table.parts.training
        longest = max(len(rows) for rows in training)
        rows_ML = np.array([np.resize(rows, longest) for rows in training], dtype=np.int32)
        return Data(
            seeds_M=ops.convert_to_tensor(np.array(seeds, dtype=np.int64)),
            labeled_NI=ops.convert_to_tensor(table.inputs),
            rows_ML=ops.convert_to_tensor(rows_ML),
            counts_M=ops.convert_to_tensor(np.array([len(rows) for rows in training], dtype=np.int32)),
            pool_PI=pool.after(0),
        )

    def _scale(self, table: Table, networks: Sequence[DenseNetwork]) -> Scale:
        """Say what is usual among the held-out rows that are not rare."""
        is_rare = table.weak.labels == table.weak.rare_code
        rows = [held_out[~is_rare[held_out]] for held_out in table.parts.held_out]
        found = [m.surprise(table.inputs[own]) for m, own in zip(_members(networks), rows, strict=True)]
        center = np.stack([surprise.mean(axis=0) for surprise in found])
        spread = np.stack([np.maximum(surprise.std(axis=0), losses.TINY) for surprise in found])
        scale = Scale(center, spread, self.latent_weight, 0.0)
        scores = np.concatenate(scale.scores(found))
        threshold = np.quantile(scores, 1 - self.alarm_share, method="higher")
        return Scale(center, spread, self.latent_weight, float(threshold))


def _members(networks: Sequence[DenseNetwork]) -> tuple[Autoencoder, ...]:
    return tuple(Autoencoder(*pair) for pair in zip(networks[::2], networks[1::2], strict=True))


def _held_out(table: Table, scale: Scale, networks: Sequence[DenseNetwork]) -> list[tuple[Any, Doubles]]:
    rows = table.parts.held_out
    found = [member.surprise(table.inputs[own]) for member, own in zip(_members(networks), rows, strict=True)]
    return list(zip(rows, scale.scores(found), strict=True))


def _rated(table: Table, scale: Scale, networks: Sequence[DenseNetwork]) -> HeldOut:
    """Return the held-out rows with the probabilities that the artifact would state."""
    scores = held_out_scores(len(table.weak.labels), _held_out(table, scale, networks))
    return HeldOut.of(table.weak.labels == table.weak.rare_code, scale.probability(scores))


def _look(table: Table, scale: Scale, networks: Sequence[DenseNetwork], look: Look) -> tuple[Look, str]:
    scores = held_out_scores(len(table.weak.labels), _held_out(table, scale, networks))
    known = ~np.isnan(scores)
    rare = table.weak.labels[known] == table.weak.rare_code
    precision, error = float(average_precision_score(rare, scores[known])), float(scale.center[:, 0].mean())
    found = Look(look.step, look.training, precision, error, class_recall=_recall(table, scale, networks))
    training = ", ".join(f"{name} {value:.3f}" for name, value in look.training.items())
    return found, (
        f"loss {training}; held-out rows: average precision of {table.weak.rare!r} {precision:.3f}, "
        f"reconstruction error {error:.3f}"
    )


def _recall(table: Table, scale: Scale, networks: Sequence[DenseNetwork]) -> dict[str, float | None]:
    """Return the shares of rows on the right side of the threshold."""
    rare = table.classes.index(table.weak.rare)
    held_out = _held_out(table, scale, networks)
    truth = np.concatenate([table.weak.labels[rows] == table.weak.rare_code for rows, _ in held_out])
    above = np.concatenate([scores > scale.threshold for _, scores in held_out])
    return class_recall(np.where(truth, rare, 1 - rare), np.where(above, rare, 1 - rare), table.classes)


def _metrics(table: Table, scale: Scale, networks: Sequence[DenseNetwork], seed: int) -> dict[str, Any]:
    """Measure the scores of rows by members that did not learn from them; no label of the rare class was used."""
    held_out = _held_out(table, scale, networks)
    summary = held_out_summary(table.weak.labels == table.weak.rare_code, held_out, seed=seed)
    return summary | {"class_recall": _recall(table, scale, networks), "threshold": scale.threshold}
