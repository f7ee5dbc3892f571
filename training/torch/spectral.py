"""A linear layer whose weight is divided by its largest singular value (Miyato et al., ICLR 2018).

As `torch.nn.utils.parametrizations.spectral_norm`, to rounding, but what is divided is the layer's output: of rows that
are fewer than the weight's, the weight itself is passed over twice in a step and not eight times.

Shapes: B rows, C inputs, H outputs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

FIRST_ITERATIONS = 15  # of the power method, at the start
LEAST = 1e-12  # of a norm, against division by zero


class SpectralLinear(nn.Linear):
    """A linear layer with a Lipschitz constant of about 1; each pass while training refines the singular vectors."""

    left_H: Tensor
    right_C: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        """Draw the weight as `torch.nn.Linear` does, and the vectors."""
        super().__init__(inputs, outputs)
        self.register_buffer("left_H", functional.normalize(torch.randn(outputs), dim=0, eps=LEAST))
        self.register_buffer("right_C", functional.normalize(torch.randn(inputs), dim=0, eps=LEAST))
        for _ in range(FIRST_ITERATIONS):
            self._refine()

    def forward(self, rows_BC: Tensor) -> Tensor:
        """Map rows (B, C) to (B, H)."""
        return self.scaled(functional.linear(rows_BC, self.weight))

    def scaled(self, products_BH: Tensor) -> Tensor:
        """Return products of rows with the weight, (B, H), divided by its largest singular value, and the bias added.

        With products of parts of rows and of the weight a caller leaves columns out that are blank.
        """
        if self.training:
            self._refine()
        # Copies: the next pass changes the vectors in place, and the gradient of this one needs them as they are.
        largest = self.left_H.clone() @ (self.weight @ self.right_C.clone())
        return products_BH / largest + self.bias

    @torch.no_grad()
    def _refine(self) -> None:
        functional.normalize(self.weight @ self.right_C, dim=0, eps=LEAST, out=self.left_H)
        functional.normalize(self.left_H @ self.weight, dim=0, eps=LEAST, out=self.right_C)
