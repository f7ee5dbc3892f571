"""Networks of IMSIC: dense ones for tables (F) and convolutional ones for images (B.2), in one shape.

Takes noise, classes and codes, and gives encoded rows; takes encoded rows, and gives opinions and factors.

Shapes: B rows, W columns of an encoded row, Z noise, C classes, K codes and factors, H features of the trunk, U column
groups.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.scaler import CLIP
from training.torch.augmentation.blocks import Blocks, straight_through
from training.torch.augmentation.codec import Layout
from training.torch.dropout import Dropout
from training.torch.imsic.settings import SHRINKAGE, IMSICSettings
from training.torch.spectral import SpectralLinear

SLOPE = 0.2
SPREAD = 0.02  # of the first weights of convolutions and normalizations


class Causes(NamedTuple):
    """What rows are made of: `noise_BZ`, class `labels_B`, and `codes_BK` between -1 and 1."""

    noise_BZ: Tensor
    labels_B: Tensor
    codes_BK: Tensor


class Opinion(NamedTuple):
    """What the discriminator thinks of rows: `validity_B`, high for real ones, and class `logits_BC`."""

    validity_B: Tensor
    logits_BC: Tensor


class Generator(nn.Module):
    """Noise, a class and codes to an encoded row."""

    gap_V: Tensor

    def __init__(self, layout: Layout, *, classes: int, codes: int, settings: IMSICSettings) -> None:
        """Build the body that the settings name."""
        super().__init__()
        self.layout, self.classes = layout, classes
        self.blocks = Blocks(layout.categories)
        gap_V = np.full(layout.numbers, layout.missing.stop)
        gap_V[list(layout.indicators)] = layout.said_by
        self.register_buffer("gap_V", torch.from_numpy(gap_V - layout.numbers), persistent=False)
        inputs = settings.noise_dim + classes + codes
        if settings.network == "dense":
            self.body = _dense_generator((inputs, *settings.units, layout.width))
        else:
            self.body = _convolutional_generator(inputs, _image(layout), settings.generator_channels)

    def forward(self, causes: Causes, temperature: float) -> Tensor:
        """Return encoded rows (B, W); categories and what is missing are drawn, whole, with a gradient all the same."""
        classes_BC = functional.one_hot(causes.labels_B, self.classes).to(causes.noise_BZ.dtype)
        outputs_BW = cast(Tensor, self.body(torch.cat([causes.noise_BZ, classes_BC, causes.codes_BK], dim=1)))
        if self.layout.image:
            return (outputs_BW.tanh() + 1) / 2
        numbers_BV = CLIP * (outputs_BW[:, : self.layout.numbers] / CLIP).tanh()
        missing_BM = _drawn(outputs_BW[:, self.layout.missing], temperature)
        categories_BG = self.blocks.draw(outputs_BW[:, self.layout.one_hot], temperature)
        return torch.cat([self._present(numbers_BV, missing_BM), missing_BM, categories_BG], dim=1)

    def _present(self, numbers_BV: Tensor, missing_BM: Tensor) -> Tensor:
        """Return numbers with 0, the mean, where they are missing: so they are encoded."""
        if not self.layout.indicators:
            return numbers_BV
        kept_BV = functional.pad(1 - missing_BM, (0, 1), value=1.0).index_select(1, self.gap_V)
        return numbers_BV * kept_BV


class Discriminator(nn.Module):
    """A trunk with three heads: real or not, which class, and the factors.

    The head of factor k sees the trunk's features of a row in which all columns but those of k's group are blank.
    """

    groups_UW: Tensor
    group_K: Tensor
    columns_T: Tensor

    def __init__(self, layout: Layout, columns: NDArray[np.bool_], *, classes: int, settings: IMSICSettings) -> None:
        """Build trunk and heads.

        Args:
            layout: of encoded rows.
            columns: which encoded columns each factor is read from, (K, W).
            classes: C.
            settings: name the kind of the trunk.
        """
        super().__init__()
        self.layout = layout
        if settings.network == "dense":
            self.trunk, features = _dense_trunk((layout.width, *settings.units), settings.dropout), settings.units[-1]
        else:
            self.trunk, features = _convolutional_trunk(_image(layout), settings)
        self.validity = nn.Linear(features, 1)
        self.classes = nn.Linear(features, classes)
        self.factors = nn.Linear(features, len(columns))
        groups, group = np.unique(columns, axis=0, return_inverse=True)
        self.whole = bool(groups.all())
        self.register_buffer("groups_UW", torch.from_numpy(groups.astype(np.float32)), persistent=False)
        self.register_buffer("group_K", torch.from_numpy(group.reshape(-1).astype(np.int64)), persistent=False)
        self.register_buffer("columns_T", torch.from_numpy(np.nonzero(groups)[1]), persistent=False)
        self.sizes = groups.sum(axis=1).tolist()

    def judge(self, rows_BW: Tensor) -> Opinion:
        """Return what is thought of encoded rows."""
        return self._opinion(self._features(rows_BW))

    def compare(self, real_BW: Tensor, fake_BW: Tensor) -> tuple[Opinion, Opinion, Tensor]:
        """Return what is thought of real and of generated rows, and the latter's factors (B, K).

        Normalization is of one kind of rows at a time.
        """
        if any(isinstance(layer, nn.BatchNorm2d) for layer in self.trunk):
            return self.judge(real_BW), *self.judge_and_extract(fake_BW)
        features_EH, rows = self._features(torch.cat([real_BW, fake_BW])), len(real_BW)
        factors_BK = self.factors(features_EH[rows:]) if self.whole else self._by_group(fake_BW)
        return self._opinion(features_EH[:rows]), self._opinion(features_EH[rows:]), factors_BK

    def extract(self, rows_BW: Tensor) -> Tensor:
        """Return the factors c' of encoded rows, (B, K)."""
        return self.judge_and_extract(rows_BW)[1] if self.whole else self._by_group(rows_BW)

    def judge_and_extract(self, rows_BW: Tensor) -> tuple[Opinion, Tensor]:
        """Return both, from one pass where every factor reads all columns."""
        features_BH = self._features(rows_BW)
        factors_BK = self.factors(features_BH) if self.whole else self._by_group(rows_BW)
        return self._opinion(features_BH), factors_BK

    def own_parameters(self) -> list[nn.Parameter]:
        """Return what the discriminator's step changes: all but the head of the factors."""
        return [weight for name, weight in self.named_parameters() if not name.startswith("factors.")]

    def _opinion(self, features_BH: Tensor) -> Opinion:
        return Opinion(self.validity(features_BH)[:, 0], self.classes(features_BH))

    def _features(self, rows_BW: Tensor) -> Tensor:
        return cast(Tensor, self.trunk(self._input(rows_BW)))

    def _input(self, rows_BW: Tensor) -> Tensor:
        return 2 * rows_BW - 1 if self.layout.image else rows_BW

    def _by_group(self, rows_BW: Tensor) -> Tensor:
        groups, rows = len(self.groups_UW), len(rows_BW)
        first = self.trunk[0]
        if isinstance(first, SpectralLinear):
            features_EH = self.trunk[1:](first.scaled(self._without_blanks(rows_BW, first.weight)))
        else:
            masks_EW = self.groups_UW.repeat_interleave(rows, dim=0)
            features_EH = self.trunk(self._input(rows_BW).repeat(groups, 1) * masks_EW)
        every_UBK = self.factors(features_EH).view(groups, rows, -1)
        return cast(Tensor, every_UBK[self.group_K, :, torch.arange(len(self.group_K), device=rows_BW.device)].T)

    def _without_blanks(self, rows_BW: Tensor, weight_HW: Tensor) -> Tensor:
        """Return the products of each group's rows with a weight, blank columns left out: they would only add 0."""
        parts_BC = torch.split(self._input(rows_BW).index_select(1, self.columns_T), self.sizes, dim=1)
        weights_HC = torch.split(weight_HW.index_select(1, self.columns_T), self.sizes, dim=1)
        return torch.cat([part_BC @ weight_HC.T for part_BC, weight_HC in zip(parts_BC, weights_HC, strict=True)])


