"""Hostile text in an exported page is text: nothing of it runs, and each token can be told apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import attnwidget as aw
from attnwidget.architecture import Module

CORPUS = json.loads((Path(__file__).parents[1] / "data" / "hostile_tokens.json").read_text("utf-8"))
TEXTS = [token["text"] * token.get("repeat", 1) for token in CORPUS["tokens"]]
LINES = "(it) => { const all = new Range(); all.selectNodeContents(it); return all.getClientRects().length; }"
GROUP = 12  # tokens in one page: few enough for each to be written out


@pytest.fixture(autouse=True)
def trap(page: Page) -> None:
    """What runs leaves its mark, in every document of the page."""
    if not page.evaluate("'ran' in window"):
        page.add_init_script("window.ran = []; window.__pwn = (id) => window.ran.push(id);")
        page.on("dialog", lambda dialog: dialog.dismiss())


def open_page(page: Page, tokens: list[str], folder: Path, title: str = "") -> None:
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


@pytest.mark.parametrize("first", range(0, len(TEXTS), GROUP))
def test_no_name_runs_wherever_it_stands(page: Page, tmp_path: Path, first: int) -> None:
    some = [text for text in TEXTS[first : first + GROUP] if text]
    trace = aw.Trace(source=["a"], title=some[0])
    for i, text in enumerate(some):
        trace.add_site(aw.Site(f"{text}{i}", "cross", i, 1, "target", "source"))
    weights = {f"{text}{i}": np.ones((1, 1, 1), np.float32) for i, text in enumerate(some)}
    trace.append(weights, token=some[0], candidates=[(text, 0.01) for text in some])
    modules = tuple(Module(f"{text}{i}", text, text, i) for i, text in enumerate(some))
    trace.set_architecture(Module("", some[0], children=modules))
    for name, write in (("page.html", trace.to_html), ("figure.svg", trace.to_svg)):
        write(tmp_path / name)
        page.goto((tmp_path / name).as_uri())
        page.locator(".attnwidget[data-rows]" if name == "page.html" else "text").first.wait_for()
        for block in page.locator(".attnwidget-diagram-block").all()[:2]:
            block.hover()
        assert page.evaluate("window.ran") == []


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
    page.goto("about:blank")
    page.evaluate("document.body.innerHTML = '<img src=x onerror=__pwn(1)>'")
    page.wait_for_function("() => window.ran.length === 1")


def test_a_number_beside_a_long_token_is_not_broken(page: Page, tmp_path: Path) -> None:
    open_page(page, ["Z" + "\u0301" * 40, "\U000e0100" * 40, "x" * 60], tmp_path)
    panel = page.locator(".attnwidget-reading")
    numbers = panel.locator("dd").all()
    assert any(number.inner_text() == "1.00" for number in numbers)  # the strength of a token with a long name
    for number in numbers:
        if "“" not in number.inner_text():
            assert number.evaluate(LINES) == 1
    assert panel.evaluate("(it) => it.scrollWidth <= it.clientWidth")
