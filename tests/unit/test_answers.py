"""Answers: of large heads a coarse picture at once and the exact one when it is read; what is not there is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attnwidget import Site, Trace, answers, sweep
from attnwidget.answers import Answers
from attnwidget.stores import Factors, Visible
from attnwidget.sweep import Span
from attnwidget.wire import MEAN

N_QUERIES, N_KEYS = 600, 500
SPANS = Span(0, N_QUERIES, 4), Span(0, N_KEYS, 2)
Reader = Callable[[bytes], Any]


@pytest.fixture
def large() -> Trace:
    """Return a trace of two heads that are too large to travel whole."""
    weights = np.random.default_rng(1).dirichlet(np.full(N_KEYS, 0.1), (2, N_QUERIES)).astype(np.float32)
    return Trace.from_weights(weights, source=["k"] * N_KEYS, target=["q"] * N_QUERIES)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one piece be read at a time, of a few rows."""
    monkeypatch.setattr(answers, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(answers, "PIECE_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "AT_ONCE", 50 * N_KEYS)


def messages(asked: Answers, read_picture: Reader) -> list[Any]:
    """Return the pictures of all messages that come until nothing is waited for."""
    found = []
    for _ in range(1000):
        message = asked.next(0)
        found += [read_picture(data) for data in message[1]] if message else []
        if not asked:
            return found
        asked.work()
    raise AssertionError("the answers never end")


def test_a_view_is_coarse_at_first_and_exact_in_the_end(slow: None, large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 1, *SPANS, 77)
    first, last = messages(asked, read_picture)
    assert [picture.header["blocks"][0]["sampled"] for picture in (first, last)] == [True, False]
    assert (first.header["sums"], [s["n_steps"] for s in last.header["sums"]]) == ([], [78])
    assert (last.blocks[0, 1] >= large.weights(0, 1) - 1 / 400).all()


def test_the_row_that_is_looked_at_is_exact_from_the_first(slow: None, large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 1, *SPANS, 77)
    _, rows = messages(asked, read_picture)[0].header["blocks"]
    assert (rows["queries"], rows["keys"], rows["dtype"]) == ([69, 86, 1], [0, N_KEYS, 1], "f4")


def test_a_step_is_answered_before_the_picture_gets_finer(slow: None, large: Trace, read_picture: Reader) -> None:
    now = [100.0]
    asked = Answers(large, lambda: now[0])
    asked.view(0, 1, *SPANS, 77)
    assert asked.next(0) is not None
    assert asked.is_reading  # the first picture is made finer at once
    sweep, _ = asked._open or pytest.fail("nothing is read")
    before = sweep.part, sweep.cells.copy()
    asked.view(0, 1, *SPANS, 12)
    assert asked.has_next
    assert asked.next(0) is not None
    assert sweep.part == before[0]
    assert (sweep.cells == before[1]).all()
    assert (asked.is_reading, asked.has_next, bool(asked)) == (False, False, True)  # it rests
    now[0] += answers.REST_SECONDS
    assert asked.is_reading
    while asked.is_reading:
        asked.work()
    assert asked.has_next


def test_a_coarser_view_of_all_is_answered_with_the_cells_of_a_frame(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 1, Span(0, N_QUERIES, 32), Span(0, N_KEYS, 16), 0)
    picture = messages(asked, read_picture)[-1]
    assert picture.header["blocks"][0]["queries"] == [0, N_QUERIES, 4]
    assert asked.has_more


def test_zooming_in_reaches_exact_cells(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 0, Span(100, 150), Span(30, 90), 120)
    (picture,) = messages(asked, read_picture)
    assert np.array_equal(picture.blocks[0, 0], large.weights(0, 0, slice(100, 150), slice(30, 90)))


def test_the_mean_is_of_all_heads(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, MEAN, Span(5, 9), Span(0, N_KEYS), 5)
    picture = messages(asked, read_picture)[-1]
    assert np.array_equal(picture.blocks[0, MEAN], large.weights(0, "mean", slice(5, 9)))


def test_only_the_latest_view_is_answered(slow: None, large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    for step in range(5):
        asked.view(0, 0, *SPANS, step)
    assert all(picture.header["blocks"][1]["queries"][0] == 0 for picture in messages(asked, read_picture))
    asked.view(0, 0, *SPANS, 300)
    asked.next(0)
    asked.view(0, 1, *SPANS, 300)
    assert {block["head"] for picture in messages(asked, read_picture) for block in picture.header["blocks"]} == {1}


def test_what_was_read_is_not_read_again(slow: None, large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 0, *SPANS, 3)
    messages(asked, read_picture)
    asked.view(0, 0, *SPANS, 4)
    (picture,) = messages(asked, read_picture)
    assert picture.header["blocks"][0]["sampled"] is False


def test_cells_that_the_page_has_are_not_sent_again(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 0, *SPANS, 3)
    messages(asked, read_picture)
    asked.view(0, 0, *SPANS, 300, cells=False)
    (picture,) = messages(asked, read_picture)
    (rows,) = picture.header["blocks"]
    assert (rows["queries"], rows["keys"]) == ([292, 309, 1], [0, N_KEYS, 1])
    assert picture.header["sums"][0]["n_steps"] == 301


def test_a_step_that_has_a_coarse_picture_gets_its_rows_first_and_cells_in_the_end(
    slow: None, large: Trace, read_picture: Reader
) -> None:
    asked = Answers(large)
    asked.view(0, 0, *SPANS, 3)
    asked.next(0)
    asked.view(0, 0, *SPANS, 300, cells=False)
    first, *_, last = messages(asked, read_picture)
    assert [block["queries"] for block in first.header["blocks"]] == [[292, 309, 1]]
    assert last.header["blocks"][0]["sampled"] is False


def test_cells_that_the_kernel_has_to_read_anew_are_sent(slow: None, large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 0, *SPANS, 300, cells=False)
    assert all(picture.header["blocks"][0]["queries"] == [0, N_QUERIES, 4] for picture in messages(asked, read_picture))


def test_other_answers_go_before_reading_on(slow: None, large: Trace) -> None:
    asked = Answers(large)
    asked.view(0, 0, *SPANS, 3)
    asked.next(0)
    assert asked.is_reading
    asked.explain(0, 0, 3)
    assert not asked.is_reading
    assert asked.next(0) is not None
    assert asked.is_reading


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ((4, 0, *SPANS, 0), "site: 4 came, the trace has 1 sites"),
        ((0, 2, *SPANS, 0), "head: 2 came"),
        ((0, 0, Span(0, 601), SPANS[1], 0), "queries: 0 to 601"),
        ((0, 0, SPANS[0], Span(10, 5), 0), "keys: 10 to 5"),
        ((0, 0, *SPANS, 600), "step: 600 came"),
    ],
)
def test_what_is_outside_the_matrix_is_refused(large: Trace, view: tuple[Any, ...], said: str) -> None:
    asked = Answers(large)
    asked.view(*view)
    content, buffers = asked.next(0) or ({}, [])
    assert (content["t"], buffers) == ("refused", [])
    assert said in str(content["reason"])


def test_a_large_head_that_is_fetched_comes_in_cells(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.fetch(0, 1)
    picture = messages(asked, read_picture)[-1]
    assert picture.header["blocks"][0]["queries"] == [0, N_QUERIES, 4]


def test_tokens_of_a_long_strip_are_asked_for(monkeypatch: pytest.MonkeyPatch, read_picture: Reader) -> None:
    monkeypatch.setattr(answers, "TEXTS_TOKENS", 100)
    texts = [f"t{i}" for i in range(250)]
    asked = Answers(Trace(source=texts))
    for at in (0, 100, 200):
        asked.hear({"t": "texts", "strip": "source", "at": at})
    strips = [strip for picture in messages(asked, read_picture) for strip in picture.header["strips"]]
    assert [text for strip in strips for text in strip["texts"]] == texts
    assert {strip["n_tokens"] for strip in strips} == {250}


VIEW = {"t": "view", "site": 0, "head": 0, "queries": [0, 600, 4], "keys": [0, 500, 2], "step": 3, "cells": 1}


def test_a_view_is_heard(large: Trace) -> None:
    asked = Answers(large)
    asked.hear(VIEW)
    assert asked


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"t": "fetch"},
        {"t": "fetch", "site": True, "head": 0},
        {"t": "fetch", "site": 0, "head": "0"},
        {"t": "texts", "strip": "source", "at": -1},
        {"t": "texts", "strip": "nowhere", "at": 0},
        {"t": "texts", "strip": ["source"], "at": 0},
        VIEW | {"queries": [0, 600]},
        VIEW | {"queries": [0, 600, "4"]},
        VIEW | {"keys": None},
        VIEW | {"step": 1.5},
        VIEW | {"cells": "no"},
    ],
)
def test_what_is_no_question_is_left_alone(large: Trace, message: dict[str, object]) -> None:
    asked = Answers(large)
    asked.hear(message)
    assert not asked


