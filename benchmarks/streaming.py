"""Measure what reaches a page while a model decodes, and what that costs the decoder: python benchmarks/streaming.py.

A decoder is played in a real JupyterLab: so many tokens a second, 12 sites of 12 heads over 1,024 keys; then 10,000
tokens as fast as they come. The page notes when each number of rows is there, by the clock of the same machine. The
same loop fills a trace that nobody looks at; loops take turns, and the medians count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from parts.report import ROOT, table, tell
from playwright.sync_api import Page

sys.path.insert(0, str(ROOT / "scripts"))
import labkit

SETUP = """
import json, psutil, threading, time
import numpy as np
import attnwidget as aw

def new_trace(n_sites, n_heads, n_keys):
    trace = aw.Trace(source=[f"s{i}" for i in range(n_keys)], title="stream")
    for site in range(n_sites):
        trace.add_site(aw.Site(f"cross{site}", "cross", site, n_heads, "target", "source"))
    rows = np.random.default_rng(0).random((n_sites, n_heads, 1, n_keys), dtype="float32")
    rows /= rows.sum(-1, keepdims=True)
    return trace, {f"cross{site}": rows[site] for site in range(n_sites)}

def of_publishers():
    own = {thread.native_id for thread in threading.enumerate() if thread.name == "attnwidget-publisher"}
    return sum(one.user_time + one.system_time for one in psutil.Process().threads() if one.id in own)

def decode(trace, rows, n_steps, pace, noise=""):
    # The model is played by a wait for its next token; what is beyond it is the time that the trace took of the loop.
    appended, spent, start, own, others = [], 0.0, time.perf_counter(), time.thread_time(), of_publishers()
    for index in range(n_steps):
        while pace and (left := start + index * pace - time.perf_counter()) > 0:
            time.sleep(left)
        before = time.perf_counter()
        trace.append(rows, token=f"t{index}", candidates=[(f"t{index}", 0.9)])
        spent += time.perf_counter() - before
        appended.append(time.time())
        if noise:
            print(index, noise)
    seconds, own, cpu = time.perf_counter() - start, time.thread_time() - own, max(0.0, of_publishers() - others)
    before = time.perf_counter()
    trace.finish()
    finish = time.perf_counter() - before
    return appended, {"seconds": seconds, "append": spent, "own": own, "cpu": cpu, "finish": finish}
"""
SHOW = """
trace, rows = new_trace(*SHAPE)
widget = aw.AttentionWidget(trace, head=HEAD)
few = aw.Trace.from_weights(np.full((1, 4, 5), 0.2, "float32"), source=list("abcde"), target=list("wxyz"))
display(widget, *(aw.AttentionWidget(few) for _ in range(N_OTHERS)))
"""
DECODE = """
alone, shown = [], []
for turn in range(TURNS):
    alone.append(decode(*new_trace(*SHAPE), N_STEPS, PACE)[1])
    if turn:
        trace, rows = new_trace(*SHAPE)
        widget.trace = trace
    time.sleep(SETTLED)
    appended, told = decode(trace, rows, N_STEPS, PACE, NOISE)
    shown.append(told)
    time.sleep(SETTLED)
