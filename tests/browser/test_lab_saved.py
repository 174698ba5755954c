"""A real JupyterLab: what works without a kernel, and what a saved notebook holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import labkit
import numpy as np
import pytest
from playwright.sync_api import Error, Page, expect

WEIGHTS = """
import ipywidgets
import numpy as np
import attnwidget as aw

rng = np.random.default_rng(5)
weights = rng.random((QUERIES, KEYS)).astype("float32") ** 4
weights /= weights.sum(-1, keepdims=True)
trace = aw.Trace.from_weights(
    weights, source=[f"in{i}" for i in range(KEYS)], target=[f"out{i}" for i in range(QUERIES)]
)
"""
WIDGET = ".attnwidget"
STEP = ".attnwidget-step-label"
SAVE_STATE = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
NO_KERNEL = "() => !window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel"
LONG_MS = 30_000
OPENINGS = 3
# What JupyterLab shows, for good, if the connection to the kernel breaks off while it restores a notebook's widgets.
NOT_RESTORED = re.compile("Error displaying widget: model not found|Loading widget")

# What JupyterLab itself logs when a kernel ends under it.
without_kernel = pytest.mark.console_errors(
    "Could not send widget sync message", "Could not restore the debugger state"
)
restored = pytest.mark.console_errors("widget model not found")


def setup(n_queries: int, n_keys: int) -> str:
    return WEIGHTS.replace("QUERIES", str(n_queries)).replace("KEYS", str(n_keys))


def save_and_wait(page: Page, path: Path) -> None:
    """Save; saving is done when the file holds the state of the widgets."""
    labkit.save(page)
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=LONG_MS)
    state = json.loads(path.read_text("utf-8"))["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    assert "AnyModel" in [model["model_name"] for model in state["state"].values()]


def reopen(page: Page, lab: labkit.Lab, path: Path) -> None:
    """Open a notebook that holds the state of its widget; again, where JupyterLab says that it did not restore it."""
    for opening in range(OPENINGS):
        labkit.open_notebook(page, lab, path.name)
        drawn, lost = page.locator(WIDGET), page.locator(".jp-OutputArea-output").get_by_text(NOT_RESTORED)
        try:
            drawn.wait_for(timeout=LONG_MS)
            return
        except Error:
            if opening == OPENINGS - 1 or lost.count() == 0:
                raise
        shut_down(page)
        labkit.close_notebooks(page)


@pytest.fixture
def saving(page: Page, lab: labkit.Lab) -> Iterator[None]:
    """JupyterLab saves the state of widgets, as its menu lets a user choose."""
    labkit.open_lab(page, lab)
    for is_on in (True, False):
        page.evaluate("(command) => window.jupyterapp.commands.execute(command)", SAVE_STATE)
        page.wait_for_function(
            "([command, isOn]) => window.jupyterapp.commands.isToggled(command) === isOn", arg=[SAVE_STATE, is_on]
        )
        if is_on:
            yield


def shut_down(page: Page) -> None:
    page.evaluate(SHUT_DOWN)
    page.wait_for_function(NO_KERNEL)


@restored
@without_kernel
@pytest.mark.usefixtures("saving")
def test_a_saved_notebook_draws_and_steps_without_its_kernel(page: Page, lab: labkit.Lab) -> None:
    path = labkit.write_notebook(lab.root / "saved.ipynb", setup(64, 64), "aw.AttentionWidget(trace)")
    plain = path.stat().st_size
    labkit.open_notebook(page, lab, path.name)
    labkit.run_all(page)
    expect(page.locator(WIDGET)).to_have_attribute("data-rows", "64")
    save_and_wait(page, path)
    assert path.stat().st_size - plain < 220_000
    shut_down(page)
    labkit.close_notebooks(page)

    reopen(page, lab, path)  # its kernel is a new one, which knows nothing of the widget and then ends
    expect(page.locator(WIDGET)).to_have_attribute("data-rows", "64", timeout=LONG_MS)
    shut_down(page)
    page.get_by_role("button", name="first step").click()
    expect(page.locator(STEP)).to_have_text("step 1 of 64")
    page.get_by_role("button", name="next step").click()
    expect(page.locator(STEP)).to_have_text("step 2 of 64")


STREAM = """
import threading
import numpy as np
import attnwidget as aw

trace = aw.Trace(source=list("abcde"), title="a stream")
trace.add_site(aw.Site("cross", "cross", 0, 1, "target", "source"))
widget = aw.AttentionWidget(trace)
"""
DECODE = """
for index, row in enumerate(np.random.default_rng(3).dirichlet(np.full(5, 0.3), 5000).astype("float32")):
    trace.append({"cross": row[None, None]}, token=f"t{index}")
    threading.Event().wait(0.05)  # the pace of the model