# -- small heads, terms, heads as a whole


@pytest.fixture
def small() -> Trace:
    """Return a trace of two sites whose sizes all differ."""
    rng, trace = np.random.default_rng(2), Trace(source=list("abcde"), target=list("wxyz"))
    for layer, n_heads in enumerate((3, 2)):
        trace.add_site(Site(f"cross.{layer}", "cross", layer, n_heads, "target", "source"))
        trace.append({f"cross.{layer}": rng.dirichlet(np.ones(5), (n_heads, 4)).astype(np.float32)})
    trace.finish()
    return trace


def heard(trace: Trace, message: dict[str, object], seq: int = 7) -> list[tuple[dict[str, object], list[bytes]]]:
    """Return the messages that answer one."""
    asked, found = Answers(trace), []
    asked.hear(message)
    while asked:
        answer = asked.next(seq)
        if answer is not None:
            found.append(answer)
        asked.work()
    return found


@pytest.mark.parametrize(("site", "head"), [(0, 0), (0, 2), (1, 1), (1, MEAN)])
def test_a_head_that_is_fetched_comes_whole_and_exact(small: Trace, read_picture: Reader, site: int, head: int) -> None:
    ((content, (data,)),) = heard(small, {"t": "fetch", "site": site, "head": head})
    picture = read_picture(data)
    assert content == {"t": "blocks", "run": small.run}
    (block,) = picture.header["blocks"]
    assert (block["whole"], block["queries"], block["keys"]) == (True, [0, 4, 1], [0, 5, 1])
    expected = small.weights(site, "mean" if head == MEAN else head)
    assert picture.blocks[site, head] == pytest.approx(expected, abs=1e-7)
    assert (picture.header["seq"], picture.header["steps"], picture.header["strips"]) == (7, [], [])


