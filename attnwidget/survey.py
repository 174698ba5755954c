"""All heads of a site at a glance: their statistics, and a small picture of each; kept until more rows come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attnwidget.heads import Tally
from attnwidget.ledger import CONTEXT, TARGET, Ledger
from attnwidget.records import Record
from attnwidget.stores.pooling import side
from attnwidget.stores.store import BLOCK_CELLS


@dataclass(frozen=True)
class Glance:
    """What is told of some heads of a site.

    Args:
        heads: which.
        shape: how many queries and keys they had.
        n_read: how many of these queries were read, from all over where not all.
        statistics: float32 [head] each, by the names of `heads.STATISTICS`.
        pictures: uint8 [head, row, column]: the largest weight of each square of weights, 255 for the largest of its
            row. So a head that spreads its weights shows where, however small they are.
    """

    heads: range
    shape: tuple[int, int]
    n_read: int
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
        self._kept: dict[tuple[str, range, int, int | None], Glance] = {}

    def glance(self, site: str, heads: range, size: int, n_rows: int | None = None) -> Glance:
        """Return statistics and pictures of some heads.

        Args:
            site: name of the site.
            heads: which.
            size: how many squares a picture may have along an axis; 0 for no pictures.
            n_rows: how many rows are read of each head; all by default.
        """
        with self._lock:
            record = self._ledger.find(site)
            shape = record.store.n_queries, record.store.n_keys
            positions, texts = self._places(record)
        kept = self._kept.get((site, heads, size, n_rows))
        if kept is not None and kept.shape == shape:
            return kept
        tally = Tally(len(heads), shape, positions, texts)
        pool = side(*shape, size) if size else 1
        squares = np.zeros((len(heads), *(-(-n // pool) for n in shape)) if size else (len(heads), 0, 0), np.float32)
        chosen = _chosen(shape[0], n_rows)
        for rows, weights in self._rows(record, heads, chosen):
            tally.add(rows, weights)
            if size:
                _raise(squares, rows // pool, weights, pool)
        found = Glance(heads, shape, len(chosen), tally.means(), _levels(squares))
        self._kept[site, heads, size, n_rows] = found
        return found

    def _rows(self, record: Record, heads: range, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield some of the chosen queries and their weights, [head, query, key], until all are done."""
        at_once = max(1, BLOCK_CELLS // max(1, len(heads) * record.store.n_keys))
        for at in range(0, len(chosen), at_once):
            rows = chosen[at : at + at_once]
            with self._lock:
                weights = record.store.read(rows, heads=slice(heads.start, heads.stop))
            yield rows, weights

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


def _chosen(n_queries: int, n_rows: int | None) -> np.ndarray:
    """Return all queries, or so many of them from all over."""
    if n_rows is None or n_rows >= n_queries:
        return np.arange(n_queries)
    return np.unique(np.linspace(0, n_queries - 1, n_rows).round().astype(np.int64))


def _raise(squares: np.ndarray, places: np.ndarray, weights: np.ndarray, pool: int) -> None:
    """Raise squares of pool x pool weights to the largest of some rows, which lie in these rows of squares."""
    across = np.fmax.reduceat(weights, np.arange(0, weights.shape[2], pool), axis=2)
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    most = np.fmax.reduceat(across, starts, axis=1)
    squares[:, places[starts]] = np.fmax(squares[:, places[starts]], most)


def _levels(cells: np.ndarray) -> np.ndarray:
    """Return weights as uint8, 255 for the largest finite one of each row; what is not finite, or negative, is 0."""
    finite = np.where(np.isfinite(cells), cells, 0).clip(0)
    top = finite.max(-1, initial=0, keepdims=True)
    return np.rint(finite / np.where(top > 0, top, 1) * 255).astype(np.uint8)
