"""What a page takes does not grow: neither with steps that are chosen, nor with widgets that come and go."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

import attnwidget as aw
from attnwidget.built import WIDGET

pytestmark = pytest.mark.own_page

N_MOVES, N_WIDGETS = 10_000, 100
HEAP_BYTES = 1_000_000
ADDRESS = "http://127.0.0.1/"
MOVE = """async (n) => {
  const slider = document.querySelector(".attnwidget-player input[type=range]");
  for (let i = 0; i < n; i++) {
    slider.value = String((i * 7) % (Number(slider.max) + 1));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    if (i % 50 === 0) await new Promise(requestAnimationFrame);
  }
  await new Promise(requestAnimationFrame);
}"""
SHOW = """async ([traits, frame, n]) => {
  const { default: widget } = await import("/widget.js");
  const bytes = Uint8Array.from(atob(frame), (c) => c.charCodeAt(0));
  const values = { ...traits, frame: new DataView(bytes.buffer) };
  const model = { get: (name) => values[name] };
  for (const name of ["set", "save_changes", "send", "on", "off"]) model[name] = () => {};
  for (let i = 0; i < n; i++) {
    const el = document.createElement("div");
    document.body.append(el);
    const end = widget.render({ model, el });
    while (!(Number(el.querySelector(".attnwidget")?.dataset.rows) > 0)) await new Promise(requestAnimationFrame);
    end();
    el.remove();
  }
}"""


def trace_of(n_tokens: int) -> aw.Trace:
    weights = np.random.default_rng(0).random((2, n_tokens, n_tokens)).astype(np.float32)
    words = [f"t{i}" for i in range(n_tokens)]
    return aw.Trace.from_weights(weights / weights.sum(-1, keepdims=True), source=words, target=words)


@pytest.fixture
def taken(page: Page) -> Callable[[], dict[str, float]]:
    """Return what tells how much the page takes once all that nobody holds is gone."""
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")

    def read() -> dict[str, float]:
        for _ in range(3):
            tools.send("HeapProfiler.collectGarbage")
        return {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}

    return read


def test_ten_thousand_steps_leave_nothing(page: Page, taken: Callable[[], dict[str, float]], tmp_path: Path) -> None:
    trace_of(64).to_html(tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    page.locator(".attnwidget[data-rows]").wait_for()
    page.evaluate(MOVE, 500)
    before = taken()
    page.evaluate(MOVE, N_MOVES)
    after = taken()
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < HEAP_BYTES
    assert after["Nodes"] - before["Nodes"] < 10  # ten thousand steps, and a node or two that waits for its frame
    assert after["JSEventListeners"] - before["JSEventListeners"] < 10


def test_widgets_that_were_closed_leave_nothing(page: Page, taken: Callable[[], dict[str, float]]) -> None:
    widget = aw.AttentionWidget(trace_of(16))
    frame = base64.b64encode(widget.frame).decode("ascii")
    state = {name: value for name, value in widget.get_state().items() if isinstance(value, str | int | list)}
    widget.close()
    code = WIDGET.read_text("utf-8")
    page.route(f"{ADDRESS}widget.js", lambda route: route.fulfill(body=code, content_type="text/javascript"))
    page.route(ADDRESS, lambda route: route.fulfill(body="<!doctype html><title>t</title>", content_type="text/html"))
    page.goto(ADDRESS)
    page.evaluate(SHOW, [state, frame, 10])
    before = taken()
    page.evaluate(SHOW, [state, frame, N_WIDGETS])
    after = taken()
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < HEAP_BYTES
    assert after["Nodes"] - before["Nodes"] < 10
    assert after["JSEventListeners"] - before["JSEventListeners"] < 10
