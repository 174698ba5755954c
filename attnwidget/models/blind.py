"""The additive network without its attention: the same in all but that the context is zeros.

It shows what attention is for (Bahdanau et al. 2014, arXiv 1409.0473, section 1): the whole source must pass through
one vector, the first state of the decoder. Weights are still computed, and a picture of them can be drawn, but nobody
reads what they choose: a picture of weights does not prove that they matter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .additive import AdditiveAttention, AdditiveNetwork, Sizes


class BlindAttention(AdditiveAttention):
    """Additive attention whose context is zeros."""

    def forward(self, query: Tensor, *, keys: Tensor, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return zeros in place of the context, float [batch, query, d_key], and the weights, as without blindness."""
        context, weights = super().forward(query, keys=keys, hidden=hidden, mask=mask)
        return torch.zeros_like(context), weights


class BlindNetwork(AdditiveNetwork):
    """The additive network with `BlindAttention`: as many parameters, those of the attention never learn."""

    def __init__(self, sizes: Sizes, *, dropout: float = 0.0) -> None:
        super().__init__(sizes, dropout=dropout)
        self.attention = BlindAttention(d_query=sizes.d_model, d_key=2 * sizes.d_encoder, d_align=sizes.d_align)