middle = lambda told: {name: float(np.median([one[name] for one in told])) for name in told[0]}
json.dump({"appended": appended, "shown": middle(shown), "alone": middle(alone)}, open("told.json", "w"))
"""
NOTE = """() => {
  window.came = [];
  const root = document.querySelector(".attnwidget");
  new MutationObserver(() => window.came.push([Number(root.dataset.rows), Date.now() / 1e3]))
    .observe(root, { attributes: true, attributeFilter: ["data-rows"] });
}"""
LONG_MS = 600_000
SETTLED = 2.0  # seconds, for what a turn leaves behind


def streamed(
    page: Page,
    lab: labkit.Lab,
    shape: tuple[int, int, int],
    n_steps: int,
    pace: float,
    turns: int = 1,
    n_others: int = 0,
    noise: str = "",
) -> dict[str, Any]:
    """Decode in a notebook; return what the kernel noted, and what the page did in the last turn."""
    numbers = {"N_STEPS": n_steps, "PACE": pace, "TURNS": turns, "SETTLED": SETTLED, "HEAD": -1, "SHAPE": shape}
    numbers |= {"N_OTHERS": n_others, "NOISE": noise}
    values = {name: repr(value) for name, value in numbers.items()}
    cells = [SETUP, SHOW, DECODE]
    for name, value in values.items():
        cells = [cell.replace(name, value) for cell in cells]
    labkit.write_notebook(lab.root / "stream.ipynb", *cells)
    labkit.open_notebook(page, lab, "stream.ipynb")
    for cell in (0, 1):
        labkit.run_cell(page, cell)
    page.locator(".attnwidget").nth(n_others).wait_for()
    page.evaluate(NOTE)
    labkit.run_cell(page, 2, timeout_ms=LONG_MS)
    page.locator(f".attnwidget[data-status=complete][data-rows='{n_steps}']").wait_for(timeout=LONG_MS)
    told = json.loads((lab.root / "told.json").read_text())
    missing = page.locator(".attnwidget").first.get_attribute("data-missing")
    came = [(n_rows, when) for n_rows, when in page.evaluate("window.came") if when >= told["appended"][0]]
    return {**told, "came": came, "missing": missing}


def lags(appended: list[float], came: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
    """Return seconds from append to merge: of every row, and of the newest row of each message."""
    every, newest, first = [], [], 0
    for n_rows, when in came:
        new = [when - at for at in appended[first:n_rows]]
        every += new
        newest += new[-1:]
        first = max(first, n_rows)
    return every, newest


def row_of(name: str, told: dict[str, Any]) -> list[str]:
    """Return a row of the table."""
    every, newest = lags(told["appended"], told["came"])
    counts = [n_rows for n_rows, _ in told["came"]]
    shown, alone = told["shown"], told["alone"]
    return [
        name,
        f"{len(every)} of {len(told['appended'])}",
        "yes" if counts == sorted(counts) else "NO",
        f"{len(counts) / shown['seconds']:.1f}",
        *(
            f"{1e3 * median(found):.0f} / {1e3 * sorted(found)[int(0.95 * len(found))]:.0f}"
            for found in (every, newest)
        ),
        f"{1e3 * alone['append'] / len(every):.2f} / {1e3 * shown['append'] / len(every):.2f}",
        f"{100 * (shown['seconds'] / alone['seconds'] - 1):+.1f} %",
        f"{100 * ((shown['own'] + shown['cpu']) / alone['own'] - 1):+.1f} %",
        f"{100 * shown['cpu'] / shown['seconds']:.1f} %",
        f"{shown['finish']:.2f}",
    ]


HEADS = (
    "load",
    "rows that came",
    "in order",
    "draws a second",
    "lag of a row, median / p95 ms",
    "lag of the newest row",
    "append, alone / shown, ms",
    "loop longer by",
    "its processor time and the publisher's",
    "publisher, of a core",
    "finish, s",
)
NOTES = """\
Lag is from the end of `append` to the picture's attribute for that many rows, in the page, which shows the mean over
heads; a row waits for its message up to 100 ms, as there are at most ten a second. The loop is held against the same
loop with a trace that nobody looks at. Of 100 tokens a second each is a wait, not work: what a model loses to a busy
second core is in "publisher, of a core". In a burst nothing but `append` is done, 10,000 times a second: the publisher
keeps to its share of the time, and what is left follows at the end. Kernel, server and page share the cores, which a
loop feels that does nothing else: the processor time of its thread and of the publisher's is what the widget itself
takes. Not measured: a network between server and page, several pages."""


def main() -> None:
    """Print a row for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=5, help="of the burst (default 5)")
    parser.add_argument(
        "--crowd", type=int, default=0, help="only a burst, in one of so many widgets of a noisy notebook"
    )
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, labkit.browser() as chrome:
        state = Path(folder)
        environment = {"PYTHONPATH": str(ROOT)}
        with labkit.server(state / "notebooks", state=state / "state", env=environment) as lab:
            loads = [
                ("100 tokens/s, 144 heads, 1,024 keys", (12, 12, 1024), int(100 * options.seconds), 0.01, 1),
                (f"burst of {options.burst:,}, 8 heads, 64 keys", (1, 8, 64), options.burst, 0.0, options.turns),
            ]
            if options.crowd:
                name = f"burst of {options.burst:,}, {options.crowd} widgets, a cell that prints each step"
                loads = [(name, (1, 8, 64), options.burst, 0.0, 1, options.crowd - 1, 4 * "and so on ")]
            for name, *load in loads:
                page = chrome.new_page(viewport={"width": 1400, "height": 1000})
                rows.append(row_of(name, streamed(page, lab, *load)))
                print(" | ".join(rows[-1]), flush=True)
                page.close()
    if not (options.no_page or options.crowd):
        tell("streaming", "Streaming", table(HEADS, rows), NOTES)


if __name__ == "__main__":
    main()
