"""An exported page of a head that is too large for it: its picture, the rows around a step, and a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import attnwidget as aw
from attnwidget.stores import Factors, Visible

N_TOKENS, STEP = 3000, 2000


@pytest.fixture(scope="module")
def large() -> aw.Trace:
    """Return a trace of one head of nine million weights."""
    rng = np.random.default_rng(0)
    queries, keys = (rng.normal(0, 1.4, (1, N_TOKENS, 32)).astype(np.float16) for _ in range(2))
    trace = aw.Trace(source=[f"t{i}" for i in range(N_TOKENS)])
    trace.add_site(aw.Site("own", "encoder", 0, 1, "source", "source"), store="qk")
    trace.append({"own": Factors(queries, keys, Visible.causal(N_TOKENS, N_TOKENS), 32**-0.5)})
    trace.finish()
    return trace


@pytest.fixture
def opened(page: Page, large: aw.Trace, tmp_path: Path) -> Page:
    large.to_html(tmp_path / "large.html", step=STEP)
    page.goto((tmp_path / "large.html").as_uri())
    page.locator(".attnwidget[data-rows]:not([data-rows='0'])").wait_for()
    return page


def test_the_row_of_the_step_is_exact(opened: Page, large: aw.Trace) -> None:
    row = large.weights(0, 0, [STEP])[0]
    expect(opened.locator(".attnwidget-candidate-token").first).to_have_text(f"t{row.argmax()}")
    expect(opened.locator(".attnwidget-reading-line").filter(has_text="row sums to")).to_contain_text("1.000")
    strength = opened.locator(".attnwidget-reading-line").filter(has_text="strength of")
    expect(strength).to_contain_text(f"{large.strength(0, 0)[row.argmax()]:.2f}")


def test_a_neighbouring_step_is_exact_and_a_far_one_says_that_it_is_not(opened: Page, large: aw.Trace) -> None:
    opened.get_by_role("button", name="next step").click()
    expect(opened.locator(".attnwidget-candidate-token").first).to_have_text(
        f"t{large.weights(0, 0, [STEP + 1])[0].argmax()}"
    )
    opened.get_by_role("button", name="last step").click()
    expect(opened.locator(".attnwidget-reading-line").filter(has_text="row sums to")).to_have_count(0)


def test_a_slash_finds_a_token(opened: Page) -> None:
    opened.get_by_role("slider", name="step").focus()
    opened.keyboard.press("/")
    opened.keyboard.type("T123")
    expect(opened.locator(".attnwidget-search-count")).to_have_text("11 found")
    opened.keyboard.press("Enter")
    opened.keyboard.press("Enter")
    expect(opened.locator(".attnwidget-search-count")).to_have_text("2 of 11")
    expect(opened.locator(".attnwidget-column-label[data-gaze]")).to_have_text("t1230")
    expect(opened.locator(".attnwidget-minimap")).to_be_visible()


def test_the_strongest_input_is_a_click_away(opened: Page, large: aw.Trace) -> None:
    opened.get_by_role("button", name="go to the strongest input").click()
    strongest = large.weights(0, 0, [STEP])[0].argmax()
    expect(opened.locator(".attnwidget-column-label[data-gaze]")).to_have_text(f"t{strongest}")


def test_the_small_map_moves_the_window(opened: Page) -> None:
    opened.get_by_role("button", name="go to the strongest input").click()
    box = opened.locator(".attnwidget-minimap").bounding_box()
    assert box is not None
    opened.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(opened.locator(".attnwidget-column-label").first).to_have_text("t1484")
