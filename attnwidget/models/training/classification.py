"""The course of a classifier: a picture in, one word out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from attnwidget.tasks import Example, digits

from ..classifier import Classifier
from ..residual import ResidualAttentionNetwork
from ..system import System
from ..vit import VisionTransformer
from .course import Recipe

LABEL_SMOOTHING = 0.05


@dataclass(frozen=True)
class Classification:
    """How a classifier is trained on the digits.

    Args:
        name: of the model.
        paper: where the network is from.
        recipe: how it is trained.
        network: a new network for this many classes.
    """

    name: str
    paper: str
    recipe: Recipe
    network: Callable[[int], VisionTransformer | ResidualAttentionNetwork]
    task: str = digits.TASK.name

    def build(self) -> Classifier:
        """Return the classifier before training."""
        return Classifier(self.network(len(digits.WORDS)))

    def loss(self, system: System, rng: random.Random) -> Tensor:
        """Return the mean surprise at the right word, in nats, of pictures that are moved by up to one pixel."""
        assert isinstance(system, Classifier)
        images, names = digits.data()
        indices = rng.choices(digits.indices(held_out=False).tolist(), k=self.recipe.batch)
        moved = [
            np.roll(np.pad(images[index], 1), (rng.randint(-1, 1), rng.randint(-1, 1)), axis=(0, 1))[1:-1, 1:-1]
            for index in indices
        ]
        logits, _ = system.network(torch.from_numpy(np.stack(moved)).unsqueeze(1))
        return nn.functional.cross_entropy(logits, torch.from_numpy(names[indices]), label_smoothing=LABEL_SMOOTHING)

    def unseen(self, seed: int, count: int) -> list[Example]:
        """Return held-out pictures in random order."""
        held = digits.indices(held_out=True).tolist()
        return [digits.example(index) for index in random.Random(seed).sample(held, min(count, len(held)))]
