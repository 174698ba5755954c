"""The dashboard's figures show the widget's selection, in numbers and texts that JSON can carry."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnwidget import AttentionWidget, Tokens, Trace, dashboard, show, stream
from attnwidget.dashboard import Dashboard
from attnwidget.outline import Kind, Site
from attnwidget.wire import MEAN


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread: frames come when they are asked for."""
    monkeypatch.setattr(stream.Publisher, "_wake", lambda _: None)


@pytest.fixture
def board(complete: Trace) -> Dashboard:
    return Dashboard(AttentionWidget(complete))


def test_show_returns_the_dashboard_of_the_trace(complete: Trace) -> None:
    assert show(complete, figure=False).trace is complete


def test_without_a_figure_there_is_the_widget_alone(complete: Trace) -> None:
    made = show(complete, figure=False)
    assert (made.children, made.strength_figure) == ((made.widget,), None)


def test_without_bqplot_there_is_the_widget_alone(complete: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda _: None)
    made = show(complete)
    assert made.children == (made.widget,)


def test_bars_are_the_strength_so_far(board: Dashboard, weights: np.ndarray) -> None:
    board.widget.head, board.widget.step = 2, 1
    assert board._bars.y == pytest.approx(weights[0, 2, :2].sum(0), abs=1e-6)


def test_bars_are_of_the_mean_at_first(board: Dashboard, weights: np.ndarray) -> None:
    assert board._bars.y == pytest.approx(weights[0].mean(0).sum(0), abs=1e-6)


@pytest.mark.parametrize(("expectation", "level"), [("one", 1.0), ("ratio", 0.4)])
def test_the_line_is_the_expectation(board: Dashboard, expectation: str, level: float) -> None:
    board.widget.step = 1
    board.widget.expectation = expectation
    assert board._line.y == pytest.approx([level] * 10)


@pytest.mark.parametrize(("kind", "has_line"), [("cross", True), ("encoder", True), ("decoder", False)])
def test_nothing_is_expected_of_what_a_decoder_wrote_itself(kind: Kind, has_line: bool, weights: np.ndarray) -> None:
    trace = Trace(source=list("abcde"), target=list("vwxy"))
    trace.add_site(Site("one", kind, 0, 3, "target", "source"))
    trace.append({"one": weights[0]})
    assert Dashboard(AttentionWidget(trace))._line.visible is has_line


def test_nothing_is_expected_of_patches() -> None:
    picture = Tokens.image(np.zeros((4, 4), np.uint8), grid=(2, 2))
    trace = Trace.from_weights(np.full((1, 1, 2, 4), 0.25), source=picture, target=["a", "cat"])
    assert Dashboard(AttentionWidget(trace))._line.visible is False


def test_an_own_expectation_is_a_line_with_steps(board: Dashboard) -> None:
    board.widget.expected = [0, 1, 2, 0, 1]
    assert board._line.y.tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1]
    assert board._line.visible is True


def test_numbers_that_do_not_fit_are_no_line(board: Dashboard) -> None:
    board.widget.expected = [0, 1]
    assert board._line.visible is False


def test_bars_can_be_of_one_step(board: Dashboard, weights: np.ndarray) -> None:
    board.widget.head, board.widget.step, board.widget.strength = 2, 1, "step"
    assert board._bars.y == pytest.approx(weights[0, 2, 1], abs=1e-6)
    assert board._line.visible is False


def test_bars_follow_what_is_left_out(board: Dashboard) -> None:
    board.widget.special_keys = [2]
    board.widget.special = "omit"
    assert board._bars.y[2] == 0
    assert board._bars.y.sum() == pytest.approx(4, abs=1e-5)


def test_no_expectation_is_no_line(board: Dashboard) -> None:
    board.widget.expectation = "none"
    assert board._line.visible is False


def test_curves_are_of_the_strongest_inputs(board: Dashboard, complete: Trace) -> None:
    strongest = np.argsort(-complete.strength(0, "mean"))[:3]
    assert board._curves.labels == [complete.tokens["source"][int(key)] for key in strongest]


def test_curves_are_of_the_locked_inputs(board: Dashboard) -> None:
    board.widget.locked = [4, 0]
    assert board._curves.labels == ["it", "the"]


def test_the_selector_begins_at_the_step(board: Dashboard) -> None:
    assert board._selector.selected.tolist() == [float(board.widget.step)]
    assert board.widget.selector == board._selector.model_id


