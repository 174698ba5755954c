"""Where the weights of a site live. So far there is one place: a dense float32 array that grows."""

from __future__ import annotations

import numpy as np


class DenseStore:
    """Weights of one site, float32 [head, query, key], growing along query and key.

    Keys that a row did not see, because they came later, are 0.
    """

    def __init__(self, n_heads: int) -> None:
        self.n_heads, self.n_queries, self.n_keys = n_heads, 0, 0
        self._array = np.zeros((n_heads, 0, 0), np.float32)

    def append(self, rows: np.ndarray) -> None:
        """Add rows.

        Args:
            rows: float32 [head, query, key]; fewer keys than before are filled up with 0.
        """
        _, n_queries, n_keys = rows.shape
        end = self.n_queries + n_queries
        self._reserve(end, max(n_keys, self.n_keys))
        self._array[:, self.n_queries : end, :n_keys] = rows
        self.n_queries, self.n_keys = end, max(n_keys, self.n_keys)

    def read(
        self,
        queries: slice | np.ndarray = slice(None),
        keys: slice | np.ndarray = slice(None),
        *,
        heads: slice | int = slice(None),
    ) -> np.ndarray:
        """Return a copy of the chosen weights, float32 [head, query, key], without the first axis for one head.

        Raises:
            IndexError: no such head, query or key.
        """
        if not isinstance(heads, slice) and heads not in range(-self.n_heads, self.n_heads):
            raise IndexError(f"head {heads!r} was asked for, the site has {self.n_heads} heads, counted from 0.")
        view = self._array[heads, ..., : self.n_queries, : self.n_keys]
        return np.array(view[..., queries, :][..., keys])

    def _reserve(self, n_queries: int, n_keys: int) -> None:
        _, room_queries, room_keys = self._array.shape
        if n_queries <= room_queries and n_keys <= room_keys:
            return
        shape = (
            self.n_heads,
            max(n_queries, 2 * room_queries if n_queries > room_queries else room_queries),
            max(n_keys, 2 * room_keys if n_keys > room_keys else room_keys),
        )
        grown = np.zeros(shape, np.float32)
        grown[:, : self.n_queries, : self.n_keys] = self._array[:, : self.n_queries, : self.n_keys]
        self._array = grown
