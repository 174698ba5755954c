"""A pointer network with its words: inputs in, the same inputs in another order out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget import tasks

from .pointer import PointerNetwork, PointerSizes
from .reader import Reader
from .system import DecoderStep, Encoded, System, likeliest

if TYPE_CHECKING:
    from typing_extensions import Self


class Sorter(System):
    """A trained pointer network that puts words in order, one step for each. The weights of its steps are its output.

    Args:
        network: a pointer network.
        reader: the words that it takes.
    """

    kind = "sorter"

    def __init__(self, network: PointerNetwork, *, reader: Reader) -> None:
        super().__init__()
        self.network = network
        self.reader = reader
        self.example = reader.example

    def encode(self, typed: str | Sequence[str] | tasks.Example) -> Encoded:
        """Return the input as `Reader.encode` does; errors and warnings are its own."""
        encoded = self.reader.encode(typed)
        return replace(encoded, values=encoded.values.to(next(self.parameters()).device))

    def most_steps(self, encoded: Encoded) -> int:
        """Return the number of words: each is to be pointed to once."""
        return len(encoded.tokens)

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield one step for each word; the candidates are the words, and their probabilities the weights."""
        self.reader.require(encoded)
        lengths = torch.tensor([encoded.values.shape[1]], device=encoded.values.device)
        memory, state = self.network.encode(encoded.values, lengths=lengths)
        previous = None
        for _ in range(min(max_steps, len(encoded.tokens))):
            state, weights = self.network.step(previous, state=state, memory=memory)
            previous = weights.argmax(dim=1)  # [batch]
            yield DecoderStep(encoded.tokens[int(previous)], likeliest(weights[0], words=encoded.tokens), weights[0])

    def header(self) -> dict[str, Any]:
        """Return sizes, vocabulary and range."""
        return {"sizes": asdict(self.network.sizes), "source": self.reader.header()}

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the sorter that wrote this header, with numbers that are still to be loaded."""
        network = PointerNetwork(PointerSizes(**header["sizes"]))
        return cls(network, reader=Reader.from_header(header["source"]))
