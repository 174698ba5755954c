"""AttentionWidget: a trace in, traits and messages out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from attnwidget.built import widget_script
from attnwidget.figure import still
from attnwidget.latest import Latest, last_step
from attnwidget.outline import first_shown, first_step
from attnwidget.selection import CHOICES, check, checked
from attnwidget.stream import Publisher
from attnwidget.subshell import keep_subshell
from attnwidget.trace import Trace
from attnwidget.wire import MEAN, Traits
from attnwidget.wire.fit import FIRST, FRAME, Budget, fits_first, frame


class AttentionWidget(Latest, anywidget.AnyWidget):
    """The picture of a trace, which grows while the trace does.

    Setting `trace` shows another one. How it is looked at are traits: observe them, set them, or link them to other
    widgets, also with `ipywidgets.jslink`, which needs no kernel. `step`, `site`, `head` and `locked` say what is
    chosen; `scale`, `rows`, `strength` and `special` how it is drawn; `expectation` what strength is held against, and
    `expected` holds your own numbers, one for each key. `docs/wire.md` lists their values.

    Args:
        trace: what to show; an empty one, to be filled later, by default.
        site: index into `trace.sites` of the one to show first; by default what a decoder looks at, once it is there.
        head: the head to show first; -1 for the mean over heads.
        traits: initial values of other traits; `step` is by default the last of a decoder, the first of an encoder.

    Raises:
        FileNotFoundError: the front end was not built.
        TraitError: a value that the trace does not have.
        TypeError: trace is no Trace, or there is no such trait.
    """

    _esm = widget_script()
    _anywidget_id = traitlets.Unicode("attnwidget.widget.AttentionWidget").tag(sync=True)

    def __init__(
        self, trace: Trace | None = None, *, site: int | None = None, head: int = MEAN, **traits: object
    ) -> None:
        unknown = [name for name in traits if not self.has_trait(name)]
        if unknown:
            raise TypeError(f"AttentionWidget has no trait {unknown[0]!r}; it has {', '.join(Traits.class_traits())}.")
        self._turn = threading.RLock()  # the page's changes and ours, one at a time
        with self._turn:
            self._publisher = Publisher(checked(Trace() if trace is None else trace), self, shown=self._shown)
            self._site_is_chosen = site is not None
            site = self._given = first_shown(self.trace.sites) if site is None else site
            try:
                check(self.trace, "site", site, site)
                check(self.trace, "head", head, site)
                super().__init__(**{**self._picture(site, head, FIRST), **traits})
            except BaseException:
                self._publisher.close()
                raise
        keep_subshell(self.comm)
        self.on_msg(self._on_message)
        self.observe(self._on_selection, names=["site", "head"])
        self._complete()

    @property
    def trace(self) -> Trace:
        """What is shown."""
        return self._publisher.trace

    @trace.setter
    def trace(self, trace: Trace) -> None:
        with self._turn:
            if checked(trace) is self.trace:
                return
            self._publisher.close()
            self._publisher = Publisher(trace, self, shown=self._shown)
            site = self._given = self._wanted_site()
            self._set({"locked": [], **self._picture(site, self._fitting_head(site), FIRST)})
            self._complete()

    @property
    def selection(self) -> dict[str, object]:
        """How the trace is looked at now: `trace.to_svg("figure.svg", **widget.selection)` writes what is on screen."""
        return {name: getattr(self, name) for name in CHOICES}

    def _repr_mimebundle_(self, **kwargs: dict[str, object]) -> tuple[dict[str, object], dict[str, object]] | None:
        """Return what a notebook keeps: the widget, and for hosts that show none a picture of how it is now."""
        bundle = super()._repr_mimebundle_(**kwargs)
        picture = still(self.trace, self.selection)
        if bundle and picture:
            bundle[0]["image/svg+xml"] = picture
        return bundle

    def add_traits(self, **traits: traitlets.TraitType[Any, Any]) -> None:
        """Add traits that there are not yet: anywidget would make each widget a class of its own, which takes long."""
        new = {name: trait for name, trait in traits.items() if not self.has_trait(name)}
        if new:
            super().add_traits(**new)

    def close(self) -> None:
        """Close the widget and stop watching its trace."""
        if hasattr(self, "_publisher"):  # ipywidgets closes what is deleted, also what was never made
            self._publisher.close()
        super().close()

    # -- what the publisher calls

    def send_message(self, content: dict[str, object], buffers: list[bytes]) -> None:
        """Send a message to every view."""
        with self._turn:
            if self.comm is not None:
                self.send(content, buffers)
            if content["t"] == "rows" and self.is_due:
                self.follow(self.trace.sites)

    def update_frame(self, trace: Trace, seq: int) -> None:
        """Renew `frame` and what follows from it; a step that was the last one stays the last one."""
        with self._turn:
            old, site = self.site, self._wanted_site()
            head = self._fitting_head(site)
        picture = self._picture(site, head, FRAME, seq) if trace is self.trace else {}
        with self._turn:
            if not picture or trace is not self.trace or self.site != old:
                return  # another trace or site was chosen meanwhile, and its frame is due
            if site != old:  # views have rows that came meanwhile, of which the last is the step
                self._given = site
                self._set({"locked": [], **picture, **self._first(site)})
                return
            with self.hold_sync():
                self.set_trait("head", self._fitting_head(site))
                self.set_trait("frame", picture["frame"])
                self.follow(self.trace.sites)

    def get_state(self, key: object = None, drop_defaults: bool = False) -> dict[str, object]:
        """Return the state; all of it is for a page that has rows already, where a step that follows is the last."""
        if key is None and hasattr(self, "_publisher"):
            with self._turn:
                self.follow(self.trace.sites)
        return dict(super().get_state(key, drop_defaults))

    def _complete(self) -> None:
        """Let a frame follow that holds what the first one had no time for."""
        if not fits_first(self.trace):
            self._publisher.renew_frame(after=0.05)  # what was made first is on its way to the page

    def _picture(self, site: int, head: int, budget: Budget, seq: int = 0) -> dict[str, object]:
        first = self._first(site)
        data = frame(self.trace, seq, site, head, first["step"], budget, self._publisher.answers.sweeps)
        return {"site": site, "head": head, **first, "frame": data}

    def _first(self, site: int) -> dict[str, int]:
        sites = self.trace.sites
        return {"last_step": last_step(sites, site), "step": first_step(sites[site]) if sites else 0}

    def _shown(self) -> tuple[int, int]:
        return self.site, self.head

    def _wanted_site(self) -> int:
        sites = self.trace.sites
        is_chosen = self._site_is_chosen or self.site != self._given  # just now, by another thread
        return min(self.site, max(len(sites) - 1, 0)) if is_chosen else first_shown(sites)

    def _fitting_head(self, site: int) -> int:
        sites = self.trace.sites
        return self.head if not sites or self.head < sites[site].n_heads else MEAN

    def _set(self, values: Mapping[str, object]) -> None:
        """Set traits at once: observers and the page see all of them or none."""
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in values.items():
                self.set_trait(name, value)

    # -- what the page tells

    def set_state(self, sync_data: object) -> None:
        """Take from a page only what a page may say, and of that only what can be."""
        if not isinstance(sync_data, Mapping):
            return
        with self._turn:
            site = sync_data.get("site")
            site = site if isinstance(site, int) and self._may_be("site", site, site) else self.site
            accepted = {name: value for name, value in sync_data.items() if self._may_be(name, value, site)}
            follows = sync_data.get("follows")
            if is_last := self.is_last(accepted, follows):
                del accepted["step"]
            elif follows is False:  # there were later rows already when the step was chosen
                self.set_trait("last_step", last_step(self.trace.sites, site))
            if accepted:
                super().set_state(accepted)
            if is_last:
                self.go_to_last(self.trace.sites)

    def _may_be(self, name: str, value: object, site: object) -> bool:
        if name not in Traits.class_traits(page_writes=True):
            return False
        try:
            Traits.class_traits()[name].validate(self, value)  # type: ignore[attr-defined]
            check(self.trace, name, value, site)
        except (traitlets.TraitError, TypeError):
            return False
        return True

    @traitlets.validate("step", "site", "head", "locked")
    def _valid(self, proposal: traitlets.Bunch) -> object:
        check(self.trace, proposal.trait.name, proposal.value, self.site)
        return proposal.value

    def _on_selection(self, change: traitlets.Bunch) -> None:
        with self._turn:
            self._site_is_chosen |= change.name == "site" and change.new != self._given
            sites = self.trace.sites
            before: int = change.old if change.name == "site" else self.site
            self.stay_last(sites, before)
            last, n_keys = last_step(sites, self.site), sum(it.n_keys for it in sites[self.site : self.site + 1])
            self._set(
                {
                    "head": self._fitting_head(self.site),
                    "locked": [key for key in self.locked if key < n_keys],
                    "step": min(self.step, last),
                    "last_step": last,
                }
            )
        self._publisher.renew_frame()

    def _on_message(self, _: object, content: object, buffers: object) -> None:
        if not isinstance(content, dict):
            return
        kind, numbers, is_same = content.get("t"), content.get("seqs"), content.get("run") == self.trace.run
        if kind == "ready" and not is_same:
            with self._turn:  # the page missed that another trace is shown
                self.follow(self.trace.sites)
                self.send_state({*CHOICES, "frame", "last_step", "follows"})
        elif kind == "ready":
            self._publisher.stand()
        elif is_same and kind == "need" and isinstance(numbers, list) and all(type(seq) is int for seq in numbers):
            self._publisher.resend(numbers)
        elif is_same:
            self._publisher.ask(content)
