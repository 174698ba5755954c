"""Weights that are computed when they are looked at: only queries and keys are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from attnwidget import analysis
from attnwidget.outline import StoreKind
from attnwidget.stores.factors import Factors
from attnwidget.stores.pooling import Pyramid
from attnwidget.stores.softmax import Softmax, Tile
from attnwidget.stores.store import blocks, chosen_heads, held, owned, roomy
from attnwidget.stores.sums import Sums
from attnwidget.stores.visible import Visible

_OPTIONAL = (("bias", (None, None)), ("sinks", (None,)))  # arrays that not every site has, and their axes
_SEEN = ("first", "last", "holed", "bits")  # arrays of `Visible`
_AT_ONCE = 1 << 19  # weights of which several arrays fit into a core's own cache


class VirtualStore:
    """Queries and keys of one site, which give float32 weights [head, query, key] on demand. See `Store`.

    A row that is read for the first time costs a pass over all keys that it sees. Its `Sums` are kept, so that later
    any tile of it costs the tile alone.
    """

    kind: ClassVar[StoreKind] = "qk"
    exact: ClassVar[bool] = True
    grows: ClassVar[Mapping[str, int]] = {"queries": 1, "keys": 1, "positions": 0} | dict.fromkeys(_SEEN, 0)

    def __init__(self, n_heads: int) -> None:
        self.n_heads, self.n_queries, self.n_keys, self.n_rewritten = n_heads, 0, 0, 0
        self._softmax: Softmax | None = None
        self._queries = np.zeros((n_heads, 0, 1), np.float32)
        self._keys = np.zeros((1, 0, 1), np.float32)
        self._positions = np.zeros(0, np.int64)
        self._parts: list[Visible] = []
        self._sums = Sums(n_heads)
        self._overviews: dict[tuple[int | None, int], Pyramid] = {}

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        arrays = sum(array.nbytes for array in (self._queries, self._keys, self._positions))
        overviews = sum(overview.n_bytes for overview in self._overviews.values())
        return arrays + sum(part.n_bytes for part in self._parts) + overviews + self._sums.n_bytes

    def check(self, rows: Factors) -> None:
        """Raise unless these rows can follow those that are there.

        Raises:
            ValueError: other numbers of heads, another d_head, or another softmax than before.
        """
        n_heads, (n_key_heads, _, d_head) = len(rows.queries), rows.keys.shape
        if n_heads != self.n_heads:
            raise ValueError(f"queries of {n_heads} heads came, {self.n_heads} were expected.")
        if self._softmax is not None:
            if (n_key_heads, d_head) != (len(self._keys), self._keys.shape[2]):
                raise ValueError(
                    f"keys of {n_key_heads} heads with d_head {d_head} came, {len(self._keys)} heads with d_head "
                    f"{self._keys.shape[2]} were expected as before."
                )
            self._softmax.joined(Softmax.of(rows))

    def append(self, rows: Factors) -> None:
        """Add rows, and write their keys where they belong, over what was there.

        Raises:
            ValueError: see `check`; nothing has changed.
        """
        self.check(rows)
        softmax = Softmax.of(rows)
        if self._softmax is None:
            n_key_heads, _, d_head = rows.keys.shape
            self._queries = np.full((self.n_heads, self.n_queries, d_head), np.nan, rows.queries.dtype)
            self._keys = np.zeros((n_key_heads, self.n_keys, d_head), rows.keys.dtype)
        self._softmax = softmax if self._softmax is None else self._softmax.joined(softmax)
        self._write_keys(rows.keys, rows.first_key)
        self._write_rows(rows.queries, rows.visible, rows.first_query + np.arange(len(rows.visible)))

    def append_missing(self, n_rows: int, n_keys: int) -> None:
        """Add rows of NaN over the first `n_keys` keys."""
        n_key_heads, _, d_head = self._keys.shape
        self.n_keys = max(self.n_keys, n_keys)
        self._keys = roomy(self._keys, n_key_heads, self.n_keys, d_head)
        queries = np.full((self.n_heads, n_rows, d_head), np.nan, self._queries.dtype)
        self._write_rows(queries, Visible.all(n_rows, n_keys), np.zeros(n_rows, np.int64))

    def read(
        self,
        queries: slice | np.ndarray = slice(None),
        keys: slice | np.ndarray = slice(None),
        *,
        heads: slice | int = slice(None),
    ) -> np.ndarray:
        """Return the chosen weights. See `Store.read`."""
        chosen = chosen_heads(heads, self.n_heads)
        rows, columns = np.arange(self.n_queries)[queries], np.arange(self.n_keys)[keys]
        weights = np.zeros((len(chosen), len(rows), len(columns)), np.float32)
        if len(columns) == self.n_keys and np.array_equal(columns, np.arange(self.n_keys)):
            self.fill(weights, rows, chosen)
        else:
            for place, head in enumerate(chosen.tolist()):
                self._pass_over(head, rows)
                for part in blocks(len(rows), len(columns)):
                    weights[place, part] = self._part(head, rows[part], columns)
        return weights if isinstance(heads, slice) else weights[0]

    def fill(self, out: np.ndarray, rows: np.ndarray, heads: np.ndarray) -> None:
        """Write all weights of some queries and heads, given by index, into zeros of float32 [head, query, key]."""
        for part in blocks(len(rows), self.n_keys, at_once=_AT_ONCE):
            for place, (seen, weights) in enumerate(self._whole(heads, rows[part])):
                out[place, part, seen] = weights

    def column_sums(self, heads: slice | int = slice(None)) -> np.ndarray:
        """Return the sum over queries, float32 [head, key], [key] for one head. See `Store.column_sums`."""
        chosen = chosen_heads(heads, self.n_heads).tolist()
        sums = np.zeros((len(chosen), self.n_keys))
        for place, head in enumerate(chosen):
            for part in blocks(self.n_queries, self.n_keys):
                sums[place] += analysis.strength(self.read(part, heads=head)[None])[0]
        return sums.astype(np.float32) if isinstance(heads, slice) else sums[0].astype(np.float32)

    def overview(self, head: int | None, size: int = 256) -> tuple[np.ndarray, int]:
        """Return the largest weight of each square, and the side of these squares. See `Store.overview`.

        Rows are computed once for each `head` and `size`; the mean over heads costs as much as all of them.
        """
        head = None if head is None else int(chosen_heads(head, self.n_heads)[0])
        pyramid = self._overviews.setdefault((head, size), Pyramid(1, size))
        first = pyramid.n_queries
        for part in blocks(self.n_queries - first, self.n_keys):
            rows = slice(first + part.start, first + part.stop)
            pyramid.add((self._mean(rows) if head is None else self.read(rows, heads=head))[None])
        return pyramid.cells[0].copy(), pyramid.pool

    def state(self, *, computed: bool = True) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
        """Return what `restored` takes."""
        rows, visible, softmax = slice(self.n_queries), self._visible, self._softmax
        arrays: dict[str, np.ndarray | None] = {
            "queries": self._queries[:, rows],
            "keys": self._keys[:, : self.n_keys],
            "positions": self._positions[rows],
            **{name: getattr(visible, name) for name in _SEEN},
            "bias": None if softmax is None else softmax.bias,
            "sinks": None if softmax is None else softmax.sinks,
        }
        numbers = {} if softmax is None else {"scale": softmax.scale, "softcap": softmax.softcap}
        return {name: array for name, array in arrays.items() if array is not None}, numbers

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float | None]) -> VirtualStore:
        """Return the store whose `state` this was.

        Raises:
            TypeError, ValueError: it is not the state of one.
        """
        queries = held(arrays, "queries", "<f2 <f4", None, None, None)
        n_heads, n_queries, d_head = queries.shape
        keys = held(arrays, "keys", "<f2 <f4", None, None, d_head)
        first, last = (held(arrays, name, "<i4", n_queries) for name in ("first", "last"))
        visible = Visible(first, last, held(arrays, "holed", "<i4", None), held(arrays, "bits", "|u1", None, None))
        positions = held(arrays, "positions", "<i8", n_queries)
        if last.max(initial=0) > keys.shape[1]:
            raise ValueError("its queries see keys that are not there")
        store, scale = cls(n_heads), numbers.get("scale")
        if scale is not None:
            bias, sinks = (held(arrays, name, "<f4", *dims) if name in arrays else None for name, dims in _OPTIONAL)
            whole = Factors(queries, keys, visible, scale, 0, 0, numbers.get("softcap"), bias, sinks)
            if positions.min() < 0 or (bias is not None and positions.max() > bias.shape[1] // 2):
                raise ValueError("its positions are outside its bias")
            store._softmax = Softmax.of(whole)
        store._queries, store._keys, store.n_keys = queries[:, :0], keys, keys.shape[1]
        store._write_rows(queries, visible, positions)
        return store

    def _mean(self, rows: slice) -> np.ndarray:
        """Return the mean over heads, float32 [query, key], without holding all heads at once."""
        total = sum(self.read(rows, heads=head).astype(np.float64) for head in range(self.n_heads))
        return np.asarray(total / self.n_heads, np.float32)

    @property
    def _visible(self) -> Visible:
        if len(self._parts) != 1:
            self._parts = [Visible.joined(self._parts) if self._parts else Visible.all(0, 0)]
        return self._parts[0]

    def _write_keys(self, keys: np.ndarray, first: int) -> None:
        end = first + keys.shape[1]
        if not first and not self.n_keys:
            self._keys, self.n_keys = owned(keys), end
            return
        self._keys = roomy(self._keys, len(keys), max(end, self.n_keys), keys.shape[2], dtype=keys.dtype)
        overwritten = slice(first, min(end, self.n_keys))
        came = keys[:, : max(0, self.n_keys - first)]
        if first < self.n_keys and not np.array_equal(self._keys[:, overwritten], came):
            saw = (self._visible.first < overwritten.stop) & (self._visible.last > overwritten.start)
            self._sums.forget(saw)
            self._overviews.clear()
            self.n_rewritten += 1
        self._keys[:, first:end] = keys
        self.n_keys = max(self.n_keys, end)

    def _write_rows(self, queries: np.ndarray, visible: Visible, positions: np.ndarray) -> None:
        n_heads, n_new, d_head = queries.shape
        first, end = self.n_queries, self.n_queries + n_new
        if not first:
            self._queries, self._positions = owned(queries), positions
        else:
            self._queries = roomy(self._queries, n_heads, end, d_head, dtype=queries.dtype)
            self._positions = roomy(self._positions, end)
            self._queries[:, first:end] = queries
            self._positions[first:end] = positions
        self._parts.append(visible)
        self.n_queries = end

    def _tile(self, head: int, rows: np.ndarray, columns: np.ndarray, hidden: np.ndarray) -> Tile:
        keys = self._keys[head * len(self._keys) // self.n_heads]
        is_range = len(columns) and columns[-1] - columns[0] == len(columns) - 1 and (np.diff(columns) == 1).all()
        some = keys[columns[0] : columns[-1] + 1] if is_range else keys[columns]
        return Tile(head, self._queries[head, rows], some, self._positions[rows], columns, hidden)

    def _part(self, head: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return weights of rows that were passed over, float32 [query, key]."""
        tile = self._tile(head, rows, columns, ~self._visible.tile(rows, columns))
        sums, softmax = self._sums, self._softmax or Softmax(1.0)
        return softmax.part(tile, top=sums.top[head, rows], total=sums.total[head, rows])

    def _whole(self, heads: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield for each head which keys these rows see, and their weights; their sums are kept."""
        softmax, visible = self._softmax or Softmax(1.0), self._visible
        self._sums.make_room(self.n_queries)
        seen = slice(visible.first[rows].min(), visible.last[rows].max())
        columns = np.arange(seen.start, seen.stop)
        hidden = ~visible.tile(rows, columns)
        for head in heads.tolist():
            weights, top, total = softmax.whole(self._tile(head, rows, columns, hidden))
            self._sums.keep(head, rows, top, total)
            yield seen, weights

    def _pass_over(self, head: int, rows: np.ndarray) -> None:
        """Find what the weights of rows are divided by, where that is not known yet."""
        self._sums.make_room(self.n_queries)
        new = np.unique(rows[~self._sums.known[head, rows]])
        for part in blocks(len(new), self.n_keys):
            next(self._whole(np.array([head]), new[part]))
