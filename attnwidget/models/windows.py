"""Where the decoder may look: everywhere, or near a position p_t (Luong et al. 2015, arXiv 1508.04025, section 3.2).

A window takes `queries`, decoder states h_t, float [batch, query, d_model], `mask`, bool [batch, key], true where there
is a word, and `step`, the t of the first query. It returns which keys are seen, bool [batch, query, key], at least one
a row, and what their weights are multiplied by, float [batch, query, key] or a 1 for all. Positions count from 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FIRST_STD = 0.5  # of W_p and v_p


class Global(nn.Module):
    """Every word is seen (section 3.1)."""

    def forward(self, queries: Tensor, *, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return what is seen, and 1."""
        return mask.unsqueeze(1).expand(-1, queries.shape[1], -1), queries.new_ones(())


class Monotonic(nn.Module):
    """local-m: words from p_t - D to p_t + D are seen, p_t = t.

    Differs from the paper in one point: after the last word, p_t stays there, so that something is always seen.
    """

    def __init__(self, d_window: int) -> None:
        super().__init__()
        self.d_window = d_window

    def forward(self, queries: Tensor, *, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return what is seen, and 1."""
        steps = torch.arange(step, step + queries.shape[1], device=mask.device)  # [query]
        positions = torch.minimum(steps, mask.sum(dim=1, keepdim=True) - 1)  # p_t: [batch, query]
        seen = _distances(positions, mask=mask).abs() <= self.d_window  # [batch, query, key]
        return seen & mask.unsqueeze(1), queries.new_ones(())


class Predictive(nn.Module):
    """local-p: the decoder says where to look, and what is far from there counts less.

    p_t = S sigmoid(v_p . tanh(W_p h_t)), a real number (equation 9). Words from p_t - D to p_t + D are seen, and their
    weights are multiplied by exp(-(s - p_t)^2 / (2 sigma^2)), sigma = D / 2 (equation 10).

    Differs from the paper in the first W_p and v_p, which are larger here: with small ones every p_t starts at S / 2,
    and a word further away than D, never seen, cannot teach the decoder to look there.
    """

    def __init__(self, d_model: int, d_window: int) -> None:
        super().__init__()
        self.d_window = d_window
        self.hidden = nn.Linear(d_model, d_model, bias=False)  # W_p
        self.position = nn.Linear(d_model, 1, bias=False)  # v_p
        for layer in (self.hidden, self.position):
            nn.init.normal_(layer.weight, std=FIRST_STD)

    def positions(self, queries: Tensor, *, mask: Tensor) -> Tensor:
        """Return p_t for each query, float [batch, query], in words, from 0 to S."""
        shares = torch.sigmoid(self.position(torch.tanh(self.hidden(queries)))).squeeze(2)  # [batch, query]
        return shares * mask.sum(dim=1, keepdim=True)  # [batch, query]

    def forward(self, queries: Tensor, *, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return what is seen, and the Gaussian around p_t; `step` does not matter."""
        distances = _distances(self.positions(queries, mask=mask), mask=mask)  # [batch, query, key]
        seen = (distances.abs() <= self.d_window) & mask.unsqueeze(1)  # [batch, query, key]
        sigma = self.d_window / 2
        return seen, torch.exp(-(distances**2) / (2 * sigma**2))  # [batch, query, key]


def _distances(positions: Tensor, *, mask: Tensor) -> Tensor:
    return torch.arange(mask.shape[1], device=mask.device) - positions.unsqueeze(2)  # s - p_t: [batch, query, key]
