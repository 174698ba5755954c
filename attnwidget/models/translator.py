"""A network with its vocabularies: words in, words out, one callback per decoder step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from .additive import BOUNDARY, AdditiveNetwork

END = "\N{MIDDLE DOT}"
N_CANDIDATES = 4


class OnToken(Protocol):
    """What `translate` calls at each decoder step, the end mark included."""

    def __call__(self, token: str, *, candidates: list[tuple[str, float]]) -> object:
        """Take the chosen token and the most probable ones with their probabilities, best first."""


@dataclass(frozen=True)
class DecoderStep:
    """One step of decoding: the token, the likeliest tokens with their probabilities, the weights, float32 [key]."""

    token: str
    candidates: list[tuple[str, float]]
    weights: Tensor


class Translator(nn.Module):
    """A trained network that takes and gives words.

    Args:
        network: its target index 0 is the boundary mark: before the first word and after the last.
        source_words: source vocabulary, by index.
        target_words: target vocabulary, by index minus 1; it does not hold the end mark.
        longest_source: the longest source seen in training, in tokens; a longer one warns.
        longest_target: the longest target seen in training, in tokens.
        tokenizer: what a person typed, as source words.
    """

    def __init__(
        self,
        network: AdditiveNetwork,
        *,
        source_words: Sequence[str],
        target_words: Sequence[str],
        longest_source: int,
        longest_target: int,
        tokenizer: Callable[[str], list[str]],
    ) -> None:
        super().__init__()
        self.network = network
        self.source_words = tuple(source_words)
        self.target_words = (END, *target_words)
        self.longest_source = longest_source
        self.longest_target = longest_target
        self.tokenizer = tokenizer
        self._source_index = {word: index for index, word in enumerate(self.source_words)}

    def tokenize(self, text: str) -> list[str]:
        """Return what a person typed as the words that `translate` takes; errors are the task's own."""
        return self.tokenizer(text)

    def forward(self, words: Sequence[str]) -> list[str]:
        """Translate, so that `model(words)` does what people expect."""
        return self.translate(words)

    def translate(
        self, words: Sequence[str], *, on_token: OnToken | None = None, max_steps: int | None = None
    ) -> list[str]:
        """Translate greedily, in evaluation mode and without gradients; the mode is put back afterwards.

        Args:
            words: source words, at least one; each becomes one key.
            on_token: called once per decoder step, the end mark "·" included, as it happens.
            max_steps: stop after so many steps even without an end mark; by default the length of the source plus
                that of the longest target seen in training.

        Returns:
            The target words, without the end mark.

        Raises:
            TypeError: words is a single str, or holds something other than str.
            ValueError: words is empty or holds an unknown word, or max_steps is below 1.

        Warns:
            UserWarning: the source is longer than any seen in training.
        """
        translation = []
        for step in self.steps(words, max_steps=max_steps):
            if on_token is not None:
                on_token(step.token, candidates=step.candidates)
            translation.append(step.token)
        return translation[:-1] if translation[-1] == END else translation

    def steps(self, words: Sequence[str], *, max_steps: int | None = None) -> Iterator[DecoderStep]:
        """Yield the steps of `translate` one by one; arguments, errors and warnings are its own."""
        source = self._indices(words)
        if max_steps is None:
            max_steps = len(words) + self.longest_target
        if max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}: expected 1 or more.")
        was_training = self.training
        self.eval()
        try:
            yield from self._decode(source, max_steps=max_steps)
        finally:
            self.train(was_training)

    @torch.no_grad()
    def _decode(self, source: list[int], *, max_steps: int) -> Iterator[DecoderStep]:
        device = self.network.output.weight.device
        lengths = torch.tensor([len(source)], device=device)
        memory, state = self.network.encode(torch.tensor([source], device=device), lengths=lengths)
        previous = torch.tensor([BOUNDARY], device=device)
        for _ in range(max_steps):
            logits, state, weights = self.network.step(previous, state=state, memory=memory)
            best = torch.softmax(logits[0], dim=0).topk(min(N_CANDIDATES, len(self.target_words)))  # [candidate]
            chosen = [self.target_words[index] for index in best.indices.tolist()]
            yield DecoderStep(chosen[0], list(zip(chosen, best.values.tolist(), strict=True)), weights[0])
            previous = best.indices[:1]
            if chosen[0] == END:
                return

    def _indices(self, words: Sequence[str]) -> list[int]:
        if isinstance(words, str):
            raise TypeError("words is one str: expected a list of words. Call model.tokenize(text) first.")
        if not isinstance(words, Sequence):
            raise TypeError(f"words is a {type(words).__name__}: expected a list of str.")
        if not words:
            raise ValueError("words is empty: expected at least one source word.")
        for index, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"word {index} is a {type(word).__name__}: expected str.")
            if word not in self._source_index:
                raise ValueError(
                    f"word {index} is not among the {len(self.source_words)} words that this model knows "
                    "(model.source_words). Was the text passed through model.tokenize?"
                )
        if len(words) > self.longest_source:
            warnings.warn(
                f"the source has {len(words)} words, but the longest in training had {self.longest_source}: "
                "expect mistakes.",
                stacklevel=4,
            )
        return [self._source_index[word] for word in words]
