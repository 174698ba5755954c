"""The publisher: one paced daemon thread that tells a page what is new in a trace, and tells it again when asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from attnwidget.answers import Answers, Message
from attnwidget.ledger import Cursor
from attnwidget.pace import Share, Turns
from attnwidget.trace import Trace
from attnwidget.wire import FRAMES_PER_SECOND, MEAN, MESSAGES_PER_SECOND, DigestData, EndMessage, RowsMessage
from attnwidget.wire.codec import pack
from attnwidget.wire.live import digests, due, new_blocks

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0  # a handler of the page that ends the recording would else wait for the thread that waits for it
LIVE_FRAME_SECONDS = 2.0  # at least, between two frames that nobody waits for
ROWS_SHARE, FRAME_SHARE, ANSWER_SHARE = 0.02, 0.005, 0.05  # of a core, while recording: the model needs the rest
AT_ONCE = 4  # messages that may follow each other after some time without any, where nothing is recorded
LOOK_SECONDS = 0.005  # between two looks for questions
IDLE_SECONDS = 2.0  # after this long without news the thread ends; the next news starts another


class Page(Protocol):
    """What a publisher needs of a widget. Both are called from the publisher's thread or from the recording one."""

    def send_message(self, content: dict[str, object], buffers: list[bytes]) -> None:
        """Send a message to every view."""

    def update_frame(self, trace: Trace, seq: int) -> None:
        """Renew the traits from the trace, which includes messages up to `seq`, unless another one is shown by now."""


