"""Measure pages in Chromium: when the first drawing is there, how long a change takes, how much memory it needs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil
from playwright.sync_api import Browser, Page, Route, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import chromium
from labkit import CHROMIUM_FLAGS

PATIENCE_MS = 120_000

DRAWN = {  # what a page has once it has drawn something
    "BertViz": "document.querySelectorAll('svg text').length > 1",
    "CircuitsVis": "document.querySelectorAll('canvas').length > 0",
    "inspectus": "document.querySelectorAll('svg rect, canvas').length > 1",
    "attnwidget": "Number(document.querySelector('.attnwidget')?.dataset.rows ?? 0) > 0",
}
CLICKED = """() => {
  const places = [...document.querySelectorAll("%s")].filter((place) => %s);
  const place = places[(window.turn = (window.turn ?? 0) + 1) %% 2];
  return () => place.dispatchEvent(new MouseEvent("%s", { bubbles: true }));
}"""
CHOSEN = """() => {
  const list = document.querySelector("%s");
  return () => {
    list.selectedIndex = list.selectedIndex === 1 ? 2 : 1;
    list.dispatchEvent(new Event("change", { bubbles: true }));
  };
}"""
MOVED = """() => {
  const grid = document.querySelector(".attnwidget-heatmap-grid");
  const box = grid.getBoundingClientRect();
  const clientX = box.left + Math.random() * box.width, clientY = box.top + Math.random() * box.height;
  return () => grid.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
}"""
STEPPED = """() => {
  const slider = document.querySelector(".attnwidget-controls .attnwidget-slider");
  return () => { slider.stepDown(); slider.dispatchEvent(new Event("input", { bubbles: true })); };
}"""
HEARS = "place.__on?.some((one) => one.type === '%s')"
ACTS = {  # code that makes ready for a change of a page, and returns what makes the change
    ("head", "BertViz"): CLICKED % ("svg rect", HEARS % "click", "click"),
    ("head", "inspectus"): CLICKED % (".dimension-values:last-of-type .value", "true", "click"),
    ("head", "attnwidget"): CHOSEN % ".attnwidget-controls select[aria-label=head]",
    ("layer", "BertViz"): CHOSEN % "select[id=layer]",
    ("layer", "inspectus"): CLICKED % (".dimension-values:nth-last-child(2) .value", "true", "click"),
    ("layer", "attnwidget"): CHOSEN % ".attnwidget-controls select[aria-label=layer]",
    ("hover", "BertViz"): CLICKED % ("svg g", HEARS % "mouseover", "mouseover"),
    ("hover", "attnwidget"): MOVED,
    ("step", "attnwidget"): STEPPED,
}
FIRST = """(() => {
  const drawn = () => { try { return %s; } catch { return false; } };
  const look = () => requestAnimationFrame(() => {
    if (!drawn()) return look();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { window.firstDrawing = performance.now(); };
    port2.postMessage(0);
  });
  look();
})()"""
CHANGE = """() => new Promise((done) => {
  const act = (MAKE)();
  let handled = 0;
  requestAnimationFrame(() => {
    const start = performance.now();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(handled + performance.now() - start);
    port2.postMessage(0);
  });
  const start = performance.now();
  act();
  handled = performance.now() - start;
})"""
CDN = {  # what a page asks of a network, served from this machine
    "require": "requirejs/require.js",
    "d3": "d3/dist/d3.min.js",
    "jquery": "jquery/dist/jquery.min.js",
}


@contextmanager
def running() -> Iterator[Browser]:
    """Run a Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.ensure(), args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, path: Path, library: str, scripts: Path) -> tuple[Page, float]:
    """Open a page; return it, and milliseconds from navigation to the first task after the first drawing."""
    page = browser.new_page(viewport={"width": 1400, "height": 1600})

    def serve(route: Route) -> None:
        name = next((name for name in CDN if f"/{name}" in route.request.url.lower()), None)
        if name is None:
            route.abort()
        else:
            route.fulfill(path=scripts / "node_modules" / CDN[name], content_type="text/javascript")

    page.route(re.compile("^https?:"), serve)
    page.add_init_script(FIRST % DRAWN[library])
    page.goto(path.as_uri(), timeout=PATIENCE_MS)
    page.wait_for_function("() => window.firstDrawing", timeout=PATIENCE_MS)
    return page, float(page.evaluate("window.firstDrawing"))


def first_drawing(browser: Browser, path: Path, library: str, scripts: Path, times: int) -> float:
    """Return the median of some navigations, in milliseconds."""
    found = []
    for _ in range(times):
        page, ms = opened(browser, path, library, scripts)
        found.append(ms)
        page.close()
    return median(found)


def unfold(page: Page) -> None:
    """Open every view of a page of attnwidget, and go to the last step."""
    for name in ("why-button", "heads-toggle"):
        button = page.locator(f".attnwidget-{name}")
        if button.get_attribute("aria-expanded") != "true":
            button.click()
    page.locator(".attnwidget-controls .attnwidget-slider").press("End")


def change(page: Page, make: str, times: int) -> float:
    """Return the median milliseconds of work for a change: its handler, and the frame that draws it."""
    return median([float(page.evaluate(CHANGE.replace("MAKE", make))) for _ in range(times + 2)][2:])


def renderer_mb(path: Path | None, library: str, scripts: Path) -> float:
    """Return the resident memory of the renderer of a page in a browser of its own; of a blank page without a path."""
    with running() as browser:
        page = browser.new_page() if path is None else opened(browser, path, library, scripts)[0]
        page.wait_for_timeout(1500)
        session = browser.new_browser_cdp_session()
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
        renderers = [psutil.Process(one["id"]) for one in processes if one["type"] == "renderer"]
        return max(one.memory_info().rss for one in renderers) / 1e6
