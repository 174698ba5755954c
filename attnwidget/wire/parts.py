"""What of a head is looked at, where the head is too large to travel whole: cells, some rows, and sums."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from attnwidget.sweep import Span, Sweep
from attnwidget.trace import Trace
from attnwidget.wire.blocks import Block, Dtype, Sums
from attnwidget.wire.limits import CELLS, MEAN, ROWS_BYTES, WHOLE_WEIGHTS

NEAR = 8  # rows before and after the one that is looked at, which will be looked at next
NEAR_MEAN = 1  # the same for the mean, of which each row costs as much as one of every head


class Part(NamedTuple):
    """Weights and sums of one head."""

    blocks: list[Block]
    sums: list[Sums]


def whole_span(trace: Trace, site: int) -> tuple[Span, Span]:
    """Return all queries and all keys of a site, in as many cells as a screen has places for."""
    chosen = trace.sites[site]
    return Span.of(chosen.n_queries, CELLS), Span.of(chosen.n_keys, CELLS)


def is_whole(trace: Trace, site: int) -> bool:
    """Tell whether heads of a site travel whole when they are asked for."""
    return trace.sites[site].n_queries * trace.sites[site].n_keys <= WHOLE_WEIGHTS


def part_of(trace: Trace, sweep: Sweep, step: int, n_bytes: int = ROWS_BYTES, *, cells: bool = True) -> Part:
    """Return what a sweep has found so far, rows around a step, and what keys received up to it, if that is known.

    Args:
        trace: what is shown.
        sweep: of the head.
        step: the row that is read in full; its neighbours come with it where they fit.
        n_bytes: for these rows. Where not even one fits, it comes in cells.
        cells: whether what was swept is wanted too.
    """
    head = MEAN if sweep.head is None else sweep.head
    blocks = [_cells(sweep, head)] if cells else []
    n_queries, n_keys = sweep.shape
    room = n_bytes // (4 * n_keys)
    if room:
        near = min(NEAR if sweep.head is not None else NEAR_MEAN, (room - 1) // 2)
        first, end = max(0, step - near), min(n_queries, step + near + 1)
        rows = trace.weights(sweep.site, "mean" if sweep.head is None else head, slice(first, end), slice(n_keys))
        blocks.append(replace(Block.of_rows(sweep.site, head, first, rows), dtype="f4"))
    else:
        row = Sweep(trace, sweep.site, sweep.head, Span(step, step + 1), Span.of(n_keys, n_bytes // 4))
        row.run(0)
        blocks.append(_cells(row, head))
    is_encoder = trace.sites[sweep.site].kind == "encoder"  # which has no steps
    summed = sweep.sums(n_queries if is_encoder else step + 1)
    return Part(blocks, [Sums(sweep.site, head, *summed)] if summed else [])


def _cells(sweep: Sweep, head: int) -> Block:
    exact = sweep.queries.per == sweep.keys.per == 1
    dtype: Dtype = "f4" if exact or len(sweep.cells) == 1 else "u1"
    return Block(sweep.site, head, sweep.queries, sweep.keys, sweep.cells, dtype, sampled=not sweep.done)
