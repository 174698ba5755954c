"""Trace: the recording of what a network attended to, step by step.

Glossary of axes, always in this order: `head`, `query` (what attends), `key` (what is attended to). In decoding, step t
is the query row that chose output token t. Strips are named "source", "target" and, for what a decoder has read,
"context"; a site says which of them its queries and keys count. Everything that enters is checked once, in the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, get_args

from attnwidget.architecture import Architecture, Module
from attnwidget.beams import as_beams
from attnwidget.doors import Doors
from attnwidget.foreign import as_sites
from attnwidget.ledger import SOURCE, TARGET
from attnwidget.observers import Observers
from attnwidget.outline import Asks, Beam, Site, StoreKind
from attnwidget.reading import Reading
from attnwidget.seen import Seen
from attnwidget.tokens import TokensLike


class Trace(Reading, Doors):
    """An append-only recording: strips of tokens, sites with weights, decoder steps with candidates, flags.

    Args:
        source: tokens of the input, if they are known already.
        target: tokens of the output, if they are known already; otherwise each step adds its token.
        title: a short name, shown above the picture.
    """

    def __init__(self, *, source: TokensLike | None = None, target: TokensLike | None = None, title: str = "") -> None:
        if not isinstance(title, str):
            raise TypeError(f"title: {type(title).__name__} came, a string was expected.")
        super().__init__(title)
        self.run = os.urandom(16).hex()
        self._observers: Observers[Trace] = Observers()
        for strip, tokens in ((SOURCE, source), (TARGET, target)):
            if tokens is not None:
                self.set_tokens(strip, tokens)

    @classmethod
    def from_weights(
        cls,
        weights: object,
        *,
        source: TokensLike,
        target: TokensLike | None = None,
        title: str = "",
    ) -> Trace:
        """Make a trace of weights that some other library returned.

        Args:
            weights: after softmax; [query, key], [head, query, key] or [layer, head, query, key]; or a list or tuple
                with one such array for each layer (a batch axis of 1 is taken off); or such a tuple for each step, as
                generation returns it; or a mapping from "encoder", "decoder" or "cross" to any of these; or an output
                object of Transformers. numpy, torch, JAX, TensorFlow or nested lists.
            source: the input tokens: what the keys are, and the queries too where no target is given.
            target: the output tokens: what the queries are. Without it the weights are self-attention over source.
            title: a short name, shown above the picture.

        Raises:
            TypeError: weights or tokens of a type that cannot be shown.
            ValueError: shapes that do not fit each other or the strips.
        """
        trace = cls(source=source, target=target, title=title)
        for site, array, tolerance in as_sites(weights, has_target=target is not None):
            trace.add_site(site)
            trace.append({site.name: array}, tolerance=tolerance)
        trace.finish()
        return trace

    def set_tokens(self, strip: str, tokens: TokensLike) -> None:
        """Say what a strip holds, before the weights that count it.

        Args:
            strip: "source", "target", or another name, which adds a strip that sites can count. One has a meaning:
                "context" is what a decoder has read. Set it to the prompt, or to the start token; the output tokens
                follow by themselves, one more each step.
            tokens: its tokens.

        Raises:
            TypeError: tokens are not strings.
            ValueError: not a name, no tokens, or it has tokens already.
        """
        with self.lock:
            self.ledger.set_tokens(strip, tokens)
        self._tell()

    def add_site(self, site: Site, *, store: StoreKind = "dense", tolerance: float | None = None) -> None:
        """Add a place where weights are taken.

        Args:
            site: its name, kind and axes; size and flags follow from what is appended.
            store: how to keep its weights: "dense" as they come; as "qk", queries and keys, of which `append` takes
                `Factors`; or "reduced" to the 16 largest of each row.
            tolerance: how far its rows may miss 1 before that is flagged; by default what their dtype can hold.

        Raises:
            ValueError: the name is taken, or the site names a strip or a store that does not exist.
        """
        with self.lock:
            self.ledger.add_site(site, store, tolerance)
        self._tell()

    def append(
        self,
        weights: Mapping[str, object],
        *,
        token: str | None = None,
        candidates: Iterable[tuple[str, float]] = (),
        tolerance: float | None = None,
    ) -> None:
        """Add rows of weights, and with `token` the decoder step that they chose.

        Nothing is added unless everything is right. Unusual numbers are kept and flagged, and so are steps for which
        a site has no weights.

        Args:
            weights: for each site by name, [head, query, key], or `Factors` where it keeps "qk"; one query where
                `token` is given.
            token: the output token that this step chose.
            candidates: (token, probability) pairs, best first.
            tolerance: how far a row may miss 1 before it is flagged; by default what the dtype can hold.

        Raises:
            KeyError: no such site.
            TypeError, ValueError: weights, token or candidates that do not fit; the sentence says which.
        """
        with self.lock:
            self.ledger.append(weights, () if token is None else ((token, candidates),), tolerance)
        self._tell()

    def extend(
        self,
        weights: Mapping[str, object],
        steps: Sequence[tuple[str, Iterable[tuple[str, float]]]],
        *,
        tolerance: float | None = None,
    ) -> None:
        """Add several decoder steps at once, which costs less than one `append` for each.

        Args:
            weights: as in `append`, with one query for each step.
            steps: (token, candidates) pairs.
            tolerance: as in `append`.

        Raises:
            KeyError, TypeError, ValueError: as in `append`.
        """
        with self.lock:
            self.ledger.append(weights, tuple(steps), tolerance)
        self._tell()

    def tell_terms(self, site: str | int | Site, seen: Seen | None) -> None:
        """Say what the next rows of a site come of, just before they are appended. See `attnwidget.seen`.

        Raises:
            KeyError: no such site.
        """
        with self.lock:
            self.ledger.find(site).book.add(seen)

    def tell_asks(self, site: str | int | Site, asks: Asks) -> None:
        """Say which state of a recurrent decoder the queries of a site are. See `Site.asks`.

        Raises:
            KeyError: no such site.
            ValueError: neither "before", "after" nor "".
        """
        if asks not in get_args(Asks):
            raise ValueError(f"asks: {asks!r} came, one of {', '.join(map(repr, get_args(Asks)))} was expected.")
        with self.lock:
            self.ledger.find(site).tell_asks(asks)
            self.ledger.n_drawn += 1

    def set_architecture(self, network: Architecture | Module) -> None:
        """Say what the diagram shows; what was said before is replaced.

        Args:
            network: the modules of a network, from which the diagram is made around the sites, or a diagram.

        Raises:
            TypeError: something else.
        """
        if not isinstance(network, Architecture | Module):
            raise TypeError(f"architecture: {type(network).__name__} came, an Architecture or a Module was expected.")
        with self.lock:
            self.ledger.set_network(network)
        self._tell()

    def set_beams(self, beams: Iterable[Beam]) -> None:
        """Say what a beam search kept, once it is over; what was said before is replaced.

        Args:
            beams: parents before those that continue them.

        Raises:
            TypeError: what came are no beams.
            ValueError: a parent that is not one step before, or a probability that is none.
        """
        checked = as_beams(beams)
        with self.lock:
            self.ledger.beams = checked
        self._tell()

    def finish(self, status: Literal["complete", "stopped"] = "complete") -> None:
        """Say that nothing more will come.

        Raises:
            ValueError: a strip that was known beforehand has another length than its rows.
            TraceError: the trace is complete, but what `save` follows it into could not be written.
        """
        with self.lock:
            self.ledger.finish(status)
        self._tell()
        self._observers.end(self)

    def finish_later(self, fill: Callable[[Trace], None]) -> None:
        """Say that nothing more will come but what `fill(trace)` adds, which is called when somebody looks.

        Where somebody looks on already that is now. What it raises, the first look raises, and the trace is stopped.
        """
        self._put_off = fill
        if self.is_observed:
            self.finish()

    def observe(
        self, observer: Callable[[Trace], None], at_end: Callable[[Trace], None] | None = None
    ) -> Callable[[], None]:
        """Call `observer(trace)` after each change, in the thread that made it; return what ends that.

        What it raises is logged. `at_end(trace)` is called once, when nothing more comes; its errors `finish` raises.
        """
        return self._observers.add(observer, at_end)

    @property
    def is_observed(self) -> bool:
        """Whether somebody is told of changes."""
        return bool(self._observers)

    def _tell(self) -> None:
        self._observers.tell(self)
