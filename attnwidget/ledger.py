"""The ledger of a trace: strips, sites with their stores, steps. What enters a trace is checked here, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any

import numpy as np

from attnwidget.architecture import Architecture, Module
from attnwidget.checks import as_probability, as_tolerance
from attnwidget.outline import Beam, Candidate, Flag, Site, Status, Step, StoreKind, printable
from attnwidget.records import Record
from attnwidget.stores import STORES, Factors, Store
from attnwidget.strips import CONTEXT, SOURCE, STRIPS_OF, TARGET, Strips
from attnwidget.tokens import Tokens, TokensLike

__all__ = ["CONTEXT", "SOURCE", "STRIPS_OF", "TARGET", "Cursor", "Ledger"]

MAX_COUNT = 1 << 16  # of layers, and of heads of a site
Network = Architecture | Module | Callable[[], Module]  # what is called takes time, which only a diagram is worth


@dataclass(frozen=True)
class Cursor:
    """How far a trace had grown: what came after it is the difference between two of them."""

    n_steps: int = 0
    n_tokens: Mapping[str, int] = field(default_factory=dict)
    n_queries: Mapping[str, int] = field(default_factory=dict)
    n_keys: Mapping[str, int] = field(default_factory=dict)
    status: Status = "empty"
    n_drawn: int = 0  # changes of what its diagram is made of


class Ledger:
    """Append-only; a call that raises has changed nothing."""

    def __init__(self) -> None:
        self.strips = Strips()
        self.records: dict[str, Record] = {}
        self.steps: list[Step] = []
        self.beams: tuple[Beam, ...] = ()
        self.status: Status = "empty"
        self.network: Network | None = None  # what its diagram is made of, beside its sites
        self.n_drawn = 0

    @property
    def cursor(self) -> Cursor:
        """How far it has grown."""
        return Cursor(
            len(self.steps),
            {name: len(texts) for name, texts in self.strips.texts.items()},
            {name: record.store.n_queries for name, record in self.records.items()},
            {name: record.store.n_keys for name, record in self.records.items()},
            self.status,
            self.n_drawn,
        )

    def find(self, site: str | int | Site) -> Record:
        """Return the record of a site, given by itself, by name or by position."""
        name = site.name if isinstance(site, Site) else site
        if isinstance(name, int):
            names = list(self.records)
            if not -len(names) <= name < len(names):
                raise KeyError(f"site {name} was asked for, the trace has {len(names)} sites.")
            name = names[name]
        if name not in self.records:
            raise KeyError(
                f"site {name!r} was asked for, the trace has {', '.join(map(repr, self.records)) or 'none'}."
            )
        return self.records[name]

    def set_tokens(self, strip: str, tokens: TokensLike) -> None:
        """Set a strip that is still empty, or a new one."""
        self.strips.set(strip, tokens)

    def add_site(self, site: Site, store: StoreKind, tolerance: float | None = None) -> None:
        """Add a site that has no weights yet, which are to be kept in this way."""
        if not isinstance(site.name, str) or site.kind not in STRIPS_OF:
            raise ValueError(
                f"site {site.name!r} has kind {site.kind!r}, a name and one of {', '.join(STRIPS_OF)} were expected."
            )
        if site.name in self.records:
            raise ValueError(f"site {site.name!r} exists already; names of sites are unique in a trace.")
        if store not in STORES:
            raise ValueError(f"site {site.name!r}: store {store!r} came, one of {', '.join(STORES)} was expected.")
        layer, n_heads = index(site.layer), index(site.n_heads)
        if not (1 <= n_heads <= MAX_COUNT and 0 <= layer < MAX_COUNT):
            raise ValueError(
                f"site {site.name!r} has layer {layer} and {n_heads} heads; layers start at 0, heads at 1, and of "
                f"neither there are more than {MAX_COUNT:,}."
            )
        tolerance = None if tolerance is None else as_tolerance(tolerance)
        self.strips.open(site.query, site.key, site=site.name)
        empty = replace(site, layer=layer, n_heads=n_heads)
        self.records[site.name] = Record(empty, STORES[store](n_heads), tolerance=tolerance)
        self.n_drawn += 1

    def set_network(self, network: Network) -> None:
        """Say what the diagram is made of, or what it is."""
        self.network = network
        self.n_drawn += 1

    def append(
        self,
        weights: Mapping[str, object],
        chosen: Sequence[tuple[str, Iterable[tuple[str, float]]]],
        tolerance: float | None,
    ) -> None:
        """Add rows, and the steps that they chose, each a token with its candidates. See `Trace.extend`."""
        if self.status in ("complete", "stopped"):
            raise ValueError(f"this trace is {self.status}, nothing can be added. Make a new Trace for another run.")
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights: {type(weights).__name__} came, a mapping from names of sites was expected.")
        tolerance = None if tolerance is None else as_tolerance(tolerance)
        steps = [self._checked_step(len(self.steps) + i, *it) for i, it in enumerate(chosen)]
        if steps and not self.records:
            raise ValueError(f"step {steps[0].index} has no weights, and the trace has no site to expect them from.")
        checked = [(record := self.find(name), *self._checked(record, value, steps)) for name, value in weights.items()]
        with_rows = {record.site.name for record, _, _ in checked}
        if len(with_rows) < len(checked):
            raise ValueError(f"weights: {', '.join(map(repr, weights))} name one site twice.")
        for record, rows, _ in checked:
            if record.site.key == CONTEXT:
                n_before = steps[0].index if steps else record.store.n_queries
                self.strips.learn_n_read(record.site.query, n_before + rows.shape[1], rows.shape[2])
        if steps:
            self._add_steps(steps, with_rows)
        for record, rows, own_tolerance in checked:
            of_site = own_tolerance if record.tolerance is None else record.tolerance
            record.add(rows, of_site if tolerance is None else tolerance)
        for record in self.records.values():
            self._name_unnamed(record)
        self.status = "recording"

    def restore(self, site: Site, store: Store, flags: Iterable[Flag]) -> None:
        """Add a site whole, as a file holds it; its flags were found when it was recorded."""
        self.add_site(site, store.kind)
        record = self.records[site.name]
        record.store, n_queries, n_keys = store, store.n_queries, store.n_keys
        if n_queries:
            self._check_counts(site, n_queries, n_keys)
        for axis, count, strip in (("queries", n_queries, site.query), ("keys", n_keys, site.key)):
            if count > len(self.strips.texts[strip]):
                raise ValueError(_count_error(site, axis, count, strip, self.strips.tokens(strip)))
        record.flags = tuple(flags)

    def restore_steps(self, steps: Iterable[tuple[str, Sequence[tuple[str, float]]]]) -> None:
        """Add the steps of a file, whose weights are there already; there may be very many."""
        for place, (token, pairs) in enumerate(steps, len(self.steps)):
            if type(token) is not str or any(type(text) is not str for text, _ in pairs):
                raise TypeError(f"step {place}: a token that is no string came.")
            if all(type(it) is float and 0 <= it <= 1 for _, it in pairs):
                found = tuple([Candidate(text, it) for text, it in pairs])
            else:
                found = tuple(Candidate(text, as_probability(it, name=f"step {place}")) for text, it in pairs)
            self.steps.append(Step(place, token, found, self.strips.position(place)))
        if TARGET in self.strips.known and len(self.steps) > len(self.strips.texts[TARGET]):
            raise ValueError(f"{len(self.steps)} steps came for a target of {len(self.strips.texts[TARGET])} tokens.")

    def finish(self, status: Status) -> None:
        """Close the ledger; a complete one must fit the strips that were known beforehand."""
        if status not in ("complete", "stopped"):
            raise ValueError(f"status {status!r} came, 'complete' or 'stopped' was expected.")
        if status == "complete":
            for record in self.records.values():
                strip, n_queries = record.site.query, record.store.n_queries
                n_tokens = len(self.strips.texts[strip])
                if strip in self.strips.known and n_queries not in (0, n_tokens):
                    raise ValueError(_count_error(record.site, "queries", n_queries, strip, self.strips.tokens(strip)))
            if not self.steps and any(record.site.query == TARGET for record in self.records.values()):
                self.restore_steps((token, ()) for token in self.strips.texts[TARGET])  # rows that came as one matrix
        self.status = status

    def _checked_step(self, index: int, token: str, candidates: Iterable[tuple[str, float]]) -> Step:
        (text,) = Tokens.of([token], strip=f"step {index}")
        n_tokens = len(self.strips.texts[TARGET])
        if TARGET in self.strips.known and index >= n_tokens:
            raise ValueError(f"step {index} came, but strip 'target' was given with {n_tokens} tokens.")
        pairs: list[Any] = list(candidates)
        for rank, pair in enumerate(pairs):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                name = f"step {index}, candidate {rank}"
                raise TypeError(f"{name}: {type(pair).__name__} came, a pair (token, probability) was expected.")
        texts = Tokens.of([other for other, _ in pairs], strip=f"step {index}, candidates")
        numbers = [as_probability(it, name=f"step {index}, candidate {i}") for i, (_, it) in enumerate(pairs)]
        return Step(index, text, tuple(map(Candidate, texts, numbers)))

    def _checked(self, record: Record, value: object, steps: Sequence[Step]) -> tuple[np.ndarray | Factors, float]:
        site = record.site
        rows, tolerance = record.checked(value)
        _, n_new, n_keys = rows.shape
        if steps and site.query == TARGET and n_new != len(steps):
            raise ValueError(f"{printable(site.name)}: {n_new} queries came with {_span(steps)} was expected.")
        self._check_counts(site, record.store.n_queries + n_new, n_keys)
        return rows, tolerance

    def _check_counts(self, site: Site, n_queries: int, n_keys: int) -> None:
        """Hold rows against strips that are known."""
        strips = self.strips
        if site.key in strips.known and n_keys != len(strips.texts[site.key]):
            raise ValueError(_count_error(site, "keys", n_keys, site.key, strips.tokens(site.key)))
        if site.query in strips.known and n_queries > len(strips.texts[site.query]):
            raise ValueError(_count_error(site, "queries", n_queries, site.query, strips.tokens(site.query)))

    def _placed(self, step: Step) -> Step:
        return replace(step, position=self.strips.position(step.index))

    def _add_steps(self, steps: Sequence[Step], with_rows: set[str]) -> None:
        """Add steps; sites of the decoder that did not run in them, or in earlier ones, get rows flagged as missing."""
        self.steps.extend(map(self._placed, steps))
        if TARGET not in self.strips.known:
            self.strips.texts[TARGET].extend(step.token for step in steps)
        for record in self.records.values():
            if record.site.query == TARGET:
                end = steps[0].index if record.site.name in with_rows else steps[-1].index + 1
                due = end - record.store.n_queries
                if due > 0:
                    n_seen = self.strips.n_seen(record.site.key, end - 1)
                    record.add_missing(due, max(record.store.n_keys, n_seen))

    def _name_unnamed(self, record: Record) -> None:
        """Name the tokens of strips that nobody named; what is in the context is named after the target."""
        self.strips.name_up_to(record.site.query, record.store.n_queries)
        self.strips.name_up_to(record.site.key, record.store.n_keys)


def _span(steps: Sequence[Step]) -> str:
    first, last = steps[0].index, steps[-1].index
    return f"step {first}, one" if first == last else f"steps {first} to {last}, one for each"


def _count_error(site: Site, axis: str, count: int, strip: str, tokens: Tokens) -> str:
    if tokens.scene is not None:
        return (
            f"{printable(site.name)}: weights have {count} {axis} but strip {strip!r} has {len(tokens)} tokens, "
            f"{tokens.scene}. Give the grid that the model cuts its input into, and name tokens that stand beside "
            "it with before=."
        )
    is_block = 1 < count < len(tokens) and len(tokens) % count == 0
    return (
        f"{printable(site.name)}: weights have {count} {axis} but strip {strip!r} has {len(tokens)} tokens. "
        "Was padding or a start token left out, is the matrix transposed, or are source and target swapped?"
        + f" Does it attend in blocks of {count}? Name the tokens of one block."
        * is_block
    )
