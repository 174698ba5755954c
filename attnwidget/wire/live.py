"""What of a growing trace leaves with the next message: rows that are looked at, and others where there is room."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from json.encoder import encode_basestring_ascii as quoted

from attnwidget.ledger import Cursor
from attnwidget.outline import Site
from attnwidget.trace import Trace
from attnwidget.wire import DigestData
from attnwidget.wire.blocks import Block
from attnwidget.wire.limits import (
    LIVE_BYTES,
    LIVE_MESSAGE_BYTES,
    LIVE_ROWS,
    LIVE_WEIGHTS,
    MEAN,
    MESSAGE_BYTES,
    STEP_BYTES,
    WHOLE_WEIGHTS,
)

BLOCK_BYTES, SITE_BYTES, STEP_TEXT_BYTES, TEXT_BYTES = 160, 400, 40, 1  # what a header says of each, about


def due(trace: Trace, since: Cursor, shown: int) -> tuple[Cursor, Cursor]:
    """Return the cursors between which the next message is.

    Rows of the shown site come at once. Those of other sites wait while recording where more than LIVE_BYTES would
    leave; heads of them that grew large are asked for when they are looked at.

    Args:
        trace: what is streamed.
        since: what left before.
        shown: index of the site that is shown.
    """
    sites, until = trace.sites, trace.cursor
    others = [site for index, site in enumerate(sites) if index != shown and site.name in until.n_queries]
    large = [site.name for site in others if site.n_queries * site.n_keys > LIVE_WEIGHTS]
    since = replace(since, n_queries={**since.n_queries, **{name: until.n_queries[name] for name in large}})
    if until.status != "recording":
        return since, limited(trace, since, until)
    room = LIVE_BYTES - sum(_row_bytes(site) * _lag(site, since, until) for site in sites[shown : shown + 1])
    until = replace(until, n_queries={**until.n_queries, **_fitting(others, since, until, room)})
    return since, limited(trace, since, until, LIVE_MESSAGE_BYTES, LIVE_ROWS)


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
    n_heads = heads_sent(site.n_heads, site.n_queries, site.n_keys)
    return n_heads * site.n_keys * 4 if streamed(site.n_heads, site.n_keys) else 0


def streamed(n_heads: int, n_keys: int) -> bool:
    """Tell whether rows of a site travel as they are made; larger ones are fetched when they are looked at."""
    return n_heads * n_keys * 4 <= STEP_BYTES


def heads_sent(n_heads: int, n_queries: int, n_keys: int) -> int:
    """Return of how many heads of a site new rows travel: of large ones, of the shown one alone."""
    return n_heads if n_queries * n_keys <= LIVE_WEIGHTS else 1


def new_blocks(trace: Trace, since: Cursor, until: Cursor, head: int = MEAN) -> Iterator[Block]:
    """Yield the rows that came between two cursors, as wide as they were then, of the sites that are streamed.

    Args:
        trace: what is streamed.
        since: what left before.
        until: how far to go.
        head: the one that is shown.
    """
    for index, site in enumerate(trace.sites):
        first, last = since.n_queries.get(site.name, 0), until.n_queries.get(site.name, 0)
        n_keys = until.n_keys.get(site.name, 0)
        if last <= first or not streamed(site.n_heads, n_keys):
            continue
        read = partial(trace.weights, site, queries=slice(first, last), keys=slice(n_keys))
        if heads_sent(site.n_heads, last, n_keys) == site.n_heads:
            yield from (Block.of_rows(index, each, first, weights) for each, weights in enumerate(read()))
        else:
            one = min(head, site.n_heads - 1)
            yield Block.of_rows(index, one, first, read("mean" if one == MEAN else one))


def limited(
    trace: Trace, since: Cursor, until: Cursor, budget: int = MESSAGE_BYTES, n_rows: int | None = None
) -> Cursor:
    """Return the farthest cursor up to which what is new fits into a message; one row of one site always does.

    Args:
        trace: what is streamed.
        since: what left before.
        until: how far to go at most.
        budget: bytes that the message may take.
        n_rows: how many steps, rows of a site and tokens of a strip it may hold; all by default.
    """
    lags = {name: end - since.n_queries.get(name, 0) for name, end in until.n_queries.items()}
    names = sorted((name for name, lag in lags.items() if lag), key=lambda name: -lags[name])
    whole = max(until.n_steps - since.n_steps, *_growth(since, until), 1)
    part = min(whole, n_rows or whole)
    cut = until if part == whole else _cut(since, until, part, names)
    while (n_bytes := _n_bytes(trace, since, cut)) > budget and (part > 1 or len(names) > 1):
        if part > 1:
            part = max(1, min(part - 1, part * budget // n_bytes))
        else:
            names = names[: len(names) // 2]
        cut = _cut(since, until, part, names)
    return cut


def _cut(since: Cursor, until: Cursor, part: int, names: list[str]) -> Cursor:
    """Return the cursor that is so many steps, tokens and rows of these sites farther."""
    return Cursor(
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


def _growth(since: Cursor, until: Cursor) -> Iterator[int]:
    yield from (end - since.n_tokens.get(name, 0) for name, end in until.n_tokens.items())
    yield from (end - since.n_queries.get(name, 0) for name, end in until.n_queries.items())


def _n_bytes(trace: Trace, since: Cursor, until: Cursor) -> int:
    """Return about how many bytes the difference between two cursors takes, without making it."""
    n_bytes = len(json.dumps(trace.architecture.to_dict())) if until.n_drawn > since.n_drawn else 0
    with trace.lock:
        strips, steps = trace.ledger.strips.texts, trace.ledger.steps[since.n_steps : until.n_steps]
        texts = [strips[name][since.n_tokens.get(name, 0) : end] for name, end in until.n_tokens.items()]
    n_bytes += sum(TEXT_BYTES + len(quoted(text)) for strip in texts for text in strip)
    for step in steps:
        n_bytes += STEP_TEXT_BYTES + len(quoted(step.token))
        n_bytes += sum(STEP_TEXT_BYTES + len(quoted(candidate.token)) for candidate in step.candidates)
    for site in trace.sites:
        n_rows = until.n_queries.get(site.name, 0) - since.n_queries.get(site.name, 0)
        n_keys = until.n_keys.get(site.name, 0)
        n_bytes += SITE_BYTES + len(quoted(site.name))
        if n_rows and streamed(site.n_heads, n_keys):
            n_heads = heads_sent(site.n_heads, until.n_queries[site.name], n_keys)
            n_bytes += n_heads * (n_rows * n_keys * 4 + BLOCK_BYTES)
    return n_bytes


def digests(trace: Trace) -> list[DigestData]:
    """Return what the weights of each head must come to of which a page has all rows as they were."""
    return [
        DigestData(site=index, head=head, crc=trace.digest(index, head))
        for index, site in enumerate(trace.sites)
        if streamed(site.n_heads, site.n_keys)
        and 0 < site.n_queries * site.n_keys <= WHOLE_WEIGHTS  # of larger heads a page has the last rows
        and site.store != "qk"  # rounded anew each time
        for head in range(site.n_heads)
    ]
