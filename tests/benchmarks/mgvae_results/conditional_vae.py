"""The paper's OCVAE baseline: a variational autoencoder that is told the class, with a standard Gaussian prior."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.torch.course import seeded
from training.torch.mgvae.settings import MGVAESettings

CLASSES = 2


@dataclass(frozen=True)
class ConditionalVAE:
    """A trained network: `encoder` gives mean and log-variance, `decoder` pixels in [0, 1] before the sigmoid."""

    encoder: nn.Module
    decoder: nn.Module
    latent_dim: int

    @classmethod
    def fit(cls, rows: NDArray[np.float32], labels: NDArray[np.int64], *, settings: MGVAESettings, seed: int) -> Self:
        """Train on rows (n, d) in [0, 1] for as many steps as MGVAE's two stages take, as many of each class in each.

        Drawn by their number, rare rows would hardly be seen in a short schedule: the paper's has 61,200 steps.
        """
        width, hidden, latent = rows.shape[1], settings.units, settings.latent_dim
        with seeded(seed, device=torch.device("cpu")):
            encoder = _dense((width + CLASSES, *hidden, 2 * latent))
            decoder = _dense((latent + CLASSES, *reversed(hidden), width))
        made = cls(encoder, decoder, latent)
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], settings.rate, fused=True)
        random = np.random.default_rng([seed, 3])
        places = [np.flatnonzero(labels == code) for code in range(CLASSES)]
        for _ in range(settings.pretrain_steps + settings.finetune_steps):
            drawn = np.concatenate([random.choice(own, settings.batch_size // CLASSES) for own in places])
            noise = torch.from_numpy(random.standard_normal((len(drawn), latent), np.float32))
            optimizer.zero_grad()
            torch.autograd.backward(made._loss(torch.from_numpy(rows[drawn]), torch.from_numpy(labels[drawn]), noise))
            optimizer.step()
        return made

    def _loss(self, rows_BW: Tensor, codes_B: Tensor, noise_BZ: Tensor) -> Tensor:
        label_BK = functional.one_hot(codes_B, CLASSES).float()
        mean_BZ, log_variance_BZ = self.encoder(torch.cat([rows_BW, label_BK], dim=1)).chunk(2, dim=1)
        z_BZ = mean_BZ + noise_BZ * (log_variance_BZ / 2).exp()
        pixels_BW = self.decoder(torch.cat([z_BZ, label_BK], dim=1)).sigmoid()
        kl_B = 0.5 * (mean_BZ.square() + log_variance_BZ.exp() - log_variance_BZ - 1).sum(dim=1)
        return ((rows_BW - pixels_BW).square().sum(dim=1) + kl_B).mean()

    def sample(self, code: int, rows: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Make rows of a class, (n, d) in [0, 1]."""
        noise_BZ = torch.from_numpy(random.standard_normal((rows, self.latent_dim), np.float32))
        label_BK = functional.one_hot(torch.full((rows,), code), CLASSES).float()
        with torch.no_grad():
            return np.asarray(self.decoder(torch.cat([noise_BZ, label_BK], dim=1)).sigmoid().numpy())


def _dense(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
