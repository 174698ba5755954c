"""The course of a translator: words in, words out, cross-entropy on each word."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.tasks import Example, Task

from ..network import BOUNDARY, Network
from ..reader import Reader
from ..system import System
from ..translator import Translator
from .course import Recipe

TINY = 1e-8
IGNORED = -100
MAX_DRAWS_PER_UNSEEN = 200


@dataclass(frozen=True)
class Translation:
    """How a translator is trained on a task.

    Args:
        name: of the model.
        data: the task.
        paper: where the network is from.
        recipe: how it is trained.
        network: a new network for this many source words and target words, the boundary mark among these.
    """

    name: str
    data: Task
    paper: str
    recipe: Recipe
    network: Callable[[int, int], Network[Any, Any]]

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.data.name

    def build(self) -> Translator:
        """Return the translator before training."""
        network = self.network(len(self.data.source_words), len(self.data.target_words) + 1)
        reader = Reader(self.data.source_words, self.data.tokenize, self.data.typed)
        return Translator(network, reader=reader, target_words=self.data.target_words)

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Return the mean surprise at the right words, in nats, and a share of `alignment_loss`."""
        assert isinstance(system, Translator)
        drawn = draw(self.data, rng, count=self.recipe.batch)
        batch = collate(drawn, source_words=system.reader.words, target_words=system.target_words)
        system.reader.longest = max(system.reader.longest, batch.source.shape[1])
        system.longest_target = max(system.longest_target, batch.target.shape[1] - 1)
        logits, weights = system.network(batch.source, lengths=batch.lengths, previous=batch.previous)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=IGNORED)
        if self.recipe.alignment_loss:
            loss = loss + self.recipe.alignment_loss * alignment_loss(weights, gold=batch.gold)
        return loss

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return different examples that the task holds out."""
        return unseen(self.data, seed=seed, count=count)


def draw(task: Task, rng: random.Random, *, count: int) -> list[Example]:
    """Return examples that the task does not hold out, some perhaps more than once."""
    drawn: list[Example] = []
    while len(drawn) < count:
        if not task.held_out(example := task.draw(rng)):
            drawn.append(example)
    return drawn


def unseen(task: Task, *, seed: int, count: int) -> list[Example]:
    """Return different examples that training never saw: as many as asked for, or fewer where the task has no more.

    `Task.held_out` says how they are kept apart.
    """
    found: dict[tuple[str, ...], Example] = {}
    for example in islice(task.examples(seed), MAX_DRAWS_PER_UNSEEN * count):
        if task.held_out(example):
            found.setdefault(example.source, example)
        if len(found) == count:
            break
    return list(found.values())


@dataclass(frozen=True)
class Batch:
    """Examples as indices.

    Args:
        source: int64 [batch, key].
        lengths: int64 [batch].
        previous: int64 [batch, query], `BOUNDARY` first.
        target: int64 [batch, query], `BOUNDARY` last, `IGNORED` after it.
        gold: bool [batch, query, key].
    """

    source: Tensor
    lengths: Tensor
    previous: Tensor
    target: Tensor
    gold: Tensor


def collate(examples: Sequence[Example], *, source_words: Sequence[str], target_words: Sequence[str]) -> Batch:
    """Return the examples as one padded batch; vocabularies as in `Translator`, the end mark at target index 0."""
    source_index = {word: index for index, word in enumerate(source_words)}
    target_index = {word: index for index, word in enumerate(target_words)}
    targets = [[target_index[word] for word in example.target] for example in examples]
    lengths = torch.tensor([len(example.source) for example in examples])
    source = padded([[source_index[word] for word in example.source] for example in examples], value=0)
    previous = padded([[BOUNDARY, *words] for words in targets], value=BOUNDARY)
    target = padded([[*words, BOUNDARY] for words in targets], value=IGNORED)
    return Batch(source, lengths, previous, target, _gold(examples, shape=(*target.shape, source.shape[1])))


def padded(rows: Sequence[Sequence[int]], *, value: int) -> Tensor:
    """Return rows of different lengths as one tensor, int64 [batch, longest], filled up with a value."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def _gold(examples: Sequence[Example], *, shape: tuple[int, ...]) -> Tensor:
    places = [
        (row, query, key)
        for row, example in enumerate(examples)
        for query, keys in enumerate(example.alignment)
        for key in keys or ()
    ]
    gold = torch.zeros(shape, dtype=torch.bool)  # [batch, query, key]
    gold[tuple(torch.tensor(places, dtype=torch.int64).reshape(-1, 3).T)] = True  # one write: thousands are slow
    return gold


def alignment_loss(weights: Tensor, *, gold: Tensor) -> Tensor:
    """Return the mean of -log(weight on the gold source words) over the steps that have any.

    Args:
        weights: float [batch, query, key].
        gold: bool [batch, query, key]; a row without any true entry is left out.

    Returns:
        float, nats.

    Source: Mi et al. 2016, arXiv 1608.00112, section 3: their cross-entropy, the same where a step has one gold word.
    """
    on_gold = (weights * gold).sum(dim=2)  # [batch, query]
    return -torch.log(on_gold[gold.any(dim=2)] + TINY).mean()
