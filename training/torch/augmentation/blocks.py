"""The one-hot blocks of encoded rows, all of them at once: a call for each took a third of a step on wide tables.

Takes logits, or other scores, of the blocks side by side; gives log-probabilities, and the likeliest or drawn
categories.

Shapes: B rows, G columns of all blocks, U blocks, E columns of all blocks were each as large as the largest.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class Blocks(nn.Module):
    """Where blocks of given sizes lie; nothing of it is learned or saved."""

    first_U: Tensor
    block_G: Tensor
    padded_E: Tensor
    member_GU: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        """Note where blocks of these sizes lie."""
        super().__init__()
        found, total = np.asarray(sizes, np.int64), sum(sizes)
        first = np.cumsum(found) - found
        place = first[:, None] + np.arange(found.max(initial=0))
        place[place >= (first + found)[:, None]] = total  # where the score of no category stands
        block = np.repeat(np.arange(len(found)), found)
        parts = {"first_U": first, "block_G": block, "padded_E": place.reshape(-1)}
        parts["member_GU"] = np.eye(len(found), dtype=np.float32)[block]
        for name, part in parts.items():
            self.register_buffer(name, torch.from_numpy(part), persistent=False)

    def log_softmax(self, logits_BG: Tensor) -> Tensor:
        """Return the log-probabilities of each block's categories, (B, G)."""
        if not len(self.first_U):
            return logits_BG
        below_BG = logits_BG - self._highest(logits_BG.detach())[0].index_select(1, self.block_G)
        return below_BG - (below_BG.exp() @ self.member_GU).log() @ self.member_GU.T

    def one_hot(self, scores_BG: Tensor) -> Tensor:
        """Return 1 at the category of the highest score of each block, the first of equal ones, else 0, (B, G)."""
        if not len(self.first_U):
            return scores_BG
        return torch.zeros_like(scores_BG).scatter_(1, self.first_U + self._highest(scores_BG)[1], 1.0)

    def draw(self, logits_BG: Tensor, temperature: float) -> Tensor:
        """Draw a category of each block, one-hot, with the gradient of a softened draw, (B, G).

        Gumbel softmax, straight through (Jang et al., ICLR 2017; Maddison et al., ICLR 2017).
        """
        gumbel_BG = -torch.empty_like(logits_BG).exponential_().log()
        scores_BG = (logits_BG + gumbel_BG) / temperature
        soft_BG = self.log_softmax(scores_BG).exp()
        return straight_through(self.one_hot(scores_BG.detach()), soft_BG)

    def _highest(self, scores_BG: Tensor) -> tuple[Tensor, Tensor]:
        """Return the highest score of each block, and how far within the block it stands; both (B, U)."""
        nothing_B1 = torch.full_like(scores_BG[:, :1], -torch.inf)
        padded_BE = torch.cat([scores_BG, nothing_B1], dim=1).index_select(1, self.padded_E)
        found = padded_BE.view(len(scores_BG), len(self.first_U), -1).max(dim=2)
        return found.values, found.indices


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Return `hard`, to the bit, with the gradient of `soft`."""
    return hard + (soft - soft.detach())
