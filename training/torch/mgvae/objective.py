"""The evidence lower bound of a batch under the majority-guided prior, and the Fisher information at its optimum.

Takes the network and encoded rows; gives losses to minimize. Noise is given, not drawn here.

Shapes: B rows, S exemplars, W columns of an encoded row, V numbers among them, Z size of the code.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.torch.mgvae import losses
from training.torch.mgvae.networks import MajorityGuidedVAE
from training.torch.mgvae.settings import MGVAESettings

VARIANCE_DECAY = 0.9  # of the running squared error, a step


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        rows_BW: encoded rows to be explained.
        exemplars_SW: encoded majority rows, the prior's components.
        noise_BZ: standard Gaussian.
        excluded_BS: components that do not count for a row, or None.
    """

    rows_BW: Tensor
    exemplars_SW: Tensor
    noise_BZ: Tensor
    excluded_BS: Tensor | None = None


class Terms(NamedTuple):
    """Means over a batch, in nats: `reconstruction` is -log p(x | z), `kl` log q(z | x) less the log prior."""

    reconstruction: Tensor
    kl: Tensor


class Anchor(NamedTuple):
    """What EWC holds on to: `weights` psi* and `fisher` F, both in the order of the network's parameters."""

    weights: list[Tensor]
    fisher: list[Tensor]


def negative_elbo(vae: MajorityGuidedVAE, batch: Batch, settings: MGVAESettings, *, calibrate: bool = False) -> Terms:
    """Return the two parts of -O(x), with one draw of z (B.1).

    Args:
        vae: the network.
        batch: rows, exemplars and noise.
        settings: of prior and likelihood.
        calibrate: bring the decoder's variance up to date by this batch first.
    """
    num_rows = len(batch.rows_BW)
    guided = settings.prior == "mixture"
    everything = torch.cat([batch.rows_BW, batch.exemplars_SW]) if guided else batch.rows_BW
    mean, log_variance = vae.encode(everything)
    mean_BZ, log_variance_BZ = mean[:num_rows], log_variance[:num_rows]
    z_BZ = mean_BZ + batch.noise_BZ * (0.5 * log_variance_BZ).exp()
    if guided:
        log_prior_B = losses.log_mixture_prior(z_BZ, mean[num_rows:], vae.prior_log_variance, batch.excluded_BS)
    else:
        log_prior_B = losses.standard_log_prior(z_BZ)
    kl_B = losses.gaussian_log_density(z_BZ, mean_BZ, log_variance_BZ) - log_prior_B
    outputs_BW = vae.decode(z_BZ)
    if calibrate:
        update_variance(vae, batch.rows_BW, outputs_BW.detach(), floor=settings.variance_floor)
    return Terms(reconstruction_error(vae, batch.rows_BW, outputs_BW, settings).mean(), kl_B.mean())


def reconstruction_error(
    vae: MajorityGuidedVAE, rows_BW: Tensor, outputs_BW: Tensor, settings: MGVAESettings
) -> Tensor:
    """Return -log p(x | z) over numbers, what is missing, and categories, (B,)."""
    layout = vae.layout
    values_BV, means_BV = rows_BW[:, : layout.numbers], outputs_BW[:, : layout.numbers]
    present_BV = present(rows_BW, vae)
    if settings.likelihood == "published":
        error_B = losses.squared_error(values_BV, means_BV, present_BV)
    else:
        error_B = losses.calibrated_error(values_BV, means_BV, present_BV, vae.variance_V)
    if layout.indicators:
        error_B = error_B + losses.missing_error(rows_BW[:, layout.missing], outputs_BW[:, layout.missing])
    if layout.categories:
        log_chances_BG = vae.blocks.log_softmax(outputs_BW[:, layout.one_hot])
        error_B = error_B - (rows_BW[:, layout.one_hot] * log_chances_BG).sum(dim=1)
    return error_B


def present(rows_BW: Tensor, vae: MajorityGuidedVAE) -> Tensor:
    """Return 1 where a number is there, else 0, (B, V)."""
    layout = vae.layout
    found_BV = torch.ones_like(rows_BW[:, : layout.numbers])
    if layout.indicators:
        found_BV[:, list(layout.indicators)] = 1 - rows_BW[:, list(layout.said_by)]
    return found_BV


