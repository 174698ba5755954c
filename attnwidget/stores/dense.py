"""Weights as they are, float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

import numpy as np

from attnwidget import analysis
from attnwidget.outline import StoreKind
from attnwidget.seen import MAX_CELLS
from attnwidget.stores.factors import Factors
from attnwidget.stores.pooling import pooled, side
from attnwidget.stores.stack import Stack
from attnwidget.stores.store import blocks, chosen_heads, held
from attnwidget.stores.virtual import VirtualStore

_FACTORS = "factors."  # before the names of what explains weights
T = TypeVar("T")


class DenseStore:
    """Weights of one site, float32 [head, query, key], growing along query and key. See `Store`.

    Rows that come as queries and keys become weights when they are first looked at, so that whoever computes them need
    not wait for it.
    """

    kind: ClassVar[StoreKind] = "dense"
    exact: ClassVar[bool] = True
    grows: ClassVar[Mapping[str, int]] = {"weights": 1} | {
        f"{_FACTORS}{it}": at for it, at in VirtualStore.grows.items()
    }

    def __init__(self, n_heads: int) -> None:
        self.n_heads, self.n_queries, self.n_keys = n_heads, 0, 0
        self._stack = Stack(n_heads)
        self.factors = VirtualStore(n_heads)
        self._came: list[tuple[int, int, int]] = []  # rows that came as queries and keys, likewise
        self._waiting: list[tuple[int, int, int]] = []  # (first row, how many, where they are in _factors)

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes with all weights."""
        return self.n_heads * self.n_queries * self.n_keys * self._stack.dtype.itemsize

    def check(self, rows: Factors) -> None:
        """Raise unless these rows can follow those that are there. See `VirtualStore.check`."""
        self.factors.check(rows)

    def append(self, rows: np.ndarray | Factors) -> None:
        """Add rows.

        Args:
            rows: float32 [head, query, key], or what they follow from; fewer keys than before are filled up with 0.
        """
        _, n_queries, n_keys = rows.shape
        first, end = self.n_queries, self.n_queries + n_queries
        if isinstance(rows, Factors):
            self._wait(first, n_queries)
            self.factors.append(rows)
        else:
            self._stack.put(first, rows)
        self.n_queries, self.n_keys = end, max(n_keys, self.n_keys)

    def append_missing(self, n_rows: int, n_keys: int) -> None:
        """Add rows of NaN over the first `n_keys` keys."""
        self.append(np.full((self.n_heads, n_rows, n_keys), np.nan, np.float32))

    def read(
        self,
        queries: slice | np.ndarray = slice(None),
        keys: slice | np.ndarray = slice(None),
        *,
        heads: slice | int = slice(None),
    ) -> np.ndarray:
        """Return a copy of the chosen weights. See `Store.read`."""
        if self._waiting == [(0, self.n_queries, 0)] and _is_all(queries) and _is_all(keys):
            return self.factors.read(heads=heads)  # computing them takes less than keeping and copying them
        return self._filled().read(queries, keys, heads)

    def column_sums(self, heads: slice | int = slice(None)) -> np.ndarray:
        """Return the sum over queries, float32 [head, key], [key] for one head. See `Store.column_sums`."""
        stack, chosen = self._filled(), chosen_heads(heads, self.n_heads)
        sums = np.zeros((len(chosen), self.n_keys))
        for part in blocks(self.n_queries, len(chosen) * self.n_keys):  # what lies on a disk is too much at once
            rows = stack.read(part, slice(None), heads).reshape(len(chosen), -1, self.n_keys)
            sums += np.where(np.isfinite(rows), rows, 0).sum(1, dtype=np.float64)
        found = sums.astype(np.float32)
        return found if isinstance(heads, slice) else found[0]

    def overview(self, head: int | None, size: int = 256) -> tuple[np.ndarray, int]:
        """Return the largest weight of each square, and the side of these squares. See `Store.overview`."""
        pool = side(self.n_queries, self.n_keys, size)
        if head is not None:
            return pooled(self.read(heads=head), pool), pool
        mean = np.zeros((self.n_queries, self.n_keys), np.float32)
        for part in blocks(self.n_queries, self.n_heads * self.n_keys):
            mean[part] = analysis.mean(self.read(part))
        return pooled(mean, pool), pool

    def state(self, *, computed: bool = True) -> tuple[dict[str, np.ndarray | Stack], dict[str, float | None]]:
        """Return what `restored` takes; queries and keys, which explain weights, where they are few."""
        (arrays, numbers), size = self.factors.state(), self.n_heads * self.n_queries * self.n_keys
        explains = bool(self._came) and arrays["queries"].size + arrays["keys"].size <= max(MAX_CELLS, size)
        if not explains:
            return {"weights": self._filled().snapshot()}, {}
        follow = not computed and self.factors.n_queries == self.n_queries  # no row came as weights
        weights = Stack(self.n_heads) if follow else self._filled().snapshot()
        came: dict[str, np.ndarray | Stack] = {"weights": weights, "came": np.array(self._came, np.int64)}
        own = {f"{_FACTORS}{name}": array for name, array in arrays.items()}
        return came | own, {f"{_FACTORS}{name}": number for name, number in numbers.items()}

    @property
    def n_rewritten(self) -> int:
        """How often rows that were there were written over. See `Store`."""
        return self.factors.n_rewritten

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float | None]) -> DenseStore:
        """Return the store whose `state` this was.

        Raises:
            TypeError, ValueError: it is not the state of one.
        """
        weights = held(arrays, "weights", "<f4", None, None, None)
        store = cls(len(weights))
        store._stack, (store.n_queries, store.n_keys) = Stack.of(weights), weights.shape[1:]
        if "came" in arrays:
            store.factors = VirtualStore.restored(_of_factors(arrays), _of_factors(numbers))
            store.n_queries = store.n_queries or store.factors.n_queries
            came = held(arrays, "came", "<i8", None, 3)
            ends = came[:, :1] + came[:, 1:2], came[:, 2:] + came[:, 1:2]
            if (
                store.factors.n_heads != store.n_heads
                or came.min(initial=0) < 0
                or ends[0].max(initial=0) > store.n_queries
                or ends[1].max(initial=0) > store.factors.n_queries
            ):
                raise ValueError("its queries explain rows that are not there")
            store._came = [(first, count, place) for first, count, place in came.tolist()]
            if weights.shape[1] == 0:
                store._waiting, store.n_keys = list(store._came), store.factors.n_keys
                if [*came[:, 0], store.n_queries] != [0, *ends[0][:, 0]]:
                    raise ValueError("its queries leave rows out")
        return store

    def place_of(self, query: int) -> int | None:
        """Return which row of `factors` a query is, or None where it came as weights."""
        return next(
            (place + query - first for first, count, place in self._came if first <= query < first + count), None
        )

    def _wait(self, first: int, count: int) -> None:
        """Note that rows wait, together with those just before them, to be read at once."""
        place = self.factors.n_queries
        last = self._waiting[-1] if self._waiting else (-1, 0, -1)
        if (last[0] + last[1], last[2] + last[1]) == (first, place):
            first, before, place = self._waiting.pop()
            count += before
        self._waiting.append((first, count, place))
        if self._came and self._came[-1][0] == first:
            self._came.pop()
        self._came.append(self._waiting[-1])

    def _filled(self) -> Stack:
        """Return all rows, those that waited included."""
        while self._waiting:
            first, count, place = self._waiting[0]
            rows = np.zeros((self.n_heads, count, self.factors.n_keys), np.float32)
            self.factors.fill(rows, np.arange(place, place + count), np.arange(self.n_heads))
            rows.flags.writeable = False  # which leaves it to the stack
            self._stack.put(first, rows)
            del self._waiting[0]
        return self._stack


def _is_all(axis: slice | np.ndarray) -> bool:
    return isinstance(axis, slice) and axis == slice(None)


def _of_factors(values: Mapping[str, T]) -> dict[str, T]:
    return {name.removeprefix(_FACTORS): it for name, it in values.items() if name.startswith(_FACTORS)}
