"""From queries and keys to scores: what a site does to their products before the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attnwidget.stores.factors import Factors
from attnwidget.stores.product import product


class Tile(NamedTuple):
    """Queries and keys of one head, and where they stand.

    Args:
        head: its index, which the bias asks for.
        queries: [query, d_head].
        keys: [key, d_head].
        positions: of the queries, int [query].
        columns: positions of the keys, int [key].
        hidden: which keys each query does not see, bool [query, key].
    """

    head: int
    queries: np.ndarray
    keys: np.ndarray
    positions: np.ndarray
    columns: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True, eq=False)
class Softmax:
    """What is the same for all rows of a site. See `Factors` for the fields."""

    scale: float
    softcap: float | None = None
    bias: np.ndarray | None = None
    sinks: np.ndarray | None = None

    @classmethod
    def of(cls, factors: Factors) -> Softmax:
        """Return that of some rows."""
        return cls(factors.scale, factors.softcap, factors.bias, factors.sinks)

    def joined(self, other: Softmax) -> Softmax:
        """Return that of rows of both, with the longer bias.

        Raises:
            ValueError: they are not the same.
        """
        if (self.scale, self.softcap) != (other.scale, other.softcap):
            raise ValueError(
                f"scale {other.scale} and softcap {other.softcap} came, {self.scale} and {self.softcap} were expected "
                "as before: a site has one softmax."
            )
        if not (_agree(self.bias, other.bias) and _agree(self.sinks, other.sinks)):
            raise ValueError("another bias or other sinks came than before: a site has one softmax.")
        return other if self.bias is None or other.bias is None or other.bias.size >= self.bias.size else self

    def scores(self, tile: Tile) -> np.ndarray:
        """Return scores before mask and softmax, float32 [query, key]."""
        _, queries, keys, *_ = tile
        scores = product(queries.astype(np.float32) * np.float32(self.scale), keys.astype(np.float32, copy=False))
        if self.softcap is not None:
            scores /= np.float32(self.softcap)
            np.tanh(scores, out=scores)
            scores *= np.float32(self.softcap)
        if self.bias is not None:
            scores += self.added(tile)
        return np.asarray(scores)

    def added(self, tile: Tile) -> np.ndarray:
        """Return the bias of a site that has one, float32 [query, key]."""
        assert self.bias is not None
        middle = self.bias.shape[1] // 2
        return np.asarray(self.bias[tile.head % len(self.bias)][tile.columns - tile.positions[:, None] + middle])

    def whole(self, tile: Tile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the weights of rows with all keys that they see, and what `part` needs.

        Returns:
            Weights, float32 [query, key]; the largest score of each row, and the sum of the exponentials beside it.
        """
        logit = -np.inf if self.sinks is None else self.sinks[tile.head]
        with np.errstate(over="ignore", invalid="ignore"):  # where a key is hidden, and where NaN is what came
            weights = self.scores(tile)
            np.copyto(weights, -np.inf, where=tile.hidden)
            top = np.maximum(weights.max(1, initial=-np.inf), logit)
            top[top == -np.inf] = 0  # a row that sees nothing
            weights -= top[:, None]
            total = np.exp(weights, out=weights).sum(1) + np.exp(logit - top)
            total[total == 0] = 1
            weights /= total[:, None]
        if np.isnan(total).any():
            np.copyto(weights, 0, where=tile.hidden)
        return weights, top, total

    def part(self, tile: Tile, *, top: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Return the weights of some keys of rows, float32 [query, key]; `top` and `total` are those of `whole`."""
        with np.errstate(over="ignore", invalid="ignore"):
            weights = self.scores(tile)
            weights -= top[:, None]
            np.minimum(weights, 0, out=weights)  # a score may be rounded otherwise here than when it was the largest
            np.exp(weights, out=weights)
            weights /= total[:, None]
        np.copyto(weights, 0, where=tile.hidden)
        return weights


def _agree(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Tell whether two arrays are equal where both are, counted from the middle of the last axis."""
    if one is None or other is None or one is other:
        return one is other
    short, long = sorted((one, other), key=lambda array: array.shape[-1])
    skipped = (long.shape[-1] - short.shape[-1]) // 2
    return np.array_equal(short, long[..., skipped : skipped + short.shape[-1]], equal_nan=True)
