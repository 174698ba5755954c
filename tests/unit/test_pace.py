"""Work keeps to its share of the time, and events to their number a second."""

from __future__ import annotations

import pytest

from attnwidget.pace import Share, Turns


class Time:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def busy() -> Time:
    return Time()


def test_work_rests_until_it_took_its_share(clock: Time, busy: Time) -> None:
    share = Share(0.05, clock, busy)
    assert share.is_free
    with share.spent():
        clock.now += 3  # it waited for another thread most of the time
        busy.now += 0.25
    assert share.free_at == pytest.approx(103 + 5)
    clock.now = share.free_at - 0.001
    assert not share.is_free
    clock.now = share.free_at
    assert share.is_free


def test_work_that_fails_rests_too(clock: Time, busy: Time) -> None:
    share = Share(0.5, clock, busy)

    def fail() -> None:
        with share.spent():
            busy.now += 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert share.free_at == pytest.approx(104)


def test_waiting_is_no_work() -> None:
    share = Share(0.5, clock := Time())
    with share.spent():
        clock.now += 60
    assert share.free_at == pytest.approx(160, abs=1)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_so_many_events_follow_each_other_and_no_more(clock: Time, at_once: int) -> None:
    turns = Turns(10, clock)
    assert turns.free_at == float("-inf")
    for _ in range(at_once):
        assert turns.free_at <= clock.now + 1e-9
        turns.count(at_once)
    assert turns.free_at == pytest.approx(clock.now + 0.1)


def test_events_that_wait_their_turn_keep_the_pace(clock: Time) -> None:
    turns, times = Turns(10, clock), []
    for _ in range(23):
        clock.now = max(clock.now, turns.free_at)
        times.append(clock.now)
        turns.count(4)
    assert times[:4] == pytest.approx([100] * 4)
    assert times[-1] == pytest.approx(100 + (23 - 4) / 10)


def test_time_without_events_is_not_saved_up(clock: Time) -> None:
    turns = Turns(10, clock)
    for _ in range(4):
        turns.count(4)
    clock.now += 3600
    for _ in range(4):
        turns.count(4)
    assert turns.free_at == pytest.approx(clock.now + 0.1)
