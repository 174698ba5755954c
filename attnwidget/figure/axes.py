"""Where things stand in a figure: an axis puts tokens into cells that are wide enough to see, as on the screen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """An axis of the heatmap.

    Args:
        n_tokens: how many there are on it.
        per: tokens in one cell, a power of 2; more than 1 where single ones would be too small to see.
        size: length of a cell in CSS pixels.
    """

    n_tokens: int
    per: int
    size: float

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return -(-self.n_tokens // self.per)

    @property
    def length(self) -> float:
        """Of all cells, in CSS pixels."""
        return self.n_cells * self.size

    def middle(self, token: int) -> float:
        """Return where the middle of a token's cell is."""
        return (min(token // self.per, self.n_cells - 1) + 0.5) * self.size


def axis(n_tokens: int, length: float, least: float, most: float, per: int = 1) -> Axis:
    """Lay tokens out over a length.

    Args:
        n_tokens: how many there are.
        length: that is there for them, in CSS pixels.
        least, most: how small and how large a cell may be.
        per: tokens that a cell has at least, a power of 2.
    """
    count = max(n_tokens, 1)
    per = max(per, 2 ** max(0, math.ceil(math.log2(count * least / length))))
    return Axis(count, per, min(most, length / -(-count // per)))


def pooled(values: np.ndarray, per: int, along: int) -> np.ndarray:
    """Return the greatest of each `per` neighbours along an axis: a spike is never lost. NaN only where all are."""
    if per == 1:
        return values
    starts = np.arange(0, values.shape[along], per)
    return np.asarray(np.fmax.reduceat(values, starts, axis=along))
