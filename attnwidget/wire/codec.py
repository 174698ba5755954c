"""Pictures as bytes: header length (uint32, little-endian), JSON header in ASCII, padding to 4, then the blocks."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attnwidget.ledger import Cursor
from attnwidget.scene import Scene
from attnwidget.stores.pooling import pooled
from attnwidget.survey import Glance
from attnwidget.trace import Trace
from attnwidget.wire import PROTOCOL, SCENE_BYTES, BlockData, PictureData, SceneData, SiteData
from attnwidget.wire.explain import Explained, pack_terms
from attnwidget.wire.glances import pack_heads

_CODES = {"nan": 0, "+inf": 1, "-inf": 2}  # how u1 blocks name what is not finite


Dtype = Literal["f4", "f2", "u1"]


@dataclass(frozen=True)
class Block:
    """Weights that a picture is to hold.

    Args:
        site: index of the site.
        head: index of the head, or MEAN.
        at: the first query.
        weights: float32 [query, key], or the maxima of squares of them.
        dtype: how to store these, where it is not as the others of the picture.
        shape: number of queries and keys, where `weights` are maxima.
        pool: the side of their squares.
    """

    site: int
    head: int
    at: int
    weights: np.ndarray
    dtype: Dtype | None = None
    shape: tuple[int, int] | None = None
    pool: int = 1

    @property
    def size(self) -> int:
        """Number of weights that it stands for."""
        n_queries, n_keys = self.shape or self.weights.shape
        return int(n_queries * n_keys)


def pack(
    trace: Trace,
    seq: int,
    blocks: Iterable[Block],
    since: Cursor | None = None,
    until: Cursor | None = None,
    *,
    dtype: Dtype = "f4",
    pool: int = 1,
    terms: Iterable[Explained] = (),
    heads: Iterable[tuple[int, Glance]] = (),
) -> bytes:
    """Return a picture of a trace as bytes.

    Args:
        trace: what to describe.
        seq: number of messages that this picture includes.
        blocks: the weights to put in.
        since: leave out steps and tokens before this cursor.
        until: leave out steps and tokens after this cursor.
        dtype: how to store weights: float32, float16, or uint8 (off by at most 1/510 of the row's range).
        pool: store the maximum of each square of pool x pool weights, or of squares; 1 stores what the blocks hold.
        terms: what some of the weights came of.
        heads: what to tell of heads as a whole, with the index of their site.
    """
    since, parts, described, offset = since or Cursor(), [], [], 0
    for block in blocks:
        own = block.dtype or dtype
        data, n_odd = _encode(pooled(block.weights, pool), own)
        n_queries, n_keys = block.shape or block.weights.shape
        described.append(
            BlockData(
                site=block.site,
                head=block.head,
                at=block.at,
                n_queries=n_queries,
                n_keys=n_keys,
                dtype=own,
                pool=block.pool * pool,
                offset=offset,
                n_bytes=len(data),
                n_odd=n_odd,
            )
        )
        padded = data + bytes(-len(data) % 4)
        parts.append(padded)
        offset += len(padded)
    said = describe(trace, seq, since, until, described)
    for strip in said["strips"]:
        scene = trace.tokens[strip["name"]].scene
        if scene is not None and strip["at"] == 0:
            strip["scene"], pixels = _pack_scene(scene, offset)
            parts.append(pixels)
            offset += len(pixels)
    for found in terms:
        row, numbers = pack_terms(found, offset)
        said["terms"].append(row)
        parts.append(numbers)
        offset += len(numbers)
    for site, glance in heads:
        told, pictures = pack_heads(site, glance, offset)
        said["heads"].append(told)
        parts.append(pictures)
        offset += len(pictures)
    header = json.dumps(said, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 4)
    return b"".join([struct.pack("<I", len(header)), header, *parts])


def _pack_scene(scene: Scene, offset: int) -> tuple[SceneData, bytes]:
    """Return what the header says of a scene, and its pixels, padded to 4 bytes."""
    small = scene.shrunk(SCENE_BYTES)
    data = small.pixels.tobytes()
    said = SceneData(
        kind=small.kind,
        grid=list(small.grid),
        before=small.before,
        seconds=small.seconds,
        shape=list(small.pixels.shape),
        offset=offset,
    )
    return said, data + bytes(-len(data) % 4)


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
            asks=site.asks,
            n_queries=site.n_queries,
            n_keys=site.n_keys,
            flags=[{"kind": f.kind, "count": f.count, "where": [list(w) for w in f.where]} for f in site.flags],
        )
        for site in trace.sites
    ]


def describe(trace: Trace, seq: int, since: Cursor, until: Cursor | None, blocks: list[BlockData]) -> PictureData:
    """Return the header of a picture: what came between two cursors, with these blocks. See `pack`."""
    with trace.lock:
        return _described(trace, seq, since, until or trace.cursor, blocks)


def _described(trace: Trace, seq: int, since: Cursor, until: Cursor, blocks: list[BlockData]) -> PictureData:
    tokens = trace.tokens
    strips = {name: (since.n_tokens.get(name, 0), until.n_tokens.get(name, 0)) for name in tokens}
    return PictureData(
        protocol=PROTOCOL,
        run=trace.run,
        seq=seq,
        title=trace.title,
        status=until.status,
        strips=[
            {"name": name, "at": at, "texts": list(tokens[name].texts[at:end]), "scene": None}
            for name, (at, end) in strips.items()
            if end > at
        ],
        sites=describe_sites(trace),
        steps_at=since.n_steps,
        steps=[
            {
                "token": step.token,
                "candidates": [{"token": c.token, "probability": round(c.probability, 6)} for c in step.candidates],
            }
            for step in trace.steps[since.n_steps : until.n_steps]
        ],
        blocks=blocks,
        terms=[],
        heads=[],
        architecture=trace.architecture.to_dict() if until.n_drawn > since.n_drawn else None,
    )


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
