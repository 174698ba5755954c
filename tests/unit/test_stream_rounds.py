"""What a publisher says, message by message, where its thread does not run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from test_stream import Clock, Page, Sent, impatient  # noqa: F401 - a fixture

from attnwidget import Trace, stream
from attnwidget.stream import Publisher
from attnwidget.wire import FRAMES_PER_SECOND, MESSAGES_PER_SECOND

Reader = Callable[[bytes], Any]


@pytest.fixture
def still() -> Sent:
    """A live trace whose publisher sends when it is told to: as if its thread were there, but slow."""
    made = Sent()
    made.publisher._running = True
    return made


def test_a_message_says_which_it_is_and_what_came_since(still: Sent, read_picture: Reader) -> None:
    for _ in range(3):
        still.decode(2)
        still.publisher.flush()
    said = [content for content, _ in still.page.of("rows")]
    assert said == [{"t": "rows", "run": still.trace.run, "seq": seq} for seq in range(3)]
    headers = [read_picture(data).header for _, (data,) in still.page.of("rows")]
    assert [header["seq"] for header in headers] == [1, 2, 3]
    assert [(header["steps_at"], len(header["steps"])) for header in headers] == [(0, 2), (2, 2), (4, 2)]
    assert [seq for _, seq, _ in still.page.frames] == [1, 2, 3]


def test_the_end_says_how_many_messages_there_were_and_what_they_come_to(still: Sent) -> None:
    still.decode(2)
    still.publisher.flush()
    still.decode(1)
    still.trace.finish()
    ((end, buffers),) = still.page.of("end")
    digests = [{"site": 0, "head": head, "crc": still.trace.digest(0, head)} for head in range(3)]
    assert [{name: it[name] for name in ("site", "head", "crc")} for it in end["digests"]] == digests
    assert ({**end, "digests": []}, buffers) == ({"t": "end", "run": still.trace.run, "count": 2, "digests": []}, [])


def test_nothing_new_is_no_message(still: Sent) -> None:
    still.publisher.flush()
    assert (still.page.messages, still.page.frames) == ([], [])
    still.decode(1)
    still.publisher.flush()
    still.publisher.flush()
    assert (len(still.page.messages), len(still.page.frames)) == (1, 1)


def test_what_was_there_before_is_in_the_frame_and_no_message(read_picture: Reader) -> None:
    sent = Sent()
    sent.decode(5)
    publisher = Publisher(sent.trace, page := Page(sent.clock), sent.clock, sent.clock.sleep, sent.clock)
    publisher._running = True
    sent.decode(1)
    publisher.flush()
    ((_, (data,)),) = page.of("rows")
    header = read_picture(data).header
    assert (publisher.seq, header["steps_at"], len(header["steps"])) == (1, 5, 1)
    sent.publisher.close()


def test_a_closed_publisher_does_not_watch(still: Sent) -> None:
    assert still.trace.is_observed
    still.publisher.close()
    assert not still.trace.is_observed
    still.publisher.renew_frame()
    still.publisher.flush()
    still.publisher._round()
    assert (still.page.messages, still.page.frames) == ([], [])


def test_another_selection_is_a_frame_and_no_message(still: Sent) -> None:
    still.publisher.renew_frame()
    still.publisher._round()
    still.clock.sleep(10)
    still.publisher._round()
    assert (still.page.messages, len(still.page.frames)) == ([], 1)


def test_frames_of_another_selection_keep_their_pace(still: Sent) -> None:
    for _ in range(50):
        still.publisher.renew_frame()
        still.publisher._round()
        still.clock.sleep(0.05)
    times = [time for time, _, _ in still.page.frames]
    assert len(times) == pytest.approx(50 * 0.05 * FRAMES_PER_SECOND, abs=1)
    assert all(b - a >= 1 / FRAMES_PER_SECOND - 1e-9 for a, b in pairwise(times))


def test_frames_that_nobody_waits_for_come_seldom_while_recording(still: Sent) -> None:
    for _ in range(200):
        still.decode(1)
        still.publisher._round()
        still.clock.sleep(0.05)
    times = [time for time, _, _ in still.page.frames]
    assert times[0] == 100
    assert len(times) == pytest.approx(200 * 0.05 / stream.LIVE_FRAME_SECONDS, abs=1)
    assert all(b - a >= stream.LIVE_FRAME_SECONDS - 1e-9 for a, b in pairwise(times))


def test_rows_and_frames_rest_for_what_they_took(still: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still.page, "made", lambda: still.clock.sleep(0.05))
    send = still.page.send_message
    monkeypatch.setattr(still.page, "send_message", lambda *it: (send(*it), still.clock.sleep(0.01)))
    for _ in range(600):
        still.decode(1)
        still.publisher._round()
        still.clock.sleep(0.05)
    frames, took = [time for time, _, _ in still.page.frames], still.clock() - 100
    assert 0.05 * len(frames) <= stream.FRAME_SHARE * (took + 20)
    assert 0.01 * len(still.page.of("rows")) <= stream.ROWS_SHARE * (took + 1)
    assert len(frames) > 2
    assert len(still.page.of("rows")) > 10


def test_nothing_rests_where_nothing_is_recorded(still: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    still.decode(1)
    still.trace.finish()
    monkeypatch.setattr(still.page, "made", lambda: still.clock.sleep(5))
    n_before = len(still.page.frames)
    for _ in range(4):
        still.clock.sleep(1)
        still.publisher.renew_frame()
        still.publisher._round()
    assert len(still.page.frames) - n_before == 4


def test_a_round_answers_one_question(still: Sent, read_picture: Reader) -> None:
    still.decode(1)
    still.trace.finish()
    for head in (2, 0):
        still.publisher.ask({"t": "fetch", "site": 0, "head": head})
    heads = []
    for _ in range(3):
        still.publisher._round()
        heads.append([read_picture(data).header["blocks"][0]["head"] for _, (data,) in still.page.of("blocks")])
    assert heads == [[2], [2, 0], [2, 0]]
    _, (data,) = still.page.of("blocks")[0]
    assert read_picture(data).header["seq"] == still.publisher.seq == 1


def test_what_was_read_to_its_end_is_in_the_next_frame(still: Sent) -> None:
    still.decode(1)
    still.trace.finish()
    n_frames = len(still.page.frames)
    still.clock.sleep(1)
    still.publisher.answers.has_more = True
    still.publisher._round()
    assert (len(still.page.frames) - n_frames, still.publisher.answers.has_more) == (1, False)
    still.clock.sleep(1)
    still.publisher._round()
    assert len(still.page.frames) - n_frames == 1


def test_messages_that_are_asked_for_again_come_in_that_order(still: Sent, read_picture: Reader) -> None:
    for _ in range(3):
        still.decode(1)
        still.publisher.flush()
    still.trace.finish()
    first = [read_picture(data).header["steps"] for _, (data,) in still.page.of("rows")]
    still.page.messages.clear()
    still.publisher.resend([2, 0, 2, still.publisher.seq, -1])
    still.publisher.stand()
    for _ in range(5):
        still.publisher._round()
    assert [content.get("seq", content["t"]) for content, _ in still.page.messages] == [2, 0, "end"]
    again = [read_picture(data).header["steps"] for _, (data,) in still.page.of("rows")]
    assert again == [first[2], first[0]]


@pytest.mark.parametrize("status", ["complete", "stopped"])
def test_the_end_of_a_recording_is_told_at_once(still: Sent, status: str) -> None:
    still.decode(2)
    still.trace.finish(status)  # type: ignore[arg-type]
    assert [content["t"] for content, _ in still.page.messages] == ["rows", "end"]
    assert len(still.page.frames) == 1


@pytest.mark.parametrize("status", ["complete", "stopped"])
def test_an_end_that_a_page_knows_is_not_said_by_itself(status: str) -> None:
    made = Sent()
    made.decode(2)
    made.trace.finish(status)  # type: ignore[arg-type]
    publisher = Publisher(made.trace, page := Page(made.clock), made.clock, made.clock.sleep, made.clock)
    publisher._running = True
    publisher.flush()
    publisher._round()
    assert page.messages == []
    publisher.stand()
    publisher._round()
    assert [content["t"] for content, _ in page.messages] == ["end"]


def test_a_wait_while_recording_is_one_sleep(still: Sent) -> None:
    slept: list[float] = []
    still.publisher._sleep = lambda seconds: (slept.append(seconds), still.clock.sleep(seconds))  # type: ignore[func-returns-value, assignment]
    still.decode(1)
    still.publisher.ask({"t": "fetch", "site": 0, "head": 0})
    still.publisher._wait_turn(still.clock() + 0.125)
    assert slept == [0.125]
    still.publisher._wait_turn(still.clock())
    assert slept == [0.125]


def test_a_wait_ends_where_a_question_may_be_answered(still: Sent) -> None:
    still.decode(1)
    still.trace.finish()
    still.clock.sleep(10)
    until = still.clock() + 0.1
    still.publisher._wait_turn(until)
    assert until <= still.clock() < until + 1e-6
    still.publisher.ask({"t": "fetch", "site": 0, "head": 0})
    before = still.clock()
    still.publisher._wait_turn(before + 0.1)
    assert still.clock() == before
    for _ in range(8):  # as many as use the turns up
        still.publisher._send({"t": "end"}, [])
    free_at = still.publisher._turns.free_at
    assert free_at > before
    still.publisher._wait_turn(before + 60)
    assert free_at <= still.clock() <= free_at + 2 * stream.LOOK_SECONDS


def test_what_is_read_slowly_is_read_while_it_waits(still: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    still.decode(1)
    read: list[float] = []
    monkeypatch.setattr(type(still.publisher.answers), "is_reading", property(lambda _: len(read) < 3))
    monkeypatch.setattr(still.publisher.answers, "work", lambda: (read.append(still.clock()), still.clock.sleep(0.01)))
    still.publisher._wait_turn(still.clock() + 1)
    assert len(read) == 1  # a model runs beside, which needs the rest of the time
    still.trace.finish()
    still.publisher._wait_turn(still.clock() + 1)
    assert len(read) == 3


def test_a_closed_publisher_does_not_wait(still: Sent) -> None:
    still.publisher.close()
    before = still.clock()
    still.publisher._wait_turn(before + 60)
    assert still.clock() == before


@pytest.mark.parametrize(
    ("rows_free_at", "turn_free_at", "until"),
    [
        (-np.inf, -np.inf, 1),
        (1.5, -np.inf, 1.5),
        (9, -np.inf, 2),
        (-np.inf, 5.25, 5.25),
        (9, 5.25, 6.25),
        (5, 5.25, 5.25),
    ],
)
def test_a_round_is_followed_by_another_within_two_turns(
    still: Sent, monkeypatch: pytest.MonkeyPatch, rows_free_at: float, turn_free_at: float, until: float
) -> None:
    publisher, start, turn = still.publisher, still.clock(), 1 / MESSAGES_PER_SECOND
    news, waited = [True, False], []
    monkeypatch.setattr(publisher, "_waited_for_news", lambda: news.pop(0))
    monkeypatch.setattr(publisher, "_wait_turn", waited.append)
    monkeypatch.setattr(publisher, "_round", lambda: still.clock.sleep(0.001))
    publisher._of_rows.free_at = start + rows_free_at * turn
    publisher._turns.free_at = start + turn_free_at * turn
    publisher._run()
    assert waited == [pytest.approx(start + until * turn)]


def test_a_frame_that_is_still_due_is_news(still: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    still.publisher.renew_frame()
    still.publisher._round()
    still.publisher.renew_frame()
    news = [True, False]
    monkeypatch.setattr(still.publisher, "_waited_for_news", lambda: news.pop(0))
    still.publisher._run()
    assert (len(still.page.frames), still.publisher._news.is_set()) == (1, True)
    news += [True, False]
    still.clock.sleep(10)
    still.publisher._run()
    assert (len(still.page.frames), still.publisher._news.is_set()) == (2, False)


def test_a_frame_that_nobody_waits_for_is_due_on_time(still: Sent) -> None:
    still.decode(1)
    still.publisher._round()
    for seconds, n_frames in ((stream.LIVE_FRAME_SECONDS - 0.25, 1), (0.25, 2)):
        still.clock.sleep(seconds)
        still.decode(1)
        still.publisher._round()
        assert len(still.page.frames) == n_frames


def test_one_thread_tells_whatever_comes(live: Trace) -> None:
    others = set(threading.enumerate())
    publisher = Publisher(live, page := Page(clock := Clock()), clock, clock.sleep)
    with page.sent:  # so that it cannot send
        for _ in range(5):
            live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
        threads = [it for it in set(threading.enumerate()) - others if it.name == "attnwidget-publisher"]
    publisher.close()
    for thread in threads:
        thread.join(30)
    assert len(threads) == 1


def test_messages_follow_each_other_only_where_nothing_is_recorded(still: Sent) -> None:
    turn = 1 / MESSAGES_PER_SECOND
    still.publisher._send({"t": "end"}, [])
    still.decode(1)
    still.clock.sleep(10)
    still.publisher._send({"t": "end"}, [])
    assert still.publisher._turns.free_at == pytest.approx(still.clock() + turn)
    still.trace.finish()
    still.clock.sleep(10)
    for count in range(1, stream.AT_ONCE + 2):
        still.publisher._send({"t": "end"}, [])
        left = (count - stream.AT_ONCE + 1) * turn
        assert still.publisher._turns.free_at == pytest.approx(still.clock() + left)


def test_a_thread_of_its_own_tells_in_real_time(live: Trace) -> None:
    clock, others = Clock(), set(threading.enumerate())
    publisher = Publisher(live, page := Page(clock))
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    page.wait(lambda: page.of("rows"))
    (thread,) = (it for it in set(threading.enumerate()) - others if it.name == "attnwidget-publisher")
    assert thread.daemon
    publisher.close()
    thread.join(30)
    assert not thread.is_alive()


def test_what_is_left_after_a_flush_follows_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.wire.live.LIVE_ROWS", 2)
    sent = Sent()
    sent.publisher._running = True
    sent.decode(5)
    sent.publisher._running = False
    sent.publisher.flush()
    sent.page.wait(lambda: len(sent.page.of("rows")) >= 3)
    sent.publisher.close()


def test_a_page_that_fails_is_told_of_in_the_log(live: Trace, caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(live, page := Page(clock := Clock()), clock, clock.sleep)
    page.fails = 1
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    page.wait(lambda: page.frames)
    publisher.close()
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("attnwidget.stream", "the widget could not be told what is new")
    assert record.exc_info is not None
