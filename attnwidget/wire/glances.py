"""What is told of heads as a whole: of how many, and how large their pictures are."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isqrt
from typing import cast

from attnwidget.outline import Site
from attnwidget.survey import Glance
from attnwidget.trace import Trace
from attnwidget.wire import HEADS_BYTES, HEADS_WEIGHTS, HEADS_WEIGHTS_LIVE
from attnwidget.wire.heads import HeadsData, StatisticsData

HEADS_AT_ONCE = 1 << 22  # weights that are read for one answer, some 40 ms
HEAD_WEIGHTS = 1 << 20  # weights that are read of one head
LEAST_ROWS = 64
SIDES = (6, 32)  # a picture of a head has at most this many rows and columns, and none has fewer than there is room for


def glances(trace: Trace, site: int, most: int = HEADS_WEIGHTS, times: int = 1) -> Iterator[tuple[int, Glance]]:
    """Yield what a frame tells of heads, with the index of their site: the selected one first, then as many as may be.

    Args:
        trace: what to show.
        site: the selected site.
        most: weights that are read for it, where nothing is being recorded.
        times: how often more bytes of pictures there may be than usual.
    """
    sites = trace.sites
    size = _size(sum(each.n_heads for each in sites), times * HEADS_BYTES)
    left = min(most, HEADS_WEIGHTS_LIVE) if trace.status == "recording" else most
    for index in sorted(range(len(sites)), key=lambda i: (i != site, i)):
        n_rows = _n_rows(sites[index])
        n_weights = sites[index].n_heads * n_rows * sites[index].n_keys
        if 0 < n_weights <= left:
            left -= n_weights
            yield index, trace.survey.glance(sites[index].name, range(sites[index].n_heads), size, n_rows)


def glance_from(trace: Trace, site: int, at: int) -> Glance:
    """Return what is told of heads of one site from `at` on: as many as can be read at once, and one at least."""
    chosen = trace.sites[site]
    n_rows = _n_rows(chosen)
    n_heads = max(1, HEADS_AT_ONCE // max(1, n_rows * chosen.n_keys))
    heads = range(at, min(at + n_heads, chosen.n_heads))
    return trace.survey.glance(chosen.name, heads, _size(chosen.n_heads, HEADS_BYTES), n_rows)


def _n_rows(site: Site) -> int:
    """Return how many rows of each head are read: of large heads some from all over, so that all cost the same."""
    return min(site.n_queries, max(LEAST_ROWS, HEAD_WEIGHTS // max(1, site.n_keys)))


def pack_heads(site: int, glance: Glance, offset: int) -> tuple[HeadsData, bytes]:
    """Return what the header says of heads, and their pictures, padded to 4 bytes."""
    told = {
        name: [round(value, 4) if isfinite(value) else None for value in values.tolist()]
        for name, values in glance.statistics.items()
    }
    _, n_rows, n_columns = glance.pictures.shape
    said = HeadsData(
        site=site,
        at=glance.heads.start,
        n_heads=len(glance.heads),
        n_queries=glance.shape[0],
        n_read=glance.n_read,
        n_rows=n_rows,
        n_columns=n_columns,
        offset=offset,
        statistics=cast("StatisticsData", told),
    )
    pictures = glance.pictures.tobytes()
    return said, pictures + bytes(-len(pictures) % 4)


def _size(n_heads: int, n_bytes: int) -> int:
    """Return the side of pictures of so many heads; 0 where they would be too small to show anything."""
    size = min(SIDES[1], isqrt(n_bytes // max(1, n_heads)))
    return size if size >= SIDES[0] else 0
