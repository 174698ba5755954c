"""AttentionWidget: a trace in, traits and messages out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from attnwidget.stream import Publisher
from attnwidget.trace import Trace
from attnwidget.wire import MEAN, Traits
from attnwidget.wire.codec import frame

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC = Path(__file__).parent / "static"


class AttentionWidget(anywidget.AnyWidget, Traits):
    """The picture of a trace, which grows while the trace does.

    Setting `trace` shows another one. `step`, `site`, `head`, `keys`, `scale` and `expectation` are traits: observe
    them, set them, or link them to other widgets, also with `ipywidgets.jslink`, which needs no kernel.

    Args:
        trace: what to show; an empty one, to be filled later, by default.
        site: the site to show first, index into `trace.sites`.
        head: the head to show first; -1 for the mean over heads.
        traits: initial values of other traits.

    Raises:
        FileNotFoundError: the front end was not built.
    """

    _esm = STATIC / "widget.js"

    def __init__(self, trace: Trace | None = None, *, site: int = 0, head: int = MEAN, **traits: object) -> None:
        self._quiet = False
        self._turn = threading.RLock()  # the page's changes and ours, one at a time
        with self._turn:
            self._publisher = Publisher(_checked(Trace() if trace is None else trace), self)
            super().__init__(**self._picture(site, head), **traits)
        _keep_subshell(self.comm)
        self.on_msg(self._on_message)
        self.observe(self._on_selection, names=["site", "head"])

    @property
    def trace(self) -> Trace:
        """What is shown."""
        return self._publisher.trace

    @trace.setter
    def trace(self, trace: Trace) -> None:
        with self._turn:
            old, self._publisher = self._publisher, Publisher(_checked(trace), self)
            old.close()
            self.locked = []
            self.step = 0
            self.update_frame(0)

    def close(self) -> None:
        """Close the widget and stop watching its trace."""
        self._publisher.close()
        super().close()

    # -- what the publisher calls

    def send_message(self, content: dict[str, object], buffers: list[bytes]) -> None:
        """Send a message to every view."""
        with self._turn:
            if self.comm is not None:
                self.send(content, buffers)

    def update_frame(self, seq: int) -> None:
        """Renew `frame` and what follows from it; a step that was the last one stays the last one.

        Views follow the last step by themselves. So the new step is not told them: it could overtake a step that a
        person chose while the kernel was too busy to hear of it.
        """
        picture = self._picture(self.site, self.head, seq)
        with self._turn:
            follows = self.step >= self.last_step
            with self.hold_sync():
                for name, value in picture.items():
                    self.set_trait(name, value)
            if follows or self.step > self.last_step:
                self._quiet = True
                try:
                    self.step = self.last_step
                finally:
                    self._quiet = False

    def notify_change(self, change: traitlets.Bunch) -> None:
        """Tell observers and, unless the change is quiet, the page."""
        if self._quiet:
            traitlets.HasTraits.notify_change(self, change)
        else:
            super().notify_change(change)

    def _picture(self, site: int, head: int, seq: int = 0) -> dict[str, object]:
        sites = self.trace.sites
        site = min(site, max(len(sites) - 1, 0))
        head = head if sites and head < sites[site].n_heads else MEAN
        last_step = max(sites[site].n_queries - 1, 0) if sites else 0
        return {"site": site, "head": head, "last_step": last_step, "frame": frame(self.trace, seq, site, head)}

    # -- what the page tells

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take from a page only what a page may say, and of that only what can be."""
        with self._turn:
            site = sync_data.get("site", self.site)
            accepted = {name: value for name, value in sync_data.items() if self._may_be(name, value, site)}
            if accepted:
                super().set_state(accepted)

    def _may_be(self, name: str, value: object, site: object) -> bool:
        if name not in Traits.class_traits(page_writes=True):
            return False
        try:
            Traits.class_traits()[name].validate(self, value)  # type: ignore[attr-defined]
            self._check(name, value, site)
        except (traitlets.TraitError, TypeError):
            return False
        return True

    @traitlets.validate("step", "site", "head", "locked")
    def _valid(self, proposal: traitlets.Bunch) -> object:
        self._check(proposal.trait.name, proposal.value, self.site)
        return proposal.value

    def _check(self, name: str, value: object, site: object) -> None:
        """Raise TraitError unless `value` is within the trace, seen from `site`."""
        sites = self.trace.sites
        if name == "site" and not _within([value], 0, len(sites)):
            raise traitlets.TraitError(f"site: {value} came, the trace has {len(sites)} sites, counted from 0.")
        if not sites or not isinstance(site, int):
            return
        chosen = sites[min(max(site, 0), len(sites) - 1)]
        if name == "step" and not _within([value], 0, chosen.n_queries):
            raise traitlets.TraitError(f"step: {value} came, {chosen.name} has {chosen.n_queries} steps, from 0.")
        if name == "head" and not _within([value], MEAN, chosen.n_heads):
            raise traitlets.TraitError(
                f"head: {value} came, {chosen.name} has {chosen.n_heads} heads, from 0; {MEAN} is their mean."
            )
        if name == "locked" and not _within(value, 0, chosen.n_keys):
            raise traitlets.TraitError(f"locked: {value} came, {chosen.name} has {chosen.n_keys} keys, from 0.")

    def _on_selection(self, _: traitlets.Bunch) -> None:
        sites = self.trace.sites
        if sites:
            self.last_step = max(sites[min(self.site, len(sites) - 1)].n_queries - 1, 0)
        self._publisher.renew_frame()

    def _on_message(self, _: object, content: object, buffers: object) -> None:
        if not isinstance(content, dict) or content.get("run") != self.trace.run:
            return
        kind, numbers = content.get("t"), content.get("seqs")
        if kind == "need" and isinstance(numbers, list) and all(type(seq) is int for seq in numbers):
            self._publisher.resend(numbers)
        elif kind == "fetch" and type(content.get("site")) is int and type(content.get("head")) is int:
            self._publisher.fetch(content["site"], content["head"])
        elif kind == "ready":
            self._publisher.tell_end()


def _checked(trace: object) -> Trace:
    if not isinstance(trace, Trace):
        raise TypeError(
            f"trace: {type(trace).__name__} came, a Trace was expected. "
            "Weights of another library become one with Trace.from_weights(weights, source=tokens)."
        )
    return trace


def _within(values: object, first: int, end: int) -> bool:
    """Tell whether all values are indices in [first, end); 0 always is, so that an empty trace has a selection."""
    return isinstance(values, list) and all(
        isinstance(value, int) and (value == 0 or first <= value < end) for value in values
    )


def _keep_subshell(comm: object) -> None:
    """Let a page's messages be handled while a cell runs, where the front end asks for that.

    ipykernel 7.4.0 hands a comm's messages to the shell that last published on it, which is the busy one.
    """
    if hasattr(comm, "_reply_subshell_for"):
        setattr(comm, "_reply_subshell_for", lambda data, default: default)  # noqa: B010
