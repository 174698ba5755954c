"""The ledger of a trace: strips, sites with their stores, steps. What enters a trace is checked here, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import index

import numpy as np

from attnwidget.checks import as_array, as_probability, find_flags
from attnwidget.outline import MAX_PLACES, Candidate, Flag, Kind, Site, Status, Step, merged
from attnwidget.stores import DenseStore
from attnwidget.tokens import Tokens

SOURCE, TARGET = "source", "target"
STRIPS_OF: dict[Kind, tuple[str, str]] = {
    "encoder": (SOURCE, SOURCE),
    "decoder": (TARGET, TARGET),
    "cross": (TARGET, SOURCE),
}


@dataclass(frozen=True)
class Cursor:
    """How far a trace had grown: what came after it is the difference between two of them."""

    n_steps: int = 0
    n_tokens: Mapping[str, int] = field(default_factory=dict)
    n_queries: Mapping[str, int] = field(default_factory=dict)
    n_keys: Mapping[str, int] = field(default_factory=dict)
    status: Status = "empty"


@dataclass
class Record:
    """A site with its weights and what is unusual in them."""

    site: Site
    store: DenseStore
    flags: tuple[Flag, ...] = ()

    @property
    def current(self) -> Site:
        """The site with its present size and flags."""
        return replace(self.site, n_queries=self.store.n_queries, n_keys=self.store.n_keys, flags=self.flags)

    def add(self, rows: np.ndarray, tolerance: float) -> None:
        """Store checked rows, float32 [head, query, key], and note their flags."""
        first = self.store.n_queries
        self.store.append(rows)
        self.flags = merged((*self.flags, *find_flags(rows, first_query=first, tolerance=tolerance)))

    def add_missing(self, n_rows: int, n_keys: int) -> None:
        """Store rows of NaN for steps in which no attention ran, flagged as missing."""
        first = self.store.n_queries
        self.store.append(np.full((self.site.n_heads, n_rows, n_keys), np.nan, np.float32))
        places = tuple((-1, first + i, -1) for i in range(min(n_rows, MAX_PLACES)))
        self.flags = merged((*self.flags, Flag("missing", n_rows, places)))


class Ledger:
    """Append-only; a call that raises has changed nothing."""

    def __init__(self) -> None:
        self.strips: dict[str, list[str]] = {SOURCE: [], TARGET: []}
        self.records: dict[str, Record] = {}
        self.steps: list[Step] = []
        self.status: Status = "empty"
        self.known: set[str] = set()  # strips that were given whole, so that rows can be held against them

    @property
    def cursor(self) -> Cursor:
        """How far it has grown."""
        return Cursor(
            len(self.steps),
            {name: len(texts) for name, texts in self.strips.items()},
            {name: record.store.n_queries for name, record in self.records.items()},
            {name: record.store.n_keys for name, record in self.records.items()},
            self.status,
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

    def set_tokens(self, strip: str, tokens: Tokens | Sequence[str]) -> None:
        """Set a strip that is still empty."""
        if strip not in self.strips:
            raise ValueError(f"strip {strip!r} was named, 'source' or 'target' was expected.")
        texts = Tokens.of(tokens, strip=strip).texts
        if not texts:
            raise ValueError(f"{strip}: no tokens came, at least one was expected.")
        if self.strips[strip]:
            raise ValueError(f"{strip}: it has {len(self.strips[strip])} tokens already. Make a new Trace.")
        self.strips[strip] = list(texts)
        self.known.add(strip)

    def add_site(self, site: Site) -> None:
        """Add a site that has no weights yet."""
        if not isinstance(site.name, str) or site.kind not in STRIPS_OF:
            raise ValueError(
                f"site {site.name!r} has kind {site.kind!r}, a name and one of {', '.join(STRIPS_OF)} were expected."
            )
        if site.name in self.records:
            raise ValueError(f"site {site.name!r} exists already; names of sites are unique in a trace.")
        for strip in (site.query, site.key):
            if strip not in self.strips:
                raise ValueError(f"site {site.name!r} counts strip {strip!r}, 'source' or 'target' was expected.")
        layer, n_heads = index(site.layer), index(site.n_heads)
        if n_heads < 1 or layer < 0:
            raise ValueError(
                f"site {site.name!r} has layer {layer} and {n_heads} heads; layers start at 0, heads at 1."
            )
        empty = replace(site, layer=layer, n_heads=n_heads, n_queries=0, n_keys=0, flags=())
        self.records[site.name] = Record(empty, DenseStore(n_heads))

    def append(
        self,
        weights: Mapping[str, object],
        token: str | None,
        candidates: Iterable[tuple[str, float]],
        tolerance: float | None,
    ) -> None:
        """Add rows, and with `token` the step that they chose. See `Trace.append`."""
        if self.status in ("complete", "stopped"):
            raise ValueError(f"this trace is {self.status}, nothing can be added. Make a new Trace for another run.")
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights: {type(weights).__name__} came, a mapping from names of sites was expected.")
        if tolerance is not None and not float(tolerance) >= 0:
            raise ValueError(f"tolerance: {tolerance} came, a number of at least 0 was expected.")
        step = None if token is None else self._checked_step(token, candidates)
        if step is not None and not self.records:
            raise ValueError(f"step {step.index} has no weights, and the trace has no site to expect them from.")
        checked = [(record := self.find(name), *self._checked(record, value, step)) for name, value in weights.items()]
        with_rows = {record.site.name for record, _, _ in checked}
        if len(with_rows) < len(checked):
            raise ValueError(f"weights: {', '.join(map(repr, weights))} name one site twice.")
        if step is not None:
            self._add_step(step, with_rows)
        for record, rows, own_tolerance in checked:
            record.add(rows, own_tolerance if tolerance is None else float(tolerance))
        for record in self.records.values():
            self._name_unnamed(record)
        self.status = "recording"

    def restore_strips(self, strips: Mapping[str, Sequence[str]], known: Iterable[str]) -> None:
        """Set both strips as a file holds them."""
        for strip in self.strips:
            self.strips[strip] = list(Tokens.of(strips[strip], strip=strip))
        self.known = {strip for strip in known if self.strips[strip]}

    def restore(self, site: Site, weights: np.ndarray, flags: Iterable[Flag]) -> None:
        """Add a site whole, as a file holds it; its flags were found when it was recorded."""
        self.add_site(site)
        record = self.records[site.name]
        if weights.size:
            record.store.append(self._checked(record, weights, None)[0])
        n_queries, n_keys = record.store.n_queries, record.store.n_keys
        for axis, count, strip in (("queries", n_queries, site.query), ("keys", n_keys, site.key)):
            if count > len(self.strips[strip]):
                raise ValueError(_count_error(site, axis, count, strip, len(self.strips[strip])))
        record.flags = tuple(flags)

    def restore_steps(self, steps: Iterable[tuple[str, Iterable[tuple[str, float]]]]) -> None:
        """Add the steps of a file, whose weights are there already."""
        for token, candidates in steps:
            self.steps.append(self._checked_step(token, candidates))

    def finish(self, status: Status) -> None:
        """Close the ledger; a complete one must fit the strips that were known beforehand."""
        if status not in ("complete", "stopped"):
            raise ValueError(f"status {status!r} came, 'complete' or 'stopped' was expected.")
        if status == "complete":
            for record in self.records.values():
                strip, n_queries = record.site.query, record.store.n_queries
                if strip in self.known and n_queries not in (0, len(self.strips[strip])):
                    raise ValueError(_count_error(record.site, "queries", n_queries, strip, len(self.strips[strip])))
            if not self.steps and any(record.site.query == TARGET for record in self.records.values()):
                self.restore_steps((token, ()) for token in self.strips[TARGET])  # rows that came as one matrix
        self.status = status

    def _checked_step(self, token: str, candidates: Iterable[tuple[str, float]]) -> Step:
        index = len(self.steps)
        (text,) = Tokens.of([token], strip=f"step {index}")
        if TARGET in self.known and index >= len(self.strips[TARGET]):
            raise ValueError(f"step {index} came, but strip 'target' was given with {len(self.strips[TARGET])} tokens.")
        checked = []
        for rank, pair in enumerate(candidates):
            name = f"step {index}, candidate {rank}"
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"{name}: {type(pair).__name__} came, a pair (token, probability) was expected.")
            (other,) = Tokens.of([pair[0]], strip=name)
            checked.append(Candidate(other, as_probability(pair[1], name=name)))
        return Step(index, text, tuple(checked))

    def _checked(self, record: Record, value: object, step: Step | None) -> tuple[np.ndarray, float]:
        site, store = record.site, record.store
        rows, tolerance = as_array(value, name=site.name)
        if rows.ndim != 3 or 0 in rows.shape or rows.shape[0] != site.n_heads:
            raise ValueError(
                f"{site.name}: weights of shape {rows.shape} came, [head, query, key] with {site.n_heads} "
                f"head{'s' * (site.n_heads > 1)} and at least one query and key was expected."
            )
        if step is not None and site.query == TARGET and rows.shape[1] != 1:
            raise ValueError(f"{site.name}: {rows.shape[1]} queries came with step {step.index}, one was expected.")
        n_keys, strip = rows.shape[2], self.strips[site.key]
        if site.key in self.known and n_keys != len(strip):
            raise ValueError(_count_error(site, "keys", n_keys, site.key, len(strip)))
        n_queries, strip = store.n_queries + rows.shape[1], self.strips[site.query]
        if site.query in self.known and n_queries > len(strip):
            raise ValueError(_count_error(site, "queries", n_queries, site.query, len(strip)))
        return rows, tolerance

    def _add_step(self, step: Step, with_rows: set[str]) -> None:
        """Add a step; sites of the decoder that did not run in it, or in earlier ones, get rows flagged as missing."""
        self.steps.append(step)
        if TARGET not in self.known:
            self.strips[TARGET].append(step.token)
        for record in self.records.values():
            if record.site.query == TARGET:
                due = step.index + (record.site.name not in with_rows) - record.store.n_queries
                if due > 0:
                    n_known = len(self.strips[record.site.key]) if record.site.key in self.known else 1
                    record.add_missing(due, max(record.store.n_keys, n_known))

    def _name_unnamed(self, record: Record) -> None:
        """Number the tokens of a strip that nobody named, so that each row and column has a label."""
        for strip, count in ((record.site.key, record.store.n_keys), (record.site.query, record.store.n_queries)):
            texts = self.strips[strip]
            texts.extend(str(i + 1) for i in range(len(texts), count))


def _count_error(site: Site, axis: str, count: int, strip: str, n_tokens: int) -> str:
    return (
        f"{site.name}: weights have {count} {axis} but strip {strip!r} has {n_tokens} tokens. "
        "Was padding or a start token left out, is the matrix transposed, or are source and target swapped?"
    )
