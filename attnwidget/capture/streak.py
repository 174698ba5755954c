"""Streaks: steps of a decoder that are alike, whose rows are read and appended together, at a fraction of the cost.

One query a site, and one key more than the step before, is what most steps of a decoder with a cache are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from attnwidget.capture.attention import DotProduct
from attnwidget.capture.call import Call
from attnwidget.capture.pieces import Piece, Rows
from attnwidget.capture.sites import Sites

WAIT_S = 0.05  # for which a row may wait at most while others come
MAX_STEPS = 16
_SOON = 8  # of so many steps each comes at once, of the next so many every second one, and so on

Chosen = tuple[str, list[tuple[str, float]]]


class Streak:
    """Steps that are alike, until they are appended.

    Args:
        sites: where their rows go.
    """

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._calls: list[tuple[str, Call]] = []  # of the last step, whose keys include those of the others
        self._queries: list[list[torch.Tensor]] = []  # of each site, one for each step
        self._example, self._begun, self._n_appended = 0, 0.0, 0
        self.chosen: list[Chosen] = []  # tokens that the steps chose, with their candidates; the last may not have yet

    @property
    def n_open(self) -> int:
        """How many steps have not chosen a token yet."""
        return (len(self._queries[0]) if self._queries else 0) - len(self.chosen)

    @property
    def is_due(self) -> bool:
        """Whether it is time to append what there is."""
        if not self.chosen or self.n_open:
            return False
        enough = min(MAX_STEPS, 1 + self._n_appended // _SOON)
        return len(self.chosen) >= enough or time.monotonic() - self._begun >= WAIT_S

    def takes(self, calls: Sequence[tuple[str, Call]], example: int) -> bool:
        """Add the rows of a step if they continue the streak, or begin one.

        Args:
            calls: of the step, with the names of their sites.
            example: which one of the batch.
        """
        if self._calls:
            pairs = zip(calls, self._calls, strict=False)
            alike = len(calls) == len(self._calls) and example == self._example
            if not alike or not all(name == known and _continues(call, last) for (name, call), (known, last) in pairs):
                return False
        elif not calls or not all(self._sites.takes_factors(name) and _may_begin(call) for name, call in calls):
            return False
        else:
            self._example, self._begun, self._queries = example, time.monotonic(), [[] for _ in calls]
        self._calls = list(calls)
        for queries, (_, call) in zip(self._queries, calls, strict=True):
            queries.append(_product(call).query.detach().clone())
        return True

    def drop_open(self) -> None:
        """Leave out the step that has not chosen a token: another one took its place."""
        for queries in self._queries:
            del queries[len(self.chosen) :]

    def flush(self) -> None:
        """Append the steps that chose a token, and begin anew."""
        if self.chosen:
            rows = {
                name: self._rows(name, call, own) for (name, call), own in zip(self._calls, self._queries, strict=True)
            }
            self._sites.extend(rows, self.chosen)
        self._calls, self._queries, self.chosen = [], [], []

    def _rows(self, name: str, call: Call, queries: list[torch.Tensor]) -> Rows:
        product, own = _product(call), slice(self._example, self._example + 1)
        n_keys, count = product.key.shape[2], len(queries)
        whole = replace(
            product,
            query=torch.cat(queries, dim=2)[own],
            key=product.key if len(product.key) == 1 else product.key[own],
            diagonal=n_keys - count,
        )
        first = None if call.first_query is None else call.first_query - count + 1
        return Rows([(Piece(call.key, name, 0, whole, call.cross, call.causal, first, 0, n_keys), count)])


def _may_begin(call: Call) -> bool:
    """Tell whether a call has one row that sees all keys there are."""
    product = call.attention
    return (
        isinstance(product, DotProduct)
        and product.mask is None
        and product.diagonal is None
        and product.sinks is None
        and product.query.shape[2] == 1
        and call.first_key == 0
        and call.n_keys in (None, product.key.shape[2])
    )


def _continues(call: Call, last: Call) -> bool:
    """Tell whether a call is like the last one, with one key more."""
    if not _may_begin(call):
        return False
    product, before = _product(call), _product(last)
    return (
        product.query.shape == before.query.shape
        and product.query.dtype == before.query.dtype
        and product.key.shape[2] == before.key.shape[2] + 1
        and product.scale == before.scale
        and product.softcap == before.softcap
        and (call.first_query is None) == (last.first_query is None)
    )


def _product(call: Call) -> DotProduct:
    assert isinstance(call.attention, DotProduct)
    return call.attention