@pytest.mark.parametrize(
    "message",
    [
        *({"t": "fetch", "site": site, "head": head} for site, head in ((-1, 0), (2, 0), (0, 3), (1, 2), (0, -2))),
        *({"t": "heads", "site": site} for site in (-1, 2)),
        *({"t": "texts", "strip": "source", "at": at} for at in (-1, 5, 9)),
        *({"t": "why", "site": site, "head": 0, "query": 0} for site in (-1, 2)),
        *({"t": "why", "site": 1, "head": head, "query": 0} for head in (-1, 2)),
        *({"t": "why", "site": 0, "head": 0, "query": query} for query in (-1, 4)),
    ],
    ids=str,
)
def test_what_is_not_there_is_not_answered(small: Trace, message: dict[str, object]) -> None:
    assert heard(small, message) == []


@pytest.mark.parametrize("message", [{"t": "fetch", "site": 0, "head": 0}, {"t": "heads", "site": 0}])
def test_a_site_without_rows_is_not_answered(message: dict[str, object]) -> None:
    trace = Trace(source=list("ab"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    assert heard(trace, message) == []


def test_why_is_answered_for_one_row_of_one_head(read_picture: Reader) -> None:
    rng, trace = np.random.default_rng(3), Trace()
    trace.add_site(Site("own", "encoder", 0, 2, "source", "source"), store="qk")
    queries, keys = (rng.normal(size=(2, 4, 6)).astype(np.float32) for _ in range(2))
    trace.append({"own": Factors(queries, keys, Visible.all(4, 4), 0.5)})
    trace.finish()
    ((content, (data,)),) = heard(trace, {"t": "why", "site": 0, "head": 1, "query": 2})
    (row,) = read_picture(data).header["terms"]
    assert content["t"] == "blocks"
    assert (row["site"], row["head"], row["query"], row["form"], row["scale"]) == (0, 1, 2, "dot", 0.5)
    start = 4 + int.from_bytes(data[:4], "little")
    found = {
        it["name"]: np.frombuffer(data, "<f4", int(np.prod(it["shape"])), start + it["offset"]).reshape(it["shape"])
        for it in row["arrays"]
    }
    assert sorted(found) == ["keys", "query", "scores"]
    assert found["query"] == pytest.approx(queries[1, 2])
    assert found["keys"] == pytest.approx(keys[1])
    assert found["scores"] == pytest.approx(keys[1] @ queries[1, 2] * 0.5, abs=1e-5)


def test_heads_are_told_a_few_at_a_time(small: Trace, read_picture: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.wire.glances.HEADS_AT_ONCE", 2 * 4 * 5)
    told = [read_picture(data).header["heads"] for _, (data,) in heard(small, {"t": "heads", "site": 0})]
    assert [[(it["site"], it["at"], it["n_heads"]) for it in each] for each in told] == [[(0, 0, 2)], [(0, 2, 1)]]


def test_tokens_come_from_where_they_are_asked_for(
    small: Trace, read_picture: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "TEXTS_TOKENS", 2)
    for at, texts in ((0, ["a", "b"]), (1, ["b", "c"]), (4, ["e"])):
        ((_, (data,)),) = heard(small, {"t": "texts", "strip": "source", "at": at})
        header = read_picture(data).header
        assert header["strips"] == [{"name": "source", "n_tokens": 5, "at": at, "texts": texts, "scene": None}]
        assert (header["steps"], header["architecture"]) == ([], None)


def test_long_tokens_come_in_smaller_parts(read_picture: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "TEXTS_CHARS", 10)
    texts = ["a" * 4, "b" * 6, "c", "d" * 99, "e"]
    trace, at, parts = Trace(source=texts), 0, list[list[str]]()
    while at < len(texts):
        ((_, (data,)),) = heard(trace, {"t": "texts", "strip": "source", "at": at})
        (strip,) = read_picture(data).header["strips"]
        parts.append(strip["texts"])
        at += len(strip["texts"])
    assert parts == [texts[:2], texts[2:3], texts[3:4], texts[4:]]


def test_the_sentence_that_refuses_says_what_there_is(small: Trace) -> None:
    view = {"t": "view", "site": 0, "head": 0, "queries": [0, 4, 1], "keys": [0, 5, 1], "cells": 1}
    for step in (-1, 4):
        reason = f"step: {step} came, 4 steps are there, from 0."
        assert heard(small, view | {"step": step}) == [({"t": "refused", "run": small.run, "reason": reason}, [])]


# -- in which order


def test_the_oldest_question_is_answered_first_and_each_once(small: Trace, read_picture: Reader) -> None:
    asked = Answers(small)
    for site, head in ((1, 1), (0, 2), (1, 1), (0, 0)):
        asked.fetch(site, head)
    blocks = [read_picture(data).header["blocks"][0] for _, (data,) in (asked.next(0), asked.next(0), asked.next(0))]
    assert [(block["site"], block["head"]) for block in blocks] == [(1, 1), (0, 2), (0, 0)]
    assert (bool(asked), asked.next(0)) == (False, None)


def test_a_view_that_is_asked_for_anew_waits_behind_the_others(small: Trace, read_picture: Reader) -> None:
    asked, spans = Answers(small), (Span(0, 4), Span(0, 5))
    asked.view(0, 1, *spans, 0)
    asked.fetch(1, 0)
    asked.view(0, 2, *spans, 3)
    first, second = (read_picture(asked.next(0)[1][0]).header for _ in range(2))
    assert [(it["blocks"][0]["site"], it["blocks"][0]["head"]) for it in (first, second)] == [(1, 0), (0, 2)]
    assert [block["queries"] for block in second["blocks"]][1] == [0, 4, 1]
    assert not asked


def test_a_picture_says_what_is_kept_of_large_heads(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 0, *SPANS, 3)
    pictures = messages(asked, read_picture)
    assert pictures[-1].header["kept"] == asked.sweeps.n_bytes > 0


def test_a_head_that_was_read_to_its_end_is_told_once(slow: None, large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 0, Span(0, 100), Span(0, 100), 3)
    messages(asked, read_picture)
    assert not asked.has_more  # it was a part of it
    asked.fetch(0, 0)
    asked.next(0)
    assert not asked.has_more  # it is not read yet
    messages(asked, read_picture)
    assert asked.has_more
    asked.has_more = False
    asked.fetch(0, 0)
    messages(asked, read_picture)
    assert not asked.has_more


def test_rows_around_the_step_come_with_a_view(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.view(0, 1, *SPANS, 300)
    blocks = messages(asked, read_picture)[-1].header["blocks"]
    first, end, per = blocks[1]["queries"]
    assert (first <= 300 < end, per, blocks[1]["dtype"], blocks[1]["whole"]) == (True, 1, "f4", True)


ASKED = [
    {"t": "fetch", "site": 0, "head": 0},
    {"t": "heads", "site": 0},
    {"t": "why", "site": 0, "head": 0, "query": 0},
    {"t": "view", "site": 0, "head": 0, "queries": [0, 4, 1], "keys": [0, 5, 1], "step": 0, "cells": 1},
    {"t": "texts", "strip": "source", "at": 4},
]


@pytest.mark.parametrize("message", ASKED, ids=lambda it: it["t"])
def test_an_answer_holds_what_was_asked_for_and_nothing_else(
    small: Trace, read_picture: Reader, message: dict[str, object]
) -> None:
    ((content, (data,)),) = heard(small, message, seq=7)
    header = read_picture(data).header
    assert content == {"t": "blocks", "run": small.run}
    assert (header["seq"], header["run"], header["architecture"], header["steps"]) == (7, small.run, None, [])
    n_strips = len(header["strips"])
    counts = {name: len(header[name]) for name in ("blocks", "sums", "terms", "heads")}
    expected = {"fetch": {"blocks": 1}, "heads": {"heads": 1}, "why": {"terms": 1}, "view": {"blocks": 2, "sums": 1}}
    assert counts == dict.fromkeys(counts, 0) | expected.get(str(message["t"]), {})
    assert n_strips == (message["t"] == "texts")


def test_questions_of_all_kinds_wait_side_by_side(small: Trace) -> None:
    asked, others = (
        Answers(small),
        [
            {"t": "fetch", "site": 1, "head": 0},
            {"t": "heads", "site": 1},
            {"t": "why", "site": 1, "head": 0, "query": 0},
            {"t": "why", "site": 0, "head": 1, "query": 0},
            {"t": "why", "site": 0, "head": 0, "query": 1},
            {"t": "texts", "strip": "target", "at": 0},
            {"t": "texts", "strip": "source", "at": 0},
            {"t": "view", "site": 9, "head": 0, "queries": [0, 4, 1], "keys": [0, 5, 1], "step": 0, "cells": 1},
        ],
    )
    for message in [*ASKED, *others] * 2:
        asked.hear(message)
    found = [asked.next(0) for _ in range(20)]
    assert [answer is not None for answer in found] == [True] * (len(ASKED) + len(others)) + [False] * 7


def test_of_views_that_are_refused_one_is_told_of(small: Trace) -> None:
    asked = Answers(small)
    for site in (8, 9):
        asked.view(site, 0, Span(0, 4), Span(0, 5), 0)
    answer = asked.next(0)
    assert answer is not None
    assert "site: 8 came" in str(answer[0]["reason"])
    assert not asked


@pytest.mark.parametrize(
    ("queries", "keys", "is_whole"),
    [
        (Span(0, N_QUERIES, 4), Span(0, N_KEYS, 2), True),
        (Span(0, N_QUERIES, 8), Span(0, N_KEYS, 2), True),
        (Span(0, N_QUERIES, 4), Span(0, N_KEYS, 8), True),
        (Span(0, N_QUERIES, 2), Span(0, N_KEYS, 2), False),
        (Span(0, N_QUERIES, 4), Span(0, N_KEYS, 1), False),
        (Span(4, N_QUERIES, 4), Span(0, N_KEYS, 2), False),
        (Span(0, N_QUERIES - 4, 4), Span(0, N_KEYS, 2), False),
        (Span(0, N_QUERIES, 4), Span(2, N_KEYS, 2), False),
        (Span(0, N_QUERIES, 4), Span(0, N_KEYS - 2, 2), False),
    ],
)
def test_a_view_of_all_in_larger_cells_is_that_of_a_frame(
    large: Trace, read_picture: Reader, queries: Span, keys: Span, is_whole: bool
) -> None:
    asked = Answers(large)
    asked.view(0, 0, queries, keys, 0)
    block = messages(asked, read_picture)[-1].header["blocks"][0]
    assert (block["queries"], block["keys"]) == (
        ([0, N_QUERIES, 4], [0, N_KEYS, 2]) if is_whole else (list(queries), list(keys))
    )


def test_what_was_read_to_its_end_stays_told_until_a_frame_holds_it(large: Trace, read_picture: Reader) -> None:
    asked = Answers(large)
    asked.fetch(0, 0)
    messages(asked, read_picture)
    asked.view(0, 1, Span(0, 100), Span(0, 100), 3)
    messages(asked, read_picture)
    assert asked.has_more


def test_a_view_that_is_heard_is_of_its_head_its_cells_and_its_step(
    slow: None, large: Trace, read_picture: Reader
) -> None:
    view = {"t": "view", "site": 0, "head": 1, "queries": [8, 404, 4], "keys": [10, 490, 5], "step": 300, "cells": 1}
    headers = [read_picture(data).header for _, (data,) in heard(large, view, seq=9)]
    assert len(headers) > 1
    for header in headers:
        cells, row = header["blocks"]
        assert (cells["head"], cells["queries"], cells["keys"]) == (1, [8, 404, 4], [10, 490, 5])
        assert row["queries"][0] <= 300 < row["queries"][1]
        assert header["seq"] == 9


@pytest.mark.parametrize("head", [1, MEAN])
def test_a_large_head_that_is_fetched_comes_with_its_last_row(large: Trace, read_picture: Reader, head: int) -> None:
    asked = Answers(large)
    asked.fetch(0, head)
    cells, row = messages(asked, read_picture)[-1].header["blocks"]
    assert (cells["head"], row["head"], row["queries"][1]) == (head, head, N_QUERIES)
