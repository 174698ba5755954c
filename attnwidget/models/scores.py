"""The three scores of a query and a key: dot, general, concat (Luong et al. 2015, arXiv 1508.04025, section 3.1).

Each takes `queries`, decoder states h_t, float [batch, query, d_model], and `keys`, encoder states h_s, float
[batch, key, d_model], and returns scores, float [batch, query, key].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dot(nn.Module):
    """score(h_t, h_s) = h_t . h_s: nothing to learn, so queries and keys must live in one space."""

    def __init__(self, d_model: int) -> None:
        super().__init__()

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the scores."""
        return queries @ keys.mT  # [batch, query, key]


class General(nn.Module):
    """score(h_t, h_s) = h_t . W_a h_s: a matrix between the two spaces."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.key = nn.Linear(d_model, d_model, bias=False)  # W_a

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the scores."""
        projected: Tensor = self.key(keys)  # [batch, key, d_model]
        return queries @ projected.mT  # [batch, query, key]


class Concat(nn.Module):
    """score(h_t, h_s) = v_a . tanh(W_a [h_t; h_s]): a network with one hidden layer."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * d_model, d_model, bias=False)  # W_a
        self.score = nn.Linear(d_model, 1, bias=False)  # v_a

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the scores."""
        shape = (-1, queries.shape[1], keys.shape[1], -1)
        both = [queries.unsqueeze(2).expand(shape), keys.unsqueeze(1).expand(shape)]
        pairs = torch.cat(both, dim=3)  # [batch, query, key, 2 d_model]
        scores: Tensor = self.score(torch.tanh(self.hidden(pairs)))  # [batch, query, key, 1]
        return scores.squeeze(3)  # [batch, query, key]


SCORES: dict[str, type[Dot | General | Concat]] = {"dot": Dot, "general": General, "concat": Concat}
