"""Everyone: what axe-core finds in each state, light, dark and in forced colours, at 100 and 200 %; small windows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import attnwidget as aw
from attnwidget.cli.demo import recorded

AXE = (Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
RUN = """() => axe.run(document, { resultTypes: ["violations", "incomplete"] }).then((found) =>
  [...found.violations, ...found.incomplete].map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 160)}`))"""
OPEN = "() => document.querySelectorAll('.attnwidget-toggle[aria-expanded=false]').forEach((button) => button.click())"
WIDTH_PX, HEIGHT_PX = 1280, 1000
REFLOW_PX = 320

pytestmark = pytest.mark.filterwarnings("ignore:.*is a mask")


def opened(page: Page) -> None:
    page.evaluate(OPEN)
    expect(page.locator(".attnwidget-toggle[aria-expanded=false]:visible")).to_have_count(0)


def locked(page: Page) -> None:
    page.locator(".attnwidget-input [role=option]").nth(2).click()
    page.locator(".attnwidget-heatmap-grid").hover(position={"x": 30, "y": 30})
    expect(page.locator(".attnwidget-tip")).to_be_visible()


def inside(page: Page) -> None:
    page.locator(".attnwidget-diagram-block[aria-expanded] [data-chevron]").first.click()
    expect(page.locator(".attnwidget-diagram-parts")).to_be_visible()


def unusual() -> aw.Trace:
    weights = np.random.default_rng(0).random((2, 4, 5)).astype(np.float32)
    weights[0, 0, 0] = np.nan
    return aw.Trace.from_weights(weights, source=list("abcd!"), target=["w", "·", "x", " y"])


def sinking() -> aw.Trace:
    weights = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1]], np.float32)
    return aw.Trace.from_weights(weights, source=["<s>", "a", "b"], target=["x", "y"])


def dimmed(page: Page) -> None:
    page.get_by_label("special tokens", exact=True).select_option("dim")
    page.get_by_role("button", name="first step").click()
    expect(page.locator(".attnwidget-token[data-ghost]")).to_have_count(2)  # special, or of a later step


STATES: dict[str, tuple[Callable[[], aw.Trace], Callable[[Page], None]]] = {
    "as it opens": (lambda: recorded("numbers-de")[1], lambda _: None),
    "an input locked, a weight pointed at": (lambda: recorded("dates")[1], locked),
    "why and heads open": (lambda: recorded("transformer")[1], opened),
    "inside a block": (lambda: recorded("transformer")[1], inside),
    "a picture": (lambda: recorded("captioner")[1], opened),
    "unusual weights": (unusual, opened),
    "special tokens dimmed, later steps ahead": (sinking, dimmed),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {name: folder / f"{i}.html" for i, name in enumerate(STATES)}
    for name, (trace, _) in STATES.items():
        trace().to_html(made[name])
    return made


@pytest.fixture(scope="module")
def at(chrome: Browser) -> Iterator[Callable[..., Page]]:
    """Return what opens a file in a window of so many CSS pixels, zoomed in as a browser does it."""
    windows: dict[int, Page] = {}

    def open_at(path: Path, zoom: int = 1, width: int = WIDTH_PX) -> Page:
        if zoom not in windows:
            windows[zoom] = chrome.new_context(device_scale_factor=zoom).new_page()
        page = windows[zoom]
        page.goto("about:blank")
        page.set_viewport_size({"width": width // zoom, "height": HEIGHT_PX // zoom})
        page.emulate_media(color_scheme="light", forced_colors="none")
        page.mouse.move(0, 0)
        page.goto(path.as_uri())
        page.locator(".attnwidget[data-rows]").wait_for()
        return page

    yield open_at
    for page in windows.values():
        page.context.close()


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(state: str, pages: dict[str, Path], at: Callable[..., Page]) -> None:
    for zoom in (1, 2):
        page = at(pages[state], zoom)
        STATES[state][1](page)
        page.evaluate(AXE)
        for scheme, forced in (("light", "none"), ("dark", "none"), ("light", "active")):
            page.emulate_media(color_scheme=scheme, forced_colors=forced)  # type: ignore[arg-type]
            theme = "dark" if scheme == "dark" else "light"
            expect(page.locator(".attnwidget")).to_have_attribute("data-theme", theme)
            assert page.evaluate(RUN) == [], (zoom, scheme, forced)


def test_axe_finds_what_is_wrong(pages: dict[str, Path], at: Callable[..., Page]) -> None:
    page = at(pages["as it opens"])
    page.get_by_role("slider", name="step").evaluate("(slider) => slider.removeAttribute('aria-label')")
    page.locator(".attnwidget-sentence-text").evaluate("(line) => { line.style.color = '#ddd'; }")
    page.evaluate(AXE)
    assert {fault.partition(":")[0] for fault in page.evaluate(RUN)} == {"label", "color-contrast"}


@pytest.mark.parametrize("state", STATES)
def test_a_narrow_window_loses_nothing(state: str, pages: dict[str, Path], at: Callable[..., Page]) -> None:
    page = at(pages[state], width=REFLOW_PX)
    STATES[state][1](page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= REFLOW_PX
    for part in (".attnwidget-player", ".attnwidget-heatmap-canvas", ".attnwidget-sentence-text"):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= REFLOW_PX


BAR = "site, head and step"
FOCUS = "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
STOPS = """() => [...document.querySelectorAll('a, button, input, select, [tabindex]')]
  .filter((node) => node.tabIndex >= 0 && node.checkVisibility())
  .map((node) => node.closest('section, .attnwidget-controls')?.className)"""
STOPS_OF = """(bar) => [...bar.querySelectorAll('button, input, select')]
  .filter((node) => node.tabIndex >= 0 && node.checkVisibility()).length"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUS) == name:
            return
    raise AssertionError(f"no tab stop is called {name!r}")


def go_to(page: Page, bar: str, name: str) -> None:
    """Press Tab until a toolbar has the focus, and arrows until one of its controls does."""
    role = "() => document.activeElement.closest('[role=toolbar]')?.getAttribute('aria-label')"
    for key, is_there in (
        ("Tab", lambda: page.evaluate(role) == bar),
        ("ArrowRight", lambda: page.evaluate(FOCUS) == name),
    ):
        for _ in range(60):
            if is_there():
                break
            page.keyboard.press(key)
        else:
            raise AssertionError(f"{key} does not lead to {name!r} in the toolbar {bar!r}")


@pytest.fixture
def keyed(pages: dict[str, Path], at: Callable[..., Page]) -> Page:
    return at(pages["why and heads open"])


def test_a_step_is_chosen_with_keys(keyed: Page) -> None:
    step = keyed.locator(".attnwidget-step-label")
    tab_to(keyed, "step")
    keyed.keyboard.press("Home")
    expect(step).to_have_text("step 1 of 8")
    keyed.keyboard.press("ArrowRight")
    expect(step).to_have_text("step 2 of 8")
    expect(keyed.get_by_role("slider", name="step")).to_have_attribute("aria-valuetext", "step 2 of 8, tausend")


def test_play_is_started_and_stopped_with_keys(keyed: Page) -> None:
    go_to(keyed, BAR, "play")
    keyed.keyboard.press("Space")
    expect(keyed.get_by_role("button", name="pause")).to_be_focused()
    keyed.keyboard.press("Space")
    expect(keyed.get_by_role("button", name="play")).to_be_focused()


@pytest.mark.parametrize(("bar", "name", "key", "chosen"), [
    (BAR, "site", "e", "encoder self"), (BAR, "head", "4", "4 of 4"),
    ("View", "scale", "r", "row maximum"), ("View", "rows", "i", "input"),
])  # fmt: skip
def test_lists_are_chosen_from_with_keys(keyed: Page, bar: str, name: str, key: str, chosen: str) -> None:
    go_to(keyed, bar, name)
    keyed.keyboard.press(key)
    expect(keyed.get_by_label(name, exact=True).locator("option:checked")).to_have_text(chosen)


def test_the_strongest_input_of_a_word_is_found_with_keys(keyed: Page) -> None:
    cell = keyed.locator(".attnwidget-heatmap [role=gridcell]")
    tab_to(keyed, "Attention weights: rows are output, columns are input")
    keyed.keyboard.press("Home")
    for _ in range(9):
        keyed.keyboard.press("ArrowUp")
    weights = {}
    for column in range(1, 7):
        expect(cell).to_have_attribute("aria-label", re.compile(rf"^row 1, vier; column {column}, "))
        told = cell.get_attribute("aria-label") or ""
        weights[told.split(", ")[2].partition(";")[0]] = float(told.rpartition(" ")[2].replace("−", "-"))
        keyed.keyboard.press("ArrowRight")
    assert max(weights, key=lambda name: weights[name]) == "four"


def test_an_input_is_locked_and_let_go_with_keys(keyed: Page) -> None:
    tab_to(keyed, "input")
    keyed.keyboard.press("Home")
    keyed.keyboard.press("Enter")
    first = keyed.locator(".attnwidget-input [role=option]").first
    expect(first).to_have_attribute("aria-selected", "true")
    keyed.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-selected", "false")


def test_what_is_folded_is_opened_with_keys(keyed: Page) -> None:
    tab_to(keyed, "Why this weight?")
    keyed.keyboard.press("Enter")
    expect(keyed.locator(".attnwidget-why-body")).to_be_visible()
    tab_to(keyed, "As a table")
    keyed.keyboard.press("Enter")
    expect(keyed.get_by_role("rowheader", name="5 seventy")).to_be_visible()


@pytest.mark.parametrize("n_tokens", [3, 300])
def test_there_is_one_tab_stop_a_view_however_many_tokens_there_are(
    n_tokens: int, at: Callable[..., Page], tmp_path: Path
) -> None:
    weights = np.random.default_rng(0).random((2, n_tokens, n_tokens)).astype(np.float32)
    words = [f"t{i}" for i in range(n_tokens)]
    aw.Trace.from_weights(weights, source=words, target=words).to_html(tmp_path / "page.html")
    page = at(tmp_path / "page.html")
    bars = [page.locator("[role=toolbar]").nth(i) for i in range(page.locator("[role=toolbar]").count())]
    assert [bar.evaluate(STOPS_OF) for bar in bars if bar.is_visible()] == [2] + [1] * (
        1 + (n_tokens > 24)
    )  # the slider
    stops = page.evaluate(STOPS)
    views = [name for name in stops if "attnwidget-view " in f"{name} "]
    assert max(views.count(name) for name in views if "heads" not in name) == 1


def test_arrows_go_through_a_toolbar_and_tab_comes_back_to_it(keyed: Page) -> None:
    go_to(keyed, "View", "scale")
    keyed.keyboard.press("ArrowLeft")
    before = keyed.evaluate(FOCUS)
    assert before == "links"
    keyed.keyboard.press("Tab")
    assert keyed.evaluate(FOCUS) != before
    keyed.keyboard.press("Shift+Tab")
    assert keyed.evaluate(FOCUS) == before


def test_a_control_that_goes_away_leaves_its_toolbar_in_reach(keyed: Page) -> None:
    go_to(keyed, BAR, "site")
    keyed.evaluate("() => { document.activeElement.closest('label').hidden = true; }")
    bar = keyed.locator(f"[role=toolbar][aria-label='{BAR}']")
    expect(bar.locator("select[tabindex='0']")).to_have_count(1)
    expect(bar.locator("select[tabindex='0']")).to_be_visible()


@pytest.fixture
def long(at: Callable[..., Page], tmp_path: Path) -> Page:
    words = [f"t{i}" for i in range(60)]
    weights = np.full((1, 60, 60), 1 / 60, np.float32)
    aw.Trace.from_weights(weights, source=words, target=words).to_html(tmp_path / "page.html")
    return at(tmp_path / "page.html")


def test_escape_leaves_the_search_to_where_the_focus_was(long: Page) -> None:
    tab_to(long, "input")
    long.keyboard.press("/")
    expect(long.get_by_role("searchbox")).to_be_focused()
    long.keyboard.type("t7")
    long.keyboard.press("Escape")
    expect(long.get_by_role("searchbox")).to_have_value("")
    assert long.evaluate(FOCUS) == "input"


def test_arrows_move_the_caret_in_what_is_sought(long: Page) -> None:
    search = long.get_by_role("searchbox")
    search.focus()
    long.keyboard.type("t7")
    long.keyboard.press("ArrowLeft")
    long.keyboard.type("1")
    expect(search).to_have_value("t17")
    for _ in range(2):
        long.keyboard.press("ArrowRight")
    expect(search).not_to_be_focused()
