"""Measure cost against size, through the kernel, in a real JupyterLab: python benchmarks/sizes.py.

A change is timed in the page, from the event to the frame that names the strongest input of the row that is looked at,
as the kernel knows it: so that what is drawn is the row itself and no coarser picture of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from parts.report import ROOT, table, tell
from playwright.sync_api import Page

sys.path.insert(0, str(ROOT / "scripts"))
import labkit

SIZES = ((12, 12, 128), (32, 32, 4096), (1, 1, 131_072))
SETUP = """
import json, psutil
import numpy as np
import attnwidget as aw
from attnwidget.stores.factors import Factors
from attnwidget.stores.visible import Visible

N_SITES, N_HEADS, N_TOKENS, N_TIMES = SHAPE
before = psutil.Process().memory_info().rss
rng = np.random.default_rng(0)

def distinct():
    return [rng.standard_normal((N_HEADS, N_TOKENS, 64), dtype=np.float32).astype(np.float16) for _ in range(2)]

trace = aw.Trace(source=[f"t{i}" for i in range(N_TOKENS)], title="size")
made = distinct()
for site in range(N_SITES):
    trace.add_site(aw.Site(f"layer{site}", "encoder", site, N_HEADS, "source", "source"), store="qk")
    queries, keys = (np.roll(one, site, axis=1) for one in made)  # numbers of their own for each site, made at once
    trace.append({f"layer{site}": Factors(queries, keys, Visible.causal(N_TOKENS, N_TOKENS), 8**-1)})
trace.finish()
del made
steps = [int(s) for s in rng.integers(N_TOKENS // 2, N_TOKENS - 3 * N_TIMES - 2, N_TIMES)]
walk = list(range(steps[-1] + 1, steps[-1] + 1 + 3 * N_TIMES))
heads = [i % N_HEADS for i in range(1, N_TIMES + 1)]
told, of_walk = ([f"t{trace.weights(0, 0, [step])[0].argmax()}" for step in some] for some in (steps, walk))
of_heads = [f"t{trace.weights(0, head, [walk[-1]])[0].argmax()}" for head in heads]
print(json.dumps([steps, told, walk, of_walk, heads, of_heads]))
"""
SHOW = """
if "widget" in globals():
    widget.close()
widget = aw.AttentionWidget(trace, head=0)
widget
"""
MEMORY = "print((psutil.Process().memory_info().rss - before) / 1e6, trace.n_bytes / 1e6)"
NOTED = """() => {
  window.drawn = null;
  const look = () => {
    if (Number(document.querySelector(".attnwidget")?.dataset.rows ?? 0) > 0) window.drawn = performance.now();
    else requestAnimationFrame(look);
  };
  look();
  window.began = performance.now();
}"""
CHANGE = """([control, value, expected]) => new Promise((done) => {
  const what = document.querySelector(`.attnwidget-controls ${control}`);
  const start = performance.now();
  what.value = String(value);
  for (const type of ["input", "change"]) what.dispatchEvent(new Event(type, { bubbles: true }));
  let frames = 0;
  const look = () => requestAnimationFrame(() => {
    frames++;
    const named = document.querySelector(".attnwidget-candidate-token")?.textContent;
    const left = performance.now() - start;
    if (named === expected || left > 20000) setTimeout(() => done([named === expected, performance.now() - start]));
    else look();
  });
  look();
})"""
SAVE_STATE = {"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}}
HEADS = (
    "layers x heads x tokens",
    "opening, ms",
    "a step far away, ms",
    "the next step, ms",
    "the next head, ms",
    "saving, ms",
    "notebook, MB",
    "kernel memory, MB (of which q, k)",
)
NOTES = """\
Queries and keys are random float16 with 64 numbers a head; weights are never stored. Opening is from running the cell
that makes the widget to the first picture; a step far away goes to a random row in the second half, of which the page
has nothing; to the next step somebody goes after 0.25 s, to the next head after 0.5 s. Not measured: real models'
weights, a network between server and page, a kernel that is busy with a cell."""
LONG_MS = 300_000
STEP_MS, HEAD_MS = 250, 500  # for which a person looks before going on


def changes(page: Page, control: str, values: list[int], expected: list[str], pause_ms: int = 0) -> str:
    """Make changes one after another; return the median and the slowest in milliseconds, and how many failed."""
    found = []
    for value, name in zip(values, expected, strict=True):
        page.wait_for_timeout(pause_ms)
        found.append(page.evaluate(CHANGE, [control, value, name]))
    times = sorted(ms for came, ms in found if came)
    failed = sum(not came for came, _ in found)
    return (f"{median(times):.0f} (at most {times[-1]:.0f})" if times else "-") + f", {failed} failed" * bool(failed)


def row_of(page: Page, lab: labkit.Lab, shape: tuple[int, int, int], times: int) -> list[str]:
    """Return a row of the table."""
    setup = SETUP.replace("SHAPE", repr((*shape, times)))
    labkit.write_notebook(lab.root / "size.ipynb", setup, SHOW, MEMORY)
    labkit.open_notebook(page, lab, "size.ipynb")
    labkit.run_cell(page, 0, timeout_ms=LONG_MS)
    steps, told, walk, of_walk, heads, of_heads = json.loads(labkit.cell_outputs(page, 0)[-1])
    opening = []
    for _ in range(times):
        page.locator(".attnwidget").wait_for(state="detached")
        page.evaluate(NOTED)
        labkit.run_cell(page, 1, wait=False)
        page.wait_for_function("() => window.drawn", timeout=LONG_MS)
        opening.append(float(page.evaluate("window.drawn - window.began")))
        labkit.wait_until_idle(page)
        if len(opening) < times:
            page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    stepping = changes(page, ".attnwidget-slider", steps, told)
    walking = changes(page, ".attnwidget-slider", walk, of_walk, pause_ms=STEP_MS)
    switching = changes(page, "select[aria-label=head]", heads, of_heads, pause_ms=HEAD_MS) if shape[1] > 1 else "-"
    saving = []
    for _ in range(times):
        start = time.perf_counter()
        labkit.save(page)
        saving.append(1e3 * (time.perf_counter() - start))
    n_bytes = (lab.root / "size.ipynb").stat().st_size
    labkit.run_cell(page, 2)
    memory, of_store = map(float, labkit.cell_outputs(page, 2)[-1].split())
    return [
        " x ".join(f"{number:,}" for number in shape),
        f"{median(opening):.0f}",
        stepping,
        walking,
        switching,
        f"{median(saving):.0f}",
        f"{n_bytes / 1e6:.2f}",
        f"{memory:.0f} ({of_store:.0f})",
    ]


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=range(len(SIZES)), help="which of them, from 0")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, labkit.browser() as chrome:
        state, environment = Path(folder), {"PYTHONPATH": str(ROOT)}
        with labkit.server(state / "notebooks", state=state / "state", env=environment, settings=SAVE_STATE) as lab:
            for number in options.sizes:
                page = chrome.new_page(viewport={"width": 1400, "height": 1000})
                rows.append(row_of(page, lab, SIZES[number], options.times))
                print(" | ".join(rows[-1]), flush=True)
                page.close()
    tell("sizes", "Cost against size", table(HEADS, rows), NOTES)


if __name__ == "__main__":
    main()
