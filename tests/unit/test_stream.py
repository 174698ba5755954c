"""The publisher tells a page everything once, in order, at its pace, and again when asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from heard import PATIENCE

from attnwidget import Site, Trace, stream
from attnwidget.stream import Publisher
from attnwidget.wire import FRAMES_PER_SECOND, MEAN, MESSAGE_BYTES, MESSAGES_PER_SECOND
from attnwidget.wire.limits import LIVE_ROWS

Reader = Callable[[bytes], Any]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Page:
    """Keeps what it is told, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.messages, self.frames, self.times = clock, [], [], []
        self.sent = threading.Condition()
        self.fails = 0

    def send_message(self, content: dict[str, object], buffers: list[bytes]) -> None:
        with self.sent:
            if self.fails:
                self.fails -= 1
                raise OSError("the socket is gone")
            self.messages.append((content, buffers))
            self.times.append(self.clock())
            self.sent.notify_all()

    def update_frame(self, trace: Trace, seq: int) -> None:
        with self.sent:
            self.frames.append((self.clock(), seq, trace.cursor))
            self.times.append(self.clock())
            self.made()
            self.sent.notify_all()

    def made(self) -> None:
        """Take the time that a frame takes."""

    def of(self, kind: str) -> list[tuple[dict[str, Any], list[bytes]]]:
        return [message for message in self.messages if message[0]["t"] == kind]

    def wait(self, condition: Callable[[], object]) -> None:
        with self.sent:
            assert self.sent.wait_for(condition, timeout=PATIENCE)


