"""Streaks: steps of a decoder that are alike, whose rows are read and appended together, at a fraction of the cost.

One query a site, and one key more than the step before, is what most steps of a decoder with a cache are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from attnwidget.capture.attention import DotProduct, copied
from attnwidget.capture.call import Call
from attnwidget.capture.factors import as_numpy
from attnwidget.capture.sites import Sites
from attnwidget.stores import Factors, Visible

WAIT_S, UNSEEN_S = 0.05, 0.25  # for which a row may wait at most while others come; where nobody looks on, for longer
MAX_STEPS, UNSEEN_STEPS = 16, 64
_SOON = 4  # of so many steps each comes at once, of the next so many every second one, and so on

Chosen = tuple[str, list[tuple[str, float]]]


class Streak:
    """Steps that are alike, until they are appended.

    Args:
        sites: where their rows go.
    """

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._like: list[_Like] = []  # of each site, what all steps have in common
        self._rows: list[list[tuple[torch.Tensor, torch.Tensor]]] = []  # of each site and step, its query and its key
        self._example, self._begun, self._n_appended = 0, 0.0, 0
        self.chosen: list[Chosen] = []  # tokens that the steps chose, with their candidates; the last may not have yet

    @property
    def n_open(self) -> int:
        """How many steps have not chosen a token yet."""
        return (len(self._rows[0]) if self._rows else 0) - len(self.chosen)

    @property
    def is_due(self) -> bool:
        """Whether it is time to append what there is."""
        if not self.chosen or self.n_open:
            return False
        is_seen = self._sites.is_seen
        enough = min(MAX_STEPS, 1 + self._n_appended // _SOON) if is_seen else UNSEEN_STEPS
        return len(self.chosen) >= enough or time.monotonic() - self._begun >= (WAIT_S if is_seen else UNSEEN_S)

    def takes(self, calls: Sequence[tuple[str, Call]], example: int) -> bool:
        """Add the rows of a step if they continue the streak, or begin one.

        Args:
            calls: of the step, with the names of their sites.
            example: which one of the batch.
        """
        if not self._like:
            likes = [self._beginning(name, call) for name, call in calls]
            if not calls or None in likes:
                return False
            self._like = [like for like in likes if like is not None]
            self._rows = [[] for _ in calls]
            self._example, self._begun = example, time.monotonic()
        n_steps, own = len(self._rows[0]), slice(example, example + 1)
        alike = len(calls) == len(self._like) and example == self._example
        if not alike or not all(like.fits(*it, n_steps) for like, it in zip(self._like, calls, strict=True)):
            return False
        for rows, (_, call) in zip(self._rows, calls, strict=True):
            product = _product(call)
            query, key = (it if len(it) == 1 else it[own] for it in (product.query, product.key))
            rows.append((copied(query), copied(key[:, :, -1:])))
        return True

    def drop_open(self) -> None:
        """Leave out the step that has not chosen a token: another one took its place."""
        for rows in self._rows:
            del rows[len(self.chosen) :]

    def flush(self) -> None:
        """Append the steps that chose a token, and begin anew."""
        if self.chosen:
            count = len(self.chosen)
            both = zip(self._like, self._rows, strict=True)
            self._sites.extend({like.name: like.factors(rows[:count]) for like, rows in both}, self.chosen)
            self._n_appended += count
        self._like, self._rows, self.chosen = [], [], []

    def _beginning(self, name: str, call: Call) -> _Like | None:
        """Return what a streak that begins with this call has in common; None where none can begin."""
        product = call.attention
        if not isinstance(product, DotProduct) or not self._sites.takes_factors(name, n_keys=product.shape[3] - 1):
            return None
        return _Like(
            name,
            product.query.shape,
            product.query.dtype,
            product.scale,
            product.softcap,
            call.first_query,
            product.shape[3],
        )


@dataclass(frozen=True)
class _Like:
    """What the steps of a streak have in common at a site.

    Args:
        name: of the site.
        shape: of a query.
        dtype: of a query.
        scale, softcap: as in `DotProduct`.
        first_query: position of the first query; None where nobody knows.
        n_keys: that it sees.
    """

    name: str
    shape: torch.Size
    dtype: torch.dtype
    scale: float
    softcap: float | None
    first_query: int | None
    n_keys: int

    def fits(self, name: str, call: Call, n_steps: int) -> bool:
        """Tell whether a call is the row that follows `n_steps` others."""
        product = call.attention
        return (
            name == self.name
            and isinstance(product, DotProduct)
            and product.mask is None
            and product.diagonal is None
            and product.sinks is None
            and product.query.shape == self.shape
            and self.shape[2] == 1
            and product.query.dtype == self.dtype
            and product.key.shape[2] == self.n_keys + n_steps
            and (product.scale, product.softcap) == (self.scale, self.softcap)
            and call.first_key == 0
            and call.n_keys in (None, product.key.shape[2])
            and (call.first_query is None) == (self.first_query is None)
        )

    def factors(self, rows: list[tuple[torch.Tensor, torch.Tensor]]) -> Factors:
        """Return rows as a store takes them, each with the keys up to its own."""
        ends = self.n_keys + np.arange(len(rows))
        queries, keys = (as_numpy(torch.cat(parts, dim=2)[0], is_own=True) for parts in zip(*rows, strict=True))
        visible = Visible(np.zeros(len(rows)), ends)
        first = 0 if self.first_query is None else self.first_query
        return Factors(queries, keys, visible, self.scale, self.n_keys - 1, first, self.softcap)


def _product(call: Call) -> DotProduct:
    assert isinstance(call.attention, DotProduct)
    return call.attention
