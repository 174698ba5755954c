"""What weights came of, as the wire carries it: one row of one head at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attnwidget.outline import Site
from attnwidget.terms import Terms
from attnwidget.trace import Trace
from attnwidget.wire import MEAN, ArrayData, TermsData

ALL = -1  # the query that stands for all of a head
_NOTHING = Terms(np.zeros((1, 1, 0), np.float32))  # what a row is said to come of where that was not recorded
Name = Literal["scores", "query", "keys", "pairs", "vector", "bias"]


@dataclass(frozen=True, eq=False)
class Explained:
    """The terms of one row of one head; None where there are none."""

    site: int
    head: int
    query: int
    terms: Terms | None

    def arrays(self) -> list[tuple[Name, np.ndarray]]:
        """Return its arrays without the axes of the head and the query."""
        if self.terms is None:
            return []
        terms = self.terms
        found: list[tuple[Name, np.ndarray | None]] = [
            ("scores", terms.scores[0, 0]),
            ("query", None if terms.queries is None else terms.queries[0, 0]),
            ("keys", None if terms.keys is None else terms.keys[0]),
            ("pairs", None if terms.pairs is None else terms.pairs[0, 0]),
            ("vector", terms.vector),
            ("bias", None if terms.bias is None else terms.bias[0, 0]),
        ]
        return [(name, array) for name, array in found if array is not None]


def explained(trace: Trace, site: int, head: int, query: int) -> Explained:
    """Return what the weights of a row came of."""
    return Explained(site, head, query, trace.terms(site, head, query))


def of_interest(trace: Trace, site: int, head: int, n_bytes: int) -> Iterator[Explained]:
    """Yield the rows of the selected head, then those of other heads and sites, until they take `n_bytes`.

    A head of which nothing was recorded is one row, ALL.
    """
    with trace.lock:
        sites = trace.sites
        silent = {index for index, it in enumerate(sites) if it.n_queries and not trace.ledger.find(index).tells(0)}
    for index, one in _by_interest(sites, site, head):
        if 4 * sites[index].n_keys > n_bytes:
            continue  # its scores alone would not fit
        if index in silent:
            yield Explained(index, one, ALL, None)
            continue
        for query in range(sites[index].n_queries):
            found = explained(trace, index, one, query)
            if found.terms is None:
                if not query:
                    yield Explained(index, one, ALL, None)
                break
            n_bytes -= sum(4 * array.size for _, array in found.arrays())
            if n_bytes < 0:
                return
            yield found


def _by_interest(sites: Sequence[Site], site: int, head: int) -> Iterator[tuple[int, int]]:
    """Yield site and head, the selected ones first."""
    if sites and head != MEAN:
        yield site, head
    for index in sorted(range(len(sites)), key=lambda i: i != site):
        yield from ((index, one) for one in range(sites[index].n_heads) if (index, one) != (site, head))


def pack_terms(found: Explained, offset: int) -> tuple[TermsData, bytes]:
    """Return what the header says of a row, and its numbers.

    Args:
        found: the row.
        offset: where its numbers will begin.
    """
    parts, arrays = [], []
    for name, array in found.arrays():
        data = np.ascontiguousarray(array, "<f4").tobytes()
        arrays.append(ArrayData(name=name, shape=list(array.shape), offset=offset))
        parts.append(data)
        offset += len(data)
    terms = found.terms or _NOTHING
    said = TermsData(
        site=found.site,
        head=found.head,
        query=found.query,
        form=terms.form,
        scale=float(terms.scale),
        softcap=terms.softcap,
        sink=None if terms.sinks is None else float(terms.sinks[0]),
        arrays=arrays,
    )
    return said, b"".join(parts)
