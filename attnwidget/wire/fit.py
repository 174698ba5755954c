"""What of a trace goes into a frame or a message, so that it fits."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from attnwidget.ledger import Cursor
from attnwidget.trace import Trace
from attnwidget.wire import EXACT_BYTES, FRAME_BYTES, MEAN, MESSAGE_BYTES, STEP_BYTES, TERMS_BYTES
from attnwidget.wire.codec import Block, Dtype, describe, pack
from attnwidget.wire.explain import of_interest
from attnwidget.wire.glances import glances

CELLS_PER_BYTE = 8  # more weights than this do not fit into a byte, however well they compress
OVERVIEW = 512  # squares along an axis, of which a head has weights in a frame that is too small for all
MESSAGE_CELLS = 1 << 24  # a head of more weights is answered with an overview
BLOCK_BYTES = 160  # what the header says of a block, about


def frame(
    trace: Trace,
    seq: int,
    site: int,
    head: int,
    budget: int = FRAME_BYTES,
    exact: int = EXACT_BYTES,
    terms: int = TERMS_BYTES,
    times: int = 1,
) -> bytes:
    """Return a compressed picture of the whole trace: as many heads as fit, the selected one first, as exact as fits.

    Args:
        trace: what to show.
        seq: number of messages that this picture includes.
        site: the selected site.
        head: the selected head.
        times: how often more is told of heads as a whole than HEADS_BYTES and HEADS_WEIGHTS allow.
        exact: bytes of weights up to which they are stored as float32, or at twice that as float16.
        budget: bytes, after compression. A head that is too large even so is pooled until it fits; where the words
            alone take most of the budget, the weights get a quarter of it more.
        terms: bytes for what the selected weights came of.
    """
    told = list(of_interest(trace, site, head, terms))
    most = CELLS_PER_BYTE * budget
    wanted = list(_up_to(most, _by_interest(trace, site, head, most)))
    n_cells = sum(block.weights.size for block in wanted)
    dtype: Dtype = "f4" if n_cells * 4 <= exact else "f2" if n_cells * 2 <= exact else "u1"
    if dtype == "f2" and any(np.abs(block.weights).max(initial=0) > 1 for block in wanted):
        dtype = "u1"  # float16 ends at 65,504; weights above 1 are odd already and keep their range in u1
    if wanted and wanted[0].weights.size * 4 <= exact:
        wanted[0] = replace(wanted[0], dtype="f4")  # what is looked at is exact where it alone would be
    heads = list(glances(trace, site, times))
    least = len(zlib.compress(pack(trace, seq, [], terms=told, heads=heads), 6))  # without any weights
    budget = max(budget, least + budget // 4)
    while True:
        shown = _without_needless_mean(trace, wanted, dtype)
        data = zlib.compress(pack(trace, seq, shown, dtype=dtype, terms=told, heads=heads), 6)
        if len(data) <= budget or len(wanted) <= 1:
            break
        share = (budget - least) / (len(data) - least)
        wanted = wanted[: max(1, min(len(wanted) - 1, int(len(wanted) * share)))]
    pool = 1
    while len(data) > budget and wanted and pool < max(wanted[0].weights.shape):
        pool *= 2
        data = zlib.compress(pack(trace, seq, wanted, dtype=dtype, pool=pool, terms=told, heads=heads), 6)
    return data


def streamed(n_heads: int, n_keys: int) -> bool:
    """Tell whether rows of a site travel as they are made; larger ones are fetched when they are looked at."""
    return n_heads * n_keys * 4 <= STEP_BYTES


def new_blocks(trace: Trace, since: Cursor, until: Cursor) -> Iterator[Block]:
    """Yield the rows that came between two cursors, as wide as they were then, of the sites that are streamed."""
    for index, site in enumerate(trace.sites):
        first, last = since.n_queries.get(site.name, 0), until.n_queries.get(site.name, 0)
        n_keys = until.n_keys.get(site.name, 0)
        if last > first and streamed(site.n_heads, n_keys):
            rows = trace.weights(site, queries=slice(first, last), keys=slice(n_keys))
            yield from (Block(index, head, first, rows[head]) for head in range(site.n_heads))


def limited(trace: Trace, since: Cursor, until: Cursor, budget: int = MESSAGE_BYTES) -> Cursor:
    """Return the farthest cursor up to which what is new fits into `budget` bytes; one row of one site always does."""
    lags = {name: end - since.n_queries.get(name, 0) for name, end in until.n_queries.items()}
    names = sorted((name for name, lag in lags.items() if lag), key=lambda name: -lags[name])
    cut, part = until, max(until.n_steps - since.n_steps, *_growth(since, until), 1)
    while (n_bytes := _n_bytes(trace, since, cut)) > budget and (part > 1 or len(names) > 1):
        if part > 1:
            part = max(1, min(part - 1, part * budget // n_bytes))
        else:
            names = names[: len(names) // 2]
        cut = Cursor(
            min(until.n_steps, since.n_steps + part),
            {name: min(end, since.n_tokens.get(name, 0) + part) for name, end in until.n_tokens.items()},
            {
                name: min(end, since.n_queries.get(name, 0) + part * (name in names))
                for name, end in until.n_queries.items()
            },
            until.n_keys,
            since.status,
            until.n_drawn,
        )
    return cut


def _growth(since: Cursor, until: Cursor) -> Iterator[int]:
    yield from (end - since.n_tokens.get(name, 0) for name, end in until.n_tokens.items())
    yield from (end - since.n_queries.get(name, 0) for name, end in until.n_queries.items())


def _n_bytes(trace: Trace, since: Cursor, until: Cursor) -> int:
    """Return about how many bytes the difference between two cursors takes, without making it."""
    n_bytes = len(json.dumps(describe(trace, 0, since, until, [])))
    for site in trace.sites:
        n_rows = until.n_queries.get(site.name, 0) - since.n_queries.get(site.name, 0)
        n_keys = until.n_keys.get(site.name, 0)
        if n_rows and streamed(site.n_heads, n_keys):
            n_bytes += site.n_heads * (n_rows * n_keys * 4 + BLOCK_BYTES)
    return n_bytes


def whole_block(trace: Trace, site: int, head: int, most: int = MESSAGE_CELLS) -> Block:
    """Return all weights of one head, or an overview of them where there are more than `most`."""
    chosen: int | Literal["mean"] = "mean" if head == MEAN else head
    with trace.lock:
        shape = trace.sites[site].n_queries, trace.sites[site].n_keys
        if shape[0] * shape[1] <= most:
            return Block(site, head, 0, trace.weights(site, chosen))
        cells, pool = trace.overview(site, chosen, OVERVIEW)
        return Block(site, head, 0, cells, shape=shape, pool=pool)


def _by_interest(trace: Trace, site: int, head: int, most: int) -> Iterator[Block]:
    """Yield heads as blocks: the selected one, then its neighbours in its site, then the other sites.

    Heads of more than `most` weights are yielded as overviews.
    """
    sites = trace.sites
    order = sorted(range(len(sites)), key=lambda i: (i != site, abs(i - site)))
    for index in order:
        heads = list(range(sites[index].n_heads))
        if index == site and head in heads:
            heads.sort(key=lambda h: abs(h - head))
        if index == site and head == MEAN and sites[index].n_heads > 1:
            heads.insert(0, MEAN)
        yield from (whole_block(trace, index, h, most) for h in heads if sites[index].n_queries)


def _up_to(n_cells: int, blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks until they hold more weights than can ever fit."""
    for block in blocks:
        yield block
        n_cells -= block.size
        if n_cells < 0:
            return


def _without_needless_mean(trace: Trace, blocks: list[Block], dtype: Dtype) -> list[Block]:
    """Leave out the mean where every head is there, no less exact than it: the page makes it itself."""
    if not blocks or blocks[0].head != MEAN or dtype != (blocks[0].dtype or dtype):
        return blocks
    site = blocks[0].site
    n_blocks = sum(block.site == site for block in blocks)
    return blocks[1:] if n_blocks > trace.sites[site].n_heads else blocks