def _drawn(logits_BM: Tensor, temperature: float) -> Tensor:
    """Draw 0 or 1 for each logit, with the gradient of a softened draw (binary Concrete, straight through)."""
    uniform_BM = torch.rand_like(logits_BM).clamp(1e-6, 1 - 1e-6)
    soft_BM = ((logits_BM + uniform_BM.log() - (-uniform_BM).log1p()) / temperature).sigmoid()
    return straight_through((soft_BM > 0.5).to(soft_BM.dtype), soft_BM)


def _dense_generator(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def _dense_trunk(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [SpectralLinear(inputs, outputs), nn.LeakyReLU(SLOPE), Dropout(dropout)]
    return nn.Sequential(*layers)


def _convolutional_generator(inputs: int, image: tuple[int, int, int], channels: Sequence[int]) -> nn.Sequential:
    colors, height, width = image
    wide, narrow = channels
    small = (wide, height // SHRINKAGE, width // SHRINKAGE)
    return nn.Sequential(
        nn.Linear(inputs, int(np.prod(small))),
        nn.Unflatten(1, small),
        _normalization(wide),
        nn.Upsample(scale_factor=2, mode="nearest"),
        _convolution(wide, wide),
        _normalization(wide),
        nn.LeakyReLU(SLOPE),
        nn.Upsample(scale_factor=2, mode="nearest"),
        _convolution(wide, narrow),
        _normalization(narrow),
        nn.LeakyReLU(SLOPE),
        _convolution(narrow, colors),
        nn.Flatten(),
    )


def _convolutional_trunk(image: tuple[int, int, int], settings: IMSICSettings) -> tuple[nn.Sequential, int]:
    """Return the trunk and how many features it gives."""
    before, height, width = image
    layers: list[nn.Module] = [nn.Unflatten(1, image)]
    for depth, channels in enumerate(settings.trunk_channels):
        layers += [_convolution(before, channels, stride=2), nn.LeakyReLU(SLOPE), nn.Dropout2d(settings.dropout)]
        layers += [_normalization(channels)] if depth else []
        before, height, width = channels, -(-height // 2), -(-width // 2)
    return nn.Sequential(*layers, nn.Flatten()), before * height * width


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    nn.init.normal_(convolution.weight, 0.0, SPREAD)
    return convolution


def _normalization(channels: int) -> nn.Module:
    normalization = nn.BatchNorm2d(channels)
    nn.init.normal_(normalization.weight, 1.0, SPREAD)
    return normalization


def _image(layout: Layout) -> tuple[int, int, int]:
    if layout.image is None:
        raise ValueError("convolutional networks need an image's rows; set `image`, or network = 'dense'")
    channels, height, width = layout.image
    return channels, height, width
