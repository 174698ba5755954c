"""What of a trace goes into a frame or a page, so that it fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from attnwidget.outline import Site
from attnwidget.survey import Glance
from attnwidget.sweep import Sweeps
from attnwidget.trace import Trace
from attnwidget.wire import EXACT_BYTES, FRAME_BYTES, MEAN, TERMS_BYTES
from attnwidget.wire.blocks import Block, Dtype, Sums
from attnwidget.wire.codec import pack
from attnwidget.wire.compressed import compressed
from attnwidget.wire.explain import of_interest
from attnwidget.wire.glances import glances
from attnwidget.wire.limits import (
    AHEAD_WEIGHTS,
    FRAME_TOKENS,
    FRAME_WEIGHTS,
    FRAME_WHOLE,
    HEADS_WEIGHTS,
)
from attnwidget.wire.parts import Part, part_of, whole_span


@dataclass(frozen=True)
class Budget:
    """How much of a trace goes into a picture of it.

    Args:
        n_bytes: of the picture, compressed. Where words alone take most of it, weights get a quarter of it more.
        exact: bytes of weights up to which they are stored as float32, or at twice that as float16.
        terms: bytes for what the selected weights came of.
        whole: weights of the largest head that goes in whole; of larger ones, the part that is looked at.
        weights: of all heads together, before they are compressed.
        heads: weights of the heads of which it is told what they are like as a whole.
        times: how often more is told of them than HEADS_BYTES allows.
        seconds: for reading a head that is too large to go in whole.
        keys: for one row, of all heads that are read for it; where there are more, such a head is left out.
        tokens: of each strip; where there are more, the first and the last of them.
        level: of zlib.
        piece: weights after which another picture begins; all are in one by default.
    """

    n_bytes: int = FRAME_BYTES
    exact: int = EXACT_BYTES
    terms: int = TERMS_BYTES
    whole: int = FRAME_WHOLE
    weights: int = FRAME_WEIGHTS
    heads: int = HEADS_WEIGHTS
    times: int = 1
    seconds: float = 0.01
    keys: int | None = None
    tokens: int | None = FRAME_TOKENS
    level: int = 6
    piece: int | None = None


class Piece(NamedTuple):
    """A compressed picture, and the heads of which it holds weights: site and head of each."""

    data: bytes
    heads: list[tuple[int, int]]


FRAME = Budget()
FIRST = Budget(
    weights=1 << 15, heads=1 << 19, keys=1 << 15, tokens=1 << 10, level=1
)  # what takes some milliseconds; the rest follows as a FRAME


def fits_first(trace: Trace) -> bool:
    """Tell whether FIRST leaves nothing out that FRAME has."""
    n_weights = sum(site.n_heads * site.n_queries * site.n_keys for site in trace.sites)
    return n_weights <= FIRST.weights and max(trace.n_tokens.values()) <= (FIRST.tokens or 0)


def frame(
    trace: Trace,
    seq: int,
    site: int,
    head: int,
    step: int = 0,
    budget: Budget = FRAME,
    sweeps: Sweeps | None = None,
) -> bytes:
    """Return a compressed picture of the whole trace. See `pieces`."""
    (whole,) = pieces(trace, seq, site, head, step, budget, sweeps)
    return whole.data


def pieces(
    trace: Trace,
    seq: int,
    site: int,
    head: int,
    step: int = 0,
    budget: Budget = FRAME,
    sweeps: Sweeps | None = None,
) -> list[Piece]:
    """Return compressed pictures of the whole trace: as many heads as fit, the selected one first, as exact as fits.

    All but weights is in the first. Where the page makes small pictures of heads itself, they are left out.

    Args:
        trace: what to show.
        seq: number of messages that this picture includes.
        site: the selected site.
        head: the selected head.
        step: the selected step.
        budget: how much goes in.
        sweeps: what was read of large heads before.
    """
    with trace.lock:  # rows that come later are in no head: where one had a row more there would be no mean
        now, sites = trace.cursor, trace.sites
    told = list(of_interest(trace, site, head, budget.terms))
    wanted, sums = _wanted(trace, sites, site, head, step, budget, sweeps or Sweeps(trace))
    n_cells = sum(block.weights.size for block in wanted)
    dtype: Dtype = "f4" if n_cells * 4 <= budget.exact else "f2" if n_cells * 2 <= budget.exact else "u1"
    if dtype == "f2" and any(np.abs(block.weights).max(initial=0) > 1 for block in wanted):
        dtype = "u1"  # float16 ends at 65,504; weights above 1 are odd already and keep their range in u1
    if wanted and wanted[0].weights.size * 4 <= budget.exact:
        wanted[0] = replace(wanted[0], dtype="f4")  # what is looked at is exact where it alone would be
    heads = list(glances(trace, site, budget.heads, budget.times))

    def packed(chosen: list[Block], sums: list[Sums]) -> list[Piece]:
        blocks = _without_needless_mean(trace, chosen, dtype, budget.piece)
        first, *others = _cut(blocks, budget.piece)
        seen = heads if budget.piece is None else list(_without_pictures(trace, heads, blocks))
        picture = pack(
            trace, seq, first, until=now, tokens=budget.tokens, dtype=dtype, sums=sums, terms=told, heads=seen
        )
        rest = ((blocks, pack(trace, seq, blocks, now, now, dtype=dtype)) for blocks in others)
        return [
            Piece(compressed(data, _n_levels(blocks, dtype), budget.level), [(b.site, b.head) for b in blocks])
            for blocks, data in ((first, picture), *rest)
        ]

    made = packed(wanted, sums)
    if _size(made) <= budget.n_bytes:
        return made
    least = _size(packed([], []))  # without any weights
    n_bytes = max(budget.n_bytes, least + budget.n_bytes // 4)
    while _size(made) > n_bytes and len(wanted) > 1:
        share = (n_bytes - least) / (_size(made) - least)
        wanted = wanted[: max(1, min(len(wanted) - 1, int(len(wanted) * share)))]
        made = packed(wanted, sums)
    pool = 1
    while _size(made) > n_bytes and wanted and pool < max(wanted[0].weights.shape):
        pool *= 2
        made = packed([block.pooled(pool) for block in wanted], [])
    return made


def _size(pieces: list[Piece]) -> int:
    return sum(len(piece.data) for piece in pieces)


def _n_levels(blocks: list[Block], dtype: Dtype) -> int:
    return sum(block.weights.size for block in blocks if (block.dtype or dtype) == "u1")


def _cut(blocks: list[Block], n_cells: int | None) -> list[list[Block]]:
    """Return blocks in groups of about so many weights; of more than one the first is what is looked at alone."""
    if n_cells is None or sum(block.weights.size for block in blocks) <= n_cells:
        return [blocks]
    groups: list[list[Block]] = [[]]
    left = n_cells
    for block in blocks[1:]:
        if left < block.weights.size and groups[-1]:
            groups.append([])
            left = n_cells
        groups[-1].append(block)
        left -= block.weights.size
    return [blocks[:1], *groups]


def _without_pictures(
    trace: Trace, heads: list[tuple[int, Glance]], blocks: list[Block]
) -> Iterator[tuple[int, Glance]]:
    """Yield what is told of heads without the pictures that the page makes of their weights, which it reads ahead."""
    is_read = sum(block.weights.size for block in blocks) <= AHEAD_WEIGHTS
    whole = {(b.site, b.head) for b in blocks if b.whole and b.weights.shape == (b.queries.end, b.keys.end)}
    for site, glance in heads:
        is_made = is_read and all((site, head) in whole for head in glance.heads)
        yield site, replace(glance, pictures=glance.pictures[:, :0, :0]) if is_made else glance


def _wanted(
    trace: Trace, sites: Sequence[Site], site: int, head: int, step: int, budget: Budget, sweeps: Sweeps
) -> tuple[list[Block], list[Sums]]:
    """Return heads by interest, until they hold more weights than can fit, and sums of a head that is not whole."""
    head = 0 if sites and sites[site].n_heads == 1 else head
    if not sites or not sites[site].n_queries:
        return list(_up_to(budget.weights, _others(trace, sites, site, head, budget.whole))), []
    if sites[site].n_queries * sites[site].n_keys <= budget.whole:
        first = Part([whole_block(trace, sites, site, head)], [])
    elif budget.keys is not None and sites[site].n_keys * (sites[site].n_heads if head == MEAN else 1) > budget.keys:
        first = Part([], [])
    else:
        sweep = sweeps.sweep(site, None if head == MEAN else head, *whole_span(trace, site))
        sweep.run(budget.seconds)
        first = part_of(trace, sweep, min(step, sites[site].n_queries - 1), budget.n_bytes // 4)
    left = budget.weights - sum(block.weights.size for block in first.blocks)
    return [*first.blocks, *_up_to(left, _others(trace, sites, site, head, budget.whole))], first.sums


def whole_block(trace: Trace, sites: Sequence[Site], site: int, head: int) -> Block:
    """Return all weights of one head, as many as there were when the sites were asked for."""
    chosen: int | Literal["mean"] = "mean" if head == MEAN else head
    size = slice(sites[site].n_queries), slice(sites[site].n_keys)
    return Block.of_rows(site, head, 0, trace.weights(site, chosen, *size))


def _others(trace: Trace, sites: Sequence[Site], site: int, head: int, whole: int) -> Iterator[Block]:
    """Yield the heads that are not selected and not too large: neighbours in the site first, then the other sites."""
    for index in sorted(range(len(sites)), key=lambda i: (i != site, abs(i - site))):
        heads = [h for h in range(sites[index].n_heads) if (index, h) != (site, head)]
        if index == site and head != MEAN:
            heads.sort(key=lambda h: abs(h - head))
        if 0 < sites[index].n_queries * sites[index].n_keys <= whole:
            yield from (whole_block(trace, sites, index, h) for h in heads)


def _up_to(n_cells: int, blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks until they hold more weights than can ever fit."""
    for block in blocks if n_cells > 0 else ():
        yield block
        n_cells -= block.weights.size
        if n_cells <= 0:
            return


def _without_needless_mean(trace: Trace, blocks: list[Block], dtype: Dtype, piece: int | None) -> list[Block]:
    """Leave out the mean where every head is there, no less exact and no later than it: the page makes it itself."""
    if not blocks or blocks[0].head != MEAN or dtype != (blocks[0].dtype or dtype):
        return blocks
    if piece is not None and sum(block.weights.size for block in blocks) > piece:
        return blocks
    site = blocks[0].site
    n_blocks = sum(block.site == site for block in blocks)
    return blocks[1:] if n_blocks > trace.sites[site].n_heads else blocks
