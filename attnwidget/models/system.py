"""What every attention system can do: take what a person typed, and decode it step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from attnwidget.tasks import Example

if TYPE_CHECKING:
    from typing_extensions import Self

END = "\N{MIDDLE DOT}"
N_CANDIDATES = 4


class OnToken(Protocol):
    """What `run` calls at each decoder step, the end mark included."""

    def __call__(self, token: str, *, candidates: list[tuple[str, float]]) -> object:
        """Take the chosen token and the most probable ones with their probabilities, best first."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """An input, ready to be decoded.

    Args:
        tokens: one text for each key that the attention counts, for `aw.record(model, source=encoded.tokens)`.
        values: what the network reads; each system says its shape and type, the batch of 1 first.
    """

    tokens: tuple[str, ...]
    values: Tensor


@dataclass(frozen=True)
class DecoderStep:
    """One step of decoding.

    Args:
        token: what was chosen.
        candidates: the likeliest tokens with their probabilities, best first; the chosen one is the first.
        weights: those that are graded against the gold alignment, float32 [key]; each system says which.
    """

    token: str
    candidates: list[tuple[str, float]]
    weights: Tensor


class System(nn.Module, ABC):
    """A trained network with all that is around it, so that people can give it what they type.

    Attributes:
        kind: names the class in the header of a weights file.
        example: something that a person could type.
    """

    kind: ClassVar[str]
    example: str

    @abstractmethod
    def encode(self, typed: str | Sequence[str] | Example) -> Encoded:
        """Return an input as the network reads it.

        Args:
            typed: what a person typed, its tokens, or an example of the task, whose target is not looked at.

        Raises:
            TypeError, ValueError: the system cannot read it; the sentence says what was expected.

        Warns:
            UserWarning: it is outside what the system learned, such as longer than any input seen in training.
        """

    @abstractmethod
    def most_steps(self, encoded: Encoded) -> int:
        """Return after how many steps decoding stops, even without an end mark."""

    @abstractmethod
    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield the steps of greedy decoding; `steps` calls it in evaluation mode and without gradients."""

    def is_right(self, output: Sequence[str], *, example: Example) -> bool:
        """Return whether the tokens of `run` are what the example wants: its target, unless a system knows better."""
        return tuple(output) == example.target

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """Return what, beside the numbers, makes this system again; only what JSON can hold."""

    @classmethod
    @abstractmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the system that wrote this header, with numbers that are still to be loaded."""

    @torch.no_grad()
    def steps(self, encoded: Encoded, *, max_steps: int | None = None) -> Iterator[DecoderStep]:
        """Decode greedily, in evaluation mode and without gradients; the mode is put back afterwards.

        Args:
            encoded: what `encode` returned.
            max_steps: stop after so many steps even without an end mark; by default `most_steps` says when.

        Yields:
            One step after the other, the end mark "·" included where the system has one.

        Raises:
            TypeError: encoded is not what `encode` returns, or max_steps not an int.
            ValueError: max_steps is below 1.
        """
        if not isinstance(encoded, Encoded):
            raise TypeError(f"a {type(encoded).__name__} came: expected what model.encode(typed) returns.")
        if max_steps is None:
            max_steps = self.most_steps(encoded)
        if not isinstance(max_steps, int):
            raise TypeError(f"max_steps is a {type(max_steps).__name__}: expected an int, 1 or more.")
        if max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}: expected 1 or more.")
        was_training = self.training
        self.eval()
        try:
            yield from self.decode(encoded, max_steps=max_steps)
        finally:
            self.train(was_training)

    def run(self, encoded: Encoded, *, on_token: OnToken | None = None, max_steps: int | None = None) -> list[str]:
        """Return the tokens of `steps`, without the end mark; arguments and errors are its own.

        Args:
            encoded: what `encode` returned.
            on_token: called once per decoder step, the end mark included, as it happens.
            max_steps: as `steps` takes it.
        """
        tokens = []
        for step in self.steps(encoded, max_steps=max_steps):
            if on_token is not None:
                on_token(step.token, candidates=step.candidates)
            tokens.append(step.token)
        return tokens[:-1] if tokens[-1] == END else tokens

    def forward(self, encoded: Encoded) -> list[str]:
        """Run, so that `model(encoded)` does what people expect."""
        return self.run(encoded)


def likeliest(probabilities: Tensor, *, words: Sequence[str]) -> list[tuple[str, float]]:
    """Return the `N_CANDIDATES` most probable words with their probabilities, best first.

    Args:
        probabilities: float [word].
        words: the text of each.
    """
    best = probabilities.topk(min(N_CANDIDATES, len(words)))  # [candidate]
    return [(words[index], value) for index, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
