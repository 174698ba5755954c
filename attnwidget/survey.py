"""All heads of a site at a glance: their statistics, and a small picture of each; kept until more rows come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attnwidget.heads import Tally
from attnwidget.ledger import CONTEXT, TARGET, Ledger
from attnwidget.records import Record
from attnwidget.stores.pooling import pooled, side
from attnwidget.stores.store import BLOCK_CELLS


@dataclass(frozen=True)
class Glance:
    """What is told of some heads of a site.

    Args:
        heads: which.
        shape: how many queries and keys they had.
        statistics: float32 [head] each, by the names of `heads.STATISTICS`.
        pictures: uint8 [head, row, column]: the largest weight of each square of weights, 255 for the largest of its
            row. So a head that spreads its weights shows where, however small they are.
    """

    heads: range
    shape: tuple[int, int]
    statistics: dict[str, np.ndarray]
    pictures: np.ndarray


class Survey:
    """Reads heads as a whole, without ever holding all their weights.

    Args:
        ledger: what to read.
        lock: held while rows are read, never for longer.
    """

    def __init__(self, ledger: Ledger, lock: threading.RLock) -> None:
        self._ledger, self._lock = ledger, lock
        self._kept: dict[tuple[str, range, int], Glance] = {}

    def glance(self, site: str, heads: range, size: int) -> Glance:
        """Return statistics and pictures of some heads.

        Args:
            site: name of the site.
            heads: which.
            size: how many squares a picture may have along an axis; 0 for no pictures.
        """
        with self._lock:
            record = self._ledger.find(site)
            shape = record.store.n_queries, record.store.n_keys
            positions, texts = self._places(record)
        kept = self._kept.get((site, heads, size))
        if kept is not None and kept.shape == shape:
            return kept
        tally = Tally(len(heads), shape, positions, texts)
        pool = side(*shape, size) if size else 1
        parts = [np.zeros((len(heads), 0, -(-shape[1] // pool)), np.float32)]
        for first, rows in self._rows(record, heads, shape, pool):
            tally.add(first, rows)
            if size:
                parts.append(pooled(rows, pool))
        found = Glance(heads, shape, tally.means(), _levels(np.concatenate(parts, 1)))
        self._kept[site, heads, size] = found
        return found

    def _rows(
        self, record: Record, heads: range, shape: tuple[int, int], pool: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield weights [head, query, key] with the first of their queries, whole squares at a time."""
        n_queries, n_keys = shape
        height = max(1, BLOCK_CELLS // max(1, len(heads) * n_keys * pool)) * pool
        for first in range(0, n_queries, height):
            rows = slice(first, min(first + height, n_queries))
            with self._lock:
                weights = record.store.read(rows, slice(n_keys), heads=slice(heads.start, heads.stop))
            yield first, weights

    def _places(self, record: Record) -> tuple[np.ndarray | None, list[str]]:
        """Return which key each query stands at, where it stands at one, and the texts of the keys."""
        site, strips = record.site, self._ledger.strips
        texts = list(strips.texts.get(site.key, ()))
        queries = np.arange(record.store.n_queries)
        if site.query == site.key:
            return queries, texts
        if (site.query, site.key) == (TARGET, CONTEXT):
            return queries + strips.position(0), texts
        return None, texts


def _levels(cells: np.ndarray) -> np.ndarray:
    """Return weights as uint8, 255 for the largest finite one of each row; what is not finite, or negative, is 0."""
    finite = np.where(np.isfinite(cells), cells, 0).clip(0)
    top = finite.max(-1, initial=0, keepdims=True)
    return np.rint(finite / np.where(top > 0, top, 1) * 255).astype(np.uint8)
