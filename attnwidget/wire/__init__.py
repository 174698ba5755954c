"""The wire between kernel and page, declared once: traits, messages and the layout of a picture.

Traits hold the current picture, messages carry what is new, and both carry the same thing: a *picture*, which is a JSON
header with blocks of weights behind it. A picture may be whole or a part; merging one twice changes nothing.
`python -m attnwidget.wire` writes `js/src/wire.gen.ts` and `docs/wire.md` from this file.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypedDict

import traitlets

from attnwidget.architecture.data import ArchitectureData, EdgeData, NodeData

PROTOCOL = 1

FRAME_BYTES = 256 * 1024  # the largest `frame`, after compression
EXACT_BYTES = 64 * 1024  # up to here a frame holds float32
MESSAGE_BYTES = 4 * 1024 * 1024  # the largest message
STEP_BYTES = 64 * 1024  # a site whose rows are larger than this for one step is not streamed but fetched
MESSAGES_PER_SECOND = 10  # for each widget; the server drops everything past 1,000 a second
FRAMES_PER_SECOND = 2  # while streaming

SCENE_BYTES = 96 * 1024  # pixels of one strip; larger scenes are sent smaller

MEAN = -1  # the head that stands for the mean over heads


class SceneData(TypedDict):
    """What the tokens of a strip are parts of; its pixels stand at `offset` behind the header."""

    kind: Literal["image", "video", "audio"]
    grid: Annotated[list[int], "frames, rows and columns of tokens"]
    before: Annotated[int, "tokens of the strip before the first of them"]
    seconds: Annotated[float | None, "how long it lasts"]
    shape: Annotated[list[int], "frames, rows, columns and channels of its pixels, one byte each"]
    offset: Annotated[int, "where they begin, counted from the end of the header"]


class StripData(TypedDict):
    """Tokens of one strip from position `at` on."""

    name: Annotated[str, "source, target, or another name"]
    at: Annotated[int, "position of the first of these tokens"]
    texts: Annotated[list[str], "their texts"]
    scene: Annotated[SceneData | None, "what they are parts of, with the first of them"]


class FlagData(TypedDict):
    """Something unusual in the weights of a site."""

    kind: Annotated[str, "nan, infinite, negative, above_one, row_sum, zero_row, column_sum, missing, reduced or mask"]
    count: Annotated[int, "how often"]
    where: Annotated[list[list[int]], "the first places, each [head, query, key]; -1 where an axis does not apply"]


class SiteData(TypedDict):
    """One place where weights are taken."""

    name: Annotated[str, "unique in the trace"]
    kind: Annotated[Literal["encoder", "decoder", "cross"], "which attention"]
    layer: Annotated[int, "ordinal among the sites of its kind"]
    n_heads: Annotated[int, "number of heads"]
    query: Annotated[str, "strip that the queries count"]
    key: Annotated[str, "strip that the keys count"]
    asks: Annotated[Literal["", "before", "after"], "whether a query is the state before or after a step's input"]
    n_queries: Annotated[int, "rows so far"]
    n_keys: Annotated[int, "columns so far"]
    flags: Annotated[list[FlagData], "what is unusual in its weights"]


class CandidateData(TypedDict):
    """A token that the decoder could have chosen."""

    token: Annotated[str, "its text"]
    probability: Annotated[float, "0 to 1"]


class StepData(TypedDict):
    """One decoder step."""

    token: Annotated[str, "the token that it chose"]
    candidates: Annotated[list[CandidateData], "the most probable tokens, best first"]


class BlockData(TypedDict):
    """Rows of one head of one site; its bytes stand at `offset` behind the header."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head; -1 for the mean over heads"]
    at: Annotated[int, "the first of these queries"]
    n_queries: Annotated[int, "number of queries, before pooling"]
    n_keys: Annotated[int, "number of keys, before pooling"]
    dtype: Annotated[Literal["f4", "f2", "u1"], "f4, f2: floats. u1: see below"]
    pool: Annotated[int, "side of the square of weights that one stored value is the maximum of; 1 for each its own"]
    offset: Annotated[int, "where its bytes begin, a multiple of 4, counted from the end of the header"]
    n_bytes: Annotated[int, "how many bytes it has"]
    n_odd: Annotated[int, "u1 only: how many values are not finite"]


class PictureData(TypedDict):
    """A trace, or what is new of it."""

    protocol: Annotated[int, "version of the wire"]
    run: Annotated[str, "which recording; another run replaces everything"]
    seq: Annotated[int, "number of messages of this run that this picture includes"]
    title: Annotated[str, "shown above the picture"]
    status: Annotated[Literal["empty", "recording", "complete", "stopped"], "how far the recording is"]
    strips: Annotated[list[StripData], "tokens"]
    sites: Annotated[list[SiteData], "all sites, always"]
    steps_at: Annotated[int, "index of the first of these steps"]
    steps: Annotated[list[StepData], "steps"]
    blocks: Annotated[list[BlockData], "weights"]
    architecture: Annotated[ArchitectureData | None, "the diagram; null where this picture changes nothing in it"]


class DigestData(TypedDict):
    """What a head's weights must come to once all its rows are there."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head"]
    crc: Annotated[int, "CRC-32 of its weights as little-endian float32 [query, key]"]


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
    digests: Annotated[list[DigestData], "one for each head that was streamed"]


class BlocksMessage(TypedDict):
    """kernel -> page: the answer to fetch. Its one buffer is a packed picture."""

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


_STRIPS, _DIAGRAM = (SceneData, StripData), (NodeData, EdgeData, ArchitectureData)
DATA = (*_STRIPS, FlagData, SiteData, CandidateData, StepData, BlockData, *_DIAGRAM, PictureData, DigestData)
TO_PAGE = (RowsMessage, EndMessage, BlocksMessage)
TO_KERNEL = (ReadyMessage, NeedMessage, FetchMessage)

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
