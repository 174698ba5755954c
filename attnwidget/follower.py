"""A thread that writes what is new in a trace while it is recorded, paced so that the recording does not wait."""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from pathlib import Path

from attnwidget.disk import WriteError
from attnwidget.folder import Folder
from attnwidget.trace import Trace

PACE_SECONDS = 0.25  # between two writes at least
_SHARE = 40  # times as long as a write takes the processor, until the next one
_IDLE = 3  # times as long as it takes, with all waiting for the disk

_followers: weakref.WeakKeyDictionary[Trace, dict[Path, Follower]] = weakref.WeakKeyDictionary()


def followers(trace: Trace) -> dict[Path, Follower]:
    """Return what follows a trace, by the folder that it writes to."""
    return _followers.setdefault(trace, {})


class Follower:
    """Writes a trace to a folder as it grows; an observer of the trace.

    Args:
        folder: where to.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._news, self._gate, self._ended = False, threading.Lock(), threading.Event()
        self._writing = threading.Lock()  # one writer at a time
        self._is_running = False
        self._error: Exception | None = None
        self._is_told = False

    def __call__(self, trace: Trace) -> None:
        """Note that there is something new, and warn of what went wrong."""
        with self._gate:
            self._news = True
            starts, self._is_running = not self._is_running, True
        if starts:
            threading.Thread(target=self._run, args=(trace,), name="attnwidget save").start()
        self._warn()

    def write(self, trace: Trace) -> None:
        """Write what is new, now.

        Raises:
            OSError: it could not be written.
        """
        with self._writing:
            self._folder.write(trace)
            self._error = None

    def end(self, trace: Trace) -> None:
        """Write what is left.

        Raises:
            WriteError: it could not be written; what was written before is a trace of the steps before.
        """
        self._ended.set()
        try:
            self.write(trace)
        except Exception as error:
            self._error = error
            self._warn()
            if not isinstance(error, OSError):
                raise
            place = str(self._folder.path)
            raise WriteError(error.errno, f"the end of the trace was not written: {error}", place) from error

    def _run(self, trace: Trace) -> None:
        while self._has_news():
            started, cpu = time.monotonic(), time.thread_time()
            try:
                self.write(trace)
            except Exception as error:  # noqa: BLE001 - it is told to whoever records, in whose thread it can be heard
                self._error = error
            took, busy = time.monotonic() - started, time.thread_time() - cpu
            self._rest(max(PACE_SECONDS, _SHARE * busy, _IDLE * took))
        if not threading.main_thread().is_alive():  # which nobody finishes any more
            self._warn()

    def _has_news(self) -> bool:
        with self._gate:
            has_news, self._news = self._news and not self._ended.is_set(), False
            self._is_running = has_news
        return has_news

    def _rest(self, seconds: float) -> None:
        """Wait, but keep neither the end of the recording nor that of the program waiting."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and threading.main_thread().is_alive():
            if self._ended.wait(min(left, PACE_SECONDS)):
                return

    def _warn(self) -> None:
        if self._error is not None and not self._is_told:
            self._is_told = True
            warnings.warn(
                f"the trace is not being written to {self._folder.path}: {self._error}. The recording goes on, and so "
                "do attempts to write; what was written before is whole.",
                stacklevel=2,
            )
