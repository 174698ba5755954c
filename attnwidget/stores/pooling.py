"""Pictures of matrices that are too large to be looked at whole: the largest weight of each square."""

from __future__ import annotations

from typing import cast

import numpy as np

from attnwidget.stores.store import roomy


def side(n_queries: int, n_keys: int, size: int) -> int:
    """Return the side of the smallest squares, a power of 2, of which there are at most `size` along each axis."""
    pool = 1
    while max(n_queries, n_keys) > size * pool:
        pool *= 2
    return pool


def pooled(weights: np.ndarray, pool: int) -> np.ndarray:
    """Return the maximum of each square of pool x pool weights; squares at the end may be cut.

    Args:
        weights: float32 [..., query, key].
        pool: the side of a square.
    """
    if pool == 1:
        return weights
    *outer, n_queries, n_keys = weights.shape
    whole = [(0, 0)] * len(outer) + [(0, -n_queries % pool), (0, -n_keys % pool)]
    padded = np.pad(weights, whole, constant_values=-np.inf)
    squares = padded.reshape(*outer, -(-n_queries // pool), pool, -(-n_keys // pool), pool)
    return cast(np.ndarray, squares.max(-3).max(-1))


class Pyramid:
    """The largest weight of each square of matrices that grow; squares double when there would be too many of them.

    Weights below 0 count as 0.

    Args:
        n_heads: how many matrices.
        size: how many squares there may be along an axis.
    """

    def __init__(self, n_heads: int, size: int) -> None:
        self.n_queries, self.n_keys, self.pool, self._size = 0, 0, 1, size
        self._cells = np.zeros((n_heads, 0, 0), np.float32)

    @classmethod
    def of(cls, cells: np.ndarray, pool: int, n_queries: int, n_keys: int, size: int) -> Pyramid:
        """Return a pyramid as it was when its `cells` were read."""
        made = cls(len(cells), size)
        made.n_queries, made.n_keys, made.pool, made._cells = n_queries, n_keys, pool, cells
        return made

    @property
    def cells(self) -> np.ndarray:
        """The largest weights, float32 [head, query // pool, key // pool], rounded up."""
        return self._cells[:, : -(-self.n_queries // self.pool), : -(-self.n_keys // self.pool)]

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return self._cells.nbytes

    def add(self, rows: np.ndarray) -> None:
        """Add rows, float32 [head, query, key]."""
        first, end = self.n_queries, self.n_queries + rows.shape[1]
        n_keys = max(self.n_keys, rows.shape[2])
        coarser = max(1, side(end, n_keys, self._size) // self.pool)
        if coarser > 1:
            self._cells, self.pool = pooled(self.cells, coarser), self.pool * coarser
        self.n_queries, self.n_keys = end, n_keys
        self._cells = roomy(self._cells, len(rows), -(-end // self.pool), -(-n_keys // self.pool))
        top, skipped = divmod(first, self.pool)
        aligned = np.pad(rows, ((0, 0), (skipped, 0), (0, 0))) if skipped else rows
        new = pooled(aligned, self.pool)
        held = self._cells[:, top : top + new.shape[1], : new.shape[2]]
        np.maximum(held, new, out=held)