def test_selector_and_step_are_left_to_the_page(board: Dashboard) -> None:
    step = board.widget.step
    board._selector.selected = np.array([1.2])
    assert board.widget.step == step
    board.widget.step = 2
    assert board._selector.selected.tolist() == [1.2]


def test_every_text_goes_over_json_as_utf8(hostile_texts: list[str]) -> None:
    n = len(hostile_texts)
    trace = Trace.from_weights(np.full((n, n), 1 / n), source=hostile_texts, target=hostile_texts)
    made = Dashboard(AttentionWidget(trace, locked=list(range(n))))
    texts = [made._curves.labels, made._key_axis.tick_labels, made._step_axis.tick_labels]
    assert json.dumps(texts, ensure_ascii=False).encode("utf-8")


def test_a_lone_surrogate_is_spelled_out() -> None:
    assert dashboard._label(("a\ud800",), 0) == "a\\ud800"


def test_a_long_text_is_cut_for_the_axis() -> None:
    assert dashboard._label(("x" * 1000,), 0) == "x" * 23 + "…"


def test_many_inputs_have_few_labels() -> None:
    made = Dashboard(AttentionWidget(Trace.from_weights(np.full((1, 900), 1 / 900), source=["x"] * 900, target=["y"])))
    assert 1 < len(made._key_axis.tick_labels) <= dashboard.MAX_LABELS


def test_labels_of_ticks_are_sent_before_the_ticks(board: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(type(board._key_axis), "send_state", lambda _, key=None: sent.append(key))
    dashboard._name_ticks(board._key_axis, ("one", "two"), 2)
    assert sent == ["tick_labels", "tick_values"]


def test_a_live_trace_starts_an_empty_figure(live: Trace) -> None:
    assert Dashboard(AttentionWidget(live))._bars.y.tolist() == [0.0]


def test_the_figure_grows_with_the_trace(live: Trace) -> None:
    made = Dashboard(AttentionWidget(live))
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    made.widget._publisher.flush()
    assert made._bars.y == pytest.approx([0.2] * 5)


def test_another_trace_replaces_the_figure(board: Dashboard) -> None:
    board.widget.head, board.widget.locked = 2, [4]
    board.trace = Trace.from_weights(np.full((2, 3, 2), 0.5), source=["a", "b"], target=list("xyz"))
    assert (board._bars.y.tolist(), board.widget.head) == ([1.5, 1.5], MEAN)


def test_an_empty_trace_clears_the_figure(board: Dashboard) -> None:
    board.trace = Trace()
    assert (board._bars.y.tolist(), board._curves.labels) == ([0.0], ["1"])


def test_another_site_is_drawn_with_its_own_heads() -> None:
    trace = Trace.from_weights(
        [np.full((3, 4, 5), 0.2), np.full((2, 4, 5), 0.2)], source=list("abcde"), target=list("wxyz")
    )
    made = Dashboard(AttentionWidget(trace, head=2))
    made.widget.site = 1
    assert made._bars.y == pytest.approx([0.8] * 5)


def test_odd_weights_leave_finite_bars() -> None:
    odd = np.array([[np.nan, np.inf, -np.inf, 0.5, 0.5]])
    made = Dashboard(AttentionWidget(Trace.from_weights(odd, source=list("abcde"), target=["x"])))
    assert made._bars.y.tolist() == [0, 0, 0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0.0, [0]),
        (np.inf, [0]),
        (0.3, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (1.11, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (2.57, [0, 0.5, 1, 1.5, 2, 2.5]),
        (3700, [0, 1000, 2000, 3000]),
    ],
)
def test_strength_has_a_few_round_ticks(top: float, ticks: list[float]) -> None:
    assert dashboard._ticks(np.array([0.0, top])) == pytest.approx(ticks)


def test_ticks_reach_what_is_expected(board: Dashboard) -> None:
    board.widget.expected = [0, 1, 40, 0, 1]
    assert board._strength_axis.tick_values == pytest.approx([0, 10, 20, 30, 40])


def test_the_curves_have_ticks_of_their_own(board: Dashboard) -> None:
    highest = board._curves_axis.tick_values[-1]
    assert highest <= np.max(board._curves.y) < highest + board._curves_axis.tick_values[1]
