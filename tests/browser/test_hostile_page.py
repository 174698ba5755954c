"""Hostile text in an exported page is text: nothing of it runs, and each token can be told apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import attnwidget as aw

CORPUS = json.loads((Path(__file__).parents[1] / "data" / "hostile_tokens.json").read_text("utf-8"))
TEXTS = [token["text"] * token.get("repeat", 1) for token in CORPUS["tokens"]]
GROUP = 12  # tokens in one page: few enough for each to be written out


def open_page(page: Page, tokens: list[str], folder: Path, title: str = "") -> None:
    page.add_init_script("window.ran = []; window.__pwn = (id) => window.ran.push(id);")
    page.on("dialog", lambda dialog: dialog.dismiss())
    weights = np.full((len(tokens), len(tokens)), 1 / len(tokens), np.float32)
    aw.Trace.from_weights(weights, source=tokens, target=tokens, title=title).to_html(folder / "page.html")
    page.goto((folder / "page.html").as_uri())
    expect(page.locator(".attnwidget")).to_have_attribute("data-rows", str(len(tokens)))


@pytest.mark.parametrize("first", range(0, len(TEXTS), GROUP))
def test_no_token_runs_or_breaks_the_page(page: Page, tmp_path: Path, first: int) -> None:
    tokens = TEXTS[first : first + GROUP]
    open_page(page, tokens, tmp_path, title=tokens[0])
    page.locator(".attnwidget-heatmap-grid").hover(position={"x": 5, "y": 5})
    expect(page.locator(".attnwidget-tip")).to_be_visible()
    assert page.evaluate("window.ran") == []
    assert page.locator(".attnwidget-input .attnwidget-token").count() == len(tokens)


@pytest.mark.parametrize("pair", CORPUS["confusable_pairs"], ids=lambda pair: repr(pair))
def test_tokens_that_look_alike_are_told_apart(page: Page, tmp_path: Path, pair: list[str]) -> None:
    open_page(page, pair, tmp_path)
    snapshot = page.locator(".attnwidget-input [role=listbox]").aria_snapshot()
    names = [line.strip() for line in snapshot.splitlines() if "option" in line]
    shown = page.locator(".attnwidget-input .attnwidget-token").all_inner_texts()
    assert names[0] != names[1]
    assert shown[0] != shown[1]


@pytest.mark.console_errors("Failed to load resource")
def test_the_control_would_notice_a_script_that_runs(page: Page) -> None:
    page.add_init_script("window.ran = []; window.__pwn = (id) => window.ran.push(id);")
    page.goto("about:blank")
    page.evaluate("document.body.innerHTML = '<img src=x onerror=__pwn(1)>'")
    page.wait_for_function("window.ran.length === 1")
