"""Measure how long the page works when somebody points at a cell, all views open: python benchmarks/hover.py.

Each move is timed from the beginning of the frame that draws it to the first task after that frame, so that style,
layout and painting are in it and the wait for the screen is not. A screen of 60 Hz leaves 16.7 ms.
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
MOVE = """([x, y]) => new Promise((done) => {
  const grid = document.querySelector(".attnwidget-heatmap-grid");
  const box = grid.getBoundingClientRect();
  requestAnimationFrame(() => {
    const start = performance.now();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - start);
    port2.postMessage(0);
  });
  const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true };
  grid.dispatchEvent(new PointerEvent("pointermove", place));
})"""


def written(folder: Path, n_tokens: int, n_heads: int) -> Path:
    """Write the page of a causal site with random weights."""
    rng = np.random.default_rng(0)
    weights = np.tril(rng.random((n_heads, n_tokens, n_tokens)) ** 4 + 1e-6)
    weights /= weights.sum(-1, keepdims=True)
    page = folder / "page.html"
    source = [f"token{i}" for i in range(n_tokens)]
    aw.Trace.from_weights(weights, source=source).to_html(page, head=0)
    return page


def moves(page: Page, count: int) -> list[float]:
    """Point at random cells, and return milliseconds of work for each."""
    rng = np.random.default_rng(1)
    return [page.evaluate(MOVE, place) for place in rng.random((count, 2)).tolist()]


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--heads", type=int, default=12)
    options = parser.parse_args()
    print(f"| tokens, {options.heads} heads | median ms | 95 % below ms | most ms |\n|---|---|---|---|")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for n_tokens in (64, 256, 1024):
            page = browser.new_page(viewport={"width": 1400, "height": 1600})
            page.goto(written(Path(folder), n_tokens, options.heads).as_uri())
            page.get_by_role("button", name="Why this weight?").click()
            moves(page, 10)
            found = sorted(moves(page, options.moves))
            tail = found[int(0.95 * len(found))]
            print(f"| {n_tokens} | {median(found):.1f} | {tail:.1f} | {found[-1]:.1f} |")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
