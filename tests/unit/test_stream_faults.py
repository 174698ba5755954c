"""What goes wrong around the publisher stays there: sockets, ends, threads, traces that are whole already."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from heard import PATIENCE

from attnwidget import Site, Trace, stream
from attnwidget.stream import Publisher

Reader = Callable[[bytes], Any]
ROWS = np.full((3, 1, 5), 0.2, np.float32)


class Page:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, Any], list[bytes]]] = []
        self.n_frames, self.fails = 0, 0
        self.entered, self.may_go = threading.Event(), threading.Event()
        self.may_go.set()
        self.sent = threading.Condition()

    def send_message(self, content: dict[str, object], buffers: list[bytes]) -> None:
        self.entered.set()
        self.may_go.wait(PATIENCE)
        with self.sent:
            if self.fails:
                self.fails -= 1
                raise OSError("the socket is gone")
            self.messages.append((content, buffers))
            self.sent.notify_all()

    def update_frame(self, trace: Trace, seq: int) -> None:
        with self.sent:
            self.n_frames += 1
            self.sent.notify_all()

    def kinds(self) -> list[str]:
        return [content["t"] for content, _ in self.messages]

    def wait(self, condition: Callable[[], object]) -> None:
        with self.sent:
            assert self.sent.wait_for(condition, timeout=PATIENCE)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "IDLE_SECONDS", 0.02)


@pytest.fixture
def page() -> Page:
    return Page()


def published(trace: Trace, page: Page) -> Publisher:
    """Return a publisher whose time passes only while it sleeps."""
    slept = [0.0]
    return Publisher(trace, page, clock=lambda: sum(slept), sleep=slept.append)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "attnwidget-publisher"]


def test_nothing_is_sent_after_close(live: Trace, page: Page) -> None:
    publisher = published(live, page)
    publisher.close()
    live.append({"cross": ROWS}, token="die")
    live.finish()
    assert (page.messages, page.n_frames) == ([], 0)


def test_close_while_streaming_ends_the_thread_quietly(
    live: Trace, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = published(live, page)
    page.may_go.clear()
    live.append({"cross": ROWS}, token="die")
    assert page.entered.wait(PATIENCE)
    running = threads()
    publisher.close()
    page.may_go.set()
    for thread in running:
        thread.join(PATIENCE)
    assert (len(page.messages) <= 1, page.n_frames, caplog.text) == (True, 0, "")


def test_close_twice_is_close_once(live: Trace, page: Page) -> None:
    publisher = published(live, page)
    publisher.close()
    publisher.close()
    assert live._observers == []


def test_a_page_that_fails_does_not_end_the_thread(live: Trace, page: Page) -> None:
    published(live, page)
    page.fails = 1
    live.append({"cross": ROWS}, token="die")
    page.wait(lambda: not page.fails)
    live.append({"cross": ROWS}, token="Katze")
    page.wait(lambda: "rows" in page.kinds())
    assert page.messages[0][0]["seq"] == 1


def test_a_page_that_fails_does_not_stop_the_recording(live: Trace, page: Page) -> None:
    published(live, page)
    page.fails = 1000
    live.append({"cross": ROWS}, token="die")
    live.finish()
    assert live.status == "complete"


def test_what_failed_can_be_had_again(live: Trace, page: Page) -> None:
    publisher = published(live, page)
    page.fails = 1
    live.append({"cross": ROWS}, token="die")
    page.wait(lambda: not page.fails)
    publisher.resend([0])
    page.wait(lambda: "rows" in page.kinds())
    assert page.messages[0][0]["seq"] == 0


def test_the_end_counts_messages_that_failed(live: Trace, page: Page) -> None:
    published(live, page)
    page.fails = 1
    live.append({"cross": ROWS}, token="die")
    page.wait(lambda: not page.fails)
    live.finish()
    page.wait(lambda: "end" in page.kinds())
    assert page.messages[-1][0]["count"] == 2


def test_the_thread_ends_when_nothing_is_new(live: Trace, page: Page) -> None:
    publisher = published(live, page)
    live.append({"cross": ROWS}, token="die")
    for thread in threads():
        thread.join(PATIENCE)
    assert publisher._running is False


def test_another_thread_takes_later_news(live: Trace, page: Page) -> None:
    published(live, page)
    for count, token in enumerate(("die", "Katze"), start=1):
        live.append({"cross": ROWS}, token=token)
        page.wait(lambda count=count: page.kinds().count("rows") >= count)
        for thread in threads():
            thread.join(PATIENCE)
    assert len(page.messages) == 2


def test_a_trace_that_is_whole_sends_nothing_by_itself(complete: Trace, page: Page) -> None:
    published(complete, page).flush()
    assert (page.messages, page.n_frames) == ([], 0)


def test_a_trace_that_is_whole_says_its_end_when_asked(complete: Trace, page: Page) -> None:
    published(complete, page).stand()
    page.wait(lambda: page.messages)
    assert (page.messages[0][0]["count"], len(page.messages[0][0]["digests"])) == (0, 6)


def test_a_run_that_has_not_ended_says_how_many_messages_there_were(
    live: Trace, page: Page, read_picture: Callable[[bytes], Any]
) -> None:
    publisher = published(live, page)
    live.append({"cross": ROWS}, token="die")
    page.wait(lambda: "rows" in page.kinds())
    publisher.stand()
    page.wait(lambda: "blocks" in page.kinds())
    content, (data,) = page.messages[-1]
    header = read_picture(data).header
    assert (content["t"], header["seq"], header["status"], header["blocks"]) == ("blocks", 1, "recording", [])


def test_digests_are_computed_once(complete: Trace, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = published(complete, page)
    publisher.stand()
    page.wait(lambda: page.messages)
    monkeypatch.setattr(Trace, "digest", None)
    publisher.stand()
    page.wait(lambda: len(page.messages) == 2)
    assert page.messages[0] == page.messages[1]


def test_a_stopped_recording_has_an_end_too(live: Trace, page: Page) -> None:
    published(live, page)
    live.append({"cross": ROWS}, token="die")
    live.finish("stopped")
    page.wait(lambda: "end" in page.kinds())
    assert page.kinds()[-1] == "end"


def test_tokens_alone_are_news(page: Page, read_picture: Reader) -> None:
    trace = Trace()
    published(trace, page)
    trace.set_tokens("source", ["a", "b"])
    page.wait(lambda: page.messages)
    header = read_picture(page.messages[0][1][0]).header
    assert header["strips"] == [{"name": "source", "n_tokens": 2, "at": 0, "texts": ["a", "b"], "scene": None}]


@pytest.fixture
def large() -> Trace:
    trace = Trace()
    trace.add_site(Site("large", "cross", 0, 20, "target", "source"))
    return trace


def test_rows_of_a_large_site_stay_at_home(large: Trace, page: Page, read_picture: Reader) -> None:
    published(large, page)
    large.append({"large": np.full((20, 1, 1000), 1e-3)}, token="die")
    page.wait(lambda: page.messages)
    picture = read_picture(page.messages[0][1][0])
    assert (picture.blocks, picture.header["sites"][0]["n_queries"]) == ({}, 1)


def test_a_large_site_has_no_digest(large: Trace, page: Page) -> None:
    published(large, page)
    large.append({"large": np.full((20, 1, 1000), 1e-3)}, token="die")
    large.finish()
    page.wait(lambda: "end" in page.kinds())
    assert page.messages[-1][0]["digests"] == []


def test_a_large_site_can_be_fetched(large: Trace, page: Page, read_picture: Reader) -> None:
    publisher = published(large, page)
    large.append({"large": np.full((20, 1, 1000), 1e-3)}, token="die")
    publisher.ask({"t": "fetch", "site": 0, "head": 7})
    page.wait(lambda: "blocks" in page.kinds())
    (data,) = next(buffers for content, buffers in page.messages if content["t"] == "blocks")
    assert np.array_equal(read_picture(data).blocks[0, 7], large.weights(0, 7))


def test_two_pages_of_one_trace_hear_the_same(live: Trace, read_picture: Reader) -> None:
    pages = [Page(), Page()]
    for page in pages:
        published(live, page)
    for step in range(50):
        live.append({"cross": ROWS}, token=str(step))
    live.finish()
    heard = []
    for page in pages:
        page.wait(lambda page=page: "end" in page.kinds())
        steps = [
            read_picture(buffers[0]).header["steps"] for content, buffers in page.messages if content["t"] == "rows"
        ]
        heard.append(([step for part in steps for step in part], page.messages[-1][0]["digests"]))
    assert heard[0] == heard[1]


def test_a_handler_that_finishes_the_trace_does_not_wait_for_the_thread(
    live: Trace, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "FLUSH_SECONDS", 0.01)
    published(live, page)
    page.may_go.clear()
    live.append({"cross": ROWS}, token="die")
    assert page.entered.wait(PATIENCE)
    live.finish()
    page.may_go.set()
    page.wait(lambda: "end" in page.kinds())
    assert page.kinds()[-1] == "end"
