"""The networks of QAST (B.3): generator, discriminator, and the classifier that is C and the committee's S.

Takes encoded rows and labels as tensors; gives encoded rows, or logits. Whatever is random inside a generator is
handed to it as noise; dropout alone draws from torch's own generator.

Shapes: B rows, E encoded width, K classes, W units of a layer, N noise numbers of a row.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.torch.dropout import Dropout
from training.torch.qast.attention import FeatureAttention, rows_at_once
from training.torch.qast.encoder import Block

SLOPE, DROPOUT = 0.2, 0.5
LABEL_UNITS, NOISE_UNITS = 20, 40
WEIGHT_SPREAD = 0.02
TEMPERATURE = 0.2
CUT = 2.5  # of the truncated normal
# Largest width of the input and label, and the units that go with it (B.3).
GENERATOR_UNITS = ((64, (64, 128, 256, 512, 256, 128, 64)), (128, (128, 256, 512, 256, 128)), (256, (256, 512, 256)))
WIDEST_GENERATOR = (512, 1024, 512)
DISCRIMINATOR_UNITS = ((64, (32, 16)), (128, (64, 32, 16)), (256, (128, 64, 32, 16)))
WIDEST_DISCRIMINATOR = (256, 128, 64, 32, 16)
Labels = Literal["onehot", "scalar"]


def truncated_normal(*shape: int, device: torch.device) -> Tensor:
    """Draw standard normal numbers inside +-2.5, by the inverse of their distribution function.

    The published draw takes the first of four normal numbers that lies inside; but for one row in 40 million, in
    which none does, the two have the same distribution.
    """
    share = math.erf(CUT / math.sqrt(2))
    return torch.empty(shape, device=device).uniform_(-share, share).erfinv_().mul_(math.sqrt(2))


def label_columns(labels_BK: Tensor, form: Labels) -> Tensor:
    """Return labels as input columns: the class code as one number (B, 1), or one column for each class (B, K)."""
    if form == "scalar":
        return labels_BK.argmax(dim=1, keepdim=True).to(labels_BK.dtype)
    return labels_BK


class Bottleneck(nn.Module):
    """h + W3 W2 h with h = W1 x; there is no bend in between."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, outputs)
        self.down = nn.Linear(outputs, outputs // 2)
        self.up = nn.Linear(outputs // 2, outputs)

    def forward(self, rows_BW: Tensor) -> Tensor:
        """Map rows (B, inputs) to (B, outputs)."""
        hidden = self.first(rows_BW)
        return cast(Tensor, hidden + self.up(self.down(hidden)))


class ConditionalNorm(nn.Module):
    """Batch normalisation, then gain and shift from the label and fresh noise: gamma * BN(h) + beta."""

    def __init__(self, units: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(units)
        self.label = nn.Linear(classes, LABEL_UNITS)
        self.gain_and_shift = nn.Linear(LABEL_UNITS + NOISE_UNITS, 2 * units)

    def forward(self, hidden_BW: Tensor, labels_BK: Tensor, noise_BN: Tensor) -> Tensor:
        """Return the normalised rows, (B, units)."""
        condition = torch.cat([self.label(labels_BK), noise_BN], dim=1)
        gain, shift = self.gain_and_shift(condition).chunk(2, dim=1)
        return torch.addcmul(shift, gain, self.norm(hidden_BW))


class Residual(nn.Module):
    """A layer of the generator: bottleneck, conditional norm, LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.bottleneck = Bottleneck(inputs, outputs)
        self.norm = ConditionalNorm(outputs, classes)

    def forward(self, rows_BW: Tensor, labels_BK: Tensor, noise_BN: Tensor) -> Tensor:
        """Map rows (B, inputs) to (B, outputs)."""
        return functional.leaky_relu(self.norm(self.bottleneck(rows_BW), labels_BK, noise_BN), SLOPE)


class Activations(nn.Module):
    """What turns the generator's last layer into an encoded row (B.1).

    Tanh on each value; a hard sample on each block of modes or categories, with the gradient of a Gumbel-softmax of
    temperature 0.2 (straight-through). All blocks are sampled in one call, padded to the largest.
    """

    places: Tensor
    values: Tensor
    order: Tensor

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        choices = [block for block in blocks if block.kind != "value"]
        values = [
            at for block in blocks if block.kind == "value" for at in range(block.start, block.start + block.size)
        ]
        width, longest = sum(block.size for block in blocks), max((block.size for block in choices), default=1)
        places = torch.full((len(choices), longest), width)  # past the end stands the column of -infinity
        for number, block in enumerate(choices):
            places[number, : block.size] = torch.arange(block.start, block.start + block.size)
        self.register_buffer("places", places.flatten(), persistent=False)
        self.register_buffer("values", torch.tensor(values, dtype=torch.long), persistent=False)
        columns = torch.cat([self.values, self.places])
        self.register_buffer("order", columns.argsort(stable=True)[:width], persistent=False)
        self.longest = longest

    def forward(self, outputs_BE: Tensor) -> Tensor:
        """Return encoded rows, (B, E)."""
        values = outputs_BE.index_select(1, self.values).tanh()
        if not len(self.places):
            return values.index_select(1, self.order)
        padded = functional.pad(outputs_BE, (0, 1), value=-math.inf)
        logits = padded.index_select(1, self.places).reshape(len(outputs_BE), -1, self.longest)
        drawn = functional.gumbel_softmax(logits, tau=TEMPERATURE, hard=True, dim=2).flatten(1)
        return torch.cat([values, drawn], dim=1).index_select(1, self.order)


class Generator(nn.Module):
    """Makes encoded rows of given classes from noise or from seed rows."""

    def __init__(self, blocks: Sequence[Block], classes: int, *, labels: Labels, initialization: str) -> None:
        """Build the network for the encoder's blocks; `initialization` is a field of the settings."""
        super().__init__()
        self.width = sum(block.size for block in blocks)
        self.labels: Labels = labels
        units = _units(self.width + 1, GENERATOR_UNITS, WIDEST_GENERATOR)
        inputs = self.width + (1 if labels == "scalar" else classes)
        self.layers = nn.ModuleList(Residual(*sizes, classes) for sizes in pairwise((inputs, *units)))
        self.attention = FeatureAttention(units[-1])
        self.last = nn.Linear(units[-1], self.width)
        self.activations = Activations(blocks)
        initialize(self, identity=initialization == "identity")

    @property
    def rows_at_once(self) -> int:
        """Rows that may pass at once without gradients."""
        return rows_at_once(self.attention.query.in_features)

    @property
    def num_noise(self) -> int:
        """Noise numbers that one row takes in the layers, beside its input."""
        return NOISE_UNITS * len(self.layers)

    def noise(self, rows: int) -> Tensor:
        """Draw what `forward` takes as inputs and noise for rows from noise alone, (B, E + N)."""
        return truncated_normal(rows, self.width + self.num_noise, device=self.last.weight.device)

    def forward(self, inputs_BE: Tensor, labels_BK: Tensor, noise_BN: Tensor) -> Tensor:
        """Return encoded rows.

        Args:
            inputs_BE: noise or seed rows.
            labels_BK: label of each, soft for mixtures.
            noise_BN: truncated normal numbers, `num_noise` for a row.
        """
        hidden = torch.cat([inputs_BE, label_columns(labels_BK, self.labels)], dim=1)
        noises = torch.split(noise_BN, NOISE_UNITS, dim=1)
        passed: list[Tensor] = []
        for number, (layer, noise) in enumerate(zip(self.layers, noises, strict=True)):
            hidden = layer(hidden, labels_BK, noise)
            mirrored = len(self.layers) - 1 - number
            if 0 < mirrored < number:  # the first layer's skip comes after the attention
                hidden = hidden + passed[mirrored]
            passed.append(hidden)
        return cast(Tensor, self.activations(self.last(self.attention(hidden) + passed[0])))


class Discriminator(nn.Module):
    """Tells real encoded rows from generated ones, given their class.

    With labels 'scalar' the class code is one more input, as published. With 'onehot' it meets the last features by
    an inner product (projection, Miyato and Koyama, ICLR 2018), so that no class lies between two others.
    """

    def __init__(self, width: int, classes: int, *, labels: Labels) -> None:
        """Build the network for encoded rows of a width."""
        super().__init__()
        self.labels: Labels = labels
        inputs = width + (labels == "scalar")
        units = _units(width + 1, DISCRIMINATOR_UNITS, WIDEST_DISCRIMINATOR)
        self.body = nn.Sequential(FeatureAttention(inputs), *_blocks(inputs, *units), nn.Linear(units[-1], 8))
        self.last = nn.Linear(8, 1)
        self.projection = nn.Linear(classes, 8, bias=False) if labels == "onehot" else None
        initialize(self)

    def inputs(self, rows_BE: Tensor, labels_BK: Tensor) -> Tensor:
        """Return what the network sees of rows and labels, and what gradient penalties are taken on."""
        if self.labels == "scalar":
            return torch.cat([rows_BE, label_columns(labels_BK, "scalar")], dim=1)
        return rows_BE

    def forward(self, inputs_BW: Tensor, labels_BK: Tensor) -> Tensor:
        """Return logits, (B,), positive for rows that seem real; `inputs` makes the first argument."""
        features = self.body(inputs_BW)
        logits = self.last(features)[:, 0]
        if self.projection is not None:
            logits = logits + (features * self.projection(labels_BK)).sum(dim=1)
        return cast(Tensor, logits)


class Classifier(nn.Module):
    """Gives a row's class; C of the adversarial stage and S of the committee."""

    def __init__(self, width: int, classes: int) -> None:
        """Build the network for rows of a width."""
        super().__init__()
        first = (256, 128, 64) if width >= 256 else (128, 64) if width >= 128 else (64,)
        if classes >= 16:
            dropped, units = first, 32
        elif classes >= 8:
            dropped, units = (*first, 32), 16
        else:
            dropped, units = (*first, 32, 16), 8
        end = (nn.Linear(dropped[-1], units), nn.Linear(units, classes))
        self.body = nn.Sequential(FeatureAttention(width), *_blocks(width, *dropped), *end)
        initialize(self)

    def forward(self, rows_BW: Tensor) -> Tensor:
        """Return logits, (B, K)."""
        return cast(Tensor, self.body(rows_BW))


def initialize(network: nn.Module, *, identity: bool = False) -> None:
    """Draw weights as published: N(0, 0.02^2), batch normalisation N(1, 0.02^2), biases 0.

    Args:
        network: changed in place.
        identity: let each conditional norm start as gain 1 and shift 0; published, both start near 0, and with
            them all that the generator makes.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, WEIGHT_SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, WEIGHT_SPREAD)
    for module in network.modules():
        if identity and isinstance(module, ConditionalNorm):
            with torch.no_grad():
                gain, shift = module.gain_and_shift.bias.chunk(2)
                gain.fill_(1.0)
                shift.fill_(0.0)


def _units(width: int, table: Sequence[tuple[int, tuple[int, ...]]], widest: tuple[int, ...]) -> tuple[int, ...]:
    return next((units for most, units in table if width <= most), widest)


def _blocks(inputs: int, *units: int) -> list[nn.Module]:
    """Return bottleneck, LeakyReLU and dropout for each number of units."""
    layers: list[nn.Module] = []
    for sizes in pairwise((inputs, *units)):
        layers += [Bottleneck(*sizes), nn.LeakyReLU(SLOPE), Dropout(DROPOUT)]
    return layers
