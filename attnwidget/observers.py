"""Who wants to know of changes of a trace."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Observers(list[Callable[[T], None]]):
    """Functions that are called with what changed, in the thread that changed it."""

    def __init__(self) -> None:
        super().__init__()
        self._at_end: list[Callable[[T], None]] = []

    def add(self, observer: Callable[[T], None], at_end: Callable[[T], None] | None = None) -> Callable[[], None]:
        """Call `observer` after each change, and `at_end` once after the last one; return what ends both."""
        self.append(observer)
        if at_end is not None:
            self._at_end.append(at_end)

        def leave() -> None:
            if observer in self:
                self.remove(observer)
            if at_end in self._at_end:
                self._at_end.remove(at_end)

        return leave

    def tell(self, changed: T) -> None:
        """Tell all of a change; whoever looks on must not stop the model that is recorded."""
        for observer in tuple(self):
            try:
                observer(changed)
            except Exception:  # noqa: BLE001 - see above
                _log.exception("an observer of the trace failed")

    def end(self, changed: T) -> None:
        """Tell those who wait for the end, once; what the first of them raises is raised when all were told."""
        raised: list[Exception] = []
        waiting, self._at_end = self._at_end, []
        for at_end in waiting:
            try:
                at_end(changed)
            except Exception as error:  # noqa: BLE001 - it is raised below
                raised.append(error)
        if raised:
            raise raised[0]
