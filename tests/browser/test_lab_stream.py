"""A real JupyterLab: the picture grows while a cell runs, and every view of it ends with every row."""

from __future__ import annotations

import labkit
import pytest
from playwright.sync_api import Page, expect

SETUP = """
import threading
import numpy as np
import attnwidget as aw

def new_trace():
    trace = aw.Trace(source=list("abcde"), title="stream")
    trace.add_site(aw.Site("cross", "cross", 0, 2, "target", "source"))
    return trace

def decode(trace, n_steps, pause=0.0):
    rng = np.random.default_rng(3)
    for index in range(n_steps):
        row = rng.random((2, 1, 5)).astype("float32")
        trace.append({"cross": row / row.sum(-1, keepdims=True)}, token=f"t{index}", candidates=[(f"t{index}", 0.9)])
        threading.Event().wait(pause)  # the pace of the model
    trace.finish()

trace = new_trace()
widget = aw.AttentionWidget(trace)
"""
SHOW = "widget"
NOT_RESTORED, RELOADS = "model not found", 3
DIGESTS = "print(*(f'0:{head}:{trace.digest(0, head)}' for head in range(2)))"
WIDGET = ".attnwidget"
LONG_MS = 30_000


def open_widget(page: Page, lab: labkit.Lab, name: str, *cells: str) -> None:
    labkit.write_notebook(lab.root / name, SETUP, SHOW, *cells)
    labkit.open_notebook(page, lab, name)
    labkit.run_cell(page, 0)
    labkit.run_cell(page, 1)
    page.locator(WIDGET).wait_for()


def wait_for_rows(page: Page, n_rows: int, *, view: int = 0) -> None:
    page.wait_for_function(
        "([view, n]) => Number(document.querySelectorAll('.attnwidget')[view]?.dataset.rows ?? 0) >= n",
        arg=[view, n_rows],
        timeout=LONG_MS,
    )


def digests(page: Page, cell: int) -> str:
    """Run the cell that prints the kernel's digests, and return them."""
    labkit.run_cell(page, cell)
    return labkit.cell_outputs(page, cell)[-1].strip()


def test_the_picture_grows_while_the_cell_runs(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "grows.ipynb", "decode(trace, 30, pause=0.1)", "print('after')")
    labkit.run_cell(page, 2, wait=False)
    wait_for_rows(page, 3)
    seen = int(page.locator(WIDGET).get_attribute("data-rows") or 0)
    assert 3 <= seen < 30
    assert page.locator(WIDGET).get_attribute("data-status") == "recording"
    wait_for_rows(page, 30)
    expect(page.locator(WIDGET)).to_have_attribute("data-status", "complete")
    expect(page.locator(".attnwidget-step-label")).to_have_text("step 30 of 30")


def test_two_thousand_steps_as_fast_as_possible_arrive_complete(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "burst.ipynb", "decode(trace, 2000)", DIGESTS)
    labkit.run_cell(page, 2)
    wait_for_rows(page, 2000)
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", digests(page, 3), timeout=LONG_MS)


def test_a_step_chosen_while_the_cell_runs_stays_chosen(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "chosen.ipynb", "decode(trace, 25, pause=0.1)", "print(widget.step)")
    labkit.run_cell(page, 2, wait=False)
    wait_for_rows(page, 6)
    page.get_by_role("button", name="first step").click()
    page.get_by_role("button", name="next step").click()
    wait_for_rows(page, 25)
    labkit.wait_until_idle(page)
    expect(page.locator(".attnwidget-step-label")).to_have_text("step 2 of 25")
    assert labkit.run_until(page, 3, "1")


def test_a_second_display_and_a_late_one_show_the_same(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "views.ipynb", "decode(trace, 12)", "widget", "aw.AttentionWidget(trace)", DIGESTS)
    for cell in (2, 3, 4):
        labkit.run_cell(page, cell)
    expected = digests(page, 5)
    assert page.locator(WIDGET).count() == 3
    for view in range(3):
        wait_for_rows(page, 12, view=view)
        expect(page.locator(WIDGET).nth(view)).to_have_attribute("data-verified", expected, timeout=LONG_MS)


