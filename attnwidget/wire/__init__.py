"""The wire between kernel and page, declared once: traits, messages and the layout of a picture.

Traits hold the current picture, messages carry what is new, and both carry the same thing: a *picture*, which is a JSON
header with blocks of weights behind it. A picture may be whole or a part; merging one twice changes nothing.
Numbers stand in `limits.py`, traits in `traits.py`, messages in `messages.py`, all else here;
`python -m attnwidget.wire` writes `js/src/wire.gen.ts` and `docs/wire.md` from them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from attnwidget.architecture.data import ArchitectureData, EdgeData, NodeData
from attnwidget.wire.heads import HeadsData, StatisticsData
from attnwidget.wire.limits import (
    AHEAD_WEIGHTS,
    EXACT_BYTES,
    FRAME_BYTES,
    FRAMES_PER_SECOND,
    HEADS_BYTES,
    HEADS_WEIGHTS,
    HEADS_WEIGHTS_LIVE,
    MEAN,
    MESSAGE_BYTES,
    MESSAGES_PER_SECOND,
    PAGE_WEIGHTS,
    PROTOCOL,
    SCENE_BYTES,
    STEP_BYTES,
    TERMS_BYTES,
    WHOLE_WEIGHTS,
)
from attnwidget.wire.messages import (
    BlocksMessage,
    DigestData,
    EndMessage,
    FetchMessage,
    HeadsMessage,
    NeedMessage,
    ReadyMessage,
    RefusedMessage,
    RowsMessage,
    TextsMessage,
    ViewMessage,
    WhyMessage,
)
from attnwidget.wire.traits import Traits

__all__ = [
    "AHEAD_WEIGHTS",
    "EXACT_BYTES",
    "FRAMES_PER_SECOND",
    "FRAME_BYTES",
    "HEADS_BYTES",
    "HEADS_WEIGHTS",
    "HEADS_WEIGHTS_LIVE",
    "MEAN",
    "MESSAGES_PER_SECOND",
    "MESSAGE_BYTES",
    "PAGE_WEIGHTS",
    "PROTOCOL",
    "SCENE_BYTES",
    "STEP_BYTES",
    "TERMS_BYTES",
    "WHOLE_WEIGHTS",
    "DigestData",
    "EndMessage",
    "RefusedMessage",
    "RowsMessage",
    "Traits",
]


class SceneData(TypedDict):
    """What the tokens of a strip are parts of; its pixels stand at `offset` behind the header."""

    kind: Literal["image", "video", "audio"]
    grid: Annotated[list[int], "frames, rows and columns of tokens"]
    before: Annotated[int, "tokens of the strip before the first of them"]
    seconds: Annotated[float | None, "how long it lasts"]
    shape: Annotated[list[int], "frames, rows, columns and channels of its pixels, one byte each"]
    offset: Annotated[int, "where they begin, counted from the end of the header"]


class StripData(TypedDict):
    """Tokens of one strip from position `at` on. What is not here is asked for."""

    name: Annotated[str, "source, target, or another name"]
    n_tokens: Annotated[int, "how many tokens the strip has by now"]
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
    """Weights of one head of one site, or the largest of small rectangles of them; bytes stand at `offset`."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head; -1 for the mean over heads"]
    queries: Annotated[list[int], "first and end of its rows, and of how many one value is the largest"]
    keys: Annotated[list[int], "first and end of its columns, likewise"]
    whole: Annotated[bool, "these are whole rows; keys after the last one have 0"]
    sampled: Annotated[bool, "not all of its rows were read yet: there may be larger weights"]
    dtype: Annotated[Literal["f4", "f2", "u1"], "f4, f2: floats. u1: see below"]
    offset: Annotated[int, "where its bytes begin, a multiple of 4, counted from the end of the header"]
    n_bytes: Annotated[int, "how many bytes stand there"]
    n_odd: Annotated[int, "u1 only: how many values are not finite"]
    levels: Annotated[int, "u1 only: where one byte a weight begins, counted from the end of the header"]


class SumsData(TypedDict):
    """What each key of a head received from its first rows: float32 [key] at `offset` behind the header."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head; -1 for the mean over heads"]
    n_steps: Annotated[int, "how many rows are in it"]
    offset: Annotated[int, "where its bytes begin, counted from the end of the header"]


class ArrayData(TypedDict):
    """One array of numbers, float32; its bytes stand at `offset` behind the header."""

    name: Literal["scores", "query", "keys", "pairs", "vector", "bias"]
    shape: Annotated[list[int], "its axes; the last one counts features, or for scores and bias keys"]
    offset: Annotated[int, "where its bytes begin, counted from the end of the header"]


class TermsData(TypedDict):
    """What the weights of one row of one head came of. See `attnwidget.terms.Terms`."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head"]
    query: Annotated[int, "index of the row; -1 for all of a head of which nothing was recorded"]
    form: Annotated[Literal["", "dot", "additive"], "how a score is computed; empty where that was not recorded"]
    scale: Annotated[float, "what the product of query and key is multiplied with"]
    softcap: Annotated[float | None, "a scaled product x becomes softcap * tanh(x / softcap)"]
    sink: Annotated[float | None, "one more score that is no key"]
    arrays: Annotated[list[ArrayData], "scores, and what they came of; none where nothing was recorded"]


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
    kept: Annotated[int, "bytes that the kernel keeps of large heads beside the trace; 0 where it says nothing"]
    sums: Annotated[list[SumsData], "strength of keys, where not all weights are here"]
    terms: Annotated[list[TermsData], "what some of the weights came of"]
    heads: Annotated[list[HeadsData], "heads as a whole, of some sites or none"]
    architecture: Annotated[ArchitectureData | None, "the diagram; null where this picture changes nothing in it"]


DATA = (
    *(SceneData, StripData, FlagData, SiteData, CandidateData, StepData, BlockData, SumsData),
    *(ArrayData, TermsData, StatisticsData, HeadsData, NodeData, EdgeData, ArchitectureData, PictureData, DigestData),
)
TO_PAGE = (RowsMessage, EndMessage, BlocksMessage, RefusedMessage)
TO_KERNEL = (ReadyMessage, NeedMessage, FetchMessage, TextsMessage, ViewMessage, WhyMessage, HeadsMessage)
