"""The wire between kernel and page, declared once: traits, messages and the layout of a picture.

Traits hold the current picture, messages carry what is new, and both carry the same thing: a *picture*, which is a JSON
header with blocks of weights behind it. A picture may be whole or a part; merging one twice changes nothing.
`python -m attnwidget.wire` writes `js/src/wire.gen.ts` and `docs/wire.md` from this file and `pictures.py`.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypedDict

import traitlets

from attnwidget.wire import pictures

PROTOCOL = 1

FRAME_BYTES = 256 * 1024  # the largest `frame`, after compression
EXACT_BYTES = 64 * 1024  # up to here a frame holds float32
MESSAGE_BYTES = 4 * 1024 * 1024  # the largest message
STEP_BYTES = 64 * 1024  # a site whose rows are larger than this for one step is not streamed but fetched
MESSAGES_PER_SECOND = 10  # for each widget; the server drops everything past 1,000 a second
FRAMES_PER_SECOND = 2  # while streaming

SCENE_BYTES = 96 * 1024  # pixels of one strip; larger scenes are sent smaller

HEADS_BYTES = 64 * 1024  # pictures of all heads in a frame, or of those of one site in a message
HEADS_WEIGHTS = 1 << 24  # a frame tells of heads of this many weights in all; others are asked for
HEADS_WEIGHTS_LIVE = 1 << 18  # the same while recording

MEAN = -1  # the head that stands for the mean over heads


class RowsMessage(TypedDict):
    """kernel -> page: new steps. Its one buffer is a packed picture."""

    t: Literal["rows"]
    run: Annotated[str, "run of the picture"]
    seq: Annotated[int, "number of this message in the run, from 0, without gaps"]


class EndMessage(TypedDict):
    """kernel -> page: nothing more will come, and this is what must have arrived."""

    t: Literal["end"]
    run: Annotated[str, "which recording"]
    count: Annotated[int, "number of rows messages in the run"]
    digests: Annotated[list[pictures.DigestData], "one for each head that was streamed"]


class BlocksMessage(TypedDict):
    """kernel -> page: an answer to fetch or heads. Its one buffer is a packed picture."""

    t: Literal["blocks"]
    run: Annotated[str, "run of the picture"]


class ReadyMessage(TypedDict):
    """page -> kernel: a view was made; it has everything before message `seq`."""

    t: Literal["ready"]
    run: Annotated[str, "which recording"]
    seq: Annotated[int, "the first message that it lacks"]


class NeedMessage(TypedDict):
    """page -> kernel: send these rows messages again."""

    t: Literal["need"]
    run: Annotated[str, "which recording"]
    seqs: Annotated[list[int], "numbers of the messages that did not come"]


class FetchMessage(TypedDict):
    """page -> kernel: send all weights of one head."""

    t: Literal["fetch"]
    run: Annotated[str, "which recording"]
    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head; -1 for the mean over heads"]


class HeadsMessage(TypedDict):
    """page -> kernel: tell of all heads of one site. The answers tell of some of them each."""

    t: Literal["heads"]
    run: Annotated[str, "which recording"]
    site: Annotated[int, "index into sites"]


DATA = pictures.DATA
TO_PAGE = (RowsMessage, EndMessage, BlocksMessage)
TO_KERNEL = (ReadyMessage, NeedMessage, FetchMessage, HeadsMessage)

SCALES = ("absolute", "row")
EXPECTATIONS = ("one", "ratio", "none", "own")
AXES = ("query", "key")
STRENGTHS = ("sum", "step")
SPECIALS = ("keep", "dim", "omit")


class Traits(traitlets.HasTraits):
    """The synced traits: small, latest wins. A page reload and a saved notebook are drawn from them alone."""

    protocol = traitlets.Int(PROTOCOL, help="version of the wire; written by the kernel").tag(sync=True)
    frame = traitlets.Bytes(help="zlib of a packed picture: the whole trace, weights of the selection first").tag(
        sync=True
    )
    step = traitlets.Int(0, help="selected query row, from 0").tag(sync=True, page_writes=True)
    last_step = traitlets.Int(0, help="the largest step of the selected site; written by the kernel").tag(sync=True)
    site = traitlets.Int(0, help="selected site, index into sites").tag(sync=True, page_writes=True)
    head = traitlets.Int(MEAN, help="selected head; -1 for the mean over heads").tag(sync=True, page_writes=True)
    locked = traitlets.List(traitlets.Int(), help="inputs that were clicked: indices of keys").tag(
        sync=True, page_writes=True
    )
    scale = traitlets.Enum(SCALES, "absolute", help="colours from 0 to 1, or to each row's maximum").tag(
        sync=True, page_writes=True
    )
    expectation = traitlets.Enum(
        EXPECTATIONS,
        "one",
        help="expected strength: 1, number of queries / number of keys, none, or what `expected` says",
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

    @traitlets.observe("expected")
    def _own(self, change: traitlets.Bunch) -> None:
        if change.new:
            self.expectation = "own"
