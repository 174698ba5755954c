"""A network that tells what it sees, with its vocabulary: a picture or a clip in, a caption out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.tasks import Example, clips, shapes
from attnwidget.tasks.pictures import PictureTask

from .captioner import CaptionNetwork, CaptionSizes
from .network import BOUNDARY
from .pictured import Picture, picture
from .system import END, DecoderStep, Encoded, System, likeliest
from .video import VideoNetwork

if TYPE_CHECKING:
    from typing_extensions import Self

NETWORKS: dict[str, tuple[type[CaptionNetwork], PictureTask]] = {
    "captioner": (CaptionNetwork, shapes.TASK),
    "video": (VideoNetwork, clips.TASK),
}


class Describer(System):
    """A trained captioner. The weights of its steps are those of the decoder's soft attention, one for each place.

    Args:
        network: its word 0 is the boundary mark: before the first word and after the last.
        task: its target words are the vocabulary, by index minus 1; its source words name the keys.
    """

    kind = "describer"

    def __init__(self, network: CaptionNetwork, *, task: PictureTask) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.example = task.typed
        self.words = (END, *task.target_words)

    def encode(self, typed: str | Sequence[object] | Example | np.ndarray) -> Picture:
        """Return a scene as `values`, float [1, 3, row, column], or a clip, float [1, frame, 3, row, column].

        Args:
            typed: the scene in words, as the task reads it; or pixels of the task's shape, whole numbers from 0 to 255
                or float from 0 to 1; or an example of the task.

        Raises:
            TypeError: it is none of these.
            ValueError: the task cannot read the text, or the pixels have another shape or range.

        Warns:
            UserWarning: the picture is unlike all that the network learned from.
        """
        grid = shapes.N_ROWS, shapes.N_COLUMNS
        device = self.network.places.device
        return picture(typed, task=self.task, tokens=self.task.source_words, grid=grid, device=device)

    def most_steps(self, encoded: Encoded) -> int:
        """Return the size of the vocabulary, more than any caption has words."""
        return len(self.words)

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield one step for each word, the end mark included."""
        memory, state = self.network.decoder.begin(self.network.keys(encoded.values))
        previous = torch.tensor([BOUNDARY], device=encoded.values.device)
        for _ in range(max_steps):
            logits, state, weights = self.network.decoder.step(previous, state=state, memory=memory)
            previous = logits.argmax(dim=1)  # [batch]
            candidates = likeliest(torch.softmax(logits[0], dim=0), words=self.words)
            yield DecoderStep(self.words[int(previous)], candidates, weights[0])
            if int(previous) == BOUNDARY:
                return

    def header(self) -> dict[str, Any]:
        """Return the name of the network and its sizes; the task goes with the name."""
        name = next(name for name, (network, _) in NETWORKS.items() if type(self.network) is network)
        return {"network": name, "sizes": asdict(self.network.sizes)}

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the describer that wrote this header, with numbers that are still to be loaded."""
        network, task = NETWORKS[header["network"]]
        return cls(network(CaptionSizes(**header["sizes"])), task=task)
