"""Pictures as bytes: header length (uint32, little-endian), JSON header in ASCII, padding to 4, then the blocks."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from attnwidget.ledger import Cursor
from attnwidget.trace import Trace
from attnwidget.wire import EXACT_BYTES, FRAME_BYTES, MEAN, PROTOCOL, STEP_BYTES, BlockData, PictureData, SiteData

_CODES = {"nan": 0, "+inf": 1, "-inf": 2}  # how u1 blocks name what is not finite


@dataclass(frozen=True)
class Block:
    """Weights that a picture is to hold.

    Args:
        site: index of the site.
        head: index of the head, or MEAN.
        at: the first query.
        weights: float32 [query, key].
    """

    site: int
    head: int
    at: int
    weights: np.ndarray


Dtype = Literal["f4", "f2", "u1"]


def pack(
    trace: Trace,
    seq: int,
    blocks: Iterable[Block],
    since: Cursor | None = None,
    until: Cursor | None = None,
    *,
    dtype: Dtype = "f4",
    pool: int = 1,
) -> bytes:
    """Return a picture of a trace as bytes.

    Args:
        trace: what to describe.
        seq: number of messages that this picture includes.
        blocks: the weights to put in.
        since: leave out steps and tokens before this cursor.
        until: leave out steps and tokens after this cursor.
        dtype: how to store weights: float32, float16, or uint8 (off by at most 1/510 of the row's range).
        pool: store the maximum of each square of pool x pool weights; 1 stores each weight.
    """
    since, parts, described, offset = since or Cursor(), [], [], 0
    for block in blocks:
        data, n_odd = _encode(_pooled(block.weights, pool), dtype)
        n_queries, n_keys = block.weights.shape
        described.append(
            BlockData(
                site=block.site,
                head=block.head,
                at=block.at,
                n_queries=n_queries,
                n_keys=n_keys,
                dtype=dtype,
                pool=pool,
                offset=offset,
                n_bytes=len(data),
                n_odd=n_odd,
            )
        )
        padded = data + bytes(-len(data) % 4)
        parts.append(padded)
        offset += len(padded)
    header = json.dumps(_describe(trace, seq, since, until, described), separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 4)
    return b"".join([struct.pack("<I", len(header)), header, *parts])


def frame(trace: Trace, seq: int, site: int, head: int, budget: int = FRAME_BYTES, exact: int = EXACT_BYTES) -> bytes:
    """Return a compressed picture of the whole trace: as many heads as fit, the selected one first, as exact as fits.

    Args:
        trace: what to show.
        seq: number of messages that this picture includes.
        site: the selected site.
        head: the selected head.
        exact: bytes of weights up to which they are stored as float32, or at twice that as float16.
        budget: bytes, after compression. A head that is too large even so is pooled until it fits.
    """
    wanted = list(_by_interest(trace, site, head))
    n_cells = sum(block.weights.size for block in wanted)
    dtype: Dtype = "f4" if n_cells * 4 <= exact else "f2" if n_cells * 2 <= exact else "u1"
    if dtype == "f2" and any(np.abs(block.weights).max(initial=0) > 1 for block in wanted):
        dtype = "u1"  # float16 ends at 65,504; weights above 1 are odd already and keep their range in u1
    while True:
        data = zlib.compress(pack(trace, seq, wanted, dtype=dtype), 6)
        if len(data) <= budget or len(wanted) <= 1:
            break
        wanted = wanted[: max(1, min(len(wanted) - 1, len(wanted) * budget // len(data)))]
    pool = 1
    while len(data) > budget and wanted and pool < max(wanted[0].weights.shape):
        pool *= 2
        data = zlib.compress(pack(trace, seq, wanted, dtype=dtype, pool=pool), 6)
    return data


def streamed(site: SiteData | None) -> bool:
    """Tell whether rows of this site travel as they are made; larger ones are fetched when they are looked at."""
    return site is not None and site["n_heads"] * site["n_keys"] * 4 <= STEP_BYTES


def new_blocks(trace: Trace, since: Cursor, until: Cursor) -> Iterator[Block]:
    """Yield the rows that came between two cursors, of the sites that are streamed."""
    for index, (site, data) in enumerate(zip(trace.sites, describe_sites(trace), strict=True)):
        first, last = since.n_queries.get(site.name, 0), until.n_queries.get(site.name, 0)
        if last > first and streamed(data):
            rows = trace.weights(site, queries=slice(first, last))
            yield from (Block(index, head, first, rows[head]) for head in range(site.n_heads))


def whole_block(trace: Trace, site: int, head: int) -> Block:
    """Return all weights of one head."""
    return Block(site, head, 0, trace.weights(site, "mean" if head == MEAN else head))


def describe_sites(trace: Trace) -> list[SiteData]:
    """Return what the wire says of the sites of a trace."""
    return [
        SiteData(
            name=site.name,
            kind=site.kind,
            layer=site.layer,
            n_heads=site.n_heads,
            query=site.query,
            key=site.key,
            n_queries=site.n_queries,
            n_keys=site.n_keys,
            flags=[{"kind": f.kind, "count": f.count, "where": [list(w) for w in f.where]} for f in site.flags],
        )
        for site in trace.sites
    ]


def _describe(trace: Trace, seq: int, since: Cursor, until: Cursor | None, blocks: list[BlockData]) -> PictureData:
    until = until or trace.cursor
    strips = {name: (since.n_tokens.get(name, 0), until.n_tokens.get(name, 0)) for name in trace.tokens}
    return PictureData(
        protocol=PROTOCOL,
        run=trace.run,
        seq=seq,
        title=trace.title,
        status=until.status,
        strips=[
            {"name": name, "at": at, "texts": list(trace.tokens[name].texts[at:end])}
            for name, (at, end) in strips.items()
            if end > at
        ],
        sites=describe_sites(trace),
        steps_at=since.n_steps,
        steps=[
            {
                "token": step.token,
                "candidates": [{"token": c.token, "probability": c.probability} for c in step.candidates],
            }
            for step in trace.steps[since.n_steps : until.n_steps]
        ],
        blocks=blocks,
    )


def _by_interest(trace: Trace, site: int, head: int) -> Iterator[Block]:
    """Yield heads as blocks: the selected one, then its neighbours in its site, then the other sites."""
    sites = trace.sites
    order = sorted(range(len(sites)), key=lambda i: (i != site, abs(i - site)))
    for index in order:
        heads = list(range(sites[index].n_heads))
        if index == site and head in heads:
            heads.sort(key=lambda h: abs(h - head))
        if index == site and head == MEAN and sites[index].n_heads > 1:
            heads.insert(0, MEAN)
        yield from (whole_block(trace, index, h) for h in heads if sites[index].n_queries)


def _pooled(weights: np.ndarray, pool: int) -> np.ndarray:
    if pool == 1:
        return weights
    n_queries, n_keys = weights.shape
    padded = np.pad(weights, ((0, -n_queries % pool), (0, -n_keys % pool)), constant_values=-np.inf)
    tiles = padded.reshape(padded.shape[0] // pool, pool, padded.shape[1] // pool, pool)
    return cast(np.ndarray, tiles.max((1, 3)))


def _encode(weights: np.ndarray, dtype: Dtype) -> tuple[bytes, int]:
    """Return the bytes of a block, and how many odd values it lists.

    u1: for each row its least and greatest finite value (float32), then one uint8 a weight from least to greatest, then
    padding to 4, then for each value that is not finite its index (uint32) and its code (uint32).
    """
    if dtype != "u1":
        return weights.astype("<" + dtype).tobytes(), 0
    finite = np.isfinite(weights)
    low = np.where(finite, weights, np.inf).min(-1, initial=0)
    high = np.where(finite, weights, -np.inf).max(-1, initial=0)
    span = np.where(high > low, high.astype(np.float64) - low, 1)[:, None]
    levels = np.rint((np.where(finite, weights, 0).astype(np.float64) - low[:, None]) / span * 255)
    body = np.stack([low, high], -1).astype("<f4").tobytes() + levels.clip(0, 255).astype(np.uint8).tobytes()
    index = np.flatnonzero(~finite)
    value = weights.ravel()[index]
    code = np.where(np.isnan(value), _CODES["nan"], np.where(value > 0, _CODES["+inf"], _CODES["-inf"]))
    odd = np.stack([index, code], -1).astype("<u4").tobytes()
    return body + bytes(-len(body) % 4) + odd, len(index)
