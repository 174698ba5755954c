"""Tokens: the elements of a strip, in the order in which the model saw them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """The tokens of one strip.

    Args:
        texts: one string per token, exactly as the model saw it; any characters, also empty or a lone surrogate.

    Raises:
        TypeError: texts is one string, has no order, or holds something that is not a string.
    """

    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if type(self.texts) is not tuple or any(type(text) is not str for text in self.texts):
            object.__setattr__(self, "texts", _as_texts(self.texts, strip="tokens"))

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
        return value if isinstance(value, Tokens) else cls(_as_texts(value, strip=strip))


def _as_texts(value: object, *, strip: str) -> tuple[str, ...]:
    if isinstance(value, (str, bytes)):
        raise TypeError(
            f"{strip}: one {type(value).__name__} of length {len(value)} came, a list of tokens was expected. "
            "Split it as the model does, for example with text.split() or list(text)."
        )
    if isinstance(value, (Mapping, Set)) or not hasattr(value, "__iter__"):
        raise TypeError(
            f"{strip}: {type(value).__name__} came, a list of strings was expected, one for each token. "
            "Of a tokenizer's output take tokenizer.convert_ids_to_tokens(output.input_ids)."
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
    return tuple(str.__str__(item) for item in items)
