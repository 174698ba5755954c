"""Drive a real JupyterLab with Chromium: the demo and the browser tests use the same few functions.

Nothing waits by the clock: every function returns when what it names is so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import chromium
import nbformat
from labserver import Lab, server
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

__all__ = [
    "Lab",
    "Watch",
    "browser",
    "cell_errors",
    "cell_outputs",
    "close_notebooks",
    "open_lab",
    "open_notebook",
    "run_all",
    "run_cell",
    "run_until",
    "save",
    "server",
    "wait_until_idle",
    "watch",
    "write_notebook",
]

OPEN_MS = 90_000
RUN_MS = 300_000
RUNS = 30
POLL_MS = 50  # by the clock, not by the frame: a hidden page has none

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

ERRORS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .flatMap((cell) => cell.model.toJSON().outputs ?? [])
  .filter((output) => output.output_type === "error")
  .map((output) => `${output.ename}: ${output.evalue}`)"""
IDLE = """() => {
  const kernel = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel?.status === "idle";
}"""
OPEN = """(path) => window.jupyterapp.restored
  .then(() => window.jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" }))
  .then(() => undefined)"""
CLOSE = """() => {
  for (const open of [...window.jupyterapp.shell.widgets("main")]) {
    if (open.context) open.context.model.dirty = false;
    open.dispose();
  }
}"""
RUN = """([command, index]) => {
  const app = window.jupyterapp;
  if (index !== null) app.shell.currentWidget.content.activeCellIndex = index;
  const run = (window.attnwidgetRun = { outcome: "running" });
  app.restored
    .then(() => app.commands.execute(command))
    .then(() => { run.outcome = "done"; }, (error) => { run.outcome = String(error); });
}"""


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Run a headless Chromium."""
    program = chromium.ensure()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS, headless=True)
        try:
            yield running
        finally:
            running.close()


@dataclass
class Watch:
    """What went wrong on a page: errors in the console, and requests that left this machine."""

    errors: list[str]
    external: list[str]


def watch(page: Page) -> Watch:
    """Start to note a page's errors and external requests."""
    seen = Watch([], [])
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda message: seen.errors.append(_told(message)) if message.type == "error" else None)
    page.on("request", lambda request: seen.external.append(request.url) if _is_external(request.url) else None)
    return seen


def write_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells.extend(nbformat.v4.new_code_cell(cell) for cell in cells)
    nbformat.write(notebook, path)
    return path


def open_lab(page: Page, lab: Lab) -> None:
    """Open JupyterLab without a notebook, unless the page is in it."""
    if not _is_in(page, lab):
        page.goto(lab.address())
    page.wait_for_function("() => window.jupyterapp?.restored.then(() => true)", timeout=OPEN_MS)


def open_notebook(page: Page, lab: Lab, name: str) -> None:
    """Open a notebook and wait for its kernel; a page in which this JupyterLab is open already stays in it."""
    if _is_in(page, lab):
        page.evaluate(OPEN, name)
    else:
        page.goto(lab.address(name))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=OPEN_MS)
    wait_until_idle(page, timeout_ms=OPEN_MS)


def close_notebooks(page: Page) -> None:
    """Close everything that is open in JupyterLab, saved or not; kernels go on."""
    page.evaluate(CLOSE)


def run_all(page: Page, *, timeout_ms: float = RUN_MS) -> None:
    """Run every cell and wait for the last."""
    _run(page, "notebook:run-all-cells", None)
    _wait_until_run(page, timeout_ms)


def run_cell(page: Page, index: int, *, wait: bool = True, timeout_ms: float = RUN_MS) -> None:
    """Run one cell; with wait=False return while it runs."""
    _run(page, "notebook:run-cell", index)
    if wait:
        _wait_until_run(page, timeout_ms)


def wait_until_idle(page: Page, *, timeout_ms: float = RUN_MS) -> None:
    """Wait until the kernel of the open notebook is connected and idle."""
    page.wait_for_function(IDLE, timeout=timeout_ms, polling=POLL_MS)


def cell_outputs(page: Page, index: int) -> list[str]:
    """Return the text of each output of a cell."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(index)
    return cell.locator(".jp-OutputArea-output").all_inner_texts()


def cell_errors(page: Page) -> list[str]:
    """Return the name and message of every error among the outputs, in cell order."""
    errors: list[str] = page.evaluate(ERRORS)
    return errors


def run_until(page: Page, index: int, expected: str) -> bool:
    """Run a cell until it prints what is expected: what a page told the kernel may come later than the cell."""
    for _ in range(RUNS):
        run_cell(page, index)
        if cell_outputs(page, index)[-1].strip() == expected:
            return True
    return False


def save(page: Page) -> None:
    """Save the open notebook."""
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => undefined)")


def _is_in(page: Page, lab: Lab) -> bool:
    return page.url.startswith(f"{lab.url}/lab")


def _run(page: Page, command: str, index: int | None) -> None:
    page.evaluate(RUN, [command, index])


def _wait_until_run(page: Page, timeout_ms: float) -> None:
    page.wait_for_function("() => window.attnwidgetRun.outcome !== 'running'", timeout=timeout_ms, polling=POLL_MS)
    outcome = page.evaluate("() => window.attnwidgetRun.outcome")
    if outcome != "done":
        raise RuntimeError(f"JupyterLab could not run the cells: {outcome}")
    wait_until_idle(page, timeout_ms=timeout_ms)


def _told(message: ConsoleMessage) -> str:
    return f"{message.text} at {urlsplit(message.location['url'] or '').path}"


def _is_external(url: str) -> bool:
    return url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1" not in url
