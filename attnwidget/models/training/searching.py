"""The course of the searcher: each sentence of a batch finds its picture, and each picture its sentence."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnwidget.tasks import Example, held_out, search, shapes

from ..retrieval import SCALE, RetrievalNetwork
from ..searcher import Searcher
from ..system import System
from .course import Recipe
from .description import drawn, stacked


@dataclass(frozen=True)
class Searching:
    """How the searcher is trained on shapes.

    Args:
        name: of the model.
        paper: where the network is from.
        recipe: how it is trained.
        network: new towers for this many words and this many regions.
    """

    name: str
    paper: str
    recipe: Recipe
    network: Callable[[int, int], RetrievalNetwork]
    task: str = "search"

    def build(self) -> Searcher:
        """Return the searcher before training."""
        return Searcher(self.network(len(shapes.WORDS), len(shapes.CELLS)))

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Return the mean surprise at the right picture and at the right sentence, in nats; captions differ."""
        assert isinstance(system, Searcher)
        by_caption: dict[tuple[str, ...], Example] = {}
        while len(by_caption) < self.recipe.batch:
            example = drawn(shapes.TASK, rng, count=1, held_out=False)[0]
            by_caption.setdefault(example.target, example)
        sentences = torch.tensor([[system.words.index(word) for word in caption] for caption in by_caption])
        images = stacked(list(by_caption.values())).movedim(3, 1)  # [batch, 3, row, column]
        matches, _ = system.network(system.network.read(sentences), regions=system.network.see(images))
        right = torch.arange(len(matches))  # [batch]
        picture_loss = nn.functional.cross_entropy(SCALE * matches, right)
        return picture_loss + nn.functional.cross_entropy(SCALE * matches.T, right)

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return sentences that training never saw, each with a gallery of its own."""
        rng = random.Random(seed)
        examples: list[Example] = []
        while len(examples) < count:
            sentence = shapes.draw(rng)
            if held_out(sentence):
                examples.append(search.search(sentence.target, rng=rng))
        return examples
