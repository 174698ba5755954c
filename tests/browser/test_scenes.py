"""Pictures, clips and sounds in an exported page: patches and words light each other, weights land on their pixels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Position, expect

import attnwidget as aw
from attnwidget import Tokens

STAGE = ".attnwidget-input-scene .attnwidget-scene-stage"
CANVAS = ".attnwidget-input-scene .attnwidget-scene-canvas"
TIP = ".attnwidget-tip"
ROWS, COLUMNS = 3, 4
RNG = np.random.default_rng(3)
WEIGHTS = RNG.dirichlet(np.full(ROWS * COLUMNS, 0.3), 5).astype(np.float32)
BLACK = np.zeros((30, 40), np.uint8)


def open_page(page: Page, folder: Path, source: Tokens, weights: np.ndarray = WEIGHTS) -> None:
    target = [f"out{q}" for q in range(len(weights))]
    aw.Trace.from_weights(weights, source=source, target=target).to_html(folder / "page.html", step=0)
    page.goto((folder / "page.html").as_uri())
    page.locator(STAGE).wait_for()


def point(page: Page, row: int, column: int) -> Position:
    box = page.locator(STAGE).bounding_box()
    assert box is not None
    return {"x": box["width"] * (column + 0.5) / COLUMNS, "y": box["height"] * (row + 0.5) / ROWS}


def brightness(page: Page) -> np.ndarray:
    """Return the red of the middle of each patch."""
    script = """([canvas, rows, columns]) => {
      const node = document.querySelector(canvas);
      const data = node.getContext("2d").getImageData(0, 0, node.width, node.height).data;
      const middle = (i, n, size) => Math.floor((size * (i + 0.5)) / n);
      const red = (r, c) => data[4 * (middle(r, rows, node.height) * node.width + middle(c, columns, node.width))];
      const each = (n, value) => Array.from({length: n}, (_, i) => value(i));
      return JSON.stringify(each(rows, (r) => each(columns, (c) => red(r, c))));
    }"""
    return np.array(json.loads(page.evaluate(script, [CANVAS, ROWS, COLUMNS])))


def test_the_clearest_patches_have_the_largest_weights(page: Page, tmp_path: Path) -> None:
    open_page(page, tmp_path, Tokens.image(BLACK, (ROWS, COLUMNS)))
    for step, weights in enumerate(WEIGHTS):
        page.locator(".attnwidget-slider").first.fill(str(step))
        expect(page.locator(".attnwidget-step-label")).to_have_text(f"step {step + 1} of 5")
        expect(page.locator(".attnwidget-scene .attnwidget-note").first).to_contain_text(f"{weights.max():.2f}")
        seen = brightness(page).ravel()
        assert seen[weights.argmax()] == 0  # no veil over black
        order = np.argsort(weights)
        assert (np.diff(seen[order].astype(int)) <= 0).all()


def test_hovering_a_patch_tells_its_exact_weight(page: Page, tmp_path: Path) -> None:
    open_page(page, tmp_path, Tokens.image(BLACK, (ROWS, COLUMNS)))
    for row, column in ((0, 0), (1, 2), (2, 3)):
        page.locator(STAGE).hover(position=point(page, row, column))
        expect(page.locator(TIP)).to_contain_text(f"out0 → r{row + 1} c{column + 1}: ")
        told = float((page.locator(TIP).text_content() or "").split(": ")[1])
        assert told == pytest.approx(WEIGHTS[0, row * COLUMNS + column], rel=1e-5)


def test_a_click_on_a_patch_shades_its_words(page: Page, tmp_path: Path) -> None:
    open_page(page, tmp_path, Tokens.image(BLACK, (ROWS, COLUMNS)))
    page.locator(STAGE).click(position=point(page, 1, 2))
    page.mouse.move(2, 2)
    word = page.locator(".attnwidget-output .attnwidget-token").nth(2)
    expect(word).not_to_have_attribute("data-shaded", "")  # it is not written yet
    page.locator(".attnwidget-controls .attnwidget-slider").press("End")
    expect(word).to_have_attribute("data-shaded", "")
    expect(word).to_have_accessible_name("out2")
    expect(word).to_have_attribute("aria-description", f"{float(f'{WEIGHTS[2, 6]:.6g}'):.6g}")


def test_the_picture_is_read_with_keys(page: Page, tmp_path: Path) -> None:
    open_page(page, tmp_path, Tokens.image(BLACK, (ROWS, COLUMNS), before=["[CLS]"]), RNG.dirichlet(np.ones(13), 2))
    page.locator(STAGE).focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".attnwidget-input-scene .attnwidget-scene-cell")).to_have_attribute(
        "aria-label", re.compile(r"^r2 c2, 0\.")
    )


def test_tokens_beside_the_picture_can_be_looked_at(page: Page, tmp_path: Path) -> None:
    open_page(
        page, tmp_path, Tokens.image(BLACK, (ROWS, COLUMNS), before=["[CLS]", "reg"]), RNG.dirichlet(np.ones(14), 2)
    )
    chips = page.locator(".attnwidget-input-scene .attnwidget-scene-chip")
    expect(chips).to_have_text(["[CLS]", "reg"])
    chips.nth(1).hover()
    expect(page.locator(TIP)).to_contain_text("→ reg: ")


@pytest.mark.parametrize(
    "source",
    [
        Tokens.image(BLACK, (1, 1)),
        Tokens.video(BLACK[None], (1, 1)),
        Tokens.video(np.stack([BLACK] * 3), (1, 1, 1)),
        Tokens.audio(np.zeros(10), 1),
        Tokens.audio(np.zeros((4, 10)), 1),
        Tokens.image(BLACK[:1], (1, 1)),
        Tokens.image(BLACK[:, :1], (1, 1)),
    ],
)
def test_scenes_of_one_patch_are_drawn(page: Page, tmp_path: Path, source: Tokens) -> None:
    open_page(page, tmp_path, source, np.ones((2, 1)))
    box = page.locator(STAGE).bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 1


def test_both_sides_of_self_attention_are_the_picture(page: Page, tmp_path: Path) -> None:
    source = Tokens.image(BLACK, (ROWS, COLUMNS))
    aw.Trace.from_weights(RNG.dirichlet(np.ones(12), 12), source=source).to_html(tmp_path / "page.html", step=0)
    page.goto((tmp_path / "page.html").as_uri())
    looking = page.locator(".attnwidget-output-scene .attnwidget-scene-stage")
    looking.click(position=point(page, 0, 3))
    expect(page.locator(".attnwidget-step-label")).to_have_text("token 4 of 12")
