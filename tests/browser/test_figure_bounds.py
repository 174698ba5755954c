"""What a figure writes stays on its page and in its line, as a browser draws it, whatever tokens and titles are."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page

import attnwidget as aw
from attnwidget import figure
from attnwidget.figure import View
from attnwidget.figure.page import MARGIN

WIDE = ["W" * 60, "—" * 60, "@%" * 30, "MMMM wwww mmmm QQQQ " * 3, "漢" * 60, "Щ" * 60, "Ω≠∑" * 20, "ش" * 60, "﷽" * 9]
TALL = ["Z" + "".join(map(chr, range(0x300, 0x370))), "a" + "\u0489" * 50, "e" + "\u0329" * 500]
OUTSIDE = """(margin) => {
  const root = document.querySelector("svg").getBoundingClientRect();
  return [...document.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()])
    .filter(([, box]) => box.left < root.left + margin / 2 || box.right > root.right - margin / 2)
    .map(([text]) => text);
}"""


def drawn(tokens: list[str], title: str, view: View, rows: str) -> str:
    weights = np.random.default_rng(5).dirichlet(np.ones(len(tokens)), (2, 3, len(tokens))).astype(np.float32)
    trace = aw.Trace.from_weights(weights, source=tokens, target=tokens, title=title)
    return figure.svg(trace, view=view, rows=rows, step=0)


@pytest.mark.parametrize("rows", ["query", "key"])
@pytest.mark.parametrize("view", ["head", "heads"])
def test_no_text_of_a_figure_leaves_its_page(page: Page, view: View, rows: str) -> None:
    page.goto("about:blank")
    for title in WIDE:
        page.set_content(drawn(WIDE, title, view, rows))
        assert page.evaluate(OUTSIDE, MARGIN) == []
    page.set_content(drawn(WIDE, "", view, rows).replace(">W", f">{'W' * 60}"))
    assert page.evaluate(OUTSIDE, MARGIN) != []


def test_marks_stay_with_their_letter(page: Page) -> None:
    page.goto("about:blank")
    page.set_content(drawn([*TALL, "a"], TALL[0], "head", "query"))
    assert page.evaluate("[...document.querySelectorAll('text')].every((text) => text.getBBox().height < 24)")
    assert not page.evaluate("[...document.querySelectorAll('text')].every((text) => text.getBBox().height < 8)")