def update_variance(vae: MajorityGuidedVAE, rows_BW: Tensor, outputs_BW: Tensor, *, floor: float) -> None:
    """Bring the decoder's variance up to date: of each column of a table, of all pixels of an image together."""
    numbers = vae.layout.numbers
    # A missing value counts as perfectly made, so that a column rarely there needs no special case.
    values_BV = torch.where(present(rows_BW, vae) > 0, rows_BW[:, :numbers], outputs_BW[:, :numbers])
    means_BV = outputs_BW[:, :numbers]
    if vae.layout.image:
        values_BV, means_BV = values_BV.reshape(-1, 1), means_BV.reshape(-1, 1)
    new_V = losses.running_variance(vae.variance_V, values_BV, means_BV, decay=VARIANCE_DECAY, floor=floor)
    vae.variance_V.copy_(new_V)


def fisher_information(
    vae: MajorityGuidedVAE, exemplars_MW: Tensor, settings: MGVAESettings, *, random: np.random.Generator
) -> list[Tensor]:
    """Return the diagonal Fisher information of the weights, in the order of the network's parameters (B.3).

    Rows are made from single exemplars and explained again, each alone, with noise and exemplars of its own:
    F_i = (1 / n) sum_j (d loss_j / d psi_i)^2. Published: the first exemplars, and F as it comes. Repaired: random
    ones, and F normalized.
    """
    found = [torch.zeros_like(weight) for weight in vae.parameters()]
    rows = min(settings.fisher_rows, len(exemplars_MW))
    for batch in _own_rows(vae, exemplars_MW, settings, rows, random):
        terms = negative_elbo(vae, batch, settings)
        gradients = torch.autograd.grad(sum(terms, torch.zeros(())), list(vae.parameters()), allow_unused=True)
        for total, gradient in zip(found, gradients, strict=True):
            if gradient is not None:  # of a weight that this objective does not use
                total += gradient.square() / rows
    return losses.normalized_fisher(found) if settings.fisher == "normalized" else found


def _own_rows(
    vae: MajorityGuidedVAE, exemplars_MW: Tensor, settings: MGVAESettings, rows: int, random: np.random.Generator
) -> Iterator[Batch]:
    """Give batches of one row made from an exemplar each."""
    random_rows = settings.fisher == "normalized"
    chosen = random.choice(len(exemplars_MW), rows, replace=False) if random_rows else np.arange(rows)
    for place in chosen.tolist():
        with torch.no_grad():
            code_BZ = from_prior(vae, exemplars_MW[place : place + 1], noise(random, 1, settings, vae.device))
            row_BW = hard(vae, vae.decode(code_BZ), random)
        drawn = draw_exemplars(len(exemplars_MW), settings, random)
        yield Batch(row_BW, exemplars_MW[torch.from_numpy(drawn)], noise(random, 1, settings, vae.device))


def from_prior(vae: MajorityGuidedVAE, exemplars_BW: Tensor, noise_BZ: Tensor) -> Tensor:
    """Return codes drawn from the exemplars' own components, r(z | x+), (B, Z)."""
    return vae.encode(exemplars_BW).mean_BZ + noise_BZ * (0.5 * vae.prior_log_variance).exp()


def noise(random: np.random.Generator, rows: int, settings: MGVAESettings, device: torch.device) -> Tensor:
    """Draw standard Gaussian noise (rows, Z)."""
    return torch.from_numpy(random.standard_normal((rows, settings.latent_dim), np.float32)).to(device)


def draw_exemplars(
    num_rows: int, settings: MGVAESettings, random: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Draw the positions of a step's exemplars (B.2): distinct ones, or with replacement as published."""
    if settings.exemplar_draw == "published":
        return random.integers(0, num_rows, settings.exemplars)
    return random.choice(num_rows, min(num_rows, settings.exemplars), replace=False)


def hard(vae: MajorityGuidedVAE, outputs_BW: Tensor, random: np.random.Generator | None) -> Tensor:
    """Return encoded rows from the decoder's outputs: all but numbers drawn, or likeliest without `random`."""
    layout, made_BW = vae.layout, outputs_BW.clone()
    if layout.indicators:
        chance = outputs_BW[:, layout.missing].sigmoid()
        level = 0.5 if random is None else _uniform(random, chance)
        made_BW[:, layout.missing] = (chance > level).to(chance.dtype)
    if layout.categories:
        scores = outputs_BW[:, layout.one_hot]
        if random is not None:
            scores = scores - (-_uniform(random, scores).log()).log()  # Gumbel's trick: the largest is a draw
        made_BW[:, layout.one_hot] = vae.blocks.one_hot(scores)
    return made_BW


def _uniform(random: np.random.Generator, like: Tensor) -> Tensor:
    drawn = random.uniform(np.finfo(np.float32).tiny, 1.0, tuple(like.shape)).astype(np.float32)
    return torch.from_numpy(drawn).clamp(max=1 - 1e-6).to(like.device)
