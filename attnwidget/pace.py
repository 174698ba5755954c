"""How much of the time work may take that is done beside a model."""

from __future__ import annotations

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
        self.free_at = float("-inf")  # when the next piece is due

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