class Publisher:
    """Streams one trace to one page.

    Messages are numbered by run. What message i holds is the difference between two cursors of the append-only trace,
    so that any message can be made again from its number: nothing is kept but the cursors, and which head was shown.

    Args:
        trace: what to watch.
        page: where to send.
        clock: seconds, monotonic.
        sleep: waits for as many seconds, by the same clock.
        busy: seconds that the thread that asks has worked.
        shown: returns which site and head the page shows.
    """

    def __init__(
        self,
        trace: Trace,
        page: Page,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        busy: Callable[[], float] = time.thread_time,
        shown: Callable[[], tuple[int, int]] = lambda: (0, MEAN),
    ) -> None:
        self.trace, self._page, self._shown, self._clock, self._sleep = trace, page, shown, clock, sleep
        self._told = trace.cursor  # what is there now, the frame holds
        self._messages: list[tuple[Cursor, Cursor, int]] = []
        self._ended, self._digests = trace.status in ("complete", "stopped"), list[DigestData]()
        self.answers = Answers(trace, clock)
        self._lock = threading.RLock()  # one sender at a time
        self._news, self._gate, self._running = threading.Event(), threading.Lock(), False
        self._closed = self._stale = self._selected = False  # stale: the frame lacks rows; selected: it shows others
        self._turns = Turns(MESSAGES_PER_SECOND, clock)
        self._framed_at = float("-inf")  # when the last frame was due
        self._of_rows, self._of_frames, self._of_answers = (
            Share(share, clock, busy) for share in (ROWS_SHARE, FRAME_SHARE, ANSWER_SHARE)
        )
        self._unobserve = trace.observe(self._on_change)

    @property
    def seq(self) -> int:
        """Number of rows messages so far."""
        return len(self._messages)

    def close(self) -> None:
        """Stop watching; nothing is sent any more."""
        self._closed = True
        self._unobserve()
        self._news.set()

    def resend(self, seqs: list[int]) -> None:
        """Send some rows messages again."""
        for seq in dict.fromkeys(seq for seq in seqs if 0 <= seq < self.seq):
            self.answers.ask(("rows", seq), lambda _, seq=seq: self._rows(seq))  # type: ignore[misc]
        self._wake()

    def stand(self) -> None:
        """Say how far the run has come, which tells a page what it lacks: its end, or a picture without weights."""
        self.answers.ask("stand", lambda seq: self._end() if self._ended else self.answers.standing(seq))
        self._wake()

    def renew_frame(self, after: float = 0.0) -> None:
        """Renew the frame, because it lacks what is selected, or more; `after` so many seconds at the soonest."""
        self._framed_at = self._clock() + after - 1 / FRAMES_PER_SECOND if after else self._framed_at
        self._selected = True
        self._wake()

    def flush(self) -> None:
        """Send the next rows and a frame with everything, now, in this thread; further rows follow at their pace."""
        if not self._lock.acquire(timeout=FLUSH_SECONDS):
            self._wake()
            return
        try:
            if not self._closed:
                self._advance()
                self._settle()
        finally:
            self._lock.release()
            if not self._is_done():
                self._wake()

    def _on_change(self, trace: Trace) -> None:
        if trace.status in ("complete", "stopped"):
            self.flush()
        else:
            self._wake()

    def ask(self, message: dict[str, object]) -> None:
        """Take up what the page asks for; the answer comes when its turn does."""
        self.answers.hear(message)
        self._wake()

    def _wake(self) -> None:
        if self._running and self._news.is_set():
            return  # the thread looks at what is new after it took note of this
        with self._gate:
            self._news.set()
            if not self._running and not self._closed:
                self._running = True
                threading.Thread(target=self._run, name="attnwidget-publisher", daemon=True).start()

    def _run(self) -> None:
        while self._waited_for_news():
            self._news.clear()
            start = self._clock()
            try:
                self._round()
            except Exception:  # noqa: BLE001 - a picture that fails must not end the thread that draws the next one
                _log.exception("the widget could not be told what is new")
            if not self._is_done():
                self._news.set()
            turn = max(start + 1 / MESSAGES_PER_SECOND, self._turns.free_at)
            self._wait_turn(min(max(turn, self._of_rows.free_at), turn + 1 / MESSAGES_PER_SECOND))

    def _wait_turn(self, until: float) -> None:
        """Wait until the next message may leave, and use that time for what takes long to read.

        An answer waits for messages that left before, but not for its turn, unless a model runs beside.
        """
        while (left := until - self._clock()) > 0 and not self._closed:
            if self.answers.is_reading and self._may(self._of_answers):
                with self._of_answers.spent():
                    self.answers.work()
            elif self.trace.status == "recording":
                self._sleep(left)
            elif self.answers.has_next and self._clock() >= self._turns.free_at:
                return
            else:
                self._sleep(min(left, LOOK_SECONDS))

    def _waited_for_news(self) -> bool:
        if not self._news.wait(IDLE_SECONDS):
            with self._gate:
                self._running = self._news.is_set()
                return self._running
        return not self._closed

    def _round(self) -> None:
        with self._lock:
            if self._closed:
                return
            if self._may(self._of_rows):
                with self._of_rows.spent():
                    self._advance()
            if self._may(self._of_answers):
                with self._of_answers.spent():
                    self._answer()
            since = self._clock() - self._framed_at
            is_wanted = self._selected or self.trace.status != "recording"
            if since >= 1 / FRAMES_PER_SECOND if is_wanted else since >= LIVE_FRAME_SECONDS and self._of_frames.is_free:
                self._settle()

    def _may(self, share: Share) -> bool:
        """Tell whether a share of the time is not used up, of which there are none unless a model runs beside."""
        return share.is_free or self.trace.status != "recording"

    def _answer(self) -> None:
        """Send the next of what the page asked for."""
        answer = self.answers.next(self.seq)
        if answer is not None:
            self._send(*answer)
        self._selected |= self.answers.has_more
        self.answers.has_more = False

    def _is_done(self) -> bool:  # nothing waits to be sent
        return not (self.answers or self._stale or self._selected or self._ends()) and self._is_idle()

    def _ends(self) -> bool:
        return not self._ended and self.trace.status in ("complete", "stopped")

    def _is_idle(self) -> bool:
        return self.trace.cursor == self._told

    def _advance(self) -> None:
        """Send the next rows message, if there is one."""
        if not self._is_idle():
            site, head = self._shown()
            since, self._told = due(self.trace, self._told, site)
            self._messages.append((since, self._told, head))
            self._stale = True
            self._send(*self._rows(self.seq - 1))

    def _settle(self) -> None:
        """Renew the frame if it lacks rows, and say the end once everything is out."""
        if self._closed:
            return
        if self._stale or self._selected:
            self._stale = self._selected = False
            self._framed_at = self._clock()
            self._count()
            with self._of_frames.spent():
                self._page.update_frame(self.trace, self.seq)
        if self._ends() and self._is_idle():
            self._ended = True
            self._send(*self._end())

    def _rows(self, seq: int) -> Message:
        since, until, head = self._messages[seq]
        data = pack(self.trace, seq + 1, new_blocks(self.trace, since, until, head), since, until)
        return dict(RowsMessage(t="rows", run=self.trace.run, seq=seq)), [data]

    def _end(self) -> Message:
        self._digests = self._digests or digests(self.trace)  # once: a page may ask often
        return dict(EndMessage(t="end", run=self.trace.run, count=self.seq, digests=self._digests)), []

    def _send(self, content: dict[str, object], buffers: list[bytes]) -> None:
        if not self._closed:
            self._count()
            self._page.send_message(content, buffers)

    def _count(self) -> None:  # the next message waits its turn after this one
        self._turns.count(1 if self.trace.status == "recording" else AT_ONCE)
