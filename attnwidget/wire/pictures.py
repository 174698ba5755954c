"""What the header of a picture says, field by field; part of the declaration of the wire."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict


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


class StatisticsData(TypedDict):
    """What heads attend to on the whole, a number for each head, null where it has none. See `attnwidget.heads`."""

    entropy: Annotated[list[float | None], "of a row, bits"]
    distance: Annotated[list[float | None], "between a query and what it attends to, tokens"]
    previous: Annotated[list[float | None], "weight on the token before"]
    first: Annotated[list[float | None], "weight on the first key"]
    diagonal: Annotated[list[float | None], "weight on the token itself, or along the line from corner to corner"]
    induction: Annotated[list[float | None], "weight on what followed the same token before"]


class HeadsData(TypedDict):
    """Statistics of some heads of a site, and a small picture of each: bytes at `offset` behind the header."""

    site: Annotated[int, "index into sites"]
    at: Annotated[int, "the first of these heads"]
    n_heads: Annotated[int, "how many there are"]
    n_queries: Annotated[int, "how many queries they had"]
    n_rows: Annotated[int, "rows of a picture; 0 where there are no pictures"]
    n_columns: Annotated[int, "columns of a picture"]
    offset: Annotated[int, "where they begin, counted from the end of the header"]
    statistics: Annotated[StatisticsData, "a number for each of these heads"]


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
    heads: Annotated[list[HeadsData], "heads as a whole, of some sites or none"]


class DigestData(TypedDict):
    """What a head's weights must come to once all its rows are there."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head"]
    crc: Annotated[int, "CRC-32 of its weights as little-endian float32 [query, key]"]


DATA = (
    SceneData,
    StripData,
    FlagData,
    SiteData,
    CandidateData,
    StepData,
    BlockData,
    StatisticsData,
    HeadsData,
    PictureData,
    DigestData,
)
