"""The three updates of an adversarial step (B.6): discriminator, classifier, generator, in that order.

Takes the players and a batch on the device; gives each loss as it was before its update.

Shapes: B real rows and as many generated ones, E encoded width, K classes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.torch.checkpoint import Learners
from training.torch.qast import losses
from training.torch.qast.attention import rows_at_once
from training.torch.qast.networks import Classifier, Discriminator, Generator
from training.torch.qast.settings import QASTSettings

BETAS = (0.5, 0.9)
PENALTIES = {"hinge": 1.0, "wgan_gp": 10.0, "bce": 1.0}
FAKE_WEIGHT = 2.0  # of generated rows in the classifier's loss


class Batch(NamedTuple):
    """One step's rows.

    Attributes:
        real_BE: real rows.
        real_BK: their labels, one-hot.
        fake_BE: generated rows, with their graph.
        fake_BK: the labels they were made for, one-hot.
        partners_BE: the real rows that the generated ones are drawn to, by position.
    """

    real_BE: Tensor
    real_BK: Tensor
    fake_BE: Tensor
    fake_BK: Tensor
    partners_BE: Tensor


class Lesson(NamedTuple):
    """Generated rows that the classifier learns from: `rows_BE`, and `labels_BK`, one-hot, 0 for a row that is not."""

    rows_BE: Tensor
    labels_BK: Tensor


@dataclass(frozen=True)
class Adversaries:
    """The two networks that outlive the training.

    Attributes:
        generator: G.
        discriminator: D.
        settings: which losses, and in which mode networks judge.
    """

    generator: Generator
    discriminator: Discriminator
    settings: QASTSettings

    def quality(self, rows_BE: Tensor, labels_BK: Tensor) -> Tensor:
        """Return sigmoid(D), (B,), without a graph, in the mode that the settings name."""
        self.discriminator.train(self.settings.inference == "train")
        parts, size = [rows_BE.new_empty(0)], rows_at_once(rows_BE.shape[1])
        with torch.no_grad():
            for rows, labels in zip(torch.split(rows_BE, size), torch.split(labels_BK, size), strict=True):
                parts.append(self.discriminator(self.discriminator.inputs(rows, labels), labels))
        self.discriminator.train()
        return torch.sigmoid(torch.cat(parts))


@dataclass(frozen=True)
class Players:
    """All networks and their optimizers.

    Attributes:
        adversaries: G and D.
        classifier: C.
        optimizers: of G, D and C.
        small_K: whether a class is small.
    """

    adversaries: Adversaries
    classifier: Classifier
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer, torch.optim.Optimizer]
    small_K: Tensor

    @property
    def generator(self) -> Generator:
        """G."""
        return self.adversaries.generator

    @property
    def discriminator(self) -> Discriminator:
        """D."""
        return self.adversaries.discriminator

    @property
    def settings(self) -> QASTSettings:
        """Which losses."""
        return self.adversaries.settings

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by name, in the order of the optimizers."""
        return {"generator": self.generator, "discriminator": self.discriminator, "classifier": self.classifier}

    @property
    def learners(self) -> Learners:
        """All that changes, for checkpoints."""
        return Learners(self.networks, dict(zip(self.networks, self.optimizers, strict=True)))

    def discriminate(self, batch: Batch) -> Tensor:
        """Update the discriminator."""
        network, fake_BE = self.discriminator, batch.fake_BE.detach()
        inputs_BW = network.inputs(batch.real_BE, batch.real_BK).detach().requires_grad_()
        real_B = network(inputs_BW, batch.real_BK)
        fake_B = network(network.inputs(fake_BE, batch.fake_BK), batch.fake_BK)
        if self.settings.adversarial == "hinge":
            loss = losses.hinge_discriminator(real_B, fake_B)
            penalty = losses.r1(losses.gradient_norms(real_B, inputs_BW, batch.real_BE.shape[1]))
        else:
            told_apart = self.settings.adversarial == "bce"
            loss = (losses.published_discriminator if told_apart else losses.wasserstein_discriminator)(real_B, fake_B)
            penalty = self._penalty_between(batch)
        weight = self.settings.penalty
        weight = PENALTIES[self.settings.adversarial] if weight is None else weight
        return _update(loss + weight * penalty, self.optimizers[1])

    def _penalty_between(self, batch: Batch) -> Tensor:
        """Return the gradient penalty on lines between real and generated rows.

        As published ('bce'): one point for the whole batch, the label's number counts, and D ends in a sigmoid.
        Repaired ('wgan_gp'): a point for each row, and the features alone.
        """
        published = self.settings.adversarial == "bce"
        rows, width = batch.real_BE.shape
        at = torch.rand((1, 1) if published else (rows, 1), device=batch.real_BE.device)
        network = self.discriminator
        fake_BW = network.inputs(batch.fake_BE.detach(), batch.fake_BK)
        between_BW = torch.lerp(fake_BW, network.inputs(batch.real_BE, batch.real_BK), at).requires_grad_()
        scores_B = network(between_BW, torch.lerp(batch.fake_BK, batch.real_BK, at))
        norms_B = losses.gradient_norms(
            scores_B.sigmoid() if published else scores_B, between_BW, None if published else width
        )
        return losses.gradient_penalty(norms_B)

    def classify(self, batch: Batch, lesson: Lesson) -> Tensor:
        """Update the classifier: L_real + 2 L_fake."""
        rows = len(batch.real_BE)
        labels_BK = torch.cat([batch.real_BK, lesson.labels_BK])
        logits_BK = self.classifier(torch.cat([batch.real_BE, lesson.rows_BE]))
        each_B = -(labels_BK * logits_BK.log_softmax(dim=1)).sum(dim=1)
        real = losses.mined_cross_entropy(each_B[:rows], batch.real_BK, small_K=self.small_K)
        fake = losses.mined_cross_entropy(
            each_B[rows:], lesson.labels_BK, small_K=self.small_K, normalizer=self.settings.fake_weights
        )
        return _update(real + FAKE_WEIGHT * fake, self.optimizers[2])

    def generate(self, batch: Batch) -> Tensor:
        """Update the generator: reconstruction, deceiving the discriminator, and the class it was asked for."""
        inputs_BW = self.discriminator.inputs(batch.fake_BE, batch.fake_BK)
        logits_B = self.discriminator(inputs_BW, batch.fake_BK)
        published = self.settings.adversarial == "bce"
        deceived = losses.published_real(logits_B) if published else losses.deceive(logits_B)
        partners_BE = batch.partners_BE
        if self.settings.matching == "class":
            partners_BE = losses.matched(batch.fake_BE, partners_BE, batch.fake_BK.argmax(dim=1))
        near = losses.reconstruction(batch.fake_BE, partners_BE)
        named = functional.cross_entropy(self.classifier(batch.fake_BE), batch.fake_BK)
        return _update(self.settings.reconstruction * near + deceived + named, self.optimizers[0])


def _update(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    optimizer.zero_grad()
    # Nothing is spent on the gradients of the other networks.
    torch.autograd.backward(loss, inputs=optimizer.param_groups[0]["params"])
    optimizer.step()
    return loss.detach()


def players(adversaries: Adversaries, classifier: Classifier, small_K: Tensor) -> Players:
    """Give the networks, which lie on their device, their optimizers (B.4)."""
    settings = adversaries.settings

    def adam(network: nn.Module, rate: float, decay: float = 0.0) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), rate, BETAS, weight_decay=decay, fused=True)

    optimizers = (
        adam(adversaries.generator, settings.generator_rate, settings.generator_decay),
        adam(adversaries.discriminator, settings.rate),
        adam(classifier, settings.rate),
    )
    return Players(adversaries, classifier, optimizers, small_K)
