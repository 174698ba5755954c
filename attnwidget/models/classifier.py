"""A network that names what it sees, with its names: a picture in, one word out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.tasks import Example, digits, shapes

from .pictured import Picture, picture
from .residual import ResidualAttentionNetwork, ResidualSizes
from .system import DecoderStep, Encoded, System, likeliest
from .vit import VisionTransformer, VitSizes

if TYPE_CHECKING:
    from typing_extensions import Self

# Patches of two by two pixels make a grid of the same size as the cells of the shapes.
PATCHES = ("class", *shapes.CELLS)


class Classifier(System):
    """A trained classifier of digits, which decodes in one step. The weights of the step are those of `forward`.

    No pixel is the gold of a digit, and weights here explain less than they seem to. Of 360 held-out pictures the
    shipped ViT has its largest weight on an inked patch in 78 %, but 74 % of all patches are inked. The mask of the
    shipped residual network is largest on ink in 41 %, where 51 % of the pixels are inked; yet it matters: with the
    mean of the mask in its place 52 % are named right, not 99 %.

    Args:
        network: its classes are the words of the task, in order.
    """

    kind = "classifier"
    task = digits.TASK
    example = digits.TASK.typed

    def __init__(self, network: VisionTransformer | ResidualAttentionNetwork) -> None:
        super().__init__()
        self.network = network
        self.words = self.task.target_words
        sees_patches = isinstance(network, VisionTransformer)
        self.keys = PATCHES if sees_patches else self.task.source_words
        self.grid = (shapes.N_ROWS, shapes.N_COLUMNS) if sees_patches else (self.task.shape[0], self.task.shape[1])

    def encode(self, typed: str | Sequence[object] | Example | np.ndarray) -> Picture:
        """Return a digit as `values`, float [1, 1, 8, 8], 0 for paper and 1 for ink.

        Args:
            typed: "7", a held-out picture of a seven, or "7 #3", the third; or pixels [8, 8], whole numbers from 0 to
                16 or float from 0 to 1; or an example of the task.

        Raises:
            TypeError: it is none of these.
            ValueError: the task cannot read the text, or the pixels have another shape or range.

        Warns:
            UserWarning: there is more or less ink than in any picture of the data.
        """
        device = self.network.output.weight.device
        return picture(typed, task=self.task, tokens=self.keys, grid=self.grid, device=device)

    def most_steps(self, encoded: Encoded) -> int:
        """Return 1."""
        return 1

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield the one step; there is no end mark."""
        logits, weights = self.network(encoded.values)
        candidates = likeliest(torch.softmax(logits[0], dim=0), words=self.words)
        yield DecoderStep(candidates[0][0], candidates, weights[0])

    def header(self) -> dict[str, Any]:
        """Return the name of the network and its sizes."""
        name = "vit" if isinstance(self.network, VisionTransformer) else "residual"
        return {"network": name, "sizes": asdict(self.network.sizes)}

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the classifier that wrote this header, with numbers that are still to be loaded."""
        if header["network"] == "vit":
            return cls(VisionTransformer(VitSizes(**header["sizes"])))
        return cls(ResidualAttentionNetwork(ResidualSizes(**header["sizes"])))
