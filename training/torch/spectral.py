"""A linear layer whose weight is divided by its largest singular value (Miyato et al., ICLR 2018).

As `torch.nn.utils.parametrizations.spectral_norm`, to rounding, but what is divided is the layer's output: of rows that
are fewer than the weight's, the weight itself is passed over twice in a step and not eight times.

Shapes: B rows, C inputs, H outputs.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
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
        found: Tensor = _Scaled.apply(products_BH, self.weight, self.bias, self.left_H, self.right_C)  # type: ignore[no-untyped-call]
        return found

    @torch.no_grad()
    def _refine(self) -> None:
        functional.normalize(self.weight @ self.right_C, dim=0, eps=LEAST, out=self.left_H)
        functional.normalize(self.left_H @ self.weight, dim=0, eps=LEAST, out=self.right_C)


class _Scaled(torch.autograd.Function):
    """x / s + b with s = u' W v, which is a third of the passes over rows that its steps would take one by one."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  (as torch has it)
        products_BH: Tensor,
        weight_HC: Tensor,
        bias_H: Tensor,
        left_H: Tensor,
        right_C: Tensor,
    ) -> Tensor:
        inverse = (left_H @ (weight_HC @ right_C)).reciprocal()
        # Copies: the next pass changes the vectors in place, and the gradient of this one needs them as they are.
        ctx.save_for_backward(products_BH, inverse, left_H.clone(), right_C.clone())
        return torch.addcmul(bias_H, products_BH, inverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BH: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        products_BH, inverse, left_H, right_C = ctx.saved_tensors
        by_weight = by_bias = None
        if ctx.needs_input_grad[1]:
            by_inverse = torch.dot(gradient_BH.flatten(), products_BH.flatten())
            by_weight = torch.outer(left_H * (-by_inverse * inverse.square()), right_C)
        if ctx.needs_input_grad[2]:
            by_bias = gradient_BH.sum(dim=0)
        return gradient_BH * inverse, by_weight, by_bias, None, None
