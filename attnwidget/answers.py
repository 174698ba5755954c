"""Answers: what a page asked for and did not get yet, and the messages that say it."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from itertools import accumulate

from attnwidget.sweep import Span, Sweep, Sweeps, check
from attnwidget.trace import Trace
from attnwidget.wire import MEAN, RefusedMessage
from attnwidget.wire.codec import pack
from attnwidget.wire.explain import explained
from attnwidget.wire.fit import whole_block
from attnwidget.wire.glances import glance_from
from attnwidget.wire.limits import TEXTS_CHARS, TEXTS_TOKENS
from attnwidget.wire.parts import is_whole, part_of, whole_span

Message = tuple[dict[str, object], list[bytes]]

FIRST_SECONDS = 0.01  # for which a large head is read before its first, coarse picture is sent
PIECE_SECONDS = 0.01  # for which it is read at once after that, before anything else gets its turn
REST_SECONDS = 0.15  # for which it is not read on after a step: server and page need the processors to show that one


class Answers:
    """What a page waits for, each thing once, oldest first; of views the latest alone.

    Args:
        trace: what the page shows.
        clock: tells seconds.
    """

    def __init__(self, trace: Trace, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._rests_until = clock, -math.inf
        self.sweeps = Sweeps(trace)
        self._trace = trace
        self._asked: dict[Hashable, Callable[[int], Message | None]] = {}
        self._open: tuple[Sweep, int] | None = None  # what is looked at and not read to its end, and the step
        self.has_more = False  # a head was read to its end, of which a frame holds less
        self._gate = threading.Lock()

    def __bool__(self) -> bool:
        """Tell whether the page waits for something."""
        return bool(self._asked or self._open)

    def hear(self, message: dict[str, object]) -> None:
        """Take up what the page asks for; what is no question, or not a whole one, is left alone."""
        if any(isinstance(value, bool) for value in message.values()):
            return
        match message:
            case {"t": "fetch", "site": int(site), "head": int(head)}:
                self.fetch(site, head)
            case {"t": "heads", "site": int(site)}:
                self.heads(site)
            case {"t": "texts", "strip": str(strip), "at": int(at)}:
                self.texts(strip, at)
            case {"t": "why", "site": int(site), "head": int(head), "query": int(query)}:
                self.explain(site, head, query)
            case {
                "t": "view",
                "site": int(site),
                "head": int(head),
                "queries": [int(top), int(bottom), int(down)],
                "keys": [int(left), int(right), int(across)],
                "step": int(step),
                "cells": int(cells),
            }:
                self.view(site, head, Span(top, bottom, down), Span(left, right, across), step, cells=cells != 0)

    def fetch(self, site: int, head: int) -> None:
        """Send all weights of one head, or the whole of it in cells where it is too large for that."""
        sites = self._trace.sites
        if 0 <= site < len(sites) and MEAN <= head < sites[site].n_heads and sites[site].n_queries:
            if is_whole(self._trace, site):
                self.ask(("blocks", site, head), partial(self._blocks, site, head))
            else:
                self.view(site, head, *whole_span(self._trace, site), sites[site].n_queries - 1)

    def view(self, site: int, head: int, queries: Span, keys: Span, step: int, *, cells: bool = True) -> None:
        """Send a part of a head, or its rows alone; where the trace has no such part, say so."""
        try:
            check(self._trace, site, None if head == MEAN else head, queries, keys)
            if not 0 <= step < self._trace.sites[site].n_queries:
                raise ValueError(f"step: {step} came, {self._trace.sites[site].n_queries} steps are there, from 0.")
        except ValueError as error:
            self.ask("refused", partial(self._refused, str(error)))
        else:
            with self._gate:
                self._asked.pop("view", None)
            self.ask("view", partial(self._view, site, head, queries, keys, step, cells))

    def heads(self, site: int, at: int = 0) -> None:
        """Tell of the heads of one site as a whole, from one of them on; a few at a time, so that all else goes on."""
        sites = self._trace.sites
        if 0 <= site < len(sites) and at < sites[site].n_heads and sites[site].n_queries:
            self.ask(("heads", site, at), partial(self._heads, site, at))

    def texts(self, strip: str, at: int) -> None:
        """Send tokens of a strip from a position on."""
        if 0 <= at < self._trace.n_tokens.get(strip, 0):
            self.ask(("texts", strip, at), partial(self._texts, strip, at))

    def explain(self, site: int, head: int, query: int) -> None:
        """Send what the weights of one row of one head came of."""
        sites = self._trace.sites
        if 0 <= site < len(sites) and 0 <= head < sites[site].n_heads and 0 <= query < sites[site].n_queries:
            self.ask(("terms", site, head, query), partial(self._terms, site, head, query))

    def standing(self, seq: int) -> Message:
        """Return a message that says how far the trace has come, without weights."""
        return self._told(pack(self._trace, seq, [], self._trace.cursor))

    def ask(self, what: Hashable, answer: Callable[[int], Message | None]) -> None:
        """Note an answer that is not noted yet; it is made when its turn comes."""
        with self._gate:
            self._asked.setdefault(what, answer)

    def next(self, seq: int) -> Message | None:
        """Return the next message, or None where there is none to send just now.

        Args:
            seq: number of rows messages so far.
        """
        with self._gate:
            answer = self._asked.pop(next(iter(self._asked))) if self._asked else None
        if answer is not None:
            return answer(seq)
        return self._read_on(seq)

    @property
    def is_reading(self) -> bool:
        """Whether something that is looked at is not read to its end, and nothing else is asked for."""
        is_open = self._open is not None and not self._asked and not self._open[0].done
        return is_open and self._clock() >= self._rests_until

    @property
    def has_next(self) -> bool:
        """Whether there is something to send just now."""
        return bool(self._asked) or (self._open is not None and self._open[0].done)

    def work(self) -> None:
        """Read on in what is looked at, for some milliseconds."""
        if self._open is not None:
            self._read(self._open[0], PIECE_SECONDS)

    def _read(self, sweep: Sweep, seconds: float) -> None:
        was_done = sweep.done
        sweep.run(seconds)
        is_new = sweep.done and not was_done
        self.has_more |= is_new and (sweep.queries, sweep.keys) == whole_span(self._trace, sweep.site)

    def _read_on(self, seq: int) -> Message | None:
        if self._open is None or not self._open[0].done:
            return None
        (sweep, step), self._open = self._open, None
        return self._part(sweep, step, seq)

    def _view(self, site: int, head: int, queries: Span, keys: Span, step: int, cells: bool, seq: int) -> Message:
        whole = whole_span(self._trace, site)
        if all(of.per <= span.per and of[:2] == span[:2] for of, span in zip(whole, (queries, keys), strict=True)):
            queries, keys = whole  # finer cells do as well, and a frame needs just these
        sweep = self.sweeps.sweep(site, None if head == MEAN else head, queries, keys)
        cells = cells or not sweep.is_begun
        if sweep.is_begun:  # a row is worth more now than a finer picture, which comes when there is time
            self._rests_until = self._clock() + REST_SECONDS
        else:
            self._read(sweep, FIRST_SECONDS)
        self._open = None if sweep.done else (sweep, step)
        return self._part(sweep, step, seq, cells=cells)

    def _part(self, sweep: Sweep, step: int, seq: int, *, cells: bool = True) -> Message:
        blocks, sums = part_of(self._trace, sweep, step, cells=cells)
        return self._told(pack(self._trace, seq, blocks, self._trace.cursor, sums=sums, kept=self.sweeps.n_bytes))

    def _blocks(self, site: int, head: int, seq: int) -> Message:
        block = whole_block(self._trace, self._trace.sites, site, head)
        return self._told(pack(self._trace, seq, [block], self._trace.cursor))

    def _heads(self, site: int, at: int, seq: int) -> Message:
        glance = glance_from(self._trace, site, at)
        self.heads(site, glance.heads.stop)
        return self._told(pack(self._trace, seq, [], self._trace.cursor, heads=[(site, glance)]))

    def _texts(self, strip: str, at: int, seq: int) -> Message:
        cursor = self._trace.cursor
        texts = self._trace.tokens[strip].texts[at : min(at + TEXTS_TOKENS, cursor.n_tokens[strip])]
        n_texts = max(1, bisect(list(accumulate(map(len, texts))), TEXTS_CHARS))
        since = {**cursor.n_tokens, strip: at}
        until = {**cursor.n_tokens, strip: at + n_texts}
        return self._told(pack(self._trace, seq, [], replace(cursor, n_tokens=since), replace(cursor, n_tokens=until)))

    def _terms(self, site: int, head: int, query: int, seq: int) -> Message:
        return self._told(
            pack(self._trace, seq, [], self._trace.cursor, terms=[explained(self._trace, site, head, query)])
        )

    def _refused(self, reason: str, _: int) -> Message:
        return dict(RefusedMessage(t="refused", run=self._trace.run, reason=reason)), []

    def _told(self, picture: bytes) -> Message:
        return {"t": "blocks", "run": self._trace.run}, [picture]
