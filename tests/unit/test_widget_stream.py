"""The widget follows its trace, changes it for another, and answers a page's messages."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from heard import Heard
from towers import add_decoder, add_encoder

from attnwidget import AttentionWidget, Trace, stream
from attnwidget.wire import MEAN

Reader = Callable[[bytes], Any]
ROWS = np.full((3, 1, 5), 0.2, np.float32)


def more(widget: AttentionWidget) -> None:
    widget.trace.append({"cross": ROWS}, token="da")
    widget._publisher.flush()


def test_what_an_observer_of_the_step_sets_is_told_the_page(following: Heard) -> None:
    following.observe(lambda _: setattr(following, "locked", [2]), "step")
    following.told.clear()
    more(following)
    assert "locked" in following.told


def test_a_choice_made_while_a_frame_was_made_stays(following: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    from attnwidget import widget as module

    original = module.frame

    def slow(*args: object) -> bytes:
        following.head = 2
        return original(*args)

    monkeypatch.setattr(module, "frame", slow)
    more(following)
    assert following.head == 2


def test_the_frame_is_whole_after_the_end(following: Heard, read_picture: Reader) -> None:
    following.trace.append({"cross": ROWS}, token="da")
    following.trace.finish()
    picture = read_picture(zlib.decompress(following.frame))
    assert (picture.header["status"], len(picture.header["steps"]), picture.blocks[0, 1].shape) == (
        "complete",
        4,
        (4, 5),
    )


def test_a_closed_widget_stops_watching(following: Heard) -> None:
    following.close()
    following.sent.clear()
    following.trace.finish()
    assert (following.sent, following.trace._observers) == ([], [])


# -- which site is shown first


@pytest.fixture
def translating(impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A widget that was shown before its trace had a site; the encoder has run. Frames come when asked for."""
    monkeypatch.setattr(stream.Publisher, "_wake", lambda _: None)
    made = Heard(Trace(source=["the", "cat", "sat", "on", "it"]))
    add_encoder(made.trace)
    made._publisher.flush()
    yield made
    made.close()


def decode(widget: Heard) -> None:
    add_decoder(widget.trace)
    widget._publisher.flush()


def test_cross_attention_is_shown_once_it_is_there(translating: Heard, read_picture: Reader) -> None:
    assert (translating.site, translating.last_step) == (0, 4)
    translating.told.clear()
    decode(translating)
    assert (translating.site, translating.step, translating.last_step) == (2, 0, 0)
    assert {"site", "frame"} <= set(translating.told)
    assert next(iter(read_picture(zlib.decompress(translating.frame)).blocks))[0] == 2


def test_a_site_that_was_chosen_stays(translating: Heard) -> None:
    decode(translating)
    translating.set_state({"site": 0})
    translating.trace.append({"decoder": np.full((2, 1, 2), 0.5), "cross": ROWS[:2]}, token="Katze")
    translating._publisher.flush()
    assert translating.site == 0


def test_a_site_that_was_asked_for_at_first_stays(translated: Trace) -> None:
    assert (Heard(translated).site, Heard(translated, site=0).site) == (2, 0)


def test_another_trace_is_shown_where_nobody_chose(translated: Trace, complete: Trace) -> None:
    made = Heard(complete)
    made.trace = translated
    assert (made.site, made.step) == (2, 0)


def test_another_trace_is_shown_where_somebody_chose(translated: Trace, complete: Trace) -> None:
    made = Heard(complete)
    made.site = 1
    made.trace = translated
    assert made.site == 1


# -- another trace


def test_another_trace_is_shown_at_its_last_step(following: Heard, complete: Trace) -> None:
    following.step = 0
    following.trace = complete
    assert (following.trace, following.step, following.last_step) == (complete, 3, 3)


def test_another_trace_keeps_only_the_choices_that_it_has(widget: Heard) -> None:
    widget.head, widget.site, widget.locked = 2, 1, [4]
    widget.trace = Trace.from_weights(np.full((2, 3, 2), 0.5), source=["a", "b"], target=list("xyz"))
    assert (widget.head, widget.site, widget.locked, widget.step) == (MEAN, 0, [], 2)