"""


def strengths(page: Page) -> list[float]:
    return [float(text.split()[0]) for text in page.locator(".attnwidget-strength-value").all_text_contents()]


@restored
@without_kernel
@pytest.mark.usefixtures("saving")
def test_what_is_saved_in_mid_stream_is_a_true_picture_of_the_rows_up_to_then(page: Page, lab: labkit.Lab) -> None:
    path = labkit.write_notebook(lab.root / "streamed.ipynb", STREAM, "widget", DECODE)
    labkit.open_notebook(page, lab, path.name)
    for cell in (0, 1):
        labkit.run_cell(page, cell)
    page.locator(WIDGET).wait_for()
    labkit.run_cell(page, 2, wait=False)
    page.wait_for_function("() => Number(document.querySelector('.attnwidget').dataset.rows) >= 60")
    save_and_wait(page, path)
    came = int(page.locator(WIDGET).get_attribute("data-rows") or 0)
    shut_down(page)
    labkit.close_notebooks(page)

    reopen(page, lab, path)
    expect(page.locator(f"{WIDGET}:not([data-rows='0'])")).to_have_count(1)
    shut_down(page)
    n_rows = int(page.locator(WIDGET).get_attribute("data-rows") or 0)
    assert 1 < n_rows <= came
    rows, others = (np.random.default_rng(seed).dirichlet(np.full(5, 0.3), 5000)[:n_rows] for seed in (3, 4))
    page.get_by_role("button", name="first step").click()
    for step, row in enumerate(rows):
        expect(page.locator(STEP)).to_have_text(f"step {step + 1} of {n_rows}")
        sentence = re.compile(rf"^Step {step + 1}, “t{step}”: .* of the attention is on “{'abcde'[row.argmax()]}”")
        expect(page.locator(".attnwidget-sentence-text")).to_have_text(sentence)
        page.get_by_role("slider", name="step").press("ArrowRight")
    assert strengths(page) == pytest.approx(rows.sum(0), abs=0.006)
    assert strengths(page) != pytest.approx(others.sum(0), abs=0.006)


@without_kernel
def test_a_linked_slider_steps_with_the_kernel_shut_down(page: Page, lab: labkit.Lab) -> None:
    link = (
        "widget = aw.AttentionWidget(trace)\n"
        "slider = ipywidgets.IntSlider(widget.step, max=widget.last_step)\n"
        "ipywidgets.jslink((slider, 'value'), (widget, 'step'))\n"
        "display(slider, widget)"
    )
    labkit.write_notebook(lab.root / "slider.ipynb", setup(7, 5), link)
    labkit.open_notebook(page, lab, "slider.ipynb")
    labkit.run_all(page)
    expect(page.locator(STEP)).to_have_text("step 7 of 7")
    page.evaluate(SHUT_DOWN)
    handle = page.locator(".widget-slider .noUi-handle")
    handle.focus()
    for _ in range(3):
        handle.press("ArrowLeft")
    expect(page.locator(STEP)).to_have_text("step 4 of 7")
    page.get_by_role("button", name="previous step").click()
    expect(page.locator(".widget-readout")).to_have_text("2")


def open_dashboard(page: Page, lab: labkit.Lab, name: str) -> None:
    labkit.write_notebook(lab.root / name, setup(7, 5), "dashboard = aw.show(trace)", "print(dashboard.widget.step)")
    labkit.open_notebook(page, lab, name)
    labkit.run_cell(page, 0)
    labkit.run_cell(page, 1)
    page.locator(".bqplot.figure").wait_for(timeout=LONG_MS)
    page.get_by_text("strength over decoder steps").click()
    page.locator(".bqplot .indsel").wait_for(state="attached", timeout=LONG_MS)


def selector_x(page: Page) -> float:
    return float(page.locator(".bqplot .indsel").get_attribute("x1") or "nan")


def drag_selector(page: Page, share: float) -> None:
    """Take the selector by a click and move it to a share of the figure's width."""
    box = page.locator(".bqplot .selectormouse").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] * 0.9, y)
    page.mouse.move(box["x"] + box["width"] * share, y, steps=6)


def test_the_index_selector_is_the_step_both_ways(page: Page, lab: labkit.Lab) -> None:
    open_dashboard(page, lab, "selector.ipynb")
    drag_selector(page, 0.5)
    expect(page.locator(STEP)).to_have_text("step 4 of 7")
    assert labkit.run_until(page, 2, "3")
    before = selector_x(page)
    page.get_by_role("button", name="first step").click()
    page.wait_for_function(
        "(before) => Number(document.querySelector('.bqplot .indsel').getAttribute('x1')) < before / 2", arg=before
    )


@without_kernel
def test_the_index_selector_is_the_step_with_the_kernel_shut_down(page: Page, lab: labkit.Lab) -> None:
    open_dashboard(page, lab, "selector-dead.ipynb")
    page.evaluate(SHUT_DOWN)
    drag_selector(page, 0.5)
    expect(page.locator(STEP)).to_have_text("step 4 of 7")
    before = selector_x(page)
    page.get_by_role("button", name="last step").click()
    page.wait_for_function(
        "(before) => Number(document.querySelector('.bqplot .indsel').getAttribute('x1')) > before * 1.5", arg=before
    )


def test_both_figures_are_drawn(page: Page, lab: labkit.Lab) -> None:
    open_dashboard(page, lab, "figures.ipynb")
    expect(page.locator(".bqplot path.area")).to_have_count(3)
    page.get_by_text("strength of each input so far").click()
    expect(page.locator(".bqplot rect.bar")).to_have_count(5)


@pytest.mark.parametrize("part", ["grid", "slider", "listbox", "button", "combobox", "panel"])
def test_keys_that_are_typed_in_the_widget_stay_there(page: Page, lab: labkit.Lab, part: str) -> None:
    labkit.write_notebook(lab.root / f"keys-{part}.ipynb", setup(7, 5), "aw.AttentionWidget(trace)", "'last'")
    labkit.open_notebook(page, lab, f"keys-{part}.ipynb")
    labkit.run_all(page)
    widget = page.locator(WIDGET)
    widget.wait_for()
    if part == "panel":
        widget.locator(".attnwidget-heading").first.click()
    else:
        widget.get_by_role(part).first.focus()  # type: ignore[arg-type]
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    before = page.evaluate(active)
    for key in ["a", "b", "x", "z", "m", "y", "d", "d", "0", "0", "ArrowDown", "ArrowUp", "k", "j"]:
        page.keyboard.press(key)
    assert page.locator(".jp-Notebook .jp-Cell").count() == 3
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 3
    assert page.evaluate(active) == before
    assert widget.evaluate("(root) => root.contains(document.activeElement)")
