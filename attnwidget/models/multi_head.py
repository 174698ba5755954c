"""Multi-head attention, as the Transformer has it (Vaswani et al. 2017, arXiv 1706.03762)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in several heads at once.

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1 and section 3.2.2.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model is {d_model} and n_heads is {n_heads}: expected a multiple of n_heads.")
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model, bias=False)  # W^Q of all heads
        self.key = nn.Linear(d_model, d_model, bias=False)  # W^K
        self.value = nn.Linear(d_model, d_model, bias=False)  # W^V
        self.output = nn.Linear(d_model, d_model, bias=False)  # W^O

    def forward(self, queries: Tensor, keys: Tensor, *, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each query read and the weights.

        Args:
            queries: float [batch, query, d_model].
            keys: what is looked at, float [batch, key, d_model]; keys and values are made from it.
            seen: which query sees which key, bool [batch, query, key]; at least one in each row.

        Returns:
            float [batch, query, d_model], and the weights, float [batch, head, query, key]: dimensionless, exactly 0
            where not seen, rows sum to 1 over key.
        """
        q, k, v = self._heads(self.query(queries)), self._heads(self.key(keys)), self._heads(self.value(keys))
        scores = q @ k.mT / q.shape[3] ** 0.5  # [batch, head, query, key]
        scores = scores.masked_fill(~seen.unsqueeze(1), float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        read = weights @ v  # [batch, head, query, d_head]
        return self.output(read.transpose(1, 2).flatten(2)), weights  # [batch, query, d_model], ...

    def _heads(self, vectors: Tensor) -> Tensor:
        return vectors.view(*vectors.shape[:2], self.n_heads, -1).transpose(1, 2)  # [batch, head, position, d_head]
