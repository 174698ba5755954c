"""What of a growing trace leaves with the next message, so that it fits: rows that are looked at first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from attnwidget.ledger import Cursor
from attnwidget.outline import Site
from attnwidget.trace import Trace
from attnwidget.wire.blocks import Block
from attnwidget.wire.codec import describe
from attnwidget.wire.limits import LIVE_BYTES, MESSAGE_BYTES, STEP_BYTES, WHOLE_WEIGHTS

BLOCK_BYTES = 160  # what the header says of a block, about


def due(trace: Trace, since: Cursor, shown: int) -> tuple[Cursor, Cursor]:
    """Return the cursors between which the next message is.

    Rows of the shown site come at once. Those of other sites wait while recording where more than LIVE_BYTES would
    leave; heads of them that grew too large to travel whole are asked for when they are looked at.

    Args:
        trace: what is streamed.
        since: what left before.
        shown: index of the site that is shown.
    """
    sites, until = trace.sites, trace.cursor
    others = [site for index, site in enumerate(sites) if index != shown and site.name in until.n_queries]
    large = [site.name for site in others if site.n_queries * site.n_keys > WHOLE_WEIGHTS]
    since = replace(since, n_queries={**since.n_queries, **{name: until.n_queries[name] for name in large}})
    room = LIVE_BYTES
    if until.status == "recording":
        room -= sum(_row_bytes(site) * _lag(site, since, until) for site in sites[shown : shown + 1])
        until = replace(until, n_queries={**until.n_queries, **_fitting(others, since, until, room)})
    return since, limited(trace, since, until)


def _fitting(sites: list[Site], since: Cursor, until: Cursor, room: int) -> Mapping[str, int]:
    """Return up to which row each site is sent: as far as there is room, the one that lags most first."""
    ends = {}
    for site in sorted(sites, key=lambda site: -_lag(site, since, until)):
        n_rows = min(_lag(site, since, until), max(0, room) // _row_bytes(site)) if _row_bytes(site) else None
        if n_rows is not None:
            ends[site.name] = since.n_queries.get(site.name, 0) + n_rows
            room -= n_rows * _row_bytes(site)
    return ends


def _lag(site: Site, since: Cursor, until: Cursor) -> int:
    return until.n_queries.get(site.name, 0) - since.n_queries.get(site.name, 0)


def _row_bytes(site: Site) -> int:
    return site.n_heads * site.n_keys * 4 if streamed(site.n_heads, site.n_keys) else 0


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
            yield from (Block.of_rows(index, head, first, rows[head]) for head in range(site.n_heads))


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
    n_bytes = len(json.dumps(describe(trace, 0, since, until)))
    for site in trace.sites:
        n_rows = until.n_queries.get(site.name, 0) - since.n_queries.get(site.name, 0)
        n_keys = until.n_keys.get(site.name, 0)
        if n_rows and streamed(site.n_heads, n_keys):
            n_bytes += site.n_heads * (n_rows * n_keys * 4 + BLOCK_BYTES)
    return n_bytes
