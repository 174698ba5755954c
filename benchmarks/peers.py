"""Measure attnwidget beside BertViz, CircuitsVis and inspectus: python benchmarks/peers.py [--quick] [--store].

They are installed from PyPI into an environment of their own, build/bench/peers. Everything is measured in one run on
one machine, so that ratios count. --quick measures what is cheap and compares its ratios with benchmarks/stored.json,
which --store writes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from parts import browser
from parts.report import BENCH, ROOT, table, tell

PEERS = {"bertviz": "1.4.1", "circuitsvis": "1.43.3", "inspectus": "0.2.0"}
SCRIPTS = {"requirejs": "2.3.6", "d3": "5.7.0", "jquery": "2.1.0"}  # what BertViz loads from a network
PYTHON = BENCH / "peers" / "bin" / "python"
CDN = BENCH / "cdn"
PAGES = BENCH / "pages"
STORED = ROOT / "benchmarks" / "stored.json"
TOLERANCE = {"bytes": 0.05, "time": 0.5}  # part of a stored ratio by which a new one may be worse

Shape = tuple[int, int, int]
BASE, LARGE = (12, 12, 128), (12, 12, 512)
OURS = "attnwidget"
UNMEASURED = """\
Kernel time is that of the processor, from weights to output. Of attnwidget it is given twice: with the trace that is
made of the weights and checked, and for showing a trace that is there. Not measured: raster by the compositor; real
pointers (events are made, without a hit test); a graphics card, which may help CircuitsVis; BertViz' scripts by its
network, which here come from this machine (jquery 2.1.0 for 2.0.0); BertViz and CircuitsVis at 12x12x512, which need
more than 8 GB or 300 s; CircuitsVis' first drawing and changes at 12x12x128, which need minutes; matplotlib and bqplot,
which draw in the kernel or one head at a time; a notebook's cells and its other outputs."""


def install() -> None:
    """Install the peers and the scripts that they load, once."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", BENCH / "peers"], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    index = os.environ.get("TORCH_INDEX")
    wanted = [f"{name}=={number}" for name, number in PEERS.items()]
    for packages in (["torch", *(["--index-url", index] if index else [])], wanted):
        subprocess.run([*pip, *packages], check=True, stderr=subprocess.DEVNULL)
    if not (CDN / "node_modules" / "requirejs").exists():
        CDN.mkdir(parents=True, exist_ok=True)
        packages = [f"{name}@{number}" for name, number in SCRIPTS.items()]
        subprocess.run(["npm", "install", "--silent", "--prefix", str(CDN), *packages], check=True)
    PAGES.mkdir(parents=True, exist_ok=True)


def page_of(library: str, shape: Shape, *, causal: bool = False) -> Path:
    """Return where the page of a library and a shape is."""
    return PAGES / f"{library}-{'x'.join(map(str, shape))}{'-causal' if causal else ''}.html"


def built(library: str, shape: Shape, times: int, *, causal: bool = False) -> dict[str, float]:
    """Build an output in a process of its own; return median seconds, and bytes."""
    path = page_of(library, shape, causal=causal)
    ours = library == OURS
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} if ours else {**os.environ, "PYTHONPATH": ""}
    script = ROOT / "benchmarks" / "parts" / "output.py"
    command = [sys.executable if ours else PYTHON, script, library, *map(str, shape), path, "--times", str(times)]
    run = subprocess.run(
        [*map(str, command), *["--causal"] * causal], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    told = json.loads(run.stdout.splitlines()[-1])
    seconds = told.pop("seconds")
    showing = median(told.pop("showing", [0.0]))
    return {**told, "ms": 1e3 * median(seconds[1:] or seconds), "showing": 1e3 * showing}  # the first one imports


class Table:
    """Rows of what was measured: the libraries' figures, and how many times less ours is."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.ratios: dict[str, float] = {}

    def add(self, what: str, unit: str, figures: dict[str, float]) -> None:
        """Add a row, and print it."""
        cells = []
        for library in ("BertViz", "CircuitsVis", "inspectus"):
            if library in figures:
                ratio = figures[library] / figures[OURS]
                self.ratios[f"{what}: {library}"] = round(ratio, 2)
                cells.append(f"{_short(figures[library])} ({_short(ratio)}x)")
            else:
                cells.append("-")
        self.rows.append([what, *cells, f"{_short(figures[OURS])} {unit}"])
        print(" | ".join(self.rows[-1]), flush=True)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def measure_building(rows: Table, times: int, *, quick: bool) -> None:
    """Bytes and kernel time."""
    libraries = ("BertViz", "CircuitsVis", "inspectus", OURS)
    found = {library: built(library, BASE, times + 1) for library in libraries}
    rows.add("notebook, 12x12x128, bytes", "MB", {name: one["notebook"] / 1e6 for name, one in found.items()})
    rows.add("export of all heads, 12x12x128, bytes", "MB", {name: one["export"] / 1e6 for name, one in found.items()})
    _add_times(rows, "12x12x128", found)
    if quick:
        return
    found = {library: built(library, BASE, 1, causal=True) for library in libraries}
    rows.add("the same export, causal, bytes", "MB", {name: one["export"] / 1e6 for name, one in found.items()})
    found = {library: built(library, LARGE, times + 1) for library in ("inspectus", OURS)}
    _add_times(rows, "12x12x512", found)


