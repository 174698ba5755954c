"""A rectangle of one head as maxima of small rectangles: of a few rows at first, of all of them in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from attnwidget import analysis
from attnwidget.trace import Trace

KEPT_BYTES = 1 << 27
AT_ONCE = 1 << 18  # weights of a head that are read at once: some milliseconds, for which the trace is locked
AT_ONCE_MEAN = 1 << 20  # the same of all heads together, each of which costs more than its weights
LEAST_ROWS = 4  # fewer rows at once would cost as much, since keys of half precision are widened each time
CATCH_UP = 1 << 22  # weights that are read to take sums from where they are known to where they are asked for


class Span(NamedTuple):
    """A part of an axis, cut into cells.

    Args:
        first: its first token.
        end: one past its last token.
        per: tokens in a cell; the last cell may hold fewer.
    """

    first: int
    end: int
    per: int = 1

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return -(-(self.end - self.first) // self.per)

    @classmethod
    def of(cls, n_tokens: int, n_cells: int) -> Span:
        """Return a whole axis in at most so many cells, each of a power of 2 of tokens."""
        return cls(0, n_tokens, 1 << max(0, -(-n_tokens // n_cells) - 1).bit_length())


class Sweep:
    """The largest weight of each rectangle, so that a spike is seen however small the picture is.

    One row of some cells is read first, then one of each, then all rows in order. So there is a picture at once, and an
    exact one in the end; `run` does as much of it as there is time for. Where all keys are swept from the first query
    on, sums of columns are kept as well.

    Args:
        trace: what to read; rows that come later are not in it.
        site: index of the site.
        head: index of the head, or None for the mean over heads.
        queries: which rows.
        keys: which columns.

    Raises:
        ValueError: no such site or head, or a span that is outside the matrix.
    """

    def __init__(self, trace: Trace, site: int, head: int | None, queries: Span, keys: Span) -> None:
        check(trace, site, head, queries, keys)
        self._trace, self.site, self.head, self.queries, self.keys = trace, site, head, queries, keys
        chosen = trace.sites[site]
        self.shape = chosen.n_queries, chosen.n_keys
        self._n_read = chosen.n_heads if head is None else 1  # heads that are read for one weight
        self._cells = np.full((queries.n_cells, keys.n_cells), np.nan, np.float32)
        self._known = np.zeros(queries.n_cells, bool)
        self._n_done = 0  # rows of which all are in
        whole = (queries.first, keys.first, keys.end) == (0, 0, chosen.n_keys)
        self._sums = np.zeros((queries.n_cells, chosen.n_keys if whole else 0), np.float32)  # at the end of each cell
        self._running = np.zeros(self._sums.shape[1])
        self._work = self._pieces()

    @property
    def done(self) -> bool:
        """Whether all rows are in."""
        return self._n_done == self.queries.end - self.queries.first

    @property
    def is_begun(self) -> bool:
        """Whether there is a picture of it."""
        return bool(self._known.any())

    @property
    def part(self) -> float:
        """How much of it is done, 0 to 1."""
        return self._n_done / max(1, self.queries.end - self.queries.first)

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return self._cells.nbytes + self._sums.nbytes

    @property
    def cells(self) -> np.ndarray:
        """float32 [query cell, key cell]: the largest weights; cells without a row yet are as the last one above."""
        known = np.flatnonzero(self._known)
        if not len(known):
            return self._cells
        nearest = known[np.searchsorted(known, np.arange(len(self._known))).clip(max=len(known) - 1)]
        return np.asarray(self._cells[nearest])

    def run(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Read on until so much time is over or all is done; one piece at least."""
        until = clock() + seconds
        for piece in self._work:
            piece()
            if clock() >= until:
                return

    def sums(self, n_steps: int) -> tuple[int, np.ndarray] | None:
        """Return sums over the first rows: of how many, and float32 [key]; what is not finite counts as 0.

        Where it would take long to have them of `n_steps` rows, they are of somewhat fewer.
        """
        if not self._sums.shape[1] or not (self.done or n_steps <= self._n_done):
            return None
        n_steps = min(n_steps, self.queries.end)
        if n_steps == self.queries.end:
            return n_steps, self._sums[-1]
        cell, rest = divmod(n_steps, self.queries.per)
        before = self._sums[cell - 1] if cell else np.zeros_like(self._sums[0])
        if not rest:
            return n_steps, before
        if rest * self._sums.shape[1] * self._n_read > CATCH_UP:
            return cell * self.queries.per, before
        rows = self._read(np.arange(cell * self.queries.per, n_steps))
        return n_steps, before + analysis.strength(rows[None])[0]

    def _pieces(self) -> Iterator[Callable[[], None]]:
        first, end, per = self.queries
        at_once = AT_ONCE if self.head is not None else AT_ONCE_MEAN
        n_rows = max(1, LEAST_ROWS // self._n_read, at_once // max(1, (self.keys.end - self.keys.first) * self._n_read))
        last = np.minimum(np.arange(first + per, end + per, per), end) - 1
        if n_rows < end - first:
            stride = 1 << max(0, (len(last) // n_rows).bit_length())
            while stride and (per > 1 or stride > 1):
                cells = np.arange(stride - 1, len(last), stride)
                cells = cells[~self._known[cells]]
                for at in range(0, len(cells), n_rows):
                    yield lambda chosen=cells[at : at + n_rows]: self._sample(last[chosen], chosen)  # type: ignore[misc]
                stride //= 2
        for at in range(first, end, n_rows):
            yield lambda at=at: self._add(np.arange(at, min(at + n_rows, end)))  # type: ignore[misc]

    def _sample(self, rows: np.ndarray, cells: np.ndarray) -> None:
        self._cells[cells] = self._across(self._read(rows))
        self._known[cells] = True

    def _add(self, rows: np.ndarray) -> None:
        weights = self._read(rows)
        cells = (rows - self.queries.first) // self.queries.per
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        most = np.fmax.reduceat(self._across(weights), starts, axis=0)
        np.fmax(self._cells[cells[starts]], most, out=most)
        self._cells[cells[starts]] = most
        self._known[cells[starts]] = True
        if self._sums.shape[1]:
            for cell, part in zip(cells[starts].tolist(), np.split(weights, starts[1:]), strict=True):
                self._running += analysis.strength(part[None])[0]
                self._sums[cell] = self._running
        self._n_done += len(rows)

    def _across(self, weights: np.ndarray) -> np.ndarray:
        """Return the largest weight of each cell of keys, float32 [query, key cell]."""
        if self.keys.per == 1:
            return weights
        starts = np.arange(0, weights.shape[1], self.keys.per)
        largest = np.fmax if np.isnan(weights).any() else np.maximum
        return np.asarray(largest.reduceat(weights, starts, axis=1))

    def _read(self, rows: np.ndarray) -> np.ndarray:
        first, end = int(rows[0]), int(rows[-1]) + 1
        whole = slice(first, end) if end - first == len(rows) else rows.tolist()
        head: int | Literal["mean"] = "mean" if self.head is None else self.head
        return self._trace.weights(self.site, head, whole, slice(self.keys.first, self.keys.end))


def check(trace: Trace, site: int, head: int | None, queries: Span, keys: Span) -> None:
    """Raise ValueError unless a head has such a rectangle."""
    sites = trace.sites
    if not 0 <= site < len(sites):
        raise ValueError(f"site: {site} came, the trace has {len(sites)} sites, counted from 0.")
    chosen = sites[site]
    if head is not None and not 0 <= head < chosen.n_heads:
        raise ValueError(f"head: {head} came, {chosen.name} has {chosen.n_heads} heads, counted from 0.")
    for name, span, length in (("queries", queries, chosen.n_queries), ("keys", keys, chosen.n_keys)):
        if not (0 <= span.first < span.end <= length and 1 <= span.per <= length):
            raise ValueError(
                f"{name}: {span.first} to {span.end} in cells of {span.per} came, "
                f"{chosen.name} has {length} {name}, counted from 0."
            )


class Sweeps:
    """The sweeps of a trace that were asked for last, within a budget.

    Args:
        trace: what to read.
        most_bytes: held in all; the last one may take more.
    """

    def __init__(self, trace: Trace, most_bytes: int = KEPT_BYTES) -> None:
        self._trace, self._most_bytes = trace, most_bytes
        self._kept: dict[tuple[int, int | None, Span, Span], Sweep] = {}

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(sweep.n_bytes for sweep in self._kept.values())

    def sweep(self, site: int, head: int | None, queries: Span, keys: Span) -> Sweep:
        """Return a sweep as far as it is; one of other rows than there are now begins anew.

        Raises:
            ValueError: see `Sweep`.
        """
        name = site, head, queries, keys
        kept = self._kept.pop(name, None)
        if kept is None or kept.shape != _shape(self._trace, site):
            kept = Sweep(self._trace, *name)
        self._kept[name] = kept
        while self.n_bytes > self._most_bytes and len(self._kept) > 1:
            del self._kept[next(iter(self._kept))]
        return kept


def _shape(trace: Trace, site: int) -> tuple[int, int]:
    chosen = trace.sites[site]
    return chosen.n_queries, chosen.n_keys
