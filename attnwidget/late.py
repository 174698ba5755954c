"""A ledger whose last rows may be put off until somebody looks, so that recording does not wait for their order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attnwidget.ledger import Ledger


class Late:
    """Holds a ledger. Whoever asks for it finds it whole."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._ledger = Ledger()
        self._put_off: Callable[[Any], None] | None = None  # adds what is put off
        self._is_behind = True  # while that was not begun

    @property
    def ledger(self) -> Ledger:
        """What was recorded."""
        if self._put_off is not None:
            self._catch_up()
        return self._ledger

    def _catch_up(self) -> None:
        with self.lock:
            fill = self._put_off
            if fill is None or not self._is_behind:  # another thread has done it, or this one is about it
                return
            self._is_behind = False
            try:
                fill(self)
                self._ledger.finish("complete")
            except BaseException:
                self._ledger.finish("stopped")
                raise
            finally:
                self._put_off = None  # from here on others need not wait
