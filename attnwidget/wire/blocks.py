"""Weights as the wire carries them: rows of a head, rectangles of which the largest weight is told, sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from attnwidget.stores.pooling import pooled
from attnwidget.sweep import Span
from attnwidget.wire import BlockData, SumsData

Dtype = Literal["f4", "f2", "u1"]

_CODES = {"nan": 0, "+inf": 1, "-inf": 2}  # how u1 blocks name what is not finite


@dataclass(frozen=True)
class Block:
    """Weights that a picture is to hold.

    Args:
        site: index of the site.
        head: index of the head, or MEAN.
        queries: which rows, and how many are in a cell.
        keys: which columns, likewise.
        weights: float32 [query cell, key cell]: the largest weight of each.
        dtype: how to store these, where it is not as the others of the picture.
        whole: whether these are whole rows; keys after the last one have 0.
        sampled: whether not all rows were read, so that there may be larger weights.
    """

    site: int
    head: int
    queries: Span
    keys: Span
    weights: np.ndarray
    dtype: Dtype | None = None
    whole: bool = False
    sampled: bool = False

    @classmethod
    def of_rows(cls, site: int, head: int, at: int, weights: np.ndarray) -> Block:
        """Return all weights of some rows, float32 [query, key], from query `at` on."""
        n_rows, n_keys = weights.shape
        return cls(site, head, Span(at, at + n_rows), Span(0, n_keys), weights, whole=True)

    def pooled(self, pool: int) -> Block:
        """Return the block with `pool` times as large cells along both axes."""
        if pool == 1:
            return self
        queries, keys = (span._replace(per=span.per * pool) for span in (self.queries, self.keys))
        return replace(self, queries=queries, keys=keys, weights=pooled(self.weights, pool))


@dataclass(frozen=True)
class Sums:
    """What each key of a head received from its first `n_steps` rows: float32 [key]."""

    site: int
    head: int
    n_steps: int
    values: np.ndarray


class Packed(NamedTuple):
    """A block as bytes: what the header says of it, its numbers, and of u1 one byte a weight."""

    said: BlockData
    data: bytes
    levels: bytes = b""


def pack_block(block: Block, dtype: Dtype, offset: int, levels: int) -> Packed:
    """Return a block as bytes, its numbers padded to 4.

    Args:
        block: which.
        dtype: how its weights are stored, where it does not say so itself.
        offset: where its numbers will begin.
        levels: where its levels will begin, counted from the first ones of the picture.
    """
    own = block.dtype or dtype
    data, level, n_odd = _encode(block.weights) if own == "u1" else (_floats(block.weights, own), b"", 0)
    said = BlockData(
        site=block.site,
        head=block.head,
        queries=list(block.queries),
        keys=list(block.keys),
        whole=block.whole,
        sampled=block.sampled,
        dtype=own,
        offset=offset,
        n_bytes=len(data),
        n_odd=n_odd,
        levels=levels if own == "u1" else 0,
    )
    return Packed(said, data + bytes(-len(data) % 4), level)


def pack_sums(sums: Sums, offset: int) -> tuple[SumsData, bytes]:
    """Return what the header says of sums, and their bytes."""
    said = SumsData(site=sums.site, head=sums.head, n_steps=sums.n_steps, offset=offset)
    return said, sums.values.astype("<f4").tobytes()


def _floats(weights: np.ndarray, dtype: Dtype) -> bytes:
    return weights.astype("<" + dtype).tobytes()


def _encode(weights: np.ndarray) -> tuple[bytes, bytes, int]:
    """Return the numbers of a block of dtype u1, its levels, and how many odd values the numbers list.

    Numbers: the least finite value of each row, then the greatest of each (float32), then for each value that is not
    finite its index (uint32) and its code (uint32). Levels: one uint8 a weight, from the least to the greatest.
    """
    finite = np.isfinite(weights)
    low = np.where(finite, weights, np.inf).min(-1, initial=0)
    high = np.where(finite, weights, -np.inf).max(-1, initial=0)
    span = np.where(high > low, high.astype(np.float64) - low, 1)[:, None]
    levels = np.rint((np.where(finite, weights, 0).astype(np.float64) - low[:, None]) / span * 255)
    index = np.flatnonzero(~finite)
    value = weights.ravel()[index]
    code = np.where(np.isnan(value), _CODES["nan"], np.where(value > 0, _CODES["+inf"], _CODES["-inf"]))
    odd = np.stack([index, code], -1).astype("<u4").tobytes()
    numbers = np.stack([low, high]).astype("<f4").tobytes() + odd
    return numbers, levels.clip(0, 255).astype(np.uint8).tobytes(), len(index)