def _add_times(rows: Table, shape: str, found: dict[str, dict[str, float]]) -> None:
    times = {name: one["ms"] for name, one in found.items()}
    rows.add(f"kernel time from weights to output, {shape}", "ms", times)
    rows.add(f"kernel time to show a trace, {shape}", "ms", {**times, OURS: found[OURS]["showing"]})


def measure_pages(rows: Table, times: int, *, quick: bool) -> None:
    """First drawing and changes at 12x12x128."""
    with browser.running() as chrome:
        libraries = ("BertViz", "inspectus", OURS)

        def first(library: str) -> float:
            return browser.first_drawing(chrome, page_of(library, BASE), library, CDN, times)

        rows.add("first drawing, 12x12x128", "ms", {library: first(library) for library in libraries})
        for act in ("head",) if quick else ("head", "layer", "hover"):
            figures = {}
            for library in libraries:
                if (act, library) in browser.ACTS:
                    page, _ = browser.opened(chrome, page_of(library, BASE), library, CDN)
                    figures[library] = browser.change(page, browser.ACTS[act, library], times)
                    page.close()
            rows.add(f"{act} change, 12x12x128" if act != "hover" else "hover, 12x12x128", "ms", figures)


def measure_lengths(rows: Table, times: int) -> None:
    """Changes of one causal layer of 12 heads that is in the page, all views open, by length."""
    with browser.running() as chrome:
        for n_tokens in (128, 512, 2048):
            shape = (1, 12, n_tokens)
            built(OURS, shape, 1, causal=True)
            page, _ = browser.opened(chrome, page_of(OURS, shape, causal=True), OURS, CDN)
            browser.unfold(page)
            for act in ("hover", "step", "head"):
                figure = browser.change(page, browser.ACTS[act, OURS], times)
                rows.add(f"{act}, 12 heads, T = {n_tokens}", "ms", {OURS: figure})
            page.close()


def measure_memory(rows: Table) -> None:
    """Memory of the process that draws, over that of a blank page."""

    def over_blank(library: str) -> float:
        found = []
        for _ in range(3):
            blank = browser.renderer_mb(None, library, CDN)
            found.append(browser.renderer_mb(page_of(library, LARGE), library, CDN) - blank)
        return median(found)

    figures = {library: over_blank(library) for library in ("inspectus", OURS)}
    rows.add("renderer memory over a blank page, 12x12x512", "MB", figures)


def compare(ratios: dict[str, float]) -> list[str]:
    """Return which ratios are worse than stored."""
    stored: dict[str, float] = json.loads(STORED.read_text("utf-8"))
    worse = []
    for name, ratio in ratios.items():
        tolerance = TOLERANCE["bytes" if "bytes" in name else "time"]
        if name in stored and ratio < stored[name] * (1 - tolerance):
            worse.append(
                f"{name}: {ratio:.3g} times less came, {stored[name]:.3g} was stored (tolerance {tolerance:.0%})"
            )
    return worse


def main() -> None:
    """Measure, print, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what is cheap, compared with what is stored")
    parser.add_argument("--store", action="store_true", help="write benchmarks/stored.json")
    options = parser.parse_args()
    install()
    rows = Table()
    times = 3 if options.quick else 5
    steps: list[Callable[[], None]] = [
        lambda: measure_building(rows, times, quick=options.quick),
        lambda: measure_pages(rows, times, quick=options.quick),
    ]
    if not options.quick:
        steps += [lambda: measure_lengths(rows, 40), lambda: measure_memory(rows)]
    for step in steps:
        step()
    if options.store:
        STORED.write_text(json.dumps(rows.ratios, indent=2) + "\n", "utf-8")
    if not options.quick:
        head = ["what", *(f"{name} {PEERS[name.lower()]}" for name in ("BertViz", "CircuitsVis", "inspectus")), OURS]
        tell("peers", "Beside other libraries", table(head, rows.rows), UNMEASURED)
    elif not options.store and (worse := compare(rows.ratios)):
        sys.exit("Slower or larger than stored in benchmarks/stored.json:\n" + "\n".join(worse))


if __name__ == "__main__":
    main()
