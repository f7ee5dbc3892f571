"""Networks of MGVAE (B.4): dense ones for tables and small images, convolutional ones for images, in one shape.

Takes encoded rows and their `Layout`; gives an encoder's means and log-variances and a decoder's outputs.

Shapes: B rows, W columns of an encoded row, V numbers among them, Z size of the code, C, H, W channels and sides.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from training.torch.augmentation.blocks import Blocks
from training.torch.augmentation.codec import Layout
from training.torch.mgvae.settings import SHRINKAGE, MGVAESettings

CODE_CHANNELS = 6  # of the last convolution before the code


class Posterior(NamedTuple):
    """q(z | x): `mean_BZ` and `log_variance_BZ`."""

    mean_BZ: Tensor
    log_variance_BZ: Tensor


class MajorityGuidedVAE(nn.Module):
    """Encoder, decoder, the prior's scalar variance and the decoder's variance.

    The encoder's mean is that of the prior's components as well: r(z | x+) = N(mean(x+), exp(prior_log_variance) I).
    """

    variance_V: Tensor

    def __init__(self, layout: Layout, settings: MGVAESettings) -> None:
        """Build networks for encoded rows of that layout."""
        super().__init__()
        self.layout = layout
        self.blocks = Blocks(layout.categories)
        shared = settings.encoder_variance == "shared"
        self.trunk, features = _encoder(layout, settings)
        self.mean = nn.Linear(features, settings.latent_dim)
        self.log_variance = None if shared else nn.Linear(features, settings.latent_dim)
        self.prior_log_variance = nn.Parameter(torch.zeros(()))
        self.decoder = _decoder(layout, settings)
        self.register_buffer("variance_V", torch.ones(1 if layout.image else layout.numbers))

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.mean.weight.device

    def encode(self, rows_BW: Tensor) -> Posterior:
        """Return the code's distribution given encoded rows."""
        features = self.trunk(rows_BW)
        mean_BZ = self.mean(features)
        if self.log_variance is None:
            return Posterior(mean_BZ, self.prior_log_variance.expand_as(mean_BZ))
        return Posterior(mean_BZ, self.log_variance(features))

    def decode(self, code_BZ: Tensor) -> Tensor:
        """Return the decoder's outputs (B, W): means of numbers, and logits of all else."""
        outputs_BW = cast(Tensor, self.decoder(code_BZ))
        return outputs_BW.sigmoid() if self.layout.image else outputs_BW


def _encoder(layout: Layout, settings: MGVAESettings) -> tuple[nn.Module, int]:
    if settings.network == "dense":
        return _dense((layout.width, *settings.units)), settings.units[-1]
    channels, height, width = _image(layout)
    half, quarter = settings.channels
    body = nn.Sequential(
        nn.Unflatten(1, (channels, height, width)),
        _convolution(channels, half, stride=2),
        *_residual(half, settings.residual_blocks),
        _convolution(half, quarter, stride=2),
        *_residual(quarter, settings.residual_blocks),
        nn.ELU(),
        _convolution(quarter, CODE_CHANNELS),
        nn.Flatten(),
    )
    return body, CODE_CHANNELS * (height // SHRINKAGE) * (width // SHRINKAGE)


def _decoder(layout: Layout, settings: MGVAESettings) -> nn.Module:
    if settings.network == "dense":
        units = tuple(reversed(settings.units))
        return nn.Sequential(_dense((settings.latent_dim, *units)), nn.Linear(units[-1], layout.width))
    channels, height, width = _image(layout)
    half, quarter = settings.channels
    small = (CODE_CHANNELS, height // SHRINKAGE, width // SHRINKAGE)
    return nn.Sequential(
        nn.Linear(settings.latent_dim, small[0] * small[1] * small[2]),
        nn.Unflatten(1, small),
        _convolution(CODE_CHANNELS, quarter),
        *_residual(quarter, settings.residual_blocks),
        nn.Upsample(scale_factor=2, mode="nearest"),
        _convolution(quarter, half),
        *_residual(half, settings.residual_blocks),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.ELU(),
        _convolution(half, channels),
        nn.Flatten(),
    )


def _image(layout: Layout) -> tuple[int, int, int]:
    if layout.image is None:
        raise ValueError("convolutional networks need an image's rows; set `image`, or network = 'dense'")
    channels, height, width = layout.image
    return channels, height, width


def _dense(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return cast(nn.Module, parametrizations.weight_norm(nn.Conv2d(inputs, outputs, 3, stride, padding=1)))


def _residual(channels: int, blocks: int) -> list[nn.Module]:
    return [_ResidualBlock(channels) for _ in range(blocks)]


class _ResidualBlock(nn.Module):
    """x + conv(ELU(conv(ELU(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ELU(), _convolution(channels, channels), nn.ELU(), _convolution(channels, channels)
        )

    def forward(self, inputs_BCHW: Tensor) -> Tensor:
        return inputs_BCHW + cast(Tensor, self.body(inputs_BCHW))
