"""The widget shows a trace and takes from a page only what a page may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets
from heard import Heard

from attnwidget import AttentionWidget, Site, Trace
from attnwidget.wire import MEAN, Traits

Reader = Callable[[bytes], Any]
ROWS = np.full((3, 1, 5), 0.2, np.float32)
HOSTILE = Path(__file__).parents[1] / "data" / "hostile_messages.json"


@pytest.fixture
def uneven() -> Trace:
    """Two sites: 3 heads, 4 queries, 5 keys; 2 heads, 3 queries, 2 keys."""
    trace = Trace()
    for name, n_heads, n_queries, n_keys in (("a", 3, 4, 5), ("b", 2, 3, 2)):
        trace.add_site(Site(name, "cross", 0, n_heads, "target", "source"))
        trace.append({name: np.full((n_heads, n_queries, n_keys), 1 / n_keys)})
    return trace


def state(widget: AttentionWidget) -> dict[str, Any]:
    return {name: getattr(widget, name) for name in Traits.class_traits(sync=True)}


def test_a_complete_trace_is_shown_at_its_last_step(widget: Heard) -> None:
    assert (widget.step, widget.last_step) == (3, 3)


def test_an_encoder_is_shown_at_its_first_token() -> None:
    trace = Trace(source=list("abcd"))
    widget = AttentionWidget(trace)
    trace.add_site(Site("self", "encoder", 0, 3, "source", "source"))
    trace.append({"self": np.full((3, 4, 4), 0.25)})
    trace.finish()
    assert (widget.step, AttentionWidget(trace).step, widget.last_step) == (0, 0, 3)


def test_another_step_may_be_shown_first(complete: Trace) -> None:
    assert AttentionWidget(complete, step=1).step == 1


def test_an_empty_trace_is_shown_at_step_0() -> None:
    assert (AttentionWidget().step, AttentionWidget().head) == (0, MEAN)


def test_a_head_may_be_chosen_before_there_is_one(live: Trace) -> None:
    assert AttentionWidget(Trace(), head=2).head == 2


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({"site": 2}, "site: 2 came, the trace has 2 sites"),
        ({"site": -1}, "site: -1 came"),
        ({"site": "cross"}, "site: cross came"),
        ({"head": 3}, "head: 3 came, cross.0 has 3 heads"),
        ({"head": -2}, "head: -2 came"),
        ({"step": 4}, "step: 4 came, cross.0 has 4 steps"),
        ({"locked": [5]}, "cross.0 has them"),
    ],
)
def test_what_the_trace_does_not_have_cannot_be_shown(complete: Trace, traits: dict[str, Any], said: str) -> None:
    with pytest.raises(traitlets.TraitError, match=said):
        AttentionWidget(complete, **traits)


def test_a_widget_that_was_not_made_watches_nothing(complete: Trace) -> None:
    with pytest.raises(traitlets.TraitError):
        AttentionWidget(complete, head=3)
    assert complete._observers == []


@pytest.mark.parametrize("trace", [np.zeros((3, 4, 5)), "run.attn", {}])
def test_what_is_no_trace_is_refused(trace: object) -> None:
    with pytest.raises(TypeError, match=r"a Trace was expected.*Trace\.from_weights"):
        AttentionWidget(trace)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", 4),
        ("step", -1),
        ("step", True),
        ("step", 1.5),
        ("step", None),
        ("head", 3),
        ("head", -2),
        ("site", 2),
        ("site", -1),
        ("locked", [5]),
        ("locked", [-1]),
        ("locked", [1, 1]),
        ("locked", "ab"),
        ("scale", "log"),
        ("expectation", 1),
        ("expected", [float("nan")]),
        ("expected", [-1.0]),
        ("rows", "both"),
        ("special", True),
        ("special_keys", [-1]),
        ("strength", "mean"),
    ],
)
def test_python_is_told_what_cannot_be_chosen(widget: Heard, name: str, value: object) -> None:
    before = state(widget)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(widget, name, value)
    assert state(widget) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", 0),
        ("head", 2),
        ("head", MEAN),
        ("site", 1),
        ("locked", [4, 0]),
        ("scale", "row"),
        ("expectation", "none"),
        ("rows", "key"),
        ("special", "omit"),
        ("strength", "step"),
    ],
)
def test_a_page_chooses(widget: Heard, name: str, value: object) -> None:
    widget.set_state({name: value})
    assert getattr(widget, name) == value


@pytest.mark.parametrize(
    "told",
    [
        {"step": 4},
        {"step": -1},
        {"step": 1.5},
        {"step": "1"},
        {"step": None},
        {"step": True},
        {"step": 10**400},
        {"step": [1]},
        {"site": 2},
        {"site": -1},
        {"site": "0"},
        {"site": {}},
        {"head": 3},
        {"head": -2},
        {"head": 0.0},
        {"locked": [5]},
        {"locked": [1.0]},
        {"locked": [[1]]},
        {"locked": [0, 0]},
        {"locked": [0] * 100_000},
        {"locked": "0"},
        {"locked": {"0": 1}},
        {"scale": "x" * 50_000_000},
        {"expectation": None},
        {"frame": b"x"},
        {"last_step": 99},
        {"protocol": 0},
        {"selector": "IPY_MODEL_1"},
        {"_model_name": "x"},
        {"_view_module": "x"},
        {"_esm": "x"},
        {"_css": "x"},
        {"__class__": "x"},
        {"comm": None},
        {"trace": None},
        {"layout": "x"},
        {"tooltip": "x"},
        {"save": "../../x"},
        {},
        None,
        [],
        "step",
    ],
)
def test_a_page_cannot_say_what_is_not_so(widget: Heard, told: object) -> None:
    before, others = state(widget), dict(vars(widget))
    widget.set_state(told)
    assert (state(widget), vars(widget).keys()) == (before, others.keys())


def test_what_is_right_is_taken_beside_what_is_wrong(widget: Heard) -> None:
    widget.set_state({"site": 99, "step": 2, "head": 99})
    assert (widget.site, widget.step, widget.head) == (0, 2, MEAN)


def test_a_choice_is_checked_against_the_site_that_comes_with_it(uneven: Trace) -> None:
    widget = Heard(uneven)
    widget.set_state({"site": 1, "step": 2, "head": 1})
    assert (widget.site, widget.step, widget.head) == (1, 2, 1)


def test_a_choice_that_only_the_old_site_has_is_not_taken(uneven: Trace) -> None:
    widget = Heard(uneven, step=0)
    widget.set_state({"site": 1, "step": 3})
    assert (widget.site, widget.step) == (1, 0)


def test_another_site_keeps_only_what_it_has(uneven: Trace) -> None:
    widget = Heard(uneven, head=2, locked=[1, 4])
    widget.site = 1
    assert (widget.head, widget.locked, widget.step, widget.last_step) == (MEAN, [1], 2, 2)


def test_the_empty_trace_takes_no_choice() -> None:
    widget = Heard(Trace())
    widget.set_state({"step": 1, "site": 1, "locked": [0], "scale": "row"})
    assert (widget.step, widget.site, widget.locked, widget.scale) == (0, 0, [], "row")


MOVES = {
    "b_index_neg": {"layer": -1, "site": -1, "head": -2, "step": -1},
    "b_index_float": {"step": 1.5},
    "b_path": {"save": "../../x", "path": "../../x"},
    "b_attr": {"_model": "x", "__class__": "x", "comm": "x"},
    "b_big": {"frame": "x" * 50_000_000, "scale": "x" * 50_000_000},
}


@pytest.mark.parametrize("case", [c["id"] for c in json.loads(HOSTILE.read_text())["cases"] if c["dir"] == "b2k"])
def test_hostile_moves_of_a_page_change_nothing(widget: Heard, case: str) -> None:
    before = state(widget)
    widget.set_state(MOVES[case])
    assert state(widget) == before


def test_no_text_of_a_token_is_a_trait(hostile_texts: list[str]) -> None:
    trace = Trace.from_weights(np.full((1, 1, len(hostile_texts)), 0.1), source=hostile_texts, target=["x"])
    widget = Heard(trace)
    json.dumps({k: v for k, v in widget.get_state().items() if not isinstance(v, bytes)}, ensure_ascii=False).encode()


def test_numbers_of_ones_own_are_the_expectation(widget: Heard) -> None:
    widget.expected = [1, 0, 1, 1, 1]
    assert widget.expectation == "own"
    assert AttentionWidget(widget.trace, expected=[1.0]).expectation == "own"


def test_all_widgets_are_of_one_class(complete: Trace) -> None:
    made = AttentionWidget(complete), AttentionWidget(complete)
    assert {type(widget) for widget in made} == {AttentionWidget}
    assert all(widget._esm and widget._anywidget_id for widget in made)
    made[0].add_traits(note=traitlets.Unicode("mine"))
    assert (made[0].note, made[1].has_trait("note")) == ("mine", False)
