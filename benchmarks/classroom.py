"""Measure what a kernel needs that shows a recorded trace: python benchmarks/classroom.py.

Everything is asked of new processes; the first picture and fifty widgets in one notebook, of a real JupyterLab.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from parts.report import ROOT, table, tell
from playwright.sync_api import Page

sys.path.insert(0, str(ROOT / "scripts"))
import labkit

IMPORT = "import time; t = time.perf_counter(); import attnwidget{}; print(time.perf_counter() - t)"
SHOWN = """
import psutil
import attnwidget as aw
trace = aw.load({path!r})
widget = aw.AttentionWidget(trace)
import json, sys, time
time.sleep(1)
print(json.dumps([psutil.Process().memory_info().rss / 1e6, "torch" in sys.modules]))
"""
SHOW = "import attnwidget as aw\ntrace = aw.load({path!r})\naw.AttentionWidget(trace)"
MANY = """
from IPython.display import display
for _ in range({count} - 1):
    display(aw.AttentionWidget(trace))
"""
KERNEL = """
import json, psutil, threading, time
own = psutil.Process()
before = own.cpu_times()
time.sleep(5)
after = own.cpu_times()
threads = sum(thread.name == "attnwidget-publisher" for thread in threading.enumerate())
print(json.dumps([own.memory_info().rss / 1e6, (after.user - before.user) / 5, threads]))
"""
NOTED = """() => { window.began = null; window.drawn = null;
  const look = () => {
    if (Number(document.querySelector(".attnwidget")?.dataset.rows ?? 0) > 0) window.drawn = performance.now();
    else requestAnimationFrame(look);
  };
  look();
  window.began = performance.now();
}"""
LONG_MS = 300_000


def asked(code: str) -> str:
    """Run code in a new process and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout


def recorded(path: Path) -> None:
    """Record a trace of 12 sites of 12 heads over 128 tokens into a file."""
    import numpy as np

    import attnwidget as aw

    weights = np.random.default_rng(0).random((12, 12, 128, 128), dtype=np.float32) ** 4
    weights /= weights.sum(-1, keepdims=True)
    aw.Trace.from_weights(weights, source=[f"token{i}" for i in range(128)]).save(path)


def first_picture(page: Page, lab: labkit.Lab, path: Path) -> float:
    """Return the seconds from running a cell that imports, loads and shows to the first picture."""
    labkit.write_notebook(lab.root / "first.ipynb", SHOW.format(path=str(path)))
    labkit.open_notebook(page, lab, "first.ipynb")
    page.evaluate(NOTED)
    labkit.run_cell(page, 0, wait=False)
    page.wait_for_function("() => window.drawn", timeout=LONG_MS)
    seconds = float(page.evaluate("window.drawn - window.began")) / 1e3
    labkit.wait_until_idle(page)
    return seconds


def many(page: Page, lab: labkit.Lab, path: Path, count: int) -> dict[str, float]:
    """Show so many widgets in one notebook."""
    cells = [SHOW.format(path=str(path)), MANY.format(count=count), KERNEL]
    labkit.write_notebook(lab.root / "many.ipynb", *cells)
    labkit.open_notebook(page, lab, "many.ipynb")
    labkit.run_cell(page, 0)
    start = time.perf_counter()
    labkit.run_cell(page, 1, timeout_ms=LONG_MS)
    page.wait_for_function(
        f"() => document.querySelectorAll('.attnwidget:not([data-rows=\"0\"])').length === {count}", timeout=LONG_MS
    )
    seconds = time.perf_counter() - start
    labkit.run_cell(page, 2)
    rss, busy, threads = json.loads(labkit.cell_outputs(page, 2)[-1])
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    page.locator(".attnwidget").nth(count // 2).scroll_into_view_if_needed()
    step = page.evaluate(
        """(n) => new Promise((done) => {
          const slider = document.querySelectorAll(".attnwidget-controls .attnwidget-slider")[n];
          const start = performance.now();
          slider.stepDown();
          slider.dispatchEvent(new Event("input", { bubbles: true }));
          requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
        })""",
        count // 2,
    )
    return {"seconds": seconds, "rss": rss, "busy": busy, "threads": threads, "heap": heap, "step": step}


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--widgets", type=int, default=50)
    options = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder, labkit.browser() as chrome:
        path = Path(folder) / "run.attn"
        recorded(path)
        for name, code in (("import attnwidget", ""), ("the same, and its widget", "; attnwidget.AttentionWidget")):
            seconds = median(float(asked(IMPORT.format(code))) for _ in range(options.times))
            rows.append((name, f"{seconds:.3f} s", "0.35 s"))
        shown = [json.loads(asked(SHOWN.format(path=str(path)))) for _ in range(options.times)]
        rows.append(("process that shows a file, resident", f"{median(rss for rss, _ in shown):.0f} MB", "160 MB"))
        rows.append(("torch in it", "yes" if any(torch for _, torch in shown) else "no", "no"))
        state = Path(folder)
        with labkit.server(state / "notebooks", state=state / "state", env={"PYTHONPATH": str(ROOT)}) as lab:
            firsts = []
            for _ in range(options.times):
                page = chrome.new_page(viewport={"width": 1400, "height": 1000})
                firsts.append(first_picture(page, lab, path))
                page.close()
            rows.append(("cell run to first picture, imports included", f"{median(firsts):.2f} s", "1 s"))
            page = chrome.new_page(viewport={"width": 1400, "height": 1000})
            found = many(page, lab, path, options.widgets)
        rows += [
            (f"{options.widgets} widgets: all drawn after", f"{found['seconds']:.1f} s", ""),
            ("a step of one of them", f"{found['step']:.0f} ms", ""),
            ("kernel, resident", f"{found['rss']:.0f} MB", ""),
            ("kernel at rest", f"{100 * found['busy']:.1f} % of a core", ""),
            ("publishers' threads at rest", f"{found['threads']:.0f}", "0"),
            ("page, JavaScript heap", f"{found['heap']:.0f} MB", ""),
        ]
    tell(
        "classroom",
        "Many pages, small machines",
        table(("what", "found", "to reach"), rows),
        "12 sites of 12 heads over 128 tokens. Not measured: the start of the kernel, several users on one server.",
    )


if __name__ == "__main__":
    main()
