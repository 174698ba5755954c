"""What the weights of rows are divided by, as far as that is known."""

from __future__ import annotations

import numpy as np

from attnwidget.stores.store import roomy


class Sums:
    """The largest score of each row, and the sum of the exponentials beside it (together the log-sum-exp).

    Args:
        n_heads: number of heads.
    """

    def __init__(self, n_heads: int) -> None:
        self.known = np.zeros((n_heads, 0), bool)
        self.top, self.total = np.zeros((2, n_heads, 0), np.float32)

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return self.known.nbytes + self.top.nbytes + self.total.nbytes

    def make_room(self, n_queries: int) -> None:
        """Have a place for each of so many rows."""
        if self.known.shape[1] < n_queries:
            self.known, self.top, self.total = (
                roomy(buffer, len(buffer), n_queries) for buffer in (self.known, self.top, self.total)
            )

    def keep(self, head: int, rows: np.ndarray, top: np.ndarray, total: np.ndarray) -> None:
        """Keep those of rows, given by index."""
        self.top[head, rows], self.total[head, rows], self.known[head, rows] = top, total, True

    def forget(self, rows: np.ndarray) -> None:
        """Forget those of rows, bool [query]."""
        self.known[:, np.flatnonzero(rows[: self.known.shape[1]])] = False
