"""The diagram in an exported page: its blocks are there, a click chooses a site, the query says which state it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import attnwidget as aw
from attnwidget.architecture import Architecture, Module
from attnwidget.architecture.data import Edge, Node
from attnwidget.cli.demo import recorded as recorded_system

BLOCK = ".attnwidget-diagram-block"
TITLES = ".attnwidget-diagram-title"
N_LAYERS, N_HEADS = 3, 2


def opened(page: Page, trace: aw.Trace, folder: Path) -> Page:
    trace.to_html(folder / "page.html")
    page.goto((folder / "page.html").as_uri())
    page.locator(BLOCK).first.wait_for()
    return page


def towers() -> aw.Trace:
    """An encoder and a decoder of three layers of which only the weights are known."""
    sizes = {"encoder": (5, 5), "decoder": (4, 4), "cross": (4, 5)}
    weights = {kind: np.full((N_LAYERS, N_HEADS, *size), 1 / size[1]) for kind, size in sizes.items()}
    return aw.Trace.from_weights(weights, source=list("abcde"), target=list("wxyz"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dates", "asks with the state before the step, s(t−1)"),
        ("luong-dot", "asks with the state of the step, s(t)"),
    ],
)
def test_the_query_says_which_state_it_is(page: Page, tmp_path: Path, name: str, words: str) -> None:
    opened(page, recorded_system(name)[1], tmp_path)
    titles = page.locator(TITLES).all_text_contents()
    assert {"input", "encoder", "attention", "context", "decoder", "output"} <= set(titles)
    expect(page.locator(".attnwidget-diagram-words", has_text="asks")).to_have_text(words)


def test_a_click_chooses_the_site_and_lights_it(page: Page, tmp_path: Path) -> None:
    opened(page, towers(), tmp_path)
    cross, itself = page.locator(BLOCK, has_text="cross-attention"), page.locator(BLOCK, has_text="self-attention")
    expect(cross).to_have_attribute("aria-pressed", "true")
    itself.last.click()
    expect(itself.last).to_have_attribute("aria-pressed", "true")
    expect(cross).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_label("site", exact=True).locator("option:checked")).to_have_text("decoder self")


def test_a_tower_opens_to_its_layers_and_heads(page: Page, tmp_path: Path) -> None:
    opened(page, towers(), tmp_path)
    page.locator("[data-chevron]").last.click()
    expect(page.locator(".attnwidget-diagram-layer")).to_have_count(N_LAYERS)
    heads = page.locator(".attnwidget-diagram-head")
    expect(heads).to_have_count(2 * N_LAYERS * N_HEADS)
    heads.last.click()
    expect(heads.last).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("head", exact=True).locator("option:checked")).to_have_text("2 of 2")
    expect(page.locator(".attnwidget-diagram-detail", has_text="layer 3 of 3")).to_be_visible()
    page.locator("[data-chevron]").last.click()
    expect(heads).to_have_count(0)


def test_hovering_a_strip_lights_its_tokens(page: Page, tmp_path: Path) -> None:
    opened(page, towers(), tmp_path)
    page.locator(BLOCK, has_text="input").hover()
    expect(page.locator(".attnwidget-input[data-lit]")).to_have_count(1)
    expect(page.locator(".attnwidget-output[data-lit]")).to_have_count(0)
    page.mouse.move(0, 0)
    expect(page.locator(".attnwidget-input[data-lit]")).to_have_count(0)


def test_it_is_one_tab_stop_that_keys_move(page: Page, tmp_path: Path) -> None:
    opened(page, towers(), tmp_path)
    stops = page.locator(".attnwidget-diagram [tabindex='0']")
    expect(stops).to_have_count(1)
    stops.focus()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    expect(stops).to_have_count(1)
    for _ in range(len(page.locator(BLOCK).all())):
        if page.evaluate("document.activeElement.dataset.kind") == "tower":
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".attnwidget-diagram-layer")).to_have_count(N_LAYERS)
    expect(stops).to_have_count(1)


def test_names_of_modules_are_only_text(page: Page, tmp_path: Path) -> None:
    trace = towers()
    name = "<img src=x onerror=alert(1)>"
    trace.set_architecture(Module("", "Network", children=(Module(name, name, "</script>"), Module("encoder", "E"))))
    opened(page, trace, tmp_path)
    expect(page.locator("img")).to_have_count(0)
    assert any("img src" in about for about in page.locator(f"{BLOCK} title").all_text_contents())


def test_it_can_be_hidden(page: Page, tmp_path: Path) -> None:
    opened(page, towers(), tmp_path)
    page.get_by_role("button", name="hide diagram").click()
    expect(page.locator(".attnwidget-diagram")).to_be_hidden()
    page.get_by_role("button", name="show diagram").click()
    expect(page.locator(".attnwidget-diagram")).to_be_visible()


def crossed() -> aw.Trace:
    """A decoder whose keys come from above, through its title, which is longer than the decoder is wide."""
    trace = aw.Trace.from_weights(np.full((4, 5), 0.2), source=list("abcde"), target=list("wxyz"))
    (site,) = trace.sites
    trace.set_architecture(
        Architecture(
            (
                Node("in", "strip", strip="source"),
                Node("read", "strip", strip="target", lane=1),
                Node("dec", "tower", "a decoder with a name that is rather long", sites=(site.name,), lane=1),
                Node("att", "attention", parent="dec", sites=(site.name,), lane=1),
                Node("ff", "module", "ff", parent="dec", lane=1),
            ),
            (Edge("in", "att", "keys"), Edge("read", "dec"), Edge("att", "ff")),
        )
    )
    return trace


def test_a_line_through_a_title_passes_behind_it(page: Page, tmp_path: Path) -> None:
    opened(page, crossed(), tmp_path)
    title = page.locator(f".attnwidget-diagram-face[data-kind=tower] > {TITLES}")
    own, line = title.bounding_box(), page.locator("[data-edge=in-att]").bounding_box()
    assert own is not None
    assert line is not None
    assert own["x"] < line["x"] + line["width"] < own["x"] + own["width"]
    assert line["y"] < own["y"] < line["y"] + line["height"]
    assert title.evaluate("it => getComputedStyle(it).backgroundColor") == title.evaluate(
        "it => getComputedStyle(document.querySelector('[data-node=dec] > rect')).fill"
    )


@pytest.mark.parametrize("width", [480, 800, 1400])
@pytest.mark.parametrize("trace", [lambda: recorded_system("transformer")[1], crossed], ids=["transformer", "crossed"])
def test_no_text_leaves_its_block(page: Page, tmp_path: Path, width: int, trace: Callable[[], aw.Trace]) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, trace(), tmp_path)
    texts, faults = page.evaluate(
        """() => {
          const rect = (node) => node.getBoundingClientRect();
          const boxes = [...document.querySelectorAll(".attnwidget-diagram-box")].map(rect);
          const texts = [...document.querySelectorAll(".attnwidget-diagram-face > *")].filter((it) => it.textContent);
          const inside = (own, box) =>
            own.left >= box.left && own.right <= box.right && own.top >= box.top && own.bottom <= box.bottom;
          const out = texts.filter((text) => !boxes.some((box) => inside(rect(text), box)));
          return [texts.length, out.map((text) => text.textContent)];
        }"""
    )
    assert texts > 5
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
