"""The adversarial losses of IMSIC as pure functions of what the discriminator says of rows (B.3, B.8).

Shapes: B rows of a batch.
"""

from typing import Literal

from torch import Tensor

Adversarial = Literal["hinge", "least_squares"]


def discriminator_loss(real_B: Tensor, fake_B: Tensor, kind: Adversarial) -> Tensor:
    """Return the hinge loss, or as published 1/2 (E[(v(x) - 1)^2] + E[v(G)^2])."""
    if kind == "hinge":
        return (1 - real_B).relu().mean() + (1 + fake_B).relu().mean()
    return 0.5 * ((real_B - 1).square().mean() + fake_B.square().mean())


def generator_loss(fake_B: Tensor, kind: Adversarial) -> Tensor:
    """Return -E[v(G)], which goes with the hinge loss, or as published E[(v(G) - 1)^2]."""
    return -fake_B.mean() if kind == "hinge" else (fake_B - 1).square().mean()
