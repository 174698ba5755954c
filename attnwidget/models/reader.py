"""Words as a person types them, and as a network reads them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from attnwidget import tasks

from .system import Encoded

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class Reader:
    """The words that a network can read.

    Args:
        words: vocabulary, by index.
        tokenizer: what a person typed, as words.
        example: something that a person could type.
        longest: the most words that an input had in training; more warn.
    """

    words: tuple[str, ...]
    tokenizer: Callable[[str], list[str]]
    example: str
    longest: int = 0
    index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.index = {word: index for index, word in enumerate(self.words)}

    def encode(self, typed: str | Sequence[str] | tasks.Example) -> Encoded:
        """Return a text, a list of words, or an example's source as `values`, int64 [1, key]: one key for each word.

        Raises:
            TypeError: what was typed is none of these, or holds something other than str.
            ValueError: there is no word, or an unknown one, or the task cannot read the text.

        Warns:
            UserWarning: there are more words than in any input seen in training.
        """
        words = self._words(typed)
        if len(words) > self.longest:
            warnings.warn(
                f"the source has {len(words)} words, but the longest in training had {self.longest}: expect mistakes.",
                stacklevel=3,
            )
        return Encoded(words, torch.tensor([[self.index[word] for word in words]]))  # [1, key]

    def require(self, encoded: Encoded) -> None:
        """Raise a ValueError if the input was encoded by a model that has other words."""
        if not all(word in self.index for word in encoded.tokens):
            raise ValueError("the input has words that this model does not know: expected what its own encode returns.")

    def header(self) -> dict[str, Any]:
        """Return what `from_header` takes; a tokenizer that is not one of a task goes without saying."""
        return {
            "words": self.words,
            "tokenizer": next((name for name, known in _tokenizers().items() if known == self.tokenizer), None),
            "example": self.example,
            "longest": self.longest,
        }

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the reader that wrote this header."""
        tokenizer = _tokenizers().get(header["tokenizer"], _untold)
        return cls(tuple(header["words"]), tokenizer, header["example"], header["longest"])

    def _words(self, typed: object) -> tuple[str, ...]:
        if isinstance(typed, str):
            words = tuple(self.tokenizer(typed))
        elif isinstance(typed, tasks.Example):
            words = typed.source
        elif isinstance(typed, Sequence) and not isinstance(typed, bytes):
            words = tuple(typed)
        else:
            raise TypeError(f"a {type(typed).__name__} came: expected a text, a list of words or an example of a task.")
        if not words:
            raise ValueError("the source is empty: expected at least one word.")
        for position, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"word {position} is a {type(word).__name__}: expected str.")
            if word not in self.index:
                raise ValueError(
                    f"word {position} is not among the {len(self.words)} words that this model knows "
                    "(model.reader.words). Check its spelling, or pass the whole text to model.encode."
                )
        return words


def _tokenizers() -> dict[str, Callable[[str], list[str]]]:
    return {"words": str.split, "letters": list, **{name: tasks.get(name).tokenize for name in tasks.available()}}


def _untold(text: str) -> list[str]:
    raise ValueError(
        "a text came, but the file of this model does not say how to split one: expected a list of words. "
        "Or set model.reader.tokenizer to the function that it was trained with."
    )
