"""While a trace grows, rows of the shown site leave at once, and others as far as there is room."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget import Site, Trace
from attnwidget.ledger import Cursor
from attnwidget.wire import live
from attnwidget.wire.live import due

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
