"""Weights cut down as they come: the largest of each row, and what can be summed up of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from attnwidget import analysis
from attnwidget.outline import Flag, StoreKind
from attnwidget.stores.pooling import Pyramid, pooled, side
from attnwidget.stores.store import blocks, chosen_heads, held, roomy

N_LARGEST = 16
OVERVIEW = 256  # squares along an axis
CHECKED = 1 << 22  # numbers of a site that are looked at when it is restored; of more, those that point nowhere are 0


def find_reduced(rows: np.ndarray) -> tuple[Flag, ...]:
    """Name how many rows, float32 [head, query, key], hold more weights than are kept."""
    count = int(np.count_nonzero(np.count_nonzero(rows, axis=2) > N_LARGEST))
    return (Flag("reduced", count),) if count else ()


class ReducedStore:
    """The 16 largest weights of each row, its entropy, the sum of each column, and an overview. See `Store`.

    For models whose weights follow from no queries and keys, where all weights would not fit into memory.
    """

    kind: ClassVar[StoreKind] = "reduced"
    exact: ClassVar[bool] = False
    grows: ClassVar[Mapping[str, int]] = {"largest": 1, "places": 1, "missing": 0, "entropy": 1}

    def __init__(self, n_heads: int) -> None:
        self.n_heads, self.n_queries, self.n_keys, self.n_rewritten = n_heads, 0, 0, 0
        self._largest = np.zeros((n_heads, 0, N_LARGEST), np.float32)
        self._places = np.zeros((n_heads, 0, N_LARGEST), np.int32)
        self._missing = np.zeros(0, np.int32)  # for rows that did not come, the number of keys over which they are NaN
        self._entropy = np.zeros((n_heads, 0), np.float32)
        self._sums = np.zeros((n_heads, 0), np.float64)
        self._overview = Pyramid(n_heads, OVERVIEW)

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        arrays = (self._largest, self._places, self._missing, self._entropy, self._sums)
        return sum(array.nbytes for array in arrays) + self._overview.n_bytes

    @property
    def entropy(self) -> np.ndarray:
        """How spread out each row is, all its weights counted: float32 [head, query], bits. See `analysis.entropy`."""
        return self._entropy[:, : self.n_queries].copy()

    def append(self, rows: np.ndarray) -> None:
        """Add rows.

        Args:
            rows: float32 [head, query, key]; all but the largest weights of each are given up.
        """
        _, n_new, n_keys = rows.shape
        first, end = self.n_queries, self.n_queries + n_new
        self._reserve(end, n_keys)
        n_kept = min(N_LARGEST, n_keys)
        places = np.argpartition(np.where(np.isnan(rows), np.inf, rows), -n_kept)[..., -n_kept:]
        self._places[:, first:end] = -1
        self._places[:, first:end, :n_kept] = places
        self._largest[:, first:end, :n_kept] = np.take_along_axis(rows, places, 2)
        self._entropy[:, first:end] = analysis.entropy(rows)
        self._sums[:, :n_keys] += analysis.strength(rows)
        self._overview.add(rows)
        self.n_queries, self.n_keys = end, max(n_keys, self.n_keys)

    def append_missing(self, n_rows: int, n_keys: int) -> None:
        """Add rows of NaN over the first `n_keys` keys."""
        first = self.n_queries
        self.append(np.full((self.n_heads, n_rows, n_keys), np.nan, np.float32))
        self._missing[first : self.n_queries] = n_keys

    def read(
        self,
        queries: slice | np.ndarray = slice(None),
        keys: slice | np.ndarray = slice(None),
        *,
        heads: slice | int = slice(None),
    ) -> np.ndarray:
        """Return the largest weights of the chosen rows at their places, and 0 elsewhere. See `Store.read`."""
        chosen = chosen_heads(heads, self.n_heads)
        rows, columns = np.arange(self.n_queries)[queries], np.arange(self.n_keys)[keys]
        weights = np.zeros((len(chosen), len(rows), len(columns)), np.float32)
        for place, head in enumerate(chosen):
            for part in blocks(len(rows), self.n_keys):
                weights[place, part] = self._whole_rows(head, rows[part])[:, columns]
        return weights if isinstance(heads, slice) else weights[0]

    def column_sums(self, heads: slice | int = slice(None)) -> np.ndarray:
        """Return the sum over queries of all weights, float32 [head, key], [key] for one head. See `Store`."""
        sums = self._sums[chosen_heads(heads, self.n_heads), : self.n_keys].astype(np.float32)
        return sums if isinstance(heads, slice) else sums[0]

    def overview(self, head: int | None, size: int = OVERVIEW) -> tuple[np.ndarray, int]:
        """Return the largest weight of each square, and the side of these squares. See `Store.overview`.

        The mean over heads is that of their overviews, which is no less than the overview of their mean.
        """
        cells, pool = self._overview.cells, self._overview.pool
        chosen = analysis.mean(cells) if head is None else cells[chosen_heads(head, self.n_heads)[0]]
        coarser = max(1, side(self.n_queries, self.n_keys, size) // pool)
        return pooled(chosen, coarser).copy(), pool * coarser

    def state(self, *, computed: bool = True) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
        """Return what `restored` takes."""
        rows = slice(self.n_queries)
        arrays: dict[str, np.ndarray] = {
            "largest": self._largest[:, rows],
            "places": self._places[:, rows],
            "missing": self._missing[rows],
            "entropy": self._entropy[:, rows],
            "sums": self._sums[:, : self.n_keys],
            "overview": self._overview.cells,
        }
        return arrays, {"pool": self._overview.pool}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float | None]) -> ReducedStore:
        """Return the store whose `state` this was.

        Raises:
            ValueError: it is not the state of one.
        """
        sums = held(arrays, "sums", "<f8", None, None)
        largest = held(arrays, "largest", "<f4", len(sums), None, N_LARGEST)
        store, n_queries, n_keys = cls(len(sums)), largest.shape[1], sums.shape[1]
        store.n_queries, store.n_keys, store._sums, store._largest = n_queries, n_keys, sums, largest
        store._places = held(arrays, "places", "<i4", len(sums), n_queries, N_LARGEST)
        store._missing = held(arrays, "missing", "<i4", n_queries)
        store._entropy = held(arrays, "entropy", "<f4", len(sums), n_queries)
        for name, part, least, most in (
            ("places", store._places, -1, n_keys - 1),
            ("missing", store._missing, 0, n_keys),
        ):
            if part.size <= CHECKED and (part.min(initial=0) < least or part.max(initial=least) > most):
                raise ValueError(f"its {name} point at keys that are not there")
        pool = side(n_queries, n_keys, OVERVIEW)
        if numbers.get("pool") != pool:
            raise ValueError(f"its overview has squares of {numbers.get('pool')} where {pool} was expected")
        cells = held(arrays, "overview", "<f4", len(sums), -(-n_queries // pool), -(-n_keys // pool))
        store._overview = Pyramid.of(cells, pool, n_queries, n_keys, OVERVIEW)
        return store

    def _whole_rows(self, head: int, rows: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(rows), self.n_keys + 1), np.float32)  # the last column is for places that are none, -1
        places = self._places[head, rows]
        np.put_along_axis(
            whole, np.where((places >= 0) & (places < self.n_keys), places, -1), self._largest[head, rows], 1
        )
        whole[np.arange(self.n_keys + 1) < self._missing[rows, None]] = np.nan
        return whole[:, :-1]

    def _reserve(self, n_queries: int, n_keys: int) -> None:
        self._largest, self._places = (
            roomy(buffer, self.n_heads, n_queries, N_LARGEST) for buffer in (self._largest, self._places)
        )
        self._missing = roomy(self._missing, n_queries)
        self._entropy = roomy(self._entropy, self.n_heads, n_queries)
        self._sums = roomy(self._sums, self.n_heads, n_keys)
