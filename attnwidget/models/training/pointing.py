"""The course of a sorter: numbers in, and at each step a pointer to the next."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.tasks import Example, Task

from ..pointer import PointerNetwork, PointerSizes
from ..reader import Reader
from ..sorter import Sorter
from ..system import System
from .course import Recipe
from .translation import TINY, draw, padded, unseen


@dataclass(frozen=True)
class Pointing:
    """How a sorter is trained on a task whose gold alignment names one source word for each target word.

    Args:
        name: of the model.
        data: the task.
        paper: where the network is from.
        recipe: how it is trained.
    """

    name: str
    data: Task
    paper: str
    recipe: Recipe

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.data.name

    def build(self) -> Sorter:
        """Return the sorter before training."""
        sizes = PointerSizes(len(self.data.source_words), d_embed=16, d_model=64)
        reader = Reader(self.data.source_words, self.data.tokenize, self.data.typed)
        return Sorter(PointerNetwork(sizes), reader=reader)

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Return the mean surprise at where the pointer should point, in nats: there is no loss but on the weights."""
        assert isinstance(system, Sorter)
        drawn = draw(self.data, rng, count=self.recipe.batch)
        lengths = torch.tensor([len(example.source) for example in drawn])
        index = system.reader.index
        source = padded([[index[word] for word in example.source] for example in drawn], value=0)  # [batch, key]
        order = padded([[min(gold) for gold in example.alignment if gold] for example in drawn], value=0)
        n_keys = source.shape[1]
        system.reader.longest = max(system.reader.longest, n_keys)
        weights = system.network(source, lengths=lengths, order=order)  # [batch, query, key]
        pointed = weights.gather(2, order.unsqueeze(2)).squeeze(2)  # [batch, query]
        counted = torch.arange(n_keys) < lengths.unsqueeze(1)  # [batch, query]
        return -torch.log(pointed[counted] + TINY).mean()

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return different examples that the task holds out."""
        return unseen(self.data, seed=seed, count=count)
