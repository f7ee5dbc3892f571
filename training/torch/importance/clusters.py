"""Clusters of a table by networks that know the clusters' sizes, started on k-means (F.3), and k-means beside them.

Takes inputs, and labelled rows where there are some; gives membership for any row. Where the networks and k-means
do not agree, k-means is what counts; where k-means and the labels do not, the networks start on a classifier's
predictions instead (F.6).

Shapes: M members, B rows, I inputs, K clusters, L labelled rows.
"""

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

from training.dense_network import DenseNetwork
from training.torch.devices import device_of
from training.torch.embedded import Embedded
from training.torch.importance import classifier, losses
from training.torch.importance.settings import ImportanceVectorSettings
from training.torch.member_networks import Members, batches, mean_chances
from training.trainer import Floats, TrainingDiverged

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

STARTS = 10  # of k-means
NOISE_STREAM, LABELED_STREAM = 7, 8
LOOK_EVERY = 10

logger = logging.getLogger(__name__)


class Known(NamedTuple):
    """Labelled rows: their `inputs` (L, I) and `labels` (L,), of every cluster at least one."""

    inputs: Floats
    labels: Codes


@dataclass(frozen=True)
class Clusters:
    """Fitted clusters.

    Attributes:
        networks: members; one linear layer where k-means counts.
        shares: each cluster's share of the rows it was fitted on, (K,).
        kmeans: the k-means cluster of each of these rows.
        on_labels: whether the networks started on what labelled rows say rather than on k-means.
        agreement: normalized mutual information of networks and k-means.
        fell_back: whether k-means counts.
        looks: mean loss by epoch.
    """

    networks: tuple[DenseNetwork, ...]
    shares: Doubles
    kmeans: Codes
    on_labels: bool
    agreement: float
    fell_back: bool
    looks: dict[int, float]

    def chances(self, inputs: Floats) -> Doubles:
        """Return membership (rows, K)."""
        return mean_chances(self.networks, inputs)


def fit(
    inputs: Floats,
    num: int,
    *,
    settings: ImportanceVectorSettings,
    known: Known | None = None,
    embedded: tuple[Embedded, ...] = (),
) -> Clusters:
    """Find clusters.

    Args:
        inputs: (rows, I) of all rows to learn from.
        num: clusters; with labelled rows, the classes, and cluster k is class k.
        settings: seed, networks and loss.
        known: labelled rows, which are not among `inputs` by need.
        embedded: blocks of inputs to be embedded.

    Raises:
        ValueError: there are fewer rows than clusters.
        TrainingDiverged: a loss is no longer a number.
    """
    if not 2 <= num <= len(inputs):
        raise ValueError(f"{num} clusters of {len(inputs)} rows are asked for; give at least 2, and as many rows")
    kmeans, linear = _kmeans(inputs, num, settings.seed, known)
    on_labels = known is not None and _agreement(known.labels, linear.logits(known.inputs)) < settings.agreement
    start = _by_labels(inputs, num, known, settings, embedded) if known and on_labels else kmeans
    course = _Course(inputs, start, num, settings=settings, known=known, embedded=embedded)
    looks = course.follow()
    networks = course.networks.export()
    found = mean_chances(networks, inputs)
    agreement = _agreement(kmeans, found)
    # With labels the networks may know better than k-means; whether they do is for the trainer's folds to say.
    fell_back = known is None and agreement < settings.agreement
    if fell_back:
        logger.info("networks and k-means agree by %.2f only; the k-means clusters are taken", agreement)
        networks, found = (linear,), mean_chances((linear,), inputs)
    return Clusters(networks, found.mean(axis=0), kmeans, on_labels, agreement, fell_back, looks)


def choose_number(inputs: Floats, most: int, *, seed: int) -> int:
    """Return the number of clusters, 2 to `most`, with the least BIC of a diagonal Gaussian mixture (F.4)."""
    with threadpool_limits(1):
        found = {
            num: GaussianMixture(num, covariance_type="diag", n_init=3, random_state=seed, reg_covar=1e-3)
            .fit(inputs)
            .bic(inputs)
            for num in range(2, min(most, len(inputs)) + 1)
        }
    return min(found, key=lambda num: found[num])


def _kmeans(inputs: Floats, num: int, seed: int, known: Known | None) -> tuple[Codes, DenseNetwork]:
    """Return the clusters of rows and, in one linear layer, the membership of spherical Gaussians around the means.

    With labelled rows the means start at those of the classes, so that clusters keep the classes' order.
    """
    rows = inputs.astype(np.float64)
    start, tries = "k-means++", STARTS
    if known:
        start, tries = np.stack([known.inputs[known.labels == code].mean(axis=0) for code in range(num)]), 1
    with threadpool_limits(1):
        found = KMeans(num, init=start, n_init=tries, random_state=seed).fit(rows)
    centers, variance = found.cluster_centers_, max(found.inertia_ / rows.size, 1e-6)
    kernel, bias = (centers / variance).T, -(centers**2).sum(axis=1) / (2 * variance)
    linear = DenseNetwork((kernel.astype(np.float32),), (bias.astype(np.float32),))
    return found.labels_.astype(np.int64), linear


def _by_labels(
    inputs: Floats, num: int, known: Known, settings: ImportanceVectorSettings, embedded: tuple[Embedded, ...]
) -> Codes:
    """Return the class of each row by a classifier of the labelled ones."""
    weights = classifier.balanced_weights(known.labels)
    networks = classifier.fit(
        known.inputs, known.labels, weights, num_classes=num, settings=settings, embedded=embedded
    )
    return np.asarray(mean_chances(networks, inputs).argmax(axis=1), np.int64)