def reload(page: Page) -> None:
    """Load the page again; once more where JupyterLab's connection broke while it restored widgets (docs/hosts.md)."""
    drawn, lost = page.locator(WIDGET), page.locator(".jp-OutputArea-output").get_by_text(NOT_RESTORED)
    for _ in range(RELOADS):
        page.reload()
        drawn.or_(lost).first.wait_for(timeout=LONG_MS)
        if lost.count() == 0:
            return
    drawn.wait_for(timeout=LONG_MS)


@pytest.mark.own_page
@pytest.mark.console_errors("widget model not found")
def test_a_reload_in_mid_run_ends_with_every_row(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "reload.ipynb", "decode(trace, 40, pause=0.1)", DIGESTS)
    labkit.save(page)
    labkit.run_cell(page, 2, wait=False)
    wait_for_rows(page, 5)
    reload(page)
    wait_for_rows(page, 40)
    labkit.wait_until_idle(page)
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", digests(page, 3), timeout=LONG_MS)


def test_a_view_that_is_made_afterwards_shows_the_last_step(page: Page, lab: labkit.Lab) -> None:
    labkit.write_notebook(lab.root / "late.ipynb", SETUP, "decode(trace, 9, pause=0.1)", SHOW)
    labkit.open_notebook(page, lab, "late.ipynb")
    labkit.run_all(page)
    expect(page.locator(".attnwidget-step-label")).to_have_text("step 9 of 9")


def test_the_figure_grows_to_its_whole_width(page: Page, lab: labkit.Lab) -> None:
    labkit.write_notebook(lab.root / "figure.ipynb", SETUP, "aw.show(trace)", "decode(trace, 9, pause=0.1)")
    labkit.open_notebook(page, lab, "figure.ipynb")
    labkit.run_all(page)
    page.wait_for_function(
        """() => {
          const bars = [...document.querySelectorAll(".bqplot rect.bar")].map((bar) => bar.getBoundingClientRect());
          const figure = document.querySelector(".bqplot .plotarea_events")?.getBoundingClientRect();
          return bars.length === 5 && bars[4].right - bars[0].left > 0.7 * figure.width && bars[0].width > 20;
        }""",
        timeout=LONG_MS,
    )


def test_an_exception_leaves_the_finished_steps_and_says_so(page: Page, lab: labkit.Lab) -> None:
    stop = (
        "part = new_trace()\n"
        "widget.trace = part\n"
        "part.append({'cross': np.full((2, 1, 5), 0.2)}, token='a')\n"
        "part.finish('stopped')"
    )
    open_widget(page, lab, "stopped.ipynb", stop)
    labkit.run_cell(page, 2)
    expect(page.locator(WIDGET)).to_have_attribute("data-status", "stopped")
    expect(page.locator(".attnwidget-flags")).to_contain_text("stopped after step 1")


def test_the_widget_follows_the_theme_live(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "theme.ipynb", "decode(trace, 3)")
    labkit.run_cell(page, 2)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        expect(page.locator(WIDGET)).to_have_attribute("data-theme", theme.split()[-1].lower(), timeout=LONG_MS)
        # A change that begins while the splash of the one before fades takes the splash away twice, which is an error.
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)


MANY_HEADS = """
weights = np.tril(np.random.default_rng(1).random((2, 20, 700, 700), dtype="float32"))
weights[1, 17] = np.eye(700)
many = aw.Trace.from_weights(weights / weights.sum(-1, keepdims=True), source=[f"t{i}" for i in range(700)])
aw.AttentionWidget(many)
"""


def test_heads_that_are_too_many_for_a_frame_come_when_they_are_looked_at(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "heads.ipynb", MANY_HEADS)
    labkit.run_cell(page, 2)
    widget = page.locator(WIDGET).nth(1)
    toggle = widget.locator(".attnwidget-heads-toggle")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.click()
    box = widget.locator(".attnwidget-heads-box")
    box.scroll_into_view_if_needed()
    expect(widget.locator(".attnwidget-heads-note")).to_contain_text("scaled to its largest weight", timeout=LONG_MS)
    widget.locator(".attnwidget-heads-bar select").select_option("diagonal")
    box.hover(position={"x": 110, "y": 20})
    expect(widget.locator(".attnwidget-heads-told")).to_contain_text("layer 2, head 18 · entropy 0.00 bits")
