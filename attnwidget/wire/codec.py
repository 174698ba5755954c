"""Pictures as bytes: header length (uint32, little-endian), JSON header in ASCII, padding to 4, then the blocks."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator

from attnwidget.ledger import Cursor
from attnwidget.scene import Scene
from attnwidget.survey import Glance
from attnwidget.trace import Trace
from attnwidget.wire import PROTOCOL, SCENE_BYTES, PictureData, SceneData, SiteData, StripData
from attnwidget.wire.blocks import Block, Dtype, Sums, pack_block, pack_sums
from attnwidget.wire.explain import Explained, pack_terms
from attnwidget.wire.glances import pack_heads


def pack(
    trace: Trace,
    seq: int,
    blocks: Iterable[Block],
    since: Cursor | None = None,
    until: Cursor | None = None,
    *,
    tokens: int | None = None,
    dtype: Dtype = "f4",
    sums: Iterable[Sums] = (),
    kept: int = 0,
    terms: Iterable[Explained] = (),
    heads: Iterable[tuple[int, Glance]] = (),
) -> bytes:
    """Return a picture of a trace as bytes; levels of u1 blocks are the last of them.

    Args:
        trace: what to describe.
        seq: number of messages that this picture includes.
        blocks: the weights to put in.
        since: leave out steps and tokens before this cursor.
        until: leave out rows, steps and tokens after this cursor.
        tokens: how many of each strip to put in, half of them its first and half its last; all of them by default.
        dtype: how to store weights: float32, float16, or uint8 (off by at most 1/510 of the row's range).
        sums: what keys of some heads received.
        kept: bytes that are kept of large heads, beside the trace.
        terms: what some of the weights came of.
        heads: what to tell of heads as a whole, with the index of their site.
    """
    said = describe(trace, seq, since or Cursor(), until, tokens)
    said["kept"] = kept
    body, levels = bytearray(), bytearray()
    for block in blocks:
        told, data, level = pack_block(block, dtype, len(body), len(levels))
        said["blocks"].append(told)
        body += data
        levels += level
    for one in sums:
        summed, data = pack_sums(one, len(body))
        said["sums"].append(summed)
        body += data
    for strip in said["strips"]:
        scene = trace.ledger.strips.scenes.get(strip["name"])
        if scene is not None and strip["at"] == 0:
            strip["scene"], data = _pack_scene(scene, len(body))
            body += data
    for found in terms:
        row, data = pack_terms(found, len(body))
        said["terms"].append(row)
        body += data
    for site, glance in heads:
        seen, data = pack_heads(site, glance, len(body))
        said["heads"].append(seen)
        body += data
    for told in said["blocks"]:
        if told["dtype"] == "u1":
            told["levels"] += len(body)
    header = json.dumps(said, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 4)
    return b"".join([struct.pack("<I", len(header)), header, body, levels])


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


def texts_of(trace: Trace, strip: str, first: int, end: int, most: int | None = None) -> Iterator[StripData]:
    """Yield tokens of a strip from `first` to before `end`; of more than `most` the first and last of them."""
    texts = trace.ledger.strips.texts[strip]
    half = (end - first if most is None else most) // 2
    parts = ((first, end),) if most is None or end - first <= most else ((first, first + half), (end - half, end))
    for at, until in parts:
        if until > at:
            yield StripData(name=strip, n_tokens=len(texts), at=at, texts=texts[at:until], scene=None)


def describe_sites(trace: Trace, until: Cursor) -> list[SiteData]:
    """Return what the wire says of the sites of a trace, with the rows that there were at a cursor."""
    return [
        SiteData(
            name=site.name,
            kind=site.kind,
            layer=site.layer,
            n_heads=site.n_heads,
            query=site.query,
            key=site.key,
            asks=site.asks,
            n_queries=until.n_queries.get(site.name, 0),
            n_keys=until.n_keys.get(site.name, 0),
            flags=[{"kind": f.kind, "count": f.count, "where": [list(w) for w in f.where]} for f in site.flags],
        )
        for site in trace.sites
    ]


def describe(trace: Trace, seq: int, since: Cursor, until: Cursor | None, tokens: int | None = None) -> PictureData:
    """Return the header of a picture without weights: what came between two cursors. See `pack`."""
    with trace.lock:
        return _described(trace, seq, since, until or trace.cursor, tokens)


def _described(trace: Trace, seq: int, since: Cursor, until: Cursor, n_tokens: int | None) -> PictureData:
    strips = [
        strip
        for name in trace.ledger.strips.texts
        for strip in texts_of(trace, name, since.n_tokens.get(name, 0), until.n_tokens.get(name, 0), n_tokens)
    ]
    return PictureData(
        protocol=PROTOCOL,
        run=trace.run,
        seq=seq,
        title=trace.title,
        status=until.status,
        strips=strips,
        sites=describe_sites(trace, until),
        steps_at=since.n_steps,
        steps=[
            {
                "token": step.token,
                "candidates": [{"token": c.token, "probability": round(c.probability, 6)} for c in step.candidates],
            }
            for step in trace.ledger.steps[since.n_steps : until.n_steps]
        ],
        blocks=[],
        kept=0,
        sums=[],
        terms=[],
        heads=[],
        architecture=trace.architecture.to_dict() if until.n_drawn > since.n_drawn else None,
    )
