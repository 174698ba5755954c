"""TokenText: the text of each token id, though a character may be spread over several tokens."""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

UNFINISHED = "…"  # what a strip shows of a token that ends inside a character
_REPLACEMENT = "\ufffd"  # what decoders make of bytes that are no character, or not yet one
_SWITCHES = ("skip_special_tokens", "clean_up_tokenization_spaces")
_Span = tuple[int, int]


class Decodes(Protocol):
    """A tokenizer of Transformers or tokenizers, or anything else that decodes."""

    @property
    def decode(self) -> Callable[..., str]:
        """Return a function that takes a list of ids and returns their text."""


class TokenText:
    """Turns token ids into texts, one by one.

    The text of a token is what it adds to the text of those before it, so that spaces are where decoding puts them.
    A character that is spread over several tokens is the text of the last of them; those before it, and bytes that
    never become a character, are "…". Special tokens have their name. An id that the tokenizer does not know is its
    number, as in "<-100>", and is no part of the decoded text.

    Args:
        tokenizer: anything with `decode(ids)`; None has ids as their text.

    Raises:
        TypeError: it decodes nothing, or not to a string.
    """

    def __init__(self, tokenizer: Decodes | None) -> None:
        if tokenizer is not None and not callable(getattr(tokenizer, "decode", None)):
            raise TypeError(
                f"tokenizer: {type(tokenizer).__name__} came, an object with decode(ids) was expected, such as "
                "transformers.AutoTokenizer.from_pretrained(name). None shows ids."
            )
        self.spans: list[_Span] = []  # of each token in `text`; tokens that share a character share its span
        self._tokenizer = tokenizer
        self._switches = {} if tokenizer is None else _switches(tokenizer.decode)
        self._names = _special_names(tokenizer)
        self._known: dict[int, bool] = {}
        self._behind: dict[tuple[int, ...], str] = {}
        self._ids: list[int] = []
        self._done = ""  # the text up to the last finished character
        # What a token adds shows in a window of ids: one finished group before those whose text is still open.
        self._window, self._group = 0, 0  # where they begin
        self._seen = ""  # what the window gave to `_done`
        self._held: list[int] = []  # places in `spans` of tokens whose last character is open

    @property
    def text(self) -> str:
        """The text of all tokens so far, as the tokenizer decodes them at once."""
        return self._decoded(self._ids) if self._held else self._done

    def texts(self, ids: Iterable[int]) -> list[str]:
        """Return one text for each token of a whole sequence. What was put before does not count."""
        fresh = TokenText(self._tokenizer)
        return [fresh.put(token_id) for token_id in ids]

    def behind(self, before: tuple[int, ...], token_id: int) -> str:
        """Return the text that a token would have behind others; it is remembered, as candidates come again."""
        ids = (*before, token_id)
        if ids not in self._behind:
            self._behind[ids] = self.texts(ids)[-1]
        return self._behind[ids]

    def put(self, token_id: int) -> str:
        """Take the next token, and return its text.

        Raises:
            TypeError: no id came, but text or a list.
        """
        token_id = _as_id(token_id)
        begin = len(self._done)
        if not self._knows(token_id):
            self.spans.append((begin, begin))
            return f"<{token_id}>"
        self._ids.append(token_id)
        now = self._decoded(self._ids[self._window :])
        finished = now.rstrip(_REPLACEMENT)
        is_open = finished != now
        if is_open and (len(finished) <= len(self._seen) or not finished.startswith(self._seen)):
            self._held.append(len(self.spans))
            self.spans.append((begin, begin + 1))
            return self._shown(token_id, _REPLACEMENT)
        added = finished[len(self._seen) :] if finished.startswith(self._seen) else self._rewritten()
        self._done += added
        if self._held and added.startswith(_REPLACEMENT):  # they were no character
            added = added.lstrip(_REPLACEMENT)
            for place in self._held:
                self.spans[place] = (self.spans[place][0], len(self._done) - len(added))
        begin = len(self._done) - len(added)
        self._held = [len(self.spans)] if is_open else []
        self.spans.append((begin, len(self._done) + is_open))
        self._seen = finished
        if not is_open:
            self._move()
        return self._shown(token_id, added)

    def _shown(self, token_id: int, added: str) -> str:
        if self._tokenizer is None:
            return str(token_id)
        return self._names.get(token_id, re.sub(f"{_REPLACEMENT}+", UNFINISHED, added))

    def _move(self) -> None:
        """Have the window begin with the group that has just ended, where that alone decodes to what it gave."""
        context = self._decoded(self._ids[self._group :])
        if context and self._done.endswith(context):
            self._window, self._seen = self._group, context
        self._group = len(self._ids)

    def _rewritten(self) -> str:
        """Take back text that this token changed, and return what stands there now.

        Bytes of a whole run are one broken sequence where one of them is wrong, also those that were characters.
        """
        whole, before = self._decoded(self._ids), self._decoded(self._ids[:-1])
        pairs = enumerate(zip(self._done, whole, strict=False))
        kept = next((at for at, (old, new) in pairs if old != new), min(len(self._done), len(whole)))
        end = len(before) if whole.startswith(before) else len(whole)
        self.spans = [span if span[1] <= kept else (min(span[0], kept), end) for span in self.spans]
        self._held = []
        self._done = whole[:end]
        return whole[end:]

    def _knows(self, token_id: int) -> bool:
        if self._tokenizer is None:
            return True
        if token_id not in self._known:
            try:
                name = getattr(self._tokenizer, "convert_ids_to_tokens", getattr(self._tokenizer, "id_to_token", None))
                text = self._tokenizer.decode([token_id], **self._switches)
                self._known[token_id] = text != "" or name is None or name(token_id) is not None
            except (LookupError, TypeError, ValueError, OverflowError):
                self._known[token_id] = False
        return self._known[token_id]

    def _decoded(self, ids: Sequence[int]) -> str:
        if self._tokenizer is None:
            return " ".join(map(str, ids))
        text = self._tokenizer.decode(list(ids), **self._switches)
        if not isinstance(text, str):
            raise TypeError(f"tokenizer.decode: {type(text).__name__} came, a string was expected.")
        return text


def _as_id(value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"ids: {type(value).__name__} came, a whole number was expected. "
            "Of a batch take one example, as in output.sequences[0].tolist()."
        ) from None


def _switches(decode: Callable[..., str]) -> dict[str, bool]:
    """Return what keeps a decoder from leaving out or changing anything, as far as it can be told so."""
    try:
        parameters = inspect.signature(decode).parameters
    except ValueError:  # of a function that is not written in Python
        return {}
    takes_any = any(it.kind is inspect.Parameter.VAR_KEYWORD for it in parameters.values())
    return {name: False for name in _SWITCHES if takes_any or name in parameters}


def _special_names(tokenizer: object) -> dict[int, str]:
    added: Any = getattr(tokenizer, "added_tokens_decoder", None)
    if added is None and hasattr(tokenizer, "get_added_tokens_decoder"):
        added = tokenizer.get_added_tokens_decoder()
    if not isinstance(added, Mapping):
        return {}
    return {token_id: str(token) for token_id, token in added.items() if getattr(token, "special", False)}
