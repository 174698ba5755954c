"""An agent that looks at its map before each step, and learns from reaching the goal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnwidget.tasks.grid import AGENT, WALL

from .additive import AdditiveAttention


@dataclass(frozen=True)
class AgentSizes:
    """The sizes of an agent.

    Args:
        n_rows: of the map.
        n_columns: of the map; a key is a cell, row by row.
        n_marks: what a cell can hold.
        n_actions: what the agent can do.
        sight: how many cells the agent feels for walls in each direction.
        d_key: numbers in a key.
        d_model: the agent's state.
        d_align: hidden layer of the alignment model.
    """

    n_rows: int
    n_columns: int
    n_marks: int
    n_actions: int
    sight: int
    d_key: int
    d_model: int
    d_align: int


class AgentNetwork(nn.Module):
    """A policy whose query is where the agent is and what it feels, and whose keys are the cells of the map.

    The state knows the walls near by, but not the goal: only the attention can find it.

    Differs from the paper: the agent has no memory, so its query is made of what it feels now; one query with additive
    attention; and a key is a cell of the map, with no CNN before it.

    Source: Mott et al. 2019, arXiv 1906.02500, section 2: soft, top-down attention of an agent.
    """

    def __init__(self, sizes: AgentSizes) -> None:
        super().__init__()
        n_cells, d_view = sizes.n_rows * sizes.n_columns, (2 * sizes.sight + 1) ** 2
        self.sizes = sizes
        self.marks = nn.Embedding(sizes.n_marks, sizes.d_key)
        self.places = nn.Embedding(n_cells, sizes.d_key)
        self.state = nn.Linear(sizes.d_key + d_view, sizes.d_model)
        self.attention = AdditiveAttention(d_query=sizes.d_model, d_key=sizes.d_key, d_align=sizes.d_align)
        self.thought = nn.Linear(sizes.d_model + sizes.d_key, sizes.d_model)
        self.policy = nn.Linear(sizes.d_model, sizes.n_actions)
        self.value = nn.Linear(sizes.d_model, 1)

    def view(self, walls: Tensor, *, cells: Tensor) -> Tensor:
        """Return which cells around the agent cannot be entered, float [batch, d_view]; beyond the map none can.

        Args:
            walls: bool [batch, key].
            cells: where the agent is, int64 [batch].
        """
        sight, side = self.sizes.sight, 2 * self.sizes.sight + 1
        ground = walls.view(-1, self.sizes.n_rows, self.sizes.n_columns).float()
        padded = nn.functional.pad(ground, (sight, sight, sight, sight), value=1.0)  # [batch, row, column]
        windows = padded.unfold(1, side, 1).unfold(2, side, 1)  # [batch, row, column, side, side]
        return windows.flatten(1, 2).flatten(2)[torch.arange(len(cells), device=cells.device), cells]

    def forward(self, marks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look, then choose.

        Args:
            marks: what each cell holds, int64 [batch, key]; one agent in each row.

        Returns:
            Logits over actions, float [batch, action]; the return that is expected, float [batch]; and the weights,
            float [batch, key].
        """
        walls, cells = marks == WALL, (marks == AGENT).int().argmax(dim=1)  # [batch, key], [batch]
        keys = self.marks(marks) + self.places.weight  # [batch, key, d_key]
        felt = torch.cat([self.places(cells), self.view(walls, cells=cells)], dim=1)  # [batch, d_key + d_view]
        state = torch.tanh(self.state(felt))  # [batch, d_model]
        context, weights = self.attention(
            state.unsqueeze(1), keys=keys, hidden=self.attention.key(keys), mask=torch.ones_like(walls)
        )
        thought = self.thought(torch.cat([state, context.squeeze(1)], dim=1)).relu()  # [batch, d_model]
        return self.policy(thought), self.value(thought).squeeze(1), weights.squeeze(1)