def test_another_trace_is_in_the_frame(widget: Heard, live: Trace, read_picture: Reader) -> None:
    widget.trace = live
    assert read_picture(zlib.decompress(widget.frame)).header["run"] == live.run


def test_the_old_trace_is_not_watched_any_more(widget: Heard, complete: Trace) -> None:
    widget.trace = Trace()
    assert complete._observers == []


def test_the_same_trace_again_changes_nothing(widget: Heard, complete: Trace) -> None:
    publisher = widget._publisher
    widget.trace = complete
    assert widget._publisher is publisher


def test_what_is_no_trace_does_not_replace_one(widget: Heard, complete: Trace) -> None:
    with pytest.raises(TypeError, match="a Trace was expected"):
        widget.trace = None
    assert widget.trace is complete


def test_a_frame_of_the_old_trace_comes_too_late(widget: Heard, complete: Trace) -> None:
    widget.trace = Trace()
    before = widget.frame
    widget.update_frame(complete, 7)
    assert widget.frame == before


# -- messages of the page


def test_need_sends_rows_again(following: Heard) -> None:
    following.sent.clear()
    following._on_message(None, {"t": "need", "run": following.trace.run, "seqs": [0]}, [])
    following._publisher._round()
    assert [(message["t"], message["seq"]) for message in following.sent] == [("rows", 0)]


def test_fetch_sends_a_head(following: Heard) -> None:
    following.sent.clear()
    following._on_message(None, {"t": "fetch", "run": following.trace.run, "site": 0, "head": MEAN}, [])
    following._publisher._round()
    assert [message["t"] for message in following.sent] == ["blocks"]


def test_heads_are_told_when_asked(following: Heard) -> None:
    following.sent.clear()
    following._on_message(None, {"t": "heads", "run": following.trace.run, "site": 0}, [])
    following._publisher._round()
    assert [message["t"] for message in following.sent] == ["blocks"]


def test_ready_says_the_end_again(following: Heard) -> None:
    following.trace.finish()
    following.sent.clear()
    following._on_message(None, {"t": "ready", "run": following.trace.run, "seq": 0}, [])
    following._publisher._round()
    assert [message["t"] for message in following.sent] == ["end"]


def test_ready_of_a_run_that_is_not_shown_any_more_sends_what_is(following: Heard) -> None:
    following.told.clear()
    following._on_message(None, {"t": "ready", "run": "another", "seq": 0}, [])
    assert {"frame", "site", "head", "step", "last_step", "locked"} <= set(following.told)
    assert not {"_esm", "protocol"} & set(following.told)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "need",
        7,
        {},
        {"t": "need"},
        {"t": "need", "seqs": None},
        {"t": "need", "seqs": "0"},
        {"t": "need", "seqs": [0.0]},
        {"t": "need", "seqs": [True]},
        {"t": "need", "seqs": [[0]]},
        {"t": "need", "seqs": [-1, 10**30]},
        {"t": "need", "seqs": list(range(5, 100_000))},
        {"t": "fetch"},
        {"t": "fetch", "site": 0},
        {"t": "fetch", "site": -1, "head": 0},
        {"t": "fetch", "site": 0, "head": 99},
        {"t": "fetch", "site": 0.0, "head": 0},
        {"t": "fetch", "site": True, "head": 0},
        {"t": "heads"},
        {"t": "heads", "site": 9},
        {"t": "heads", "site": -1},
        {"t": "heads", "site": True},
        {"t": "heads", "site": [0]},
        {"t": "fetch", "site": "../../x", "head": 0},
        {"t": "save", "path": "../../x"},
        {"t": ["need"], "seqs": [0]},
        {"t": "x" * 1_000_000},
        {"__proto__": {"x": 1}},
    ],
)
def test_a_message_that_makes_no_sense_is_ignored(following: Heard, content: object) -> None:
    following.sent.clear()
    if isinstance(content, dict):
        content = {"run": following.trace.run, **content}
    following._on_message(None, content, [])
    following._publisher._round()
    assert following.sent == []


def test_a_message_of_another_run_is_ignored(following: Heard) -> None:
    following.sent.clear()
    following._on_message(None, {"t": "need", "run": "another", "seqs": [0]}, [])
    following._publisher._round()
    assert following.sent == []
