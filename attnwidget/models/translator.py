"""A network with its vocabularies: words in, words out, one step at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget import tasks

from .network import BOUNDARY, Network
from .networks import build, describe
from .reader import Reader
from .system import END, DecoderStep, Encoded, System, likeliest

if TYPE_CHECKING:
    from typing_extensions import Self


class Translator(System):
    """A trained network that takes and gives words. The weights of its steps are those that the network returns.

    Args:
        network: its target index 0 is the boundary mark: before the first word and after the last.
        reader: the words that it takes.
        target_words: target vocabulary, by index minus 1; it does not hold the end mark.
        longest_target: the longest target seen in training, in words.

    Raises:
        ValueError: a target word is the end mark.
    """

    kind = "translator"

    def __init__(
        self, network: Network[Any, Any], *, reader: Reader, target_words: Sequence[str], longest_target: int = 0
    ) -> None:
        super().__init__()
        if END in target_words:
            raise ValueError(f"target word {target_words.index(END)} is {END!r}, the end mark: expected other words.")
        self.network = network
        self.reader = reader
        self.target_words = (END, *target_words)
        self.longest_target = longest_target
        self.example = reader.example

    def encode(self, typed: str | Sequence[str] | tasks.Example) -> Encoded:
        """Return the input as `Reader.encode` does; errors and warnings are its own."""
        encoded = self.reader.encode(typed)
        return replace(encoded, values=encoded.values.to(next(self.parameters()).device))

    def most_steps(self, encoded: Encoded) -> int:
        """Return the length of the source plus that of the longest target seen in training."""
        return len(encoded.tokens) + self.longest_target

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield the steps, the end mark included; their weights are those that the network's `step` returns."""
        self.reader.require(encoded)
        lengths = torch.tensor([encoded.values.shape[1]], device=encoded.values.device)
        memory, state = self.network.encode(encoded.values, lengths=lengths)
        previous = torch.tensor([BOUNDARY], device=encoded.values.device)
        for _ in range(max_steps):
            logits, state, weights = self.network.step(previous, state=state, memory=memory)
            previous = logits.argmax(dim=1)  # [batch]
            candidates = likeliest(torch.softmax(logits[0], dim=0), words=self.target_words)
            yield DecoderStep(self.target_words[int(previous)], candidates, weights[0])
            if int(previous) == BOUNDARY:
                return

    def header(self) -> dict[str, Any]:
        """Return network, sizes, vocabularies and ranges."""
        return {
            **describe(self.network),
            "source": self.reader.header(),
            "target_words": self.target_words[1:],
            "longest_target": self.longest_target,
        }

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the translator that wrote this header, with numbers that are still to be loaded."""
        return cls(
            build(header["network"], sizes=header["sizes"]),
            reader=Reader.from_header(header["source"]),
            target_words=header["target_words"],
            longest_target=header["longest_target"],
        )
