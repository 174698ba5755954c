"""All heads at once in an exported page: what was planted is found, and a click opens it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import attnwidget as aw

N_LAYERS, N_HEADS, N_TOKENS = 12, 12, 24
BOX = ".attnwidget-heads-box"
CELL = ".attnwidget-heads-cell"
TOLD = ".attnwidget-heads-told"
TOGGLE = ".attnwidget-heads-toggle"
SORT = ".attnwidget-heads-bar select"
LEFT, EDGE = 92, 3  # labels before the tiles, and room for their frames
PLANTED = (4, 6)  # layer and head


def make_trace() -> aw.Trace:
    rng = np.random.default_rng(11)
    scores = rng.normal(0, 1, (N_LAYERS, N_HEADS, N_TOKENS, N_TOKENS))
    weights = np.tril(np.exp(scores)).astype(np.float32)
    weights /= weights.sum(-1, keepdims=True)
    texts = [f"w{i % 8}" for i in range(N_TOKENS)]
    for query in range(8, N_TOKENS):
        head = weights[PLANTED]
        head[query] = 0
        head[query, query - 7] = 1
    return aw.Trace.from_weights(weights, source=texts)


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Page:
    make_trace().to_html(tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    page.locator(BOX).wait_for()
    return page


def shades(page: Page, x: int, y: int, size: int) -> list[int]:
    """Return the different reds in a square of the canvas, CSS pixels from the corner of the box."""
    script = """([x, y, size]) => {
      const canvas = document.querySelector(".attnwidget-heads-canvas");
      const ratio = devicePixelRatio;
      const { data } = canvas.getContext("2d").getImageData(x * ratio, y * ratio, size * ratio, size * ratio);
      return [...new Set(data.filter((_, i) => i % 4 === 0))];
    }"""
    found: list[int] = page.evaluate(script, [x, y, size])
    return found


def test_the_grid_shows_every_head(opened: Page) -> None:
    expect(opened.locator(TOGGLE)).to_have_text("all 144 heads")
    expect(opened.locator(CELL)).to_have_attribute("aria-setsize", "144")
    opened.locator(BOX).scroll_into_view_if_needed()
    opened.wait_for_function("() => document.querySelector('.attnwidget-heads-canvas').width > 300")
    assert len(shades(opened, LEFT + EDGE, EDGE + 18, 44)) > 8


def test_the_planted_head_comes_first_and_a_click_opens_it(opened: Page) -> None:
    opened.locator(SORT).select_option("induction")
    first = {"x": LEFT + EDGE + 20.0, "y": EDGE + 20.0}
    opened.locator(BOX).hover(position={"x": first["x"], "y": first["y"]})
    expect(opened.locator(TOLD)).to_have_text(re.compile(r"^layer 5, head 7 · entropy .* · induction 1\.00$"))
    opened.locator(BOX).click(position={"x": first["x"], "y": first["y"]})
    site, layer, head = (opened.locator(".attnwidget-controls select").nth(i) for i in range(3))
    expect(site).to_be_visible()
    expect(layer).to_have_value("4")
    expect(head).to_have_value("6")
    expect(opened.locator(".attnwidget-sentence-text")).to_contain_text("100 % of the attention is on “w0”")


def test_the_keyboard_finds_and_opens_a_head_out_of_sight(opened: Page) -> None:
    opened.locator(BOX).focus()
    opened.keyboard.press("Home")
    for key in ["ArrowDown"] * 11 + ["ArrowRight"] * 2:
        opened.keyboard.press(key)
    expect(opened.locator(CELL)).to_have_attribute(
        "aria-label", re.compile(r"^layer 12, head 3: entropy [\d.]+ bits, ")
    )
    expect(opened.locator(CELL)).to_be_in_viewport(ratio=1)
    assert opened.locator(BOX).evaluate("box => box.scrollTop") > 0
    opened.keyboard.press("Enter")
    expect(opened.locator(".attnwidget-controls select").nth(1)).to_have_value("11")
    expect(opened.locator(".attnwidget-controls select").nth(2)).to_have_value("2")
    expect(opened.locator(CELL)).to_have_attribute("aria-selected", "true")


def test_only_what_is_scrolled_into_view_is_on_the_canvas(opened: Page) -> None:
    opened.locator(BOX).scroll_into_view_if_needed()
    opened.wait_for_function("() => document.querySelector('.attnwidget-heads-canvas').width > 300")
    heights = opened.evaluate(
        "() => ['canvas', 'box', 'content'].map((it) => document.querySelector('.attnwidget-heads-' + it).clientHeight)"
    )
    assert heights[0] <= heights[1] < heights[2]
    opened.evaluate("() => { window.before = document.querySelector('.attnwidget-heads-canvas').toDataURL() }")
    opened.locator(BOX).evaluate("box => { box.scrollTop = 1e6 }")
    opened.wait_for_function("() => document.querySelector('.attnwidget-heads-canvas').toDataURL() !== window.before")
    assert len(shades(opened, LEFT + EDGE, 100, 200)) > 8


@pytest.mark.parametrize("n_heads", [1, 128])
def test_one_head_is_closed_and_many_draw(page: Page, tmp_path: Path, n_heads: int) -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(5), (n_heads, 4)).astype(np.float32)
    aw.Trace.from_weights(weights, source=list("abcde"), target=list("wxyz")).to_html(tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(TOGGLE)).to_have_attribute("aria-expanded", str(n_heads > 1).lower())
    if n_heads == 1:
        expect(page.locator(BOX)).to_be_hidden()
        page.locator(TOGGLE).click()
    page.locator(BOX).hover(position={"x": LEFT + EDGE + 8, "y": EDGE + 8})
    expect(page.locator(TOLD)).to_contain_text("layer 1, head 1 · entropy")
