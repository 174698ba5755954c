"""What was seen on the way to scores, and whether they follow from it: a query and a key, or a pair and a vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from attnwidget.terms import Terms

MAX_CELLS = 1 << 22  # numbers of one site that are kept beside its weights
TOLERANCE = 2e-3  # part of the largest score by which terms may miss it


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen on the way to the scores of some rows, in the shapes that the model gave it.

    Args:
        scores: float32 [head, query, key].
        operands: the two sides of the last product before the softmax.
        hidden: what the last tanh was of.
        vector: what its result was multiplied with.
        addends: the sum that the tanh was of.
        only: the one row that counts, where a decoder without a cache computed all rows again; None for all.
    """

    scores: np.ndarray
    operands: tuple[np.ndarray, ...] = ()
    hidden: np.ndarray | None = None
    vector: np.ndarray | None = None
    addends: tuple[np.ndarray, ...] = ()
    only: int | None = None

    @property
    def n_queries(self) -> int:
        """How many rows count."""
        return self.scores.shape[1] if self.only is None else 1

    @property
    def n_cells(self) -> int:
        """How many numbers it holds."""
        arrays = (self.scores, self.hidden, self.vector, *self.operands, *self.addends)
        return sum(array.size for array in arrays if array is not None)

    def terms(self) -> Terms:
        """Return the terms: what was seen counts only if the scores can be computed from it."""
        terms = _additive(self) or _dot(self) or Terms(self.scores)
        return terms if self.only is None else terms.of(slice(None), slice(self.only, self.only + 1))


def _additive(seen: Seen) -> Terms | None:
    n_heads, n_queries, n_keys = seen.scores.shape
    hidden, vector = seen.hidden, seen.vector
    if hidden is None or vector is None or not vector.size or hidden.size != seen.scores.size * vector.size:
        return None
    v = vector.reshape(-1)
    pairs = hidden.reshape(n_heads, n_queries, n_keys, v.size)
    if _scale_of(np.tanh(pairs) @ v, seen.scores) != 1:
        return None
    sizes = {n_heads * n_queries * v.size, n_queries * v.size}
    queries = next((it for it in seen.addends if it.size in sizes and it.size != hidden.size), None)
    if queries is not None:
        queries = np.broadcast_to(queries.reshape(-1, n_queries, v.size), (n_heads, n_queries, v.size))
    return Terms(seen.scores, "additive", queries, pairs=pairs, vector=v)


def _dot(seen: Seen) -> Terms | None:
    n_heads, n_queries, n_keys = seen.scores.shape
    if len(seen.operands) != 2:
        return None
    for one, other in (seen.operands, seen.operands[::-1]):
        width, rest = divmod(one.size, n_heads * n_queries)
        if rest or not width or other.size not in (n_heads * n_keys * width, n_keys * width):
            continue
        for queries, keys in product(_as_rows(one, n_queries, width), _as_rows(other, n_keys, width)):
            scale = _scale_of(queries @ keys.mT, seen.scores)
            if scale is not None:
                return Terms(seen.scores, "dot", queries, keys, scale=scale)
    return None


def _as_rows(array: np.ndarray, n_rows: int, width: int) -> Iterator[np.ndarray]:
    """Yield [head, row, feature] as the array may be read: with its last two axes the other way, or as it stands."""
    if array.ndim >= 2 and array.shape[-2:] == (width, n_rows):
        yield array.reshape(-1, width, n_rows).mT
    yield array.reshape(-1, n_rows, width)


def _scale_of(products: np.ndarray, scores: np.ndarray) -> float | None:
    """Return by what products are to be multiplied to make the scores, up to a number that is the same in each row.

    What is hidden does not count. None where there is no such number.
    """
    counted = np.isfinite(scores) & (scores > np.finfo(np.float16).min)
    if not counted.any():
        return None
    x, y = (_centred(values, counted) for values in (products, scores))
    if not x.any() and not y.any():  # rows of one key, which every scale fits: the one without a bias is taken
        x, y = (np.where(counted, values, 0).astype(np.float64) for values in (products, scores))
    spread = float((x * x).sum())
    scale = float((x * y).sum()) / spread if spread else 1.0
    if abs(scale - 1) < TOLERANCE:
        scale = 1.0
    reach = float(np.abs(y).max())
    return scale if float(np.abs(scale * x - y).max()) <= TOLERANCE * max(reach, 1e-6) + 1e-6 else None


def _centred(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    kept = np.where(counted, values, 0).astype(np.float64)
    means = kept.sum(-1, keepdims=True) / np.maximum(counted.sum(-1, keepdims=True), 1)
    return np.where(counted, kept - means, 0)


@dataclass
class TermsBook:
    """The terms of a site, in parts as its rows came.

    Args:
        parts: in order; None once there was nothing to tell of some rows, or once they are too many to keep.
        n_queries: how many rows these are.
    """

    parts: list[Seen | Terms] | None = field(default_factory=list)
    n_queries: int = 0
    n_cells: int = 0

    def add(self, seen: Seen | None) -> None:
        """Add what was seen of the next rows."""
        if self.parts is None or seen is None:
            self.parts = None
            return
        self.parts.append(seen)
        self.n_queries += seen.n_queries
        self.n_cells += seen.n_cells
        if self.n_cells > MAX_CELLS:
            self.parts = None

    def row(self, head: int, query: int) -> Terms | None:
        """Return the terms of one row of one head, or None where there are none."""
        first = 0
        for place, part in enumerate(self.parts or ()):
            if first <= query < first + part.n_queries:
                return self._resolved(place).row(head, query - first)
            first += part.n_queries
        return None

    def resolved(self) -> list[Terms]:
        """Return all terms, in order."""
        return [self._resolved(place) for place in range(len(self.parts or ()))]

    def _resolved(self, place: int) -> Terms:
        assert self.parts is not None
        part = self.parts[place]
        terms = self.parts[place] = part if isinstance(part, Terms) else part.terms()
        return terms
