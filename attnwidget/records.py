"""A site with its weights: what may be added to it, and what is unusual in what was added."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from attnwidget.checks import as_array, find_empty_rows, find_flags
from attnwidget.outline import MAX_PLACES, Asks, Flag, Site, merged, printable
from attnwidget.seen import TermsBook
from attnwidget.stores import DenseStore, Factors, Store, VirtualStore
from attnwidget.stores.reduced import find_reduced
from attnwidget.stores.store import blocks
from attnwidget.stores.terms import tells, terms_of
from attnwidget.terms import Terms


@dataclass
class Record:
    """A site with its weights and what is unusual in them.

    Args:
        site: name, kind and axes.
        store: its weights.
        flags: what is unusual so far.
        tolerance: how far its rows may miss 1; None for what their dtype can hold.
        book: what its weights came of, as far as that was seen.
    """

    site: Site
    store: Store
    flags: tuple[Flag, ...] = ()
    tolerance: float | None = None
    book: TermsBook = field(default_factory=TermsBook)
    _told: Site | None = field(default=None, init=False, repr=False, compare=False)  # what `current` was last

    def tell_asks(self, asks: Asks) -> None:
        """Say which state of a recurrent decoder its queries are."""
        self.site, self._told = replace(self.site, asks=asks), None

    @property
    def is_told(self) -> bool:
        """Whether its book is one of all its rows."""
        return self.book.n_queries == self.store.n_queries

    def tells(self, query: int) -> bool:
        """Whether what the weights of a row came of may have been recorded, in some head."""
        return (self.is_told and bool(self.book.parts)) or tells(self.store, query)

    def terms(self, head: int, query: int) -> Terms | None:
        """Return what the weights of a row came of, or None where that was not recorded."""
        return (self.book.row(head, query) if self.is_told else None) or terms_of(self.store, head, query)

    @property
    def current(self) -> Site:
        """The site with its present size and flags."""
        store, told = self.store, self._told
        size = store.n_queries, store.n_keys
        if told is None or (told.n_queries, told.n_keys) != size or told.flags is not self.flags:
            told = replace(self.site, n_queries=size[0], n_keys=size[1], flags=self.flags, store=store.kind)
            self._told = told
        return told

    def checked(self, value: object) -> tuple[np.ndarray | Factors, float]:
        """Return rows as this store takes them, and the tolerance of their row sums.

        Raises:
            TypeError: factors for a store of weights or weights for a store of factors, or what holds no weights.
            ValueError: another shape than the site has.
        """
        site, keeps_factors = self.site, isinstance(self.store, VirtualStore)
        name = printable(site.name)
        may_come = (True,) if keeps_factors else (True, False) if isinstance(self.store, DenseStore) else (False,)
        if isinstance(value, Factors) not in may_come:
            expected = "Factors were" if keeps_factors else "an array of weights was"
            raise TypeError(
                f"{name}: {type(value).__name__} came, {expected} expected, as the site keeps "
                f"{self.store.kind!r}. Choose what it keeps with add_site(site, store=...)."
            )
        if isinstance(value, Factors):
            if isinstance(self.store, VirtualStore | DenseStore):
                try:
                    self.store.check(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
            return value, 0.0
        rows, tolerance = as_array(value, name=name)
        if rows.ndim != 3 or 0 in rows.shape or rows.shape[0] != site.n_heads:
            raise ValueError(
                f"{name}: weights of shape {rows.shape} came, [head, query, key] with {site.n_heads} "
                f"head{'s' * (site.n_heads > 1)} and at least one query and key was expected."
            )
        rows.flags.writeable = False  # nobody else holds them, so that a store need not copy them
        return rows, tolerance

    def add(self, rows: np.ndarray | Factors, tolerance: float) -> None:
        """Store rows that were checked and note their flags."""
        first = self.store.n_queries
        self.store.append(rows)
        if isinstance(rows, Factors):
            found = self._flags_of(rows, first)
        else:
            found = find_flags(rows, first_query=first, tolerance=tolerance)
            if tolerance == np.inf:
                found += (Flag("mask", rows.shape[0] * rows.shape[1]),)
            if not self.store.exact:
                found += find_reduced(rows)
        self.flags = merged((*self.flags, *found))

    def add_missing(self, n_rows: int, n_keys: int) -> None:
        """Store rows of NaN for steps in which no attention ran, flagged as missing."""
        first = self.store.n_queries
        self.store.append_missing(n_rows, n_keys)
        places = tuple((-1, first + i, -1) for i in range(min(n_rows, MAX_PLACES)))
        self.flags = merged((*self.flags, Flag("missing", n_rows, places)))

    def _flags_of(self, rows: Factors, first: int) -> tuple[Flag, ...]:
        """Find what is unusual without computing weights, unless there is something that is not a number."""
        n_heads, n_rows, n_keys = rows.shape
        if rows.is_finite:
            return find_empty_rows(rows.visible.blind, n_heads, first_query=first)
        found: list[Flag] = []
        for part in blocks(n_rows, n_heads * n_keys):
            start, stop = first + part.start, first + part.stop
            weights = self.store.read(slice(start, stop))
            found += find_flags(weights, first_query=start, tolerance=np.inf)  # sinks take a share of each row
        return merged(found)
