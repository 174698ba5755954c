"""What of a growing trace leaves with the next message: rows that are looked at, and others where there is room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attnwidget.ledger import Cursor
from attnwidget.outline import Site
from attnwidget.trace import Trace
from attnwidget.wire.fit import heads_sent, limited, streamed
from attnwidget.wire.limits import LIVE_BYTES, LIVE_MESSAGE_BYTES, LIVE_WEIGHTS, MESSAGE_BYTES


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
    room, most = LIVE_BYTES, MESSAGE_BYTES
    if until.status == "recording":
        most = LIVE_MESSAGE_BYTES
        room -= sum(_row_bytes(site) * _lag(site, since, until) for site in sites[shown : shown + 1])
        until = replace(until, n_queries={**until.n_queries, **_fitting(others, since, until, room)})
    return since, limited(trace, since, until, most)


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
