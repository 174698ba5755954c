"""The synced traits: what is shown, and how it is looked at."""

from __future__ import annotations

import math

import traitlets

from attnwidget.wire.limits import MEAN, PROTOCOL

SCALES = ("auto", "absolute", "row")
EXPECTATIONS = ("auto", "one", "ratio", "none", "own")
AXES = ("query", "key")
STRENGTHS = ("sum", "step")
SPECIALS = ("keep", "dim", "omit")
LANGUAGES = ("auto", "en", "zh")


class Traits(traitlets.HasTraits):
    """The synced traits: small, latest wins. A page reload and a saved notebook are drawn from them alone."""

    protocol = traitlets.Int(PROTOCOL, help="version of the wire; written by the kernel").tag(sync=True)
    frame = traitlets.Bytes(help="zlib of a packed picture: the whole trace, weights of the selection first").tag(
        sync=True
    )
    step = traitlets.Int(0, help="selected query row, from 0").tag(sync=True, page_writes=True)
    last_step = traitlets.Int(0, help="the largest step of the selected site; written by the kernel").tag(sync=True)
    follows = traitlets.Bool(
        True, help="whether the step is the last one, which a view that is made later shows; written by the kernel"
    ).tag(sync=True)
    site = traitlets.Int(0, help="selected site, index into sites").tag(sync=True, page_writes=True)
    head = traitlets.Int(MEAN, help="selected head; -1 for the mean over heads").tag(sync=True, page_writes=True)
    locked = traitlets.List(traitlets.Int(), help="inputs that were clicked: indices of keys").tag(
        sync=True, page_writes=True
    )
    scale = traitlets.Enum(
        SCALES, "auto", help="colours from 0 to 1, or to each row's maximum; auto is the latter where heads are large"
    ).tag(sync=True, page_writes=True)
    expectation = traitlets.Enum(
        EXPECTATIONS,
        "auto",
        help="expected strength: 1, number of queries / number of keys, none, or what `expected` says; auto is 1 where "
        "keys are words that share out a sum and are no output of the decoder itself, else none",
    ).tag(sync=True, page_writes=True)
    expected = traitlets.List(
        traitlets.Float(min=0), help="strength that is expected of each key where `expectation` is own"
    ).tag(sync=True)
    strength = traitlets.Enum(STRENGTHS, "sum", help="strength over all steps so far, or in this step alone").tag(
        sync=True, page_writes=True
    )
    special = traitlets.Enum(
        SPECIALS, "keep", help="whether special keys are kept, dimmed, or left out and the other weights renormalised"
    ).tag(sync=True, page_writes=True)
    special_keys = traitlets.List(
        traitlets.Int(min=0), help="keys that count as special; empty for special tokens by their text, and sinks"
    ).tag(sync=True)
    rows = traitlets.Enum(AXES, "query", help="what the rows of the heatmap are: queries, or keys").tag(
        sync=True, page_writes=True
    )
    language = traitlets.Enum(
        LANGUAGES, "auto", help="what the page speaks: English, Chinese, or the language of the page around it"
    ).tag(sync=True)
    selector = traitlets.Unicode(help="model id of a bqplot index selector that is the step; may be empty").tag(
        sync=True
    )

    @traitlets.validate("expected")
    def _finite(self, proposal: traitlets.Bunch) -> list[float]:
        for key, value in enumerate(proposal.value):
            if not math.isfinite(value):
                raise traitlets.TraitError(
                    f"expected: {value} came for key {key}, a number of at least 0 was expected."
                )
        return list(proposal.value)

    @traitlets.observe("step", "last_step")
    def _note_whether_it_follows(self, _: traitlets.Bunch) -> None:
        self.set_trait("follows", self.step >= self.last_step)

    @traitlets.observe("expected")
    def _own(self, change: traitlets.Bunch) -> None:
        if change.new:
            self.expectation = "own"
