"""The strips of a trace: tokens by name, some given whole, some growing with the steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attnwidget.outline import Kind
from attnwidget.scene import Scene
from attnwidget.tokens import Tokens, TokensLike

SOURCE, TARGET, CONTEXT = "source", "target", "context"
STRIPS_OF: dict[Kind, tuple[str, str]] = {
    "encoder": (SOURCE, SOURCE),
    "decoder": (TARGET, TARGET),
    "cross": (TARGET, SOURCE),
}


class Strips:
    """Tokens by the name of their strip.

    "context" is what a decoder has read: what it was given, a prompt or a start token, then its own output, one token
    more each step. So the query that chose target token t sees the first n_read + t of it.
    """

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {SOURCE: [], TARGET: []}
        self.scenes: dict[str, Scene] = {}  # of the strips that are not words
        self.known: set[str] = set()  # strips that were given whole, so that rows can be held against them
        self.n_read: int | None = None  # how many tokens the decoder was given; None until somebody says or shows it

    def set(self, strip: str, tokens: TokensLike) -> None:
        """Set a strip that is still empty, or a new one."""
        if not isinstance(strip, str) or not strip.isidentifier():
            raise ValueError(f"strip {strip!r} was named, a name such as 'source', 'target' or 'context' was expected.")
        given = Tokens.of(tokens, strip=strip)
        texts = given.texts
        if not texts:
            raise ValueError(f"{strip}: no tokens came, at least one was expected.")
        if self.texts.get(strip):
            raise ValueError(f"{strip}: it has {len(self.texts[strip])} tokens already. Make a new Trace.")
        self.texts[strip] = list(texts)
        if given.scene is not None:
            self.scenes[strip] = given.scene
        if strip == CONTEXT:
            self.n_read = len(texts)
        else:
            self.known.add(strip)

    def restore(self, texts: Mapping[str, Sequence[str] | Tokens], known: Iterable[str], n_read: int | None) -> None:
        """Set all strips as a file holds them."""
        for strip, tokens in texts.items():
            if len(tokens):
                self.set(strip, tokens)
            else:
                self.texts.setdefault(strip, [])
        self.known = {strip for strip in known if self.texts[strip] and strip != CONTEXT}
        if n_read is not None and not 0 <= n_read <= len(self.texts.get(CONTEXT, ())):
            raise ValueError(f"context: {n_read} tokens were read, it has {len(self.texts.get(CONTEXT, ()))}.")
        self.n_read = n_read

    def tokens(self, strip: str) -> Tokens:
        """Return the tokens of a strip so far."""
        return Tokens(tuple(self.texts[strip]), self.scenes.get(strip))

    def open(self, *strips: str, site: str) -> None:
        """Let a site count these strips, of which only "context" may come later.

        Raises:
            ValueError: no such strip.
        """
        for strip in strips:
            if strip not in (*self.texts, CONTEXT):
                names = ", ".join(map(repr, self.texts))
                raise ValueError(
                    f"site {site!r} counts strip {strip!r}, one of {names} was expected. Name others with set_tokens."
                )
        for strip in strips:
            self.texts.setdefault(strip, [])

    def learn_n_read(self, query: str, n_queries: int, n_keys: int) -> None:
        """Take from rows over "context" how much was read before the first of them, if nobody said it."""
        if self.n_read is None:
            self.n_read = max(0, n_keys - (n_queries - 1)) if query == TARGET else n_keys

    def position(self, index: int) -> int:
        """Return where in "context" the query of a step stands: it is the last token that was read before."""
        return index + max((self.n_read or 0) - 1, 0)

    def n_seen(self, strip: str, index: int) -> int:
        """Return how many keys of a strip a query is expected to see, as far as that can be told; 1 at least."""
        if strip == CONTEXT and self.n_read is not None:
            return max(1, self.n_read + index)
        return len(self.texts[strip]) if strip in self.known else 1

    def name_up_to(self, strip: str, count: int) -> None:
        """Name the tokens that nobody named, so that each row and column has a label.

        Those of "context" past what was given are the output; others are numbered.
        """
        texts = self.texts[strip]
        for i in range(len(texts), count):
            output = i - self.n_read if strip == CONTEXT and self.n_read is not None else -1
            texts.append(self.texts[TARGET][output] if 0 <= output < len(self.texts[TARGET]) else str(i + 1))
