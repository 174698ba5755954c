"""An agent on its map: a map in, one action after the other out, until it stands on the goal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.tasks import Example, grid

from .agent import AgentNetwork, AgentSizes
from .pictured import Picture
from .system import DecoderStep, Encoded, System, likeliest

if TYPE_CHECKING:
    from typing_extensions import Self


# Red, green and blue of the floor, a wall, the goal and the agent.
COLOURS = ((0.93, 0.93, 0.91), (0.35, 0.35, 0.38), (0.20, 0.65, 0.35), (0.85, 0.35, 0.15))


class Walker(System):
    """A trained agent. The weights of its steps are those of its attention before each action, one for each cell.

    Args:
        network: its actions are those of the task, in order.
    """

    kind = "walker"
    example = grid.TYPED

    def __init__(self, network: AgentNetwork) -> None:
        super().__init__()
        self.network = network
        self.words = tuple(grid.ACTIONS)

    def encode(self, typed: str | Sequence[object] | Example) -> Picture:
        """Return a map as `values`, int64 [1, key]: what each cell holds, row by row; its `image` has one pixel a cell.

        Args:
            typed: five rows of five marks with a "/" between rows, or an example of the task.

        Raises:
            TypeError: it is neither.
            ValueError: it is no such map, or no way leads to the goal.

        Warns:
            UserWarning: there are more walls than in training.
        """
        if isinstance(typed, str):
            typed = grid.read(typed)
        if not isinstance(typed, Example) or typed.values is None or typed.values.shape != (len(grid.CELLS),):
            raise TypeError(f"a {type(typed).__name__} came: expected {grid.EXPECTED}, or an example of such a map.")
        n_walls = int((typed.values == grid.WALL).sum())
        if n_walls > grid.MAX_WALLS:
            warnings.warn(
                f"the map has {n_walls} walls, but in training there were {grid.MAX_WALLS} at most: expect detours.",
                stacklevel=2,
            )
        marks = torch.from_numpy(typed.values.astype(np.int64)).unsqueeze(0)  # [1, key]
        image = np.array(COLOURS, np.float32)[typed.values].reshape(grid.N_ROWS, grid.N_COLUMNS, 3)
        return Picture(grid.CELLS, marks.to(self.network.places.weight.device), image, (grid.N_ROWS, grid.N_COLUMNS))

    def most_steps(self, encoded: Encoded) -> int:
        """Return the number of cells; no shortest way has so many actions."""
        return encoded.values.shape[1]

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield one step for each action, until the agent stands on the goal; there is no end mark."""
        marks = encoded.values.clone()  # [1, key]
        walls = frozenset((marks[0] == grid.WALL).nonzero().flatten().tolist())
        cell, goal = (int((marks[0] == mark).int().argmax()) for mark in (grid.AGENT, grid.GOAL))
        for _ in range(max_steps):
            logits, _, weights = self.network(marks)
            candidates = likeliest(torch.softmax(logits[0], dim=0), words=self.words)
            yield DecoderStep(candidates[0][0], candidates, weights[0])
            marks[0, cell] = grid.FLOOR
            cell = grid.move(cell, candidates[0][0], walls=walls)
            marks[0, cell] = grid.AGENT
            if cell == goal:
                return

    def is_right(self, output: Sequence[str], *, example: Example) -> bool:
        """Return whether the actions lead to the goal in as few steps as can be; there may be several such ways."""
        return grid.reaches_goal(output, example=example) and len(output) == len(example.target)

    def header(self) -> dict[str, Any]:
        """Return the sizes of the network."""
        return {"sizes": asdict(self.network.sizes)}

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the walker that wrote this header, with numbers that are still to be loaded."""
        return cls(AgentNetwork(AgentSizes(**header["sizes"])))
