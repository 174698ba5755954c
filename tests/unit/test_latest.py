"""A step that is the last one stays the last one, whoever changes what and whenever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from heard import Heard
from towers import add_decoder, add_encoder

from attnwidget import AttentionWidget, Site, Trace, stream

ROWS = np.full((3, 1, 5), 0.2, np.float32)


@pytest.fixture
def ahead(following: Heard) -> Heard:
    """The same, where the page has two rows of which the widget was not told yet."""
    for token in "da", "!":
        following.trace.append({"cross": ROWS}, token=token)
    following._publisher._advance()
    assert (following.step, following.last_step) == (2, 2)
    return following


@pytest.fixture
def two(impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A widget of two sites of 3 steps that go on, with two more rows of which the widget was not told yet."""
    monkeypatch.setattr(stream.Publisher, "_wake", lambda _: None)
    trace = Trace(source=list("abcde"))
    for name in "above", "below":
        trace.add_site(Site(name, "cross", 0, 3, "target", "source"))
    made = Heard(trace)
    for token in range(5):
        trace.append({"above": ROWS, "below": ROWS}, token=str(token))
        made._publisher._advance()
        if token == 2:
            made._publisher.flush()
    assert (made.step, made.last_step) == (2, 2)
    yield made
    made.close()


def more(widget: AttentionWidget) -> None:
    widget.trace.append({"cross": ROWS}, token="da")
    widget._publisher.flush()


def test_the_step_follows_the_last_one(following: Heard) -> None:
    more(following)
    assert (following.step, following.last_step) == (3, 3)


def test_the_last_step_is_told_with_rows_too(following: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LIVE_FRAME_SECONDS", 1e9)
    following._due_at = 0.0
    following.trace.append({"cross": ROWS}, token="da")
    frame = following.frame
    following._publisher._round()
    assert (following.step, following.last_step, following.frame is frame) == (3, 3, True)


def test_the_step_follows_while_rows_come_faster_than_pictures(
    following: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = following._picture

    def overtaken(*about: int) -> dict[str, object]:
        made = picture(*about)
        following.trace.append({"cross": ROWS}, token="!")
        return made

    monkeypatch.setattr(following, "_picture", overtaken)
    more(following)
    more(following)
    last = following.trace.sites[0].n_queries - 1
    assert (following.step, following.last_step) == (last, last)


def test_a_page_that_asks_for_everything_is_told_the_last_step(following: Heard) -> None:
    following.trace.append({"cross": ROWS}, token="da")
    assert following.get_state()["step"] == 3
    following.step = 1
    following.trace.append({"cross": ROWS}, token="!")
    assert following.get_state()["step"] == 1


def test_a_step_that_was_chosen_stays(following: Heard) -> None:
    following.step = 1
    more(following)
    assert (following.step, following.last_step) == (1, 3)


def test_a_step_that_follows_is_not_told_the_page(following: Heard) -> None:
    following.told.clear()
    more(following)
    assert "step" not in following.told


def test_a_step_that_is_chosen_is_told_the_page(following: Heard) -> None:
    following.told.clear()
    following.step = 1
    assert following.told == ["step", "follows"]


def test_whether_the_step_follows_is_told_once(following: Heard) -> None:
    following.told.clear()
    more(following)
    assert (following.follows, "follows" in following.told) == (True, False)
    following.step = 1
    more(following)
    assert (following.follows, following.step, following.told.count("follows")) == (False, 1, 1)


def test_a_page_that_missed_another_trace_is_told_the_last_step(ahead: Heard) -> None:
    ahead._on_message(None, {"t": "ready", "run": "", "seq": 0}, [])
    assert (ahead.step, ahead.last_step, ahead.follows) == (4, 4, True)
    assert {"step", "last_step", "follows", "frame"} <= set(ahead.told)


def test_another_site_that_is_as_long_is_followed_too(two: Heard) -> None:
    two.told.clear()
    two.site = 1
    assert (two.step, two.last_step, two.follows) == (4, 4, True)
    assert "step" not in two.told
    two.trace.append({"above": ROWS, "below": ROWS}, token="!")
    two._publisher.flush()
    assert (two.step, two.last_step) == (5, 5)


def test_another_site_keeps_a_step_that_was_chosen(two: Heard) -> None:
    two.step = 1
    two.site = 1
    assert (two.step, two.last_step, two.follows) == (1, 4, False)


def test_a_step_that_is_not_the_last_one_of_the_page_does_not_follow(ahead: Heard) -> None:
    ahead.set_state({"step": 3, "follows": False})
    more(ahead)
    assert (ahead.step, ahead.last_step, ahead.follows) == (3, 5, False)


def test_the_last_step_of_the_page_follows(ahead: Heard) -> None:
    ahead.step = 0
    ahead.set_state({"step": 3, "follows": True})  # there was no later one in the page
    assert (ahead.step, ahead.last_step, ahead.follows) == (4, 4, True)
    more(ahead)
    assert (ahead.step, ahead.last_step, ahead.follows) == (5, 5, True)


def test_a_step_that_goes_with_rows_is_not_told_the_page_again(ahead: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    echoes: list[dict[str, Any]] = []
    monkeypatch.setattr(ahead, "_send", lambda message, buffers=None: echoes.append(message["state"]))
    ahead.set_state({"step": 3, "head": 1})  # nobody chose the step: it goes along with the head that somebody chose
    assert (ahead.step, ahead.head, ahead.follows) == (4, 1, True)
    assert echoes == [{"head": 1}]
    ahead.set_state({"step": 4, "follows": True})
    assert echoes == [{"head": 1}]
    ahead.set_state({"step": 2, "follows": False, "head": 2})
    assert (ahead.step, echoes[1:]) == (2, [{"step": 2, "head": 2}])


def test_a_step_that_is_told_alone_was_chosen(ahead: Heard) -> None:
    ahead.set_state({"step": 1})
    assert (ahead.step, ahead.follows) == (1, False)


@pytest.fixture
def translating(impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A widget of which the encoder has run, and the decoder one step; that is not shown yet."""
    monkeypatch.setattr(stream.Publisher, "_wake", lambda _: None)
    made = Heard(Trace(source=list("abcde")))
    add_encoder(made.trace)
    made._publisher.flush()
    add_decoder(made.trace)
    yield made
    made.close()


def test_a_first_step_is_of_when_it_is_told(translating: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = translating._picture

    def overtaken(*about: int) -> dict[str, object]:
        made = picture(*about)
        translating.trace.append({"decoder": np.full((2, 1, 2), 0.5), "cross": ROWS[:2]}, token="Katze")
        return made

    monkeypatch.setattr(translating, "_picture", overtaken)
    translating._publisher.flush()
    assert (translating.site, translating.step, translating.last_step) == (2, 1, 1)


def test_a_site_that_is_chosen_while_a_frame_is_due_stays(translating: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    told = translating._on_selection

    def late(change: object) -> None:
        translating.update_frame(translating.trace, 0)  # another thread is quicker than the one that chose
        told(change)

    translating.unobserve(told, names=["site", "head"])
    translating.observe(late, names=["site"])
    translating.site = 1
    assert translating.site == 1
    translating._publisher.flush()
    assert translating.site == 1
