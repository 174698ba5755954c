"""Show the first notebook in JupyterLab; with HEADLESS=1 run it unseen, leaving a picture and a page in build/demo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import labkit
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import ViewportSize
from stamps import ROOT

NOTEBOOK = "01_watch_it_translate.ipynb"
DEMO = ROOT / "build" / "demo"
PAGE = DEMO / "attention.html"
PICTURE = DEMO / "notebook.png"
VIEWPORT: ViewportSize = {"width": 1400, "height": 1000}
COMPLETE = '.attnwidget[data-status="complete"]'
DRAWN_MS = 60_000


def main() -> None:
    """Copy the notebooks to build/demo, so that running them changes no file of the project, and show the first."""
    if not (ROOT / "notebooks" / NOTEBOOK).is_file():
        sys.exit(f"notebooks/{NOTEBOOK} is missing. Is this a whole copy of the project?")
    if os.environ.get("HEADLESS", "") in ("", "0"):
        open_window()
    else:
        draw_unseen()


def open_window() -> None:
    """Open JupyterLab on the first notebook until the user ends it; a notebook that the user changed is kept."""
    _copy_notebooks(keep_changed=True)
    print(f"  JupyterLab on build/demo/{NOTEBOOK} (Ctrl-C ends it) ...", flush=True)
    command = [sys.executable, "-m", "jupyter", "lab", "--allow-root", f"--ServerApp.root_dir={DEMO}", NOTEBOOK]
    try:
        code = subprocess.run(command, cwd=DEMO).returncode
    except KeyboardInterrupt:
        code = 0
    sys.exit(code)


def draw_unseen() -> None:
    """Run every cell in a real JupyterLab, leave notebook.png and attention.html, and stop if a cell fails."""
    _copy_notebooks(keep_changed=False)
    PAGE.unlink(missing_ok=True)
    PICTURE.unlink(missing_ok=True)
    print(f"  running {NOTEBOOK} in JupyterLab, unseen ...", flush=True)
    with labkit.server(DEMO, state=ROOT / "build" / "demo-jupyter") as lab, labkit.browser() as chrome:
        page = chrome.new_page(viewport=VIEWPORT)
        labkit.open_notebook(page, lab, NOTEBOOK)
        labkit.run_all(page)
        errors = labkit.cell_errors(page)
        if errors:
            sys.exit(f"A cell of notebooks/{NOTEBOOK} failed:\n{errors[0]}")
        widget = page.locator(COMPLETE).first
        try:
            widget.wait_for(timeout=DRAWN_MS)
        except PlaywrightTimeoutError:
            page.screenshot(path=PICTURE)
            sys.exit(
                f"Every cell ran, but no widget was drawn to its end in {DRAWN_MS / 1000:.0f} s: see {_shown(PICTURE)}"
            )
        widget.evaluate("element => element.scrollIntoView({ block: 'center' })")
        page.screenshot(path=PICTURE)
    if not PAGE.is_file():
        sys.exit(f"Every cell of notebooks/{NOTEBOOK} ran, but none wrote {PAGE.name} into its working directory.")
    for made in (PICTURE, PAGE):
        print(f"  {_shown(made)}  {made.stat().st_size / 1000:.0f} kB", flush=True)


def _copy_notebooks(*, keep_changed: bool) -> None:
    DEMO.mkdir(parents=True, exist_ok=True)
    for source in (ROOT / "notebooks").glob("*.ipynb"):
        copy = DEMO / source.name
        if not (keep_changed and copy.is_file() and copy.stat().st_mtime > source.stat().st_mtime):
            shutil.copyfile(source, copy)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
