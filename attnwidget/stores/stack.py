"""Rows of weights in pieces: what comes is added without a copy of what is there."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from attnwidget.stores.store import chosen_heads, owned

PIECE_BYTES = 1 << 20  # rows of more are a piece of their own; others share one that has room for no more
LEAST_ROWS = 16  # for which the first piece has room; later ones have room for as many as there are


class Stack:
    """Weights [head, query, key], float32, to which queries are added; keys that a query did not see are 0.

    A buffer that doubles is copied whole, and as all sites do so in the same step, a decoder stands still for seconds.
    Pieces stay where they are. Each is [query, head, key]: rows that come one by one lie one behind the other, so that
    memory is taken as they come.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, n_heads: int) -> None:
        self.shape = n_heads, 0, 0
        self._firsts: list[int] = []  # the first query of each piece, ascending
        self._pieces: list[np.ndarray] = []
        self._room = np.zeros((0, n_heads, 0), np.float32)  # the memory of the last piece, where others may join it

    @classmethod
    def of(cls, weights: np.ndarray) -> Stack:
        """Return a stack of float32 [head, query, key], which is not copied."""
        made = cls(len(weights))
        made._insert(0, weights)
        return made

    def snapshot(self) -> Stack:
        """Return what is there now, not copied; what is added later is not in it."""
        made = Stack(self.shape[0])
        made.shape, made._firsts, made._pieces = self.shape, list(self._firsts), list(self._pieces)
        return made

    def put(self, first: int, rows: np.ndarray) -> None:
        """Add rows that are not there yet, float32 [head, query, key], from query `first` on."""
        n_heads, n_queries, n_keys = self.shape
        _, n_new, width = rows.shape
        if rows.nbytes >= PIECE_BYTES or first < n_queries:
            self._insert(first, owned(rows))
            return
        n_used = first - self._firsts[-1] if self._firsts else 0
        if first > n_queries or n_used + n_new > len(self._room) or width > self._room.shape[2]:
            height = min(max(LEAST_ROWS, n_queries), PIECE_BYTES // max(1, rows[:, 0].nbytes))
            height, n_used = max(n_new, height), 0
            grows = 0 < n_keys < width
            self._room = np.empty((height, n_heads, width + height * grows), np.float32)
            self._firsts.append(first)
            self._pieces.append(self._room[:0])
        end = n_used + n_new
        self._room[n_used:end, :, :width] = np.moveaxis(rows, 1, 0)
        self._room[n_used:end, :, width:] = 0
        self._pieces[-1] = self._room[:end]
        self.shape = n_heads, first + n_new, max(n_keys, width)

    def read(self, queries: slice | np.ndarray, keys: slice | np.ndarray, heads: slice | int) -> np.ndarray:
        """Return a copy of the chosen weights, [head, query, key], without the first axis for one head.

        Raises:
            IndexError: no such head, query or key.
        """
        chosen = chosen_heads(heads, self.shape[0])
        rows, columns = (np.arange(n)[axis] for n, axis in zip(self.shape[1:], (queries, keys), strict=True))
        weights = np.zeros((len(chosen), len(rows), len(columns)), np.float32)
        some = heads if isinstance(heads, slice) else slice(chosen[0], chosen[0] + 1)
        for place, part in self._parts(rows):
            is_there = columns < part.shape[2]
            if is_there.all():
                weights[:, place] = np.moveaxis(part[:, some, _range(columns)], 1, 0)
            else:
                weights[:, place, is_there] = np.moveaxis(part[:, some][..., columns[is_there]], 1, 0)
        return weights if isinstance(heads, slice) else weights[0]

    def by_query(self) -> ByQuery:
        """Return what is there now with queries first, to be read part by part; what is added later is not in it."""
        return ByQuery(self.snapshot())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: ANN401 - as numpy has it
        if len(self._pieces) == 1 and not copy:
            return np.asarray(np.moveaxis(self._pieces[0], 0, 1)[:, :, : self.shape[2]], dtype)
        return np.asarray(self.read(slice(None), slice(None), slice(None)), dtype)

    def _insert(self, first: int, rows: np.ndarray) -> None:
        """Take rows as a piece of their own."""
        n_heads, n_new, width = rows.shape
        place = bisect(self._firsts, first)
        self._firsts.insert(place, first)
        self._pieces.insert(place, np.moveaxis(rows, 1, 0))
        if place == len(self._firsts) - 1:
            self._room = self._room[:0]
        self.shape = n_heads, max(self.shape[1], first + n_new), max(self.shape[2], width)

    def _parts(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield where in the choice of queries those of one piece are, and these, [query, head, key]."""
        of = np.searchsorted(self._firsts, rows, "right") - 1
        starts = np.flatnonzero(np.diff(of, prepend=-1)).tolist()
        for start, end in pairwise([*starts, len(rows)]):
            piece = of[start]
            yield slice(start, end), self._pieces[piece][_range(rows[start:end] - self._firsts[piece])]


class ByQuery:
    """A stack as [query, head, key]. Slices of it are read when they are asked for."""

    def __init__(self, stack: Stack) -> None:
        n_heads, n_queries, n_keys = stack.shape
        self._stack, self.shape = stack, (n_queries, n_heads, n_keys)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, queries: slice) -> np.ndarray:
        return np.moveaxis(self._stack.read(queries, slice(None), slice(None)), 1, 0)


def _range(places: np.ndarray) -> slice | np.ndarray:
    """Return indices as a slice where they are one without gaps, so that nothing is copied."""
    first, count = (int(places[0]), len(places)) if len(places) else (0, 0)
    return slice(first, first + count) if np.array_equal(places, np.arange(first, first + count)) else places
