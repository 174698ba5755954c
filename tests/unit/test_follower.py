"""A trace is written in a thread of its own while it is recorded; what goes wrong is heard by whoever records."""

from __future__ import annotations

import errno
import gc
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from heard import PATIENCE

from attnwidget import Trace, follower
from attnwidget.disk import WriteError
from attnwidget.folder import Folder
from attnwidget.follower import Follower, followers

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """A folder that keeps when it was written to, and by which threads."""

    path = Path("run.attn")

    def __init__(self) -> None:
        self.written: list[Trace] = []
        self.threads: list[threading.Thread] = []
        self.fails: Exception | None = None
        self.before: Callable[[], object] = lambda: None
        self.changed = threading.Condition()

    def write(self, trace: Trace) -> None:
        self.before()
        with self.changed:
            self.written.append(trace)
            self.threads.append(threading.current_thread())
            self.changed.notify_all()
            if self.fails:
                raise self.fails

    def wait(self, n_times: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.written) >= n_times, PATIENCE)


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "attnwidget save":
            thread.join(PATIENCE)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def following(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    monkeypatch.setattr(follower, "PACE_SECONDS", 0.01)
    made = Follower(cast(Folder, disk))
    yield made
    disk.fails = None
    made.end(Trace())
    wait_for_threads()


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the thread meant to rest after each write."""
    found: list[float] = []
    monkeypatch.setattr(Follower, "_rest", lambda _, seconds: found.append(seconds))
    return found


def test_what_is_new_is_written_by_a_thread_of_its_own(following: Follower, disk: Disk) -> None:
    following(trace := Trace())
    disk.wait(1)
    (thread,) = disk.threads
    assert (disk.written, thread.name, thread.daemon) == ([trace], "attnwidget save", False)  # a program waits for it
    thread.join(PATIENCE)
    assert (thread.is_alive(), len(disk.written)) == (False, 1)


def test_a_thread_that_ended_is_followed_by_another(following: Follower, disk: Disk) -> None:
    for count in (1, 2, 3):
        following(Trace())
        disk.wait(count)
        disk.threads[-1].join(PATIENCE)
    assert len(set(disk.threads)) == 3


def test_what_comes_while_it_writes_is_written_next(following: Follower, disk: Disk) -> None:
    go, begun = threading.Event(), threading.Event()
    disk.before = lambda: (begun.set(), go.wait(PATIENCE))
    following(trace := Trace())
    assert begun.wait(PATIENCE)
    for _ in range(50):
        following(trace)
    go.set()
    disk.wait(2)
    disk.threads[-1].join(PATIENCE)
    assert (len(disk.written), len(set(disk.threads))) == (2, 1)


def test_one_writes_at_a_time(following: Follower, disk: Disk) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()

    disk.before = enter
    threads = [threading.Thread(target=following.write, args=(Trace(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == [1, 1, 1, 1]


def test_it_rests_for_what_writing_took(
    following: Follower, disk: Disk, rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, busy = [50.0], [7.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "thread_time", lambda: busy[0])
    for count, (took, cpu) in enumerate(((0.001, 0.0001), (0.5, 0.0), (0.5, 0.1)), start=1):

        def spend(took: float = took, cpu: float = cpu) -> None:
            now[0] += took
            busy[0] += cpu

        disk.before = spend
        following(Trace())
        disk.wait(count)
        disk.threads[-1].join(PATIENCE)
    assert rests == pytest.approx([0.01, 1.5, 4.0])


def test_the_end_does_not_wait_for_a_rest(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "PACE_SECONDS", 1e6)
    made, trace = Follower(cast(Folder, disk)), Trace()
    made(trace)
    disk.wait(1)
    made(trace)
    made.end(trace)
    disk.threads[0].join(PATIENCE)
    assert not disk.threads[0].is_alive()
    assert disk.threads[1:] == [threading.current_thread()]  # what was new is in what the end wrote


def test_a_rest_lasts_as_long_as_it_should(following: Follower) -> None:
    for seconds in (0.0, 0.03, 0.1):
        started = time.monotonic()
        following._rest(seconds)
        assert seconds <= time.monotonic() - started < seconds + 2


def test_what_went_wrong_is_told_once_where_it_is_recorded(following: Follower, disk: Disk) -> None:
    disk.fails = FULL
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for count in (1, 2, 3):
            following(Trace())
            disk.wait(count)
            disk.threads[-1].join(PATIENCE)
    (warning,) = told
    assert str(warning.message) == (
        "the trace is not being written to run.attn: [Errno 28] No space left on device. The recording goes on, and so "
        "do attempts to write; what was written before is whole."
    )


def test_what_was_written_after_all_is_not_told(following: Follower, disk: Disk) -> None:
    go = threading.Event()
    disk.before, disk.fails = lambda: go.wait(PATIENCE), FULL
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        following(Trace())
        go.set()
        disk.wait(1)
        disk.threads[0].join(PATIENCE)
        disk.fails = None
        following.write(Trace())
        following(Trace())


def test_an_end_that_cannot_be_written_says_so(following: Follower, disk: Disk) -> None:
    disk.fails = FULL
    with pytest.warns(UserWarning, match="not being written to run.attn"), pytest.raises(WriteError) as caught:
        following.end(Trace())
    error = caught.value
    assert (error.errno, error.filename, error.__cause__) == (errno.ENOSPC, "run.attn", FULL)
    assert error.strerror == "the end of the trace was not written: [Errno 28] No space left on device"


def test_an_end_that_fails_otherwise_fails_as_it_did(following: Follower, disk: Disk) -> None:
    disk.fails = KeyError("weights.0")
    with pytest.warns(UserWarning, match=r"weights\.0"), pytest.raises(KeyError):
        following.end(Trace())


def test_nothing_is_written_behind_the_end(following: Follower, disk: Disk) -> None:
    following.end(trace := Trace())
    following(trace)
    wait_for_threads()
    assert disk.written == [trace]


def test_what_follows_a_trace_is_known_while_it_lives() -> None:
    trace, place = Trace(), Path("run.attn")
    followers(trace)[place] = made = Follower(cast(Folder, Disk()))
    assert (followers(trace), followers(Trace())) == ({place: made}, {})
    count = len(follower._followers)
    del trace
    gc.collect()
    assert len(follower._followers) < count


def test_a_program_that_ends_on_a_full_disk_says_so(tmp_path: Path) -> None:
    code = """
        import os, sys
        from attnwidget import Trace
        trace = Trace(source=["a"])
        trace.save(sys.argv[1])
        def full(_):
            raise OSError(28, "No space left on device")
        os.fsync = full
        trace.set_tokens("target", ["b"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run.attn")]
    done: Any = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "is not being written" in done.stderr, "No space" in done.stderr) == (0, True, True)
