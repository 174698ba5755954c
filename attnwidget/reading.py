"""What can be read of a trace: tokens, sites, steps, weights, and what is summed up of these."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from operator import index
from typing import Literal

import numpy as np

from attnwidget import analysis
from attnwidget.architecture import Architecture, architecture_of
from attnwidget.checks import as_indices
from attnwidget.heads import STATISTICS, Head, Heads
from attnwidget.late import Late
from attnwidget.ledger import SOURCE, TARGET, Cursor
from attnwidget.outline import Beam, Flag, Site, Status, Step, brief, merged
from attnwidget.survey import Survey
from attnwidget.terms import Terms, Why, why
from attnwidget.tokens import Tokens


class Reading(Late):
    """The reading half of `Trace`.

    Args:
        title: a short name, shown above the picture.

    `edits` says in words what was changed while the model ran, in the order in which it was applied.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.edits: tuple[str, ...] = ()
        self._survey = Survey(self._ledger, self.lock)
        self._drawn: tuple[object, Architecture] = (None, Architecture())

    def __repr__(self) -> str:
        with self.lock:
            n_source, n_target = (len(self.ledger.strips.texts[strip]) for strip in (SOURCE, TARGET))
            kinds = dict.fromkeys(site.store for site in self.sites)
            parts = (
                self.status,
                f"{n_source} source and {n_target} target tokens",
                f"{len(self.sites)} site{'s' * (len(self.sites) != 1)}",
                f"{len(self.steps)} step{'s' * (len(self.steps) != 1)}",
                *([" and ".join(kinds)] if kinds else []),
                f"{self.n_bytes / 1e6:.1f} MB",
            )
        name = f"Trace {brief(self.title)!r}" if self.title else "Trace"
        return f"{name}: {', '.join(parts)}"

    @property
    def survey(self) -> Survey:
        """All heads at a glance."""
        self._catch_up()
        return self._survey

    @property
    def status(self) -> Status:
        """ "empty" before the first weights, "recording", then "complete" or, after an exception, "stopped"."""
        return self.ledger.status

    @property
    def tokens(self) -> dict[str, Tokens]:
        """The strips by name: "source", "target", and others that were named."""
        with self.lock:
            return {name: self.ledger.strips.tokens(name) for name in self.ledger.strips.texts}

    @property
    def n_tokens(self) -> dict[str, int]:
        """How many tokens each strip has."""
        with self.lock:
            return {name: len(texts) for name, texts in self.ledger.strips.texts.items()}

    @property
    def sites(self) -> tuple[Site, ...]:
        """The places where weights were taken, in the order in which they appeared."""
        with self.lock:
            return tuple(record.current for record in self.ledger.records.values())

    @property
    def steps(self) -> tuple[Step, ...]:
        """The decoder steps so far."""
        with self.lock:
            return tuple(self.ledger.steps)

    @property
    def beams(self) -> tuple[Beam, ...]:
        """What a beam search kept, parents first; empty where there was none."""
        with self.lock:
            return self.ledger.beams

    @property
    def architecture(self) -> Architecture:
        """The diagram of the network: made of its modules around the sites, or where nobody knows them of the sites."""
        with self.lock:
            network, strips = self.ledger.network, self.ledger.strips.texts
            if isinstance(network, Architecture):
                return network
            sites, named = self.sites, [name for name, texts in strips.items() if texts]
            made_of = self.ledger.n_drawn, named, [any(flag.kind == "mask" for flag in site.flags) for site in sites]
            if self._drawn[0] != made_of:
                modules = network() if callable(network) else network
                self._drawn = made_of, architecture_of(modules, sites, named)
            return self._drawn[1]

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is unusual in any site, each kind once."""
        return merged(flag for site in self.sites for flag in site.flags)

    @property
    def cursor(self) -> Cursor:
        """How far the trace has grown."""
        with self.lock:
            return self.ledger.cursor

    @property
    def n_bytes(self) -> int:
        """Bytes that the weights of all sites take, or what is kept instead of them."""
        with self.lock:
            return sum(record.store.n_bytes for record in self.ledger.records.values())

    def weights(
        self,
        site: str | int | Site = 0,
        head: int | Literal["mean"] | None = None,
        queries: slice | Sequence[int] = slice(None),
        keys: slice | Sequence[int] = slice(None),
    ) -> np.ndarray:
        """Return recorded weights.

        Args:
            site: a site, its name, or its position in `sites`.
            head: one head, "mean" for the mean over heads, or None for all of them.
            queries: which rows, as a slice or a list of indices.
            keys: which columns, likewise.

        Returns:
            float32 [head, query, key], a copy; without the first axis where `head` is given. Rows sum to 1 over key
            where the model's do. Rows of steps without weights are NaN. Of a site that is "reduced", only the largest
            weights of each row are there; of one that keeps "qk", what was asked for is computed now.

        Raises:
            KeyError: no such site.
            IndexError: no such head, query or key.
            TypeError: what came are no indices.
        """
        with self.lock:
            record = self.ledger.find(site)
            rows, columns = as_indices(queries, name="queries"), as_indices(keys, name="keys")
            array = record.store.read(rows, columns, heads=slice(None) if head is None or head == "mean" else head)
        return analysis.mean(array) if head == "mean" else array

    def strength(self, site: str | int | Site = 0, head: int | Literal["mean"] | None = None) -> np.ndarray:
        """Return how much attention each key received so far: the sum of its weights over the queries.

        Returns:
            float32 [head, key], dimensionless; [key] where `head` is given. See `analysis.strength`.
        """
        with self.lock:
            store = self.ledger.find(site).store
            sums = store.column_sums(slice(None) if head is None or head == "mean" else head)
        return analysis.mean(sums[:, None])[0] if head == "mean" else sums

    def why(self, site: str | int | Site, head: int, query: int, key: int) -> Why:
        """Return why a weight is what it is: what was recorded of the way to it, and what that comes to.

        Args:
            site: a site, its name, or its position in `sites`.
            head, query, key: the cell.

        Raises:
            KeyError: no such site.
            IndexError: no such head, query or key.
            TypeError: what came are no indices.
        """
        with self.lock:
            store = self.ledger.find(site).store
            row, column = as_indices([query], name="query"), as_indices([key], name="key")
            recorded = float(store.read(row, column, heads=head)[0, 0])
            return why(self.terms(site, head % store.n_heads, query % store.n_queries), key % store.n_keys, recorded)

    def terms(self, site: str | int | Site, head: int, query: int) -> Terms | None:
        """Return what the weights of one row of one head came of, or None where that was not recorded.

        Raises:
            KeyError: no such site.
        """
        with self.lock:
            return self.ledger.find(site).terms(head, query)

    def overview(
        self, site: str | int | Site = 0, head: int | Literal["mean"] = "mean", size: int = 256
    ) -> tuple[np.ndarray, int]:
        """Return a small picture of one head: the largest weight of each square of weights.

        Args:
            site: a site, its name, or its position in `sites`.
            head: one head, or "mean" for the mean over heads.
            size: how many squares there may be along an axis.

        Returns:
            float32 [query // side, key // side], rounded up, and the side of a square, a power of 2.

        Raises:
            KeyError: no such site.
            IndexError: no such head.
            ValueError: a size below 1.
        """
        if not index(size) >= 1:
            raise ValueError(f"size: {size} came, at least 1 was expected.")
        with self.lock:
            return self.ledger.find(site).store.overview(None if head == "mean" else head, size)

    def heads(self, site: str | int | Site | None = None, *, sort: str | None = None) -> Heads:
        """Return what kind of head each is: `print(trace.heads(sort="induction"))` is a table, the most so first.

        Args:
            site: a site, its name, or its position in `sites`; all of them by default.
            sort: one of "entropy", "distance", "previous", "first", "diagonal" and "induction"; by default heads stand
                in the order of sites. `heads.Head` says what they are.

        Raises:
            KeyError: no such site.
            ValueError: no such statistic.
        """
        with self.lock:
            records = list(self.ledger.records.values()) if site is None else [self.ledger.find(site)]
        found = []
        for record in records:
            glance = self.survey.glance(record.site.name, range(record.site.n_heads), 0)
            rows = zip(*(glance.statistics[name].tolist() for name in STATISTICS), strict=True)
            found += [Head(record.site.name, head, *values) for head, values in zip(glance.heads, rows, strict=True)]
        return Heads(found) if sort is None else Heads(found).by(sort)

    def digest(self, site: str | int | Site = 0, head: int = 0) -> int:
        """Return the CRC-32 of one head's weights, as little-endian float32 [query, key]: equal means complete."""
        return zlib.crc32(self.weights(site, head).astype("<f4").tobytes())
