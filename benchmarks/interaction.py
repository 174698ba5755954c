"""Measure how long the page works at a hover, a step, another head, all views open: python benchmarks/interaction.py.

Each is timed in its own task and then from the beginning of the frame that draws it to the first task after that frame,
so that style, layout and painting are in it and the wait for the screen is not. A screen of 60 Hz leaves 16.7 ms.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, sync_playwright

import attnwidget as aw

CHROMIUM = "/usr/bin/chromium"
SIZES = (64, 256, 1024, 2048)
TIMED = """([act, x, y]) => new Promise((done) => {
  const change = (control, type) => control.dispatchEvent(new Event(type, { bubbles: true }));
  const acts = {
    hover() {
      const grid = document.querySelector(".attnwidget-heatmap-grid");
      const box = grid.getBoundingClientRect();
      const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true };
      return () => grid.dispatchEvent(new PointerEvent("pointermove", place));
    },
    step() {
      const slider = document.querySelector(".attnwidget-controls .attnwidget-slider");
      return () => { slider.stepDown(); change(slider, "input"); };
    },
    head() {
      const head = document.querySelector(".attnwidget-controls select[aria-label=head]");
      return () => { head.value = head.value === "0" ? "1" : "0"; change(head, "change"); };
    },
  };
  const run = acts[act]();
  let handled = 0;
  requestAnimationFrame(() => {
    const start = performance.now();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(handled + performance.now() - start);
    port2.postMessage(0);
  });
  const start = performance.now();
  run();
  handled = performance.now() - start;
})"""


def written(folder: Path, n_tokens: int, n_heads: int) -> Path:
    """Write the page of a causal site with random weights."""
    rng = np.random.default_rng(0)
    weights = np.tril(rng.random((n_heads, n_tokens, n_tokens), dtype=np.float32) ** 4 + 1e-6)
    weights /= weights.sum(-1, keepdims=True)
    page = folder / "page.html"
    source = [f"token{i}" for i in range(n_tokens)]
    aw.Trace.from_weights(weights, source=source).to_html(page, head=0)
    return page


def opened(page: Page, written: Path) -> None:
    """Open every view of a page."""
    page.goto(written.as_uri())
    page.locator(".attnwidget[data-rows]:not([data-rows='0'])").wait_for()
    for name in ("why-button", "heads-toggle"):
        button = page.locator(f".attnwidget-{name}")
        if button.get_attribute("aria-expanded") != "true":
            button.click()


def timed(page: Page, act: str, count: int) -> list[float]:
    """Do something some times, at random places, and return milliseconds of work for each."""
    rng = np.random.default_rng(1)
    return [page.evaluate(TIMED, [act, x, y]) for x, y in rng.random((count, 2)).tolist()]


def told(found: list[float]) -> str:
    """Median, and what 95 % are below."""
    return f"{median(found):.1f} ({sorted(found)[int(0.95 * len(found))]:.1f})"


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=60)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--tokens", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    print("median ms (95 % below)")
    print(f"| tokens, {options.heads} heads | hover | step | head |\n|---|---|---|---|")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for n_tokens in options.tokens:
            page = browser.new_page(viewport={"width": 1400, "height": 1600})
            opened(page, written(Path(folder), n_tokens, options.heads))
            cells = []
            for act in ("hover", "step", "head"):
                timed(page, act, 10)
                cells.append(told(timed(page, act, options.times)))
            print(f"| {n_tokens} | {' | '.join(cells)} |", flush=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
