"""The course of a describer: a picture or a clip in, a caption out, cross-entropy on each word."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from attnwidget.tasks import Example
from attnwidget.tasks.pictures import PictureTask

from ..captioner import CaptionNetwork
from ..describer import Describer
from ..network import BOUNDARY
from ..system import System
from .course import Recipe
from .translation import alignment_loss


@dataclass(frozen=True)
class Description:
    """How a describer is trained on a task.

    Args:
        name: of the model.
        data: the task; all its captions have the same length.
        paper: where the network is from.
        recipe: how it is trained.
        network: a new network for this many words, the boundary mark among these, and this many keys.
    """

    name: str
    data: PictureTask
    paper: str
    recipe: Recipe
    network: Callable[[int, int], CaptionNetwork]

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.data.name

    def build(self) -> Describer:
        """Return the describer before training."""
        n_words, n_keys = len(self.data.target_words) + 1, len(self.data.source_words)
        return Describer(self.network(n_words, n_keys), task=self.data)

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Return the mean surprise at the right words, in nats, and a share of `alignment_loss`."""
        assert isinstance(system, Describer)
        examples = drawn(self.data, rng, count=self.recipe.batch, held_out=False)
        target = torch.tensor([[*map(system.words.index, example.target), BOUNDARY] for example in examples])
        previous = nn.functional.pad(target[:, :-1], (1, 0), value=BOUNDARY)  # [batch, query]
        images = stacked(examples).movedim(-1, -3)  # [batch, ..., 3, row, column]
        logits, weights = system.network(images, previous=previous)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        if self.recipe.alignment_loss:
            gold = torch.zeros_like(weights, dtype=torch.bool)  # [batch, query, key]
            for row, example in enumerate(examples):
                for query, keys in enumerate(example.alignment):
                    gold[row, query, list(keys or ())] = True
            loss = loss + self.recipe.alignment_loss * alignment_loss(weights, gold=gold)
        return loss

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return pictures whose captions were never trained on; their noise makes all of them different."""
        return drawn(self.data, random.Random(seed), count=count, held_out=True)


def drawn(task: PictureTask, rng: random.Random, *, count: int, held_out: bool) -> list[Example]:
    """Return so many random examples, all kept from training or none of them."""
    examples: list[Example] = []
    while len(examples) < count:
        if task.held_out(example := task.draw(rng)) == held_out:
            examples.append(example)
    return examples


def stacked(examples: Sequence[Example]) -> Tensor:
    """Return the values of examples as one batch, [batch, ...]."""
    return torch.from_numpy(np.stack([example.values for example in examples if example.values is not None]))