class Sent:
    """A live trace, its page and its publisher."""

    def __init__(self, n_sites: int = 1, n_heads: int = 3, n_keys: int = 5) -> None:
        self.trace, self.clock, self.n_keys = Trace(source=["x"] * n_keys), Clock(), n_keys
        self.page = Page(self.clock)
        for layer in range(n_sites):
            self.trace.add_site(Site(f"cross.{layer}", "cross", layer, n_heads, "target", "source"))
        self.random = np.random.default_rng(9)
        self.publisher = Publisher(self.trace, self.page, self.clock, self.clock.sleep, self.clock)

    def decode(self, n_steps: int) -> None:
        for _ in range(n_steps):
            rows = {site.name: self.random.random((site.n_heads, 1, self.n_keys)) for site in self.trace.sites}
            self.trace.append(rows, token=str(len(self.trace.steps)))

    def settle(self) -> None:
        """Wait until the end was said."""
        self.page.wait(lambda: self.page.of("end"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "IDLE_SECONDS", 0.02)


@pytest.fixture
def sent() -> Iterator[Sent]:
    made = Sent()
    yield made
    made.publisher.close()


def heads_of(page: Page, read: Reader) -> dict[tuple[int, int], np.ndarray]:
    """Return what a page has after all rows messages."""
    heads: dict[tuple[int, int], np.ndarray] = {}
    for _, (data,) in page.of("rows"):
        read(data).merged_into(heads)
    return heads


@pytest.mark.parametrize("n_steps", [1, 2000, 10000])
def test_every_step_comes_once_and_in_order(sent: Sent, read_picture: Reader, n_steps: int) -> None:
    sent.decode(n_steps)
    sent.trace.finish()
    sent.settle()
    headers = [read_picture(data).header for _, (data,) in sent.page.of("rows")]
    tokens = [step["token"] for header in headers for step in header["steps"]]
    assert tokens == [str(step) for step in range(n_steps)]


def test_messages_are_numbered_without_gaps(sent: Sent) -> None:
    sent.decode(2000)
    sent.trace.finish()
    sent.settle()
    assert [content["seq"] for content, _ in sent.page.of("rows")] == list(range(sent.publisher.seq))


def test_what_came_has_the_digests_of_the_end(sent: Sent, read_picture: Reader) -> None:
    sent.decode(2000)
    sent.trace.finish()
    sent.settle()
    ((end, _),) = sent.page.of("end")
    heads = heads_of(sent.page, read_picture)
    (other := Trace()).add_site(Site("cross", "cross", 0, 3, "target", "source"))
    other.append({"cross": np.stack([heads[0, head] for head in range(3)])})
    told = [(digest["site"], digest["head"], digest["crc"]) for digest in end["digests"]]
    assert told == [(0, head, other.digest(0, head)) for head in range(3)]


def test_the_end_is_said_once_with_the_number_of_messages(sent: Sent) -> None:
    sent.decode(2000)
    sent.trace.finish()
    sent.settle()
    sent.publisher.flush()
    assert [end["count"] for end, _ in sent.page.of("end")] == [sent.publisher.seq]


def test_a_page_is_told_so_many_times_a_second_at_most(sent: Sent) -> None:
    for _ in range(30):
        sent.decode(100)
        sent.page.wait(lambda: sent.page.messages)
    sent.trace.finish()
    sent.settle()
    n_paces = round((sent.clock() - 100) * MESSAGES_PER_SECOND)  # a clock of tenths is no whole number of them
    assert len(sent.page.times) <= n_paces + 3  # the end follows its rows at once


def test_answers_keep_the_pace_too(sent: Sent) -> None:
    sent.decode(4)
    sent.trace.finish()
    sent.settle()
    n_before, start = len(sent.page.times), sent.clock()
    for head in (MEAN, 0, 1, 2):
        for _ in range(50):
            sent.publisher.ask({"t": "fetch", "site": 0, "head": head})
    sent.page.wait(lambda: len(sent.page.of("blocks")) >= 4)
    assert len(sent.page.times) - n_before <= (sent.clock() - start) * MESSAGES_PER_SECOND + 2 + stream.AT_ONCE


def test_frames_come_twice_a_second_at_most_while_rows_trickle(sent: Sent) -> None:
    for count in range(1, 40):
        sent.decode(1)
        sent.page.wait(lambda count=count: sum(1 for _ in sent.page.of("rows")) >= count)
    times = [time for time, _, _ in sent.page.frames]
    assert all(b - a >= 1 / FRAMES_PER_SECOND - 1e-9 for a, b in pairwise(times))


def test_frames_that_take_long_come_less_often(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent.page, "made", lambda: sent.clock.sleep(0.06))
    for count in range(1, 60):
        sent.decode(1)
        sent.page.wait(lambda count=count: sum(1 for _ in sent.page.of("rows")) >= count)
    times = [time for time, _, _ in sent.page.frames]
    assert len(times) > 2
    assert all(b - a >= 0.06 / stream.FRAME_SHARE - 1e-9 for a, b in pairwise(times))


def test_messages_that_take_long_come_less_often(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    send = sent.page.send_message

    def slow(content: dict[str, object], buffers: list[bytes]) -> None:
        send(content, buffers)
        sent.clock.sleep(0.01)

    monkeypatch.setattr(sent.page, "send_message", slow)
    for count in range(1, 20):
        sent.decode(1)
        sent.page.wait(lambda count=count: len(sent.page.of("rows")) >= count)
    times = [time for time, (content, _) in zip(sent.page.times, sent.page.messages, strict=False)]
    assert len(times) > 10
    assert times[-1] - times[0] >= (len(times) - 1) * 0.01 / stream.ROWS_SHARE - 1e-9


def test_rows_do_not_wait_for_answers_that_take_long(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    sent.decode(1)
    sent.page.wait(lambda: sent.page.of("rows"))
    taken: list[float] = []

    def slow(_: int) -> None:
        taken.append(sent.clock())
        sent.clock.sleep(1e6)

    monkeypatch.setattr(sent.publisher.answers, "next", slow)
    sent.publisher.ask({"t": "fetch", "site": 0, "head": 0})
    for count in range(2, 20):
        sent.decode(1)
        sent.page.wait(lambda count=count: len(sent.page.of("rows")) >= count)
    assert len(taken) <= 1


def test_a_message_holds_few_rows_while_recording_and_many_at_the_end(sent: Sent, read_picture: Reader) -> None:
    sent.publisher._running = True  # as if the thread were there, but slow
    sent.decode(3000)
    sent.publisher._advance()
    sent.trace.finish()
    counts = [len(read_picture(data).header["steps"]) for _, (data,) in sent.page.of("rows")]
    assert counts == [LIVE_ROWS, 3000 - LIVE_ROWS]


def test_of_large_heads_the_shown_one_alone_travels(read_picture: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.wire.live.LIVE_WEIGHTS", 20)
    sent = Sent()
    sent.publisher._running = True
    shown = [(0, MEAN)]
    sent.publisher._shown = lambda: shown[0]
    for shown[0] in ((0, 0), (0, MEAN), (0, 2)):
        sent.decode(3)
        sent.publisher._advance()
    blocks = [read_picture(data).blocks for _, (data,) in sent.page.of("rows")]
    assert [list(each) for each in blocks] == [[(0, 0), (0, 1), (0, 2)], [(0, MEAN)], [(0, 2)]]
    assert np.array_equal(blocks[1][0, MEAN], sent.trace.weights(0, "mean", slice(3, 6)))


def test_a_frame_that_somebody_waits_for_comes_at_once(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent.page, "made", lambda: sent.clock.sleep(10))
    sent.decode(1)
    sent.page.wait(lambda: sent.page.frames)
    before = sent.clock()
    sent.publisher.renew_frame()
    sent.page.wait(lambda: len(sent.page.frames) == 2)
    assert sent.page.frames[1][0] - before < 20


def test_the_last_frame_holds_everything(sent: Sent) -> None:
    sent.decode(2000)
    sent.trace.finish()
    assert sent.page.frames[-1][2] == sent.trace.cursor


def test_a_frame_comes_without_an_end(sent: Sent) -> None:
    sent.decode(3)
    sent.page.wait(lambda: sent.page.frames and sent.page.frames[-1][1:3] == (sent.publisher.seq, sent.trace.cursor))


@pytest.fixture(scope="module")
def burst() -> Sent:
    """A recording that is far too large for one message."""
    made = Sent(n_sites=4, n_heads=16, n_keys=800)
    made.decode(40)
    made.trace.finish()
    made.settle()
    return made


def test_no_message_is_too_large(burst: Sent) -> None:
    assert max(len(data) for _, (data,) in burst.page.of("rows")) <= MESSAGE_BYTES


def test_a_burst_arrives_whole(burst: Sent, read_picture: Reader) -> None:
    heads = heads_of(burst.page, read_picture)
    assert all(np.array_equal(heads[site, 15], burst.trace.weights(site, 15)) for site in range(4))


def test_the_recording_thread_sends_one_message_and_leaves_the_rest() -> None:
    sent = Sent(n_sites=4, n_heads=16, n_keys=800)
    sent.publisher._running = True  # as if the thread were there, but slow
    sent.decode(40)
    sent.trace.finish()
    assert (len(sent.page.of("rows")), len(sent.page.frames), len(sent.page.of("end"))) == (1, 1, 0)


def test_any_message_can_be_had_again(sent: Sent, read_picture: Reader) -> None:
    for count in range(1, 6):
        sent.decode(200)
        sent.page.wait(lambda count=count: len(sent.page.of("rows")) >= count)
    sent.trace.finish()
    sent.settle()
    first = [read_picture(data) for _, (data,) in sent.page.of("rows")]
    sent.page.messages.clear()
    sent.publisher.resend([*range(len(first)), 0, 0])
    sent.page.wait(lambda: len(sent.page.of("rows")) >= len(first))
    again = [read_picture(data) for _, (data,) in sent.page.of("rows")]
    assert [(one.header["steps"], one.header["blocks"]) for one in again] == [
        (one.header["steps"], one.header["blocks"]) for one in first
    ]


def test_a_message_had_again_holds_the_same_weights(read_picture: Reader) -> None:
    trace, clock = Trace(), Clock()
    trace.add_site(Site("own", "decoder", 0, 3, "target", "target"))
    publisher = Publisher(trace, page := Page(clock), clock, clock.sleep)
    for n_keys in range(1, 9):
        trace.append({"own": np.full((3, 1, n_keys), 1 / n_keys)}, token=str(n_keys))
        publisher.flush()
    before = read_picture(page.of("rows")[2][1][0])
    page.messages.clear()
    publisher.resend([2])
    page.wait(lambda: page.of("rows"))
    again = read_picture(page.of("rows")[0][1][0])
    assert {name: rows.tolist() for name, rows in again.blocks.items()} == {
        name: rows.tolist() for name, rows in before.blocks.items()
    }


@pytest.mark.parametrize("seqs", [[-1], [99], [10**30], []])
def test_messages_that_never_were_are_not_sent(sent: Sent, seqs: list[int]) -> None:
    sent.decode(1)
    sent.trace.finish()
    n_before = len(sent.page.messages)
    sent.publisher.resend(seqs)
    sent.publisher.flush()
    assert len(sent.page.messages) == n_before


@pytest.mark.parametrize(("site", "head"), [(-1, 0), (1, 0), (0, 3), (0, -2), (10**30, 0)])
def test_heads_that_are_not_there_are_not_sent(sent: Sent, site: int, head: int) -> None:
    sent.decode(1)
    sent.publisher.ask({"t": "fetch", "site": site, "head": head})
    assert not sent.publisher.answers


def test_heads_are_told_when_asked_a_few_at_a_time(
    sent: Sent, read_picture: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.wire.glances.HEADS_AT_ONCE", 12)
    sent.decode(2)
    sent.trace.finish()
    sent.settle()
    sent.publisher.ask({"t": "heads", "site": 0})
    sent.page.wait(lambda: len(sent.page.of("blocks")) == 3)
    told = [read_picture(buffers[0]).header["heads"] for _, buffers in sent.page.of("blocks")]
    assert [(h["site"], h["at"], h["n_heads"], h["n_queries"]) for (h,) in told] == [(0, i, 1, 2) for i in range(3)]


@pytest.mark.parametrize("site", [-1, 1, 10**9])
def test_heads_of_no_site_are_not_told(sent: Sent, site: int) -> None:
    sent.decode(1)
    sent.trace.finish()
    sent.settle()
    sent.publisher.ask({"t": "heads", "site": site})
    sent.publisher.ask({"t": "heads", "site": 0})
    sent.page.wait(lambda: sent.page.of("blocks"))
    assert len(sent.page.of("blocks")) == 1
