"""The course of the agent: it walks, and the ways that led to the goal become likelier (policy gradient)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from attnwidget.tasks import Example, grid

from ..agent import AgentNetwork
from ..system import System
from ..walker import Walker
from .course import Recipe
from .description import stacked

MAX_ACTIONS = 14
DISCOUNT = 0.85
VALUE_SHARE = 0.5
ENTROPY_SHARE = 0.005


@dataclass(frozen=True)
class Walking:
    """How the agent is trained on maps; one batch is so many walks.

    Args:
        name: of the model.
        paper: where the network is from.
        recipe: how it is trained.
        network: a new network for maps of so many rows, columns and marks, and for so many actions.
    """

    name: str
    paper: str
    recipe: Recipe
    network: Callable[[int, int, int, int], AgentNetwork]
    task: str = "grid"

    def build(self) -> Walker:
        """Return the agent before training."""
        return Walker(self.network(grid.N_ROWS, grid.N_COLUMNS, len(grid.MARKS), len(grid.ACTIONS)))

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Walk with random actions, and return the loss whose gradient is that of REINFORCE.

        The return of an action is `DISCOUNT` to the number of actions that still followed until the goal, 0 if it was
        not reached: the sooner, the better. The baseline is what the network expects; a little entropy keeps it trying.

        Source: Williams 1992, Machine Learning 8, 229-256: episodic REINFORCE with a baseline; entropy, Mnih et al.
        2016, arXiv 1602.01783, section 4.
        """
        assert isinstance(system, Walker)
        marks = stacked([drawn(rng, held_out=False) for _ in range(self.recipe.batch)])  # int64 [walk, key]
        walking = torch.arange(len(marks))  # [walk]: those not at the goal yet
        lengths = torch.zeros(len(marks))  # [walk]: 0 where the goal is not reached
        log_probabilities, expected, entropies, walks, times = [], [], [], [], []
        for time in range(MAX_ACTIONS):
            logits, value, _ = system.network(marks)
            choice = torch.distributions.Categorical(logits=logits)
            actions = choice.sample()  # type: ignore[no-untyped-call]
            log_probabilities.append(choice.log_prob(actions))  # type: ignore[no-untyped-call]
            entropies.append(choice.entropy())  # type: ignore[no-untyped-call]
            expected.append(value)
            walks.append(walking)
            times.append(torch.full((len(walking),), time))
            marks, arrived = after(marks, actions)
            lengths[walking[arrived]] = time + 1
            marks, walking = marks[~arrived], walking[~arrived]
            if not len(walking):
                break
        walk, baseline = torch.cat(walks), torch.cat(expected)  # [action]
        returns = torch.where(lengths[walk] > 0, DISCOUNT ** (lengths[walk] - 1 - torch.cat(times)), 0.0)  # [action]
        advantages = returns - baseline.detach()  # [action]
        policy_loss = -(advantages * torch.cat(log_probabilities)).mean()
        value_loss = (returns - baseline).square().mean()
        return policy_loss + VALUE_SHARE * value_loss - ENTROPY_SHARE * torch.cat(entropies).mean()

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return maps whose walls and goal training never saw together."""
        rng = random.Random(seed)
        return [drawn(rng, held_out=True) for _ in range(count)]


def drawn(rng: random.Random, *, held_out: bool) -> Example:
    """Return a random map that is kept from training, or one that is not."""
    while grid.held_out(example := grid.draw(rng)) != held_out:
        pass
    return example


def after(marks: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps after one action each, int64 [walk, key], and which agents stand on the goal now, bool [walk]."""
    cells = (marks == grid.AGENT).int().argmax(dim=1)  # [walk]
    ahead = _ahead()[cells, actions]  # [walk]
    ahead = torch.where(marks.gather(1, ahead.unsqueeze(1)).squeeze(1) == grid.WALL, cells, ahead)
    arrived = marks.gather(1, ahead.unsqueeze(1)).squeeze(1) == grid.GOAL  # [walk]
    moved = marks.scatter(1, cells.unsqueeze(1), grid.FLOOR).scatter(1, ahead.unsqueeze(1), grid.AGENT)
    return moved, arrived


@cache
def _ahead() -> Tensor:
    return torch.tensor(
        [[grid.move(cell, action, walls=frozenset()) for action in grid.ACTIONS] for cell in range(len(grid.CELLS))]
    )  # [cell, action]