def _agreement(labels: Codes, chances: NDArray[np.floating[Any]]) -> float:
    return float(normalized_mutual_info_score(labels, chances.argmax(axis=1)))


class _Course:
    """The training of the clustering networks: a warm start on given clusters, then the loss that knows sizes."""

    def __init__(
        self,
        inputs: Floats,
        start: Codes,
        num: int,
        *,
        settings: ImportanceVectorSettings,
        known: Known | None,
        embedded: tuple[Embedded, ...],
    ) -> None:
        self._settings, self._device = settings, device_of(settings.device)
        self._seeds = [settings.seed + member for member in range(settings.members)]
        self._inputs = self._tensor(inputs)
        self._start = functional.one_hot(self._tensor(start), num).float()
        self._known = None
        if known and settings.label_weight:
            weights = 1 / np.bincount(known.labels, minlength=num)[known.labels]
            labels = functional.one_hot(self._tensor(known.labels), num).float()
            self._known = (self._tensor(known.inputs), labels, self._tensor(weights.astype(np.float32)))
        self._spread, self._mean = self._inputs.std(dim=0), self._inputs.mean(dim=0)
        self._prior = self._start.mean(dim=0).expand(settings.members, num)
        widths = [inputs.shape[1], *settings.units, num]
        self.networks = Members(widths, self._seeds, embedded=embedded).to(self._device)
        self._optimizer = torch.optim.Adam(self.networks.parameters(), lr=settings.rate, fused=True)
        self._noise, self._labeled = (
            torch.Generator(self._device).manual_seed(settings.seed * 1_000_003 + stream)
            for stream in (NOISE_STREAM, LABELED_STREAM)
        )

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def follow(self) -> dict[int, float]:
        """Train, and return the mean loss of some epochs."""
        settings, looks, rows_in_all = self._settings, dict[int, float](), len(self._inputs)
        warm = settings.passes_over(rows_in_all, settings.warm_start)
        last = warm + settings.passes_over(rows_in_all, settings.epochs)
        for epoch in range(last):
            found = []
            for rows in batches(rows_in_all, settings.batch_size, seeds=self._seeds, epoch=epoch):
                rows_MB = self._tensor(rows)
                found.append(self._step(self._warm_loss(rows_MB) if epoch < warm else self._loss(rows_MB)))
            if (epoch + 1) % LOOK_EVERY == 0 or epoch + 1 == last:
                looks[epoch + 1] = _finite(torch.stack(found).mean().item(), epoch)
        return looks

    def _step(self, loss_M: Tensor) -> Tensor:
        self._optimizer.zero_grad()
        torch.autograd.backward(loss_M.sum())
        self._optimizer.step()
        return loss_M.detach().mean()

    def _warm_loss(self, rows_MB: Tensor) -> Tensor:
        logits_MBK = self.networks(self._inputs[rows_MB])
        ones_MB = torch.ones(rows_MB.shape, device=self._device)
        return losses.cross_entropy(logits_MBK, self._start[rows_MB], ones_MB) + self._label_loss()

    def _loss(self, rows_MB: Tensor) -> Tensor:
        """Return mean H(p) + alpha KL(pbar || pi) + beta consistency (F.3), and that of the labels (F.6)."""
        settings, rows_MBI = self._settings, self._inputs[rows_MB]
        logits_MBK = self.networks(rows_MBI)
        loss_M = losses.conditional_entropy(logits_MBK)
        loss_M = loss_M + settings.prior_weight * losses.prior_divergence(logits_MBK, self._prior)
        if settings.consistency:
            perturbed_MBK = self.networks(self._perturbed(rows_MBI))
            loss_M = loss_M + settings.consistency * losses.consistency(logits_MBK, perturbed_MBK)
        mean_MK = functional.softmax(logits_MBK.detach(), dim=-1).mean(dim=1)
        self._prior = settings.prior_memory * self._prior + (1 - settings.prior_memory) * mean_MK
        return loss_M + self._label_loss()

    def _label_loss(self) -> Tensor:
        """Return the cross-entropy of labelled rows, classes weighted alike; of many rows, that of a batch of them.

        All of them beside every batch of the others would take their product in time.
        """
        if self._known is None:
            return torch.zeros(1, device=self._device)
        inputs, labels, weights = self._known
        members, rows = self._settings.members, self._settings.batch_size
        if len(inputs) > rows:
            drawn_MB = weights.expand(members, -1).multinomial(rows, replacement=True, generator=self._labeled)
            inputs, labels, weights = inputs[drawn_MB], labels[drawn_MB], torch.ones_like(weights[drawn_MB])
        else:
            inputs = inputs.expand(members, *inputs.shape)
        return self._settings.label_weight * losses.cross_entropy(self.networks(inputs), labels, weights)

    def _perturbed(self, rows_MBI: Tensor) -> Tensor:
        """Return the rows with noise, and some inputs at their mean: alike in all members, whose rows are others."""
        shape, random, device = rows_MBI.shape[1:], self._noise, self._device
        noise_BI = self._settings.noise * self._spread * torch.randn(shape, generator=random, device=device)
        kept_BI = torch.rand(shape, generator=random, device=device) >= self._settings.masked
        return torch.where(kept_BI, rows_MBI + noise_BI, self._mean)


def _finite(loss: float, epoch: int) -> float:
    if not np.isfinite(loss):
        raise TrainingDiverged(
            f"in epoch {epoch} the clustering loss became {loss}; lower the rate, and look for extreme values "
            "among the features"
        )
    return round(loss, 5)
