"""The step that is the last one: it stays that while rows come, and views, which follow by themselves, are not told."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import traitlets

from attnwidget.outline import Site, first_step
from attnwidget.wire import FRAMES_PER_SECOND, Traits


def last_step(sites: Sequence[Site], index: int) -> int:
    """Return the largest step of one of the sites, 0 where there is no such site or nothing of it."""
    return max([0, *(site.n_queries - 1 for site in sites[index : index + 1])])


class Latest(Traits):
    """Traits of which `step` stays the last one if it is, though the page is told only of a step that was chosen.

    A step that is told could overtake one that a person chose while the kernel was too busy to hear of it.
    """

    _quiet_in: int | None = None  # the thread in which a new step is not told to the page
    _due_at = 0.0  # when the last step is told next, though no frame is

    @property
    def is_due(self) -> bool:
        """Whether it is time to say how far the trace has come."""
        return time.monotonic() >= self._due_at

    def follow(self, sites: Sequence[Site]) -> None:
        """Renew the last step, and stay there if that is where the step is, and where a picture begins."""
        last = last_step(sites, self.site)
        if self.step >= self.last_step and (not sites or first_step(sites[self.site]) >= last):
            self._go_to(last)
        self._due_at = time.monotonic() + 1 / FRAMES_PER_SECOND
        self.set_trait("last_step", last)

    def stay_last(self, sites: Sequence[Site], before: int) -> None:
        """Go to the last step of the site if it was that of another that is as long, as a page does that follows."""
        last = last_step(sites, self.site)
        if self.step >= self.last_step and last == last_step(sites, before):
            self._go_to(last)

    def notify_change(self, change: traitlets.Bunch) -> None:
        """Tell observers and, unless the change is quiet, the page."""
        if change.name == "step" and self._quiet_in == threading.get_ident():
            traitlets.HasTraits.notify_change(self, change)
        else:
            super().notify_change(change)

    def _go_to(self, step: int) -> None:
        self._quiet_in = threading.get_ident()
        try:
            self.set_trait("step", step)
        finally:
            self._quiet_in = None
