"""Pieces: what a trace needs of calls, and the rows that pieces of one site give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from attnwidget.capture.attention import Attention, DotProduct, Weights, rows_of
from attnwidget.capture.call import Call
from attnwidget.seen import Seen

_TAIL = 4  # rows that tell text from an encoder, where a single weight may be 0 by rounding


@dataclass
class Piece:
    """Rows of one call, or what they come from, for one example.

    Args:
        key: of the call, which is not held: its weights may be on another device, and large.
        name: the module that made it.
        forward: the pass of the model in which it ran.
        attention: what concerns the example.
        cross, causal, first_query, first_key: as in `Call`.
        n_keys: how many keys its rows have, with those that a window forgot and without the empty ones.
        owns: whether its attention is a copy, which nobody will change.
    """

    key: object
    name: str
    forward: int
    attention: Attention
    cross: bool | None
    causal: bool | None
    first_query: int | None
    first_key: int
    n_keys: int
    owns: bool = False

    @classmethod
    def of(cls, call: Call, name: str, forward: int, example: int, *, factors: bool) -> Piece:
        """Return what concerns one example.

        Args:
            call: what an adapter saw.
            name: the module that made it.
            forward: the pass of the model.
            example: which one of the batch.
            factors: whether even a single row is kept as its query and keys, which takes more memory than the row.
        """
        attention = call.attention
        if attention.shape[2] == 1 and not factors and not isinstance(attention, Weights):
            attention, example = Weights(attention.part(slice(example, example + 1), slice(None)).weights()), 0
        n_keys = call.first_key + call.attention.shape[3] if call.n_keys is None else call.n_keys
        return cls(
            call.key,
            name,
            forward,
            attention.kept(example),
            call.cross,
            call.causal,
            call.first_query,
            call.first_key,
            n_keys,
            owns=True,
        )

    @property
    def n_queries(self) -> int:
        """Number of rows."""
        return self.attention.shape[2]

    def rows(self, queries: slice = slice(None)) -> np.ndarray:
        """Return float32 [head, query, key]."""
        rows = rows_of(self.attention.part(slice(None), queries))
        missing = self.n_keys - self.first_key - rows.shape[2]
        if not self.first_key and not missing:
            return rows
        return np.pad(rows[..., : rows.shape[2] + min(missing, 0)], ((0, 0), (0, 0), (self.first_key, max(missing, 0))))

    def seen(self) -> Seen | None:
        """Return what was seen on the way to all its rows; None where that was nothing, or not all of the keys."""
        found = self.attention.came_of if isinstance(self.attention, Weights) else None
        if not isinstance(found, Seen) or self.first_key or self.n_keys != found.scores.shape[2]:
            return None
        return found if found.n_queries == self.attention.shape[2] else None

    def share_keys(self, later: Piece) -> None:
        """Hold the keys of a later piece of the same site, which include its own, in place of a copy of them."""
        mine, theirs = self.attention, later.attention
        if isinstance(mine, DotProduct) and isinstance(theirs, DotProduct) and not later.first_key:
            self.attention = replace(mine, key=theirs.key[:, :, : mine.key.shape[2]])


@dataclass
class Rows:
    """All rows of a site, or those of one step: pieces, and how many rows of each still count."""

    parts: list[tuple[Piece, int]]

    @property
    def cross(self) -> bool | None:
        """Whether keys are of another sequence; None where nobody knows."""
        return self.parts[0][0].cross

    @property
    def causal(self) -> bool | None:
        """Whether a query sees no later key; None where nobody knows."""
        return self.parts[0][0].causal

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return self.parts[0][0].attention.shape[1]

    @property
    def n_queries(self) -> int:
        """Number of rows."""
        return sum(count for _, count in self.parts)

    @property
    def n_keys(self) -> int:
        """Number of keys that the last rows may see."""
        return max(piece.n_keys for piece, _ in self.parts)

    def looks_ahead(self, diagonal: int) -> bool:
        """Tell whether a row i sees a key after i + diagonal."""
        first = 0
        for piece, count in self.parts:
            part = piece.attention.part(slice(None), slice(count))
            if part.looks_ahead(diagonal + first - piece.first_key):
                return True
            first += count
        return False

    def ends_causally(self) -> bool:
        """Tell whether the last tokens do not see each other ahead, as in text after an image."""
        piece, n_rows = self.parts[0]
        if len(self.parts) > 1:
            return False
        (seen,) = np.nonzero(piece.rows(slice(n_rows - 1, n_rows)).any(axis=(0, 1)))  # padding sees what the last sees
        last = int(seen[-1]) if len(seen) else 0
        first = max(last - _TAIL, 0)
        return 0 < last < n_rows and not np.triu(piece.rows(slice(first, last))[..., first:], 1).any()

    def last(self) -> Rows:
        """Return the last row."""
        piece, count = self.parts[-1]
        attention = piece.attention.part(slice(None), slice(count - 1, count))
        return Rows([(replace(piece, attention=attention), 1)])

    def seen(self) -> list[Seen | None]:
        """Return what was seen on the way to the weights of each part."""
        return [piece.seen() if count == piece.n_queries else None for piece, count in self.parts]

    def dense(self, n_keys: int = 0) -> np.ndarray:
        """Return float32 [head, query, key], with at least `n_keys` keys; those that a row did not see are 0."""
        n_keys = max(n_keys, self.n_keys)
        parts = [piece.rows(slice(count)) for piece, count in self.parts]
        padded = [np.pad(part, ((0, 0), (0, 0), (0, n_keys - part.shape[2]))) for part in parts]
        return padded[0] if len(padded) == 1 else np.concatenate(padded, axis=1)
