"""While a trace grows, rows of the shown site leave at once, and others as far as there is room."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

import numpy as np
import pytest

from attnwidget import Site, Trace
from attnwidget.architecture import Architecture, Node
from attnwidget.ledger import Cursor
from attnwidget.wire import MEAN, STEP_BYTES, live
from attnwidget.wire.codec import pack
from attnwidget.wire.live import due, limited, new_blocks, streamed

ROW_BYTES = 3 * 5 * 4


def grown(n_steps: int, n_sites: int = 2) -> Trace:
    trace = Trace(source=list("abcde"))
    for layer in range(n_sites):
        trace.add_site(Site(f"cross{layer}", "cross", layer, 3, "target", "source"))
    for step in range(n_steps):
        trace.append({f"cross{layer}": np.full((3, 1, 5), 0.2) for layer in range(n_sites)}, token=str(step))
    return trace


def rows(since: Cursor, until: Cursor) -> list[int]:
    return [until.n_queries[name] - since.n_queries.get(name, 0) for name in sorted(until.n_queries)]


def packed(trace: Trace, until: Cursor) -> bytes:
    """Return the message that brings a page so far."""
    return pack(trace, 0, list(new_blocks(trace, Cursor(), until)), Cursor(), until)


def test_all_that_fits_leaves_together() -> None:
    trace = grown(7)
    since, until = due(trace, Cursor(), 0)
    assert (until, rows(since, until)) == (trace.cursor, [7, 7])


@pytest.mark.parametrize(("shown", "expected"), [(0, [7, 2]), (1, [2, 7])])
def test_the_shown_site_leaves_first(monkeypatch: pytest.MonkeyPatch, shown: int, expected: list[int]) -> None:
    monkeypatch.setattr(live, "LIVE_BYTES", 9 * ROW_BYTES)
    assert rows(*due(grown(7), Cursor(), shown)) == expected


def test_the_site_that_lags_most_leaves_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_BYTES", 10 * ROW_BYTES)
    since = Cursor(n_queries={"cross1": 5})
    assert rows(*due(grown(7, n_sites=3), since, 0)) == [7, 0, 3]


def test_what_waited_leaves_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_BYTES", 9 * ROW_BYTES)
    trace = grown(7)
    _, until = due(trace, Cursor(), 0)
    assert rows(*due(trace, until, 0)) == [0, 5]


def test_all_rows_leave_once_the_recording_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_BYTES", 0)
    trace = grown(7)
    trace.finish()
    assert rows(*due(trace, Cursor(), 0)) == [7, 7]


def test_a_large_head_that_is_not_shown_waits_until_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_WEIGHTS", 34)
    trace = grown(7)
    since, until = due(trace, Cursor(), 0)
    assert (until, rows(since, until)) == (trace.cursor, [7, 0])


def test_steps_and_tokens_never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LIVE_BYTES", 0)
    trace = grown(7)
    _, until = due(trace, Cursor(), 0)
    assert (until.n_steps, until.n_tokens) == (7, trace.n_tokens)


def test_a_trace_without_sites_has_tokens_to_tell() -> None:
    trace = Trace(source=list("abcde"))
    assert due(trace, Cursor(), 0)[1] == trace.cursor


@pytest.mark.parametrize(("n_queries", "n_heads"), [(4, 3), (5, 1)])
def test_of_heads_that_grew_large_one_travels(monkeypatch: pytest.MonkeyPatch, n_queries: int, n_heads: int) -> None:
    monkeypatch.setattr(live, "LIVE_WEIGHTS", 20)
    blocks = list(new_blocks(trace := grown(n_queries, 1), Cursor(), trace.cursor))
    assert [block.head for block in blocks] == ([0, 1, 2] if n_heads == 3 else [MEAN])


def test_what_just_fits_is_not_cut() -> None:
    trace = grown(7)
    needed = bisect_left(range(10**5), True, key=lambda n: limited(trace, Cursor(), trace.cursor, n) == trace.cursor)
    assert limited(trace, Cursor(), trace.cursor, needed - 1) != trace.cursor
    assert len(packed(trace, trace.cursor)) <= needed <= 2 * len(packed(trace, trace.cursor))


@pytest.mark.parametrize(("n_heads", "n_keys"), [(64, 2), (1, 200), (8, 30)])
def test_small_and_large_rows_are_counted_as_what_they_take(n_heads: int, n_keys: int) -> None:
    trace = Trace(source=["x"] * n_keys)
    trace.add_site(Site("cross", "cross", 0, n_heads, "target", "source"))
    for step in range(80):
        trace.append({"cross": np.full((n_heads, 1, n_keys), 1 / n_keys)}, token=str(step))
    until = limited(trace, Cursor(), trace.cursor, 30_000)
    assert 0 < until.n_steps < 80
    assert 10_000 < len(packed(trace, until)) <= 30_000


def test_a_diagram_takes_room() -> None:
    trace = grown(50)
    nodes = (Node(str(i), "module", f"a layer that is called {i}") for i in range(150))
    trace.set_architecture(Architecture(tuple(nodes)))
    until = limited(trace, Cursor(), trace.cursor, 28_000)
    assert 0 < until.n_steps < 50
    assert len(packed(trace, until)) <= 28_000
    assert limited(trace, replace(Cursor(), n_drawn=trace.cursor.n_drawn), trace.cursor, 28_000) == trace.cursor


def test_a_site_that_came_later_is_not_counted() -> None:
    trace = grown(3, 1)
    until = trace.cursor
    trace.add_site(Site("later", "cross", 1, 3, "target", "source"))
    assert limited(trace, Cursor(), until) == until
    assert due(trace, Cursor(), 1)[1].n_queries == {"cross0": 3, "later": 0}
    assert len(list(new_blocks(trace, Cursor(), until))) == 3


@pytest.mark.parametrize(("n_heads", "n_keys"), [(1, STEP_BYTES // 4), (16, STEP_BYTES // 64), (STEP_BYTES // 4, 1)])
def test_rows_travel_as_they_are_made_up_to_a_size(n_heads: int, n_keys: int) -> None:
    assert streamed(n_heads, n_keys)
    assert not streamed(n_heads + 1, n_keys)
    assert not streamed(n_heads, n_keys + 1)
