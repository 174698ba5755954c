"""Tokens: the elements of a strip, in the order in which the model saw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """The tokens of one strip.

    Args:
        texts: one string per token, exactly as the model saw it; any characters, also empty or a lone surrogate.
    """

    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __getitem__(self, index: int) -> str:
        return self.texts[index]

    @classmethod
    def of(cls, value: Tokens | Sequence[str], *, strip: str) -> Tokens:
        """Return `value` as Tokens.

        Args:
            value: Tokens, or a list of strings.
            strip: the name of the strip, for the error.

        Raises:
            TypeError: value is one string, or holds something that is not a string.
        """
        if isinstance(value, Tokens):
            return value
        if isinstance(value, (str, bytes)):
            raise TypeError(
                f"{strip}: one {type(value).__name__} of length {len(value)} came, a list of tokens was expected. "
                "Split it as the model does, for example with text.split() or list(text)."
            )
        try:
            items = list(value)
        except TypeError:
            raise TypeError(
                f"{strip}: {type(value).__name__} came, a list of strings was expected, one for each token."
            ) from None
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise TypeError(
                    f"{strip}: token {index} is {type(item).__name__}, a string was expected. "
                    "Turn token ids into text first, for example with tokenizer.convert_ids_to_tokens(ids)."
                )
        return cls(tuple(str(item) for item in items))
