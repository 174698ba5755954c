"""Answers: of large heads a coarse picture at once and the exact one when it is read; what is not there is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attnwidget import Trace, answers, sweep
from attnwidget.answers import Answers
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
