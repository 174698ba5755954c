"""The publisher: one paced daemon thread that tells a page what is new in a trace, and tells it again when asked."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from attnwidget.ledger import Cursor
from attnwidget.trace import Trace
from attnwidget.wire import FRAMES_PER_SECOND, MESSAGE_BYTES, MESSAGES_PER_SECOND, DigestData, EndMessage, RowsMessage
from attnwidget.wire.codec import Block, describe_sites, new_blocks, pack, streamed, whole_block

_log = logging.getLogger(__name__)

IDLE_SECONDS = 2.0  # after this long without news the thread ends; the next news starts another


class Page(Protocol):
    """What a publisher needs of a widget. Both are called from the publisher's thread or from the recording one."""

    def send_message(self, content: dict[str, object], buffers: list[bytes]) -> None:
        """Send a message to every view."""

    def update_frame(self, seq: int) -> None:
        """Renew the traits from the trace, which includes messages up to `seq`."""


class Publisher:
    """Streams one trace to one page.

    Messages are numbered by run. What message i holds is the difference between two cursors of the append-only trace,
    so that any message can be made again from its number: nothing is kept but the cursors.

    Args:
        trace: what to watch.
        page: where to send.
        clock: seconds, monotonic.
    """

    def __init__(self, trace: Trace, page: Page, clock: Callable[[], float] = time.monotonic) -> None:
        self.trace, self._page, self._clock = trace, page, clock
        self._cursors = [trace.cursor]  # cursor i is where message i begins; what is there now, the frame holds
        self._ended = trace.status in ("complete", "stopped")
        self._asked: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.RLock()  # one sender at a time
        self._news, self._gate, self._running = threading.Event(), threading.Lock(), False
        self._closed = self._stale = False  # stale: rows were sent that the frame does not hold
        self._sent_at = self._framed_at = -1.0
        self._unobserve = trace.observe(self._on_change)

    @property
    def seq(self) -> int:
        """Number of rows messages so far."""
        return len(self._cursors) - 1

    def close(self) -> None:
        """Stop watching; nothing is sent any more."""
        self._closed = True
        self._unobserve()
        self._news.set()

    def resend(self, seqs: list[int]) -> None:
        """Send some rows messages again."""
        self._ask(lambda: self._send_again(seqs))

    def fetch(self, site: int, head: int) -> None:
        """Send all weights of one head."""
        self._ask(lambda: self._send_blocks(site, head))

    def tell_end(self) -> None:
        """Send the end message again, if the run has ended."""
        self._ask(lambda: self._send_end() if self._ended else None)

    def renew_frame(self) -> None:
        """Renew the frame, because the selection changed."""
        self._ask(lambda: self._page.update_frame(self.seq))

    def flush(self) -> None:
        """Send all that is new, now, in this thread."""
        with self._lock:
            while not self._closed and self._advance():
                pass
            self._settle()

    def _on_change(self, trace: Trace) -> None:
        if trace.status in ("complete", "stopped"):
            self.flush()
        else:
            self._wake()

    def _ask(self, job: Callable[[], object]) -> None:
        self._asked.put(job)
        self._wake()

    def _wake(self) -> None:
        with self._gate:
            self._news.set()
            if not self._running and not self._closed:
                self._running = True
                threading.Thread(target=self._run, name="attnwidget-publisher", daemon=True).start()

    def _run(self) -> None:
        while self._waited_for_news():
            self._news.clear()
            try:
                self._round()
            except Exception:  # noqa: BLE001 - a picture that fails must not end the thread that draws the next one
                _log.exception("the widget could not be told what is new")
            time.sleep(max(0.0, self._sent_at + 1 / MESSAGES_PER_SECOND - self._clock()))

    def _waited_for_news(self) -> bool:
        if not self._news.wait(IDLE_SECONDS):
            with self._gate:
                self._running = self._news.is_set()
                return self._running
        return not self._closed

    def _round(self) -> None:
        with self._lock:
            while not self._asked.empty():
                self._asked.get()()
            more = self._advance()
            if self._is_idle() or self._clock() - self._framed_at >= 1 / FRAMES_PER_SECOND:
                self._settle()
            if more or self._stale:
                self._news.set()

    def _is_idle(self) -> bool:
        return self.trace.cursor == self._cursors[-1]

    def _advance(self) -> bool:
        """Send the next rows message; return whether there was one."""
        since, until = self._cursors[-1], self.trace.cursor
        if since == until:
            return False
        self._cursors.append(self._limited(since, until))
        self._stale = True
        self._send_rows(self.seq - 1)
        return True

    def _limited(self, since: Cursor, until: Cursor) -> Cursor:
        """Return the farthest cursor whose message is not too large."""
        n_bytes, most = 0, 1
        for site, data in zip(self.trace.sites, describe_sites(self.trace), strict=True):
            n_rows = until.n_queries.get(site.name, 0) - since.n_queries.get(site.name, 0)
            if streamed(data):
                n_bytes += n_rows * site.n_heads * site.n_keys * 4
                most = max(most, n_rows)
        if n_bytes <= MESSAGE_BYTES:
            return until
        part = max(1, most * MESSAGE_BYTES // n_bytes)
        return Cursor(
            min(until.n_steps, since.n_steps + part),
            until.n_tokens,
            {name: min(end, since.n_queries.get(name, 0) + part) for name, end in until.n_queries.items()},
            since.status,
        )

    def _send_rows(self, seq: int) -> None:
        since, until = self._cursors[seq], self._cursors[seq + 1]
        data = pack(self.trace, seq + 1, list(new_blocks(self.trace, since, until)), since, until)
        self._send(dict(RowsMessage(t="rows", run=self.trace.run, seq=seq)), [data])

    def _send_again(self, seqs: list[int]) -> None:
        for seq in dict.fromkeys(seqs):
            if 0 <= seq < self.seq:
                self._send_rows(seq)

    def _send_blocks(self, site: int, head: int) -> None:
        sites = self.trace.sites
        if 0 <= site < len(sites) and -1 <= head < sites[site].n_heads:
            block: Block = whole_block(self.trace, site, head)
            self._send({"t": "blocks", "run": self.trace.run}, [pack(self.trace, self.seq, [block], self.trace.cursor)])

    def _send_end(self) -> None:
        digests = [
            DigestData(site=index, head=head, crc=self.trace.digest(site, head))
            for index, (site, data) in enumerate(zip(self.trace.sites, describe_sites(self.trace), strict=True))
            if streamed(data) and site.n_queries
            for head in range(site.n_heads)
        ]
        end = EndMessage(t="end", run=self.trace.run, count=self.seq, digests=digests)
        self._send(dict(end), [])

    def _settle(self) -> None:
        """Renew the frame if it lacks rows, and say the end once everything is out."""
        if self._stale and not self._closed:
            self._stale, self._framed_at = False, self._clock()
            self._page.update_frame(self.seq)
        if not self._ended and self.trace.status in ("complete", "stopped") and self._is_idle():
            self._ended = True
            self._send_end()

    def _send(self, content: dict[str, object], buffers: list[bytes]) -> None:
        if not self._closed:
            self._page.send_message(content, buffers)
            self._sent_at = self._clock()
