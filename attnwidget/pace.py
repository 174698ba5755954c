"""How much of the time work may take that is done beside a model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Share:
    """Work that rests after each piece, for so long that it takes no more than its share of the time.

    Args:
        share: of the time, 0 to 1.
        clock: seconds, monotonic.
        busy: seconds that this thread has worked: waiting, for another thread or processor, is no work.
    """

    def __init__(self, share: float, clock: Callable[[], float], busy: Callable[[], float] = time.thread_time) -> None:
        self._share, self._clock, self._busy = share, clock, busy
        self.free_at = -math.inf  # when the next piece is due

    @property
    def is_free(self) -> bool:
        """Whether the next piece is due."""
        return self._clock() >= self.free_at

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Do a piece of work."""
        start = self._busy()
        try:
            yield
        finally:
            self.free_at = self._clock() + (self._busy() - start) / self._share


class Turns:
    """Events of which there are so many a second; after a time without any, some may follow each other.

    Args:
        per_second: how many.
        clock: seconds, monotonic.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = 1 / per_second, clock
        self.free_at = -math.inf  # when the next one is due

    def count(self, at_once: int) -> None:
        """Make the next one wait its turn after this one, where `at_once` may follow each other."""
        self.free_at = max(self.free_at, self._clock() - (at_once - 1) * self._seconds) + self._seconds
