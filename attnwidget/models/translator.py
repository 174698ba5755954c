"""A network with its vocabularies: words in, words out, one step at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from attnwidget import tasks

from .network import BOUNDARY, Network
from .networks import build, describe
from .system import END, DecoderStep, Encoded, System, likeliest

if TYPE_CHECKING:
    from typing_extensions import Self


class Translator(System):
    """A trained network that takes and gives words. The weights of its steps are those of the network's own step.

    Args:
        network: its target index 0 is the boundary mark: before the first word and after the last.
        source_words: source vocabulary, by index.
        target_words: target vocabulary, by index minus 1; it does not hold the end mark.
        longest_source: the longest source seen in training, in words; a longer one warns.
        longest_target: the longest target seen in training, in words.
        tokenizer: what a person typed, as source words.
        example: something that a person could type.
    """

    kind = "translator"

    def __init__(
        self,
        network: Network[Any],
        *,
        source_words: Sequence[str],
        target_words: Sequence[str],
        longest_source: int,
        longest_target: int,
        tokenizer: Callable[[str], list[str]],
        example: str,
    ) -> None:
        super().__init__()
        self.network = network
        self.source_words = tuple(source_words)
        self.target_words = (END, *target_words)
        self.longest_source = longest_source
        self.longest_target = longest_target
        self.tokenizer = tokenizer
        self.example = example
        self._source_index = {word: index for index, word in enumerate(self.source_words)}

    def encode(self, typed: str | Sequence[str] | tasks.Example) -> Encoded:
        """Return a text, a list of words, or an example's source as `values`, int64 [1, key]: one key for each word.

        Raises:
            TypeError: what was typed is none of these, or holds something other than str.
            ValueError: there is no word, or an unknown one, or the task cannot read the text.

        Warns:
            UserWarning: there are more words than in any source seen in training.
        """
        words = self._words(typed)
        if len(words) > self.longest_source:
            warnings.warn(
                f"the source has {len(words)} words, but the longest in training had {self.longest_source}: "
                "expect mistakes.",
                stacklevel=2,
            )
        indices = [self._source_index[word] for word in words]
        return Encoded(tuple(words), torch.tensor([indices], device=next(self.parameters()).device))  # [1, key]

    def most_steps(self, encoded: Encoded) -> int:
        """Return the length of the source plus that of the longest target seen in training."""
        return len(encoded.tokens) + self.longest_target

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield the steps, the end mark included; their weights are those that the network's `step` returns."""
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
        """Return network, sizes, vocabularies and ranges; a tokenizer that is not one of a task goes without saying."""
        return {
            **describe(self.network),
            "source_words": self.source_words,
            "target_words": self.target_words[1:],
            "longest_source": self.longest_source,
            "longest_target": self.longest_target,
            "tokenizer": next((name for name, known in _tokenizers().items() if known == self.tokenizer), None),
            "example": self.example,
        }

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the translator that wrote this header, with numbers that are still to be loaded."""
        return cls(
            build(header["network"], sizes=header["sizes"]),
            source_words=header["source_words"],
            target_words=header["target_words"],
            longest_source=header["longest_source"],
            longest_target=header["longest_target"],
            tokenizer=_tokenizers().get(header["tokenizer"], _untold),
            example=header["example"],
        )

    def _words(self, typed: object) -> list[str]:
        if isinstance(typed, str):
            words = list(self.tokenizer(typed))
        elif isinstance(typed, tasks.Example):
            words = list(typed.source)
        elif isinstance(typed, Sequence):
            words = list(typed)
        else:
            raise TypeError(f"a {type(typed).__name__} came: expected a text, a list of words or an example of a task.")
        if not words:
            raise ValueError("the source is empty: expected at least one word.")
        for index, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"word {index} is a {type(word).__name__}: expected str.")
            if word not in self._source_index:
                raise ValueError(
                    f"word {index} is not among the {len(self.source_words)} words that this model knows: expected "
                    "words of model.source_words. Check its spelling, or pass the whole text to model.encode."
                )
        return words


def _tokenizers() -> dict[str, Callable[[str], list[str]]]:
    return {"words": str.split, "letters": list, **{name: tasks.get(name).tokenize for name in tasks.available()}}


def _untold(text: str) -> list[str]:
    raise ValueError(
        "a text came, but the file of this model does not say how to split one: expected a list of words. "
        "Or set model.tokenizer to the function that it was trained with."
    )
