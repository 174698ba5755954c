"""Other hosts than JupyterLab: each draws the picture and steps, or shows the still one."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path

import labkit
import labserver
import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Page, expect

import attnwidget as aw

HOSTILE = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
SETUP = f"""
import numpy as np
import attnwidget as aw

weights = np.random.default_rng(5).random((7, 5), dtype="float32") ** 4
weights /= weights.sum(-1, keepdims=True)
source = ["in0", {HOSTILE!r}, "in2", "in3", "in4"]
trace = aw.Trace.from_weights(weights, source=source, target=[f"out{{i}}" for i in range(7)])
"""
APP = """
import marimo

app = marimo.App()

@app.cell
def _():
    import marimo as mo
SETUP
    shown = mo.ui.anywidget(aw.AttentionWidget(trace))
    return mo, shown

@app.cell
def _(shown):
    shown

@app.cell
def _(mo, shown):
    mo.md(f"the kernel is at {shown.value['step']}, {shown.widget.step}")

if __name__ == "__main__":
    app.run()
"""
WIDGET = ".attnwidget"
STEP = ".attnwidget-step-label"
LONG_MS = 60_000
OF_VOILA = ("fontawesome", "mathjax")  # what its template asks for


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


def is_drawn_and_steps(page: Page) -> None:
    expect(page.locator(WIDGET)).to_have_attribute("data-rows", "7", timeout=LONG_MS)
    expect(page.locator(STEP)).to_have_text("step 7 of 7")
    page.get_by_role("button", name="first step").click()
    page.get_by_role("button", name="next step").click()
    expect(page.locator(STEP)).to_have_text("step 2 of 7")
    expect(page.locator(".attnwidget-sentence-text")).to_contain_text("of the attention is on")
    assert page.title() != "ran"


@needs("notebook")
@pytest.mark.own_page
@pytest.mark.console_errors("reading 'schema'")  # of a plugin of JupyterLab's that Notebook does not have
def test_notebook_7_draws_and_steps(page: Page, tmp_path: Path) -> None:
    with labkit.server(tmp_path / "notebooks", state=tmp_path / "state", kind="notebook") as host:
        path = labkit.write_notebook(
            host.root / "hosts.ipynb", SETUP, "w = aw.AttentionWidget(trace)\nw", "print(w.step)"
        )
        labkit.open_notebook(page, host, path.name)
        labkit.run_cell(page, 0)
        labkit.run_cell(page, 1)
        is_drawn_and_steps(page)
        assert labkit.run_until(page, 2, "1")


@needs("voila")
def test_voila_draws_and_steps(chrome: Browser, lab: labkit.Lab) -> None:
    path = labkit.write_notebook(lab.root / "voila.ipynb", SETUP, "aw.AttentionWidget(trace)")
    page = chrome.new_page(viewport={"width": 1400, "height": 1000})
    seen = labkit.watch(page)
    page.goto(f"{lab.url}/voila/render/{path.name}?token={lab.token}")
    is_drawn_and_steps(page)
    page.close()
    assert [url for url in seen.external if not any(own in url for own in OF_VOILA)] == []


@needs("marimo")
@pytest.mark.own_page
def test_marimo_draws_and_steps_and_python_sees_it(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(APP.replace("SETUP", SETUP.strip().replace("\n", "\n    ").join(["    ", ""])))
    with labserver.marimo(file, state=tmp_path / "state") as url:
        page.goto(url)
        is_drawn_and_steps(page)
        expect(page.get_by_text("the kernel is at 1, 1")).to_be_visible(timeout=LONG_MS)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """A notebook that was run without a browser, and keeps no state of widgets."""
    folder = tmp_path_factory.mktemp("executed")
    notebook = nbformat.read(labkit.write_notebook(folder / "a.ipynb", SETUP, "aw.AttentionWidget(trace)"), 4)
    NotebookClient(notebook, timeout=60, store_widget_state=False, resources={"metadata": {"path": folder}}).execute()
    return notebook


@pytest.fixture
def offline(chrome: Browser) -> object:
    """A page that reaches nothing."""
    context = chrome.new_context(viewport={"width": 1400, "height": 1000}, offline=True)
    try:
        yield context.new_page()
    finally:
        context.close()


def test_nbconvert_to_html_shows_the_still_picture(
    offline: Page, executed: nbformat.NotebookNode, tmp_path: Path
) -> None:
    body, _ = HTMLExporter().from_notebook_node(executed)
    (tmp_path / "page.html").write_text(body, "utf-8")
    assert [script for script in re.findall(r"<script.*?</script>", body, re.S) if "out3" in script] == []
    offline.goto((tmp_path / "page.html").as_uri(), wait_until="domcontentloaded")
    picture = offline.locator(".jp-OutputArea-output svg, .jp-OutputArea-output img").first
    box = picture.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) > 100
    assert offline.title() != "ran"


def test_a_host_without_widgets_has_the_still_picture(offline: Page, executed: nbformat.NotebookNode) -> None:
    (output,) = executed.cells[1].outputs
    picture = base64.b64encode(output.data["image/svg+xml"].encode()).decode()
    offline.set_content(f'<img src="data:image/svg+xml;base64,{picture}">')
    offline.wait_for_function("() => document.images[0].complete")
    assert offline.evaluate("() => Math.min(document.images[0].naturalWidth, document.images[0].naturalHeight)") > 100
    assert "AttentionWidget" in output.data["text/plain"]


def test_an_exported_page_draws_and_steps_from_disk_with_the_network_off(offline: Page, tmp_path: Path) -> None:
    made: dict[str, object] = {}
    exec(SETUP, made)
    trace = made["trace"]
    assert isinstance(trace, aw.Trace)
    trace.to_html(tmp_path / "page.html")
    offline.goto((tmp_path / "page.html").as_uri())
    is_drawn_and_steps(offline)
