"""The step that is the last one: it stays that while rows come, and views, which follow by themselves, are not told."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

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

    def is_last(self, choices: Mapping[str, object], follows: object) -> bool:
        """Tell whether the step that a page tells is the last one that it has, and goes with its rows.

        A page tells all that changed since it told something, also a step that nobody chose; and what it tells is told
        it again (ipywidgets' echo), when it has come further.

        Args:
            choices: what the page tells.
            follows: what it says of `follows`; None where that is as before.
        """
        as_before = self.follows and len(choices) > 1
        return "step" in choices and (follows is True or (follows is None and as_before))

    def go_to_last(self, sites: Sequence[Site]) -> None:
        """Go to the last step that there is, where a page is."""
        self._go_to(last_step(sites, self.site))
        self.follow(sites)

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
