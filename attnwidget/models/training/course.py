"""What the training loop needs to know of a model: a course."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from attnwidget.tasks import Example

from ..system import System


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Args:
        steps: batches.
        batch: examples per batch.
        learning_rate: Adam's, at its highest: it rises over the first `warm_up` steps and falls linearly to 0.
        warm_up: steps.
        alignment_loss: weight of the loss that teaches the attention its gold; 0 leaves the attention to itself.
        check_every: steps between two measurements on unseen inputs.
        seed: of the shipped weights.
        checkpoints: name of a state to keep, and the step after which it is kept.
    """

    steps: int
    batch: int = 128
    learning_rate: float = 3e-3
    warm_up: int = 100
    alignment_loss: float = 0.0
    check_every: int = 250
    seed: int = 0
    checkpoints: Mapping[str, int] = field(default_factory=dict)


class Course(Protocol):
    """A model, the data it learns from, and how: a frozen dataclass.

    Attributes:
        name: of the model and of its weights file.
        task: what it is trained on, in a word.
        paper: where the network is from.
        recipe: how long, how fast.
    """

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> str: ...

    @property
    def paper(self) -> str: ...

    @property
    def recipe(self) -> Recipe: ...

    def build(self) -> System:
        """Return the system before training; torch's generator has been seeded."""

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Draw a batch of which nothing is held out, and return its loss, float []."""

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return different examples that training never saw: as many as asked for, or fewer where there are no more."""
