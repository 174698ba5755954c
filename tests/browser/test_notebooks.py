"""The notebooks run from top to bottom, unattended and in front of a reader."""

from __future__ import annotations

import shutil
from pathlib import Path

import labkit
import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Page, expect

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.stem[:2] >= "03"]  # those before are run in JupyterLab below
CELL_S = 300
LONG_MS = 30_000


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_it_runs_without_a_browser(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=CELL_S, resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_saved_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    assert [cell.id for cell in notebook.cells if cell.get("outputs")] == []
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_a_reader_fills_in_is_checked_in_the_same_cell(path: Path) -> None:
    to_fill_in = [cell for cell in nbformat.read(path, 4).cells if "# solution" in cell.source]
    assert to_fill_in
    assert [cell.id for cell in to_fill_in if "check(" not in cell.source.split("# solution")[1]] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_it_says_where_attention_is_no_explanation(path: Path) -> None:
    text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    assert text.index("Not an explanation") < text.index("## Exercises")


def test_a_typed_number_is_translated_and_shown(page: Page, lab: labkit.Lab) -> None:
    name = "01_watch_it_translate.ipynb"
    shutil.copy(NOTEBOOKS[0].parent / name, lab.root / name)
    labkit.open_notebook(page, lab, name)
    labkit.run_all(page)
    assert labkit.cell_errors(page) == []
    field = page.get_by_role("textbox", name="number")
    field.fill("17")
    field.press("Enter")
    typed = page.locator(".jp-Cell", has=field).locator(".attnwidget")  # whatever other cells are drawn just now
    expect(typed.locator(".attnwidget-output .attnwidget-token").first).to_have_text("siebzehn", timeout=LONG_MS)
    expect(typed.locator(".attnwidget-input .attnwidget-token")).to_have_text(["seventeen"])
    expect(typed).to_have_attribute("data-status", "complete")
    field.fill("seventeen bananas")
    field.press("Enter")
    expect(page.get_by_text("word 1 names no number in English")).to_be_visible(timeout=LONG_MS)


def test_a_model_of_your_own_is_shown_and_edited(page: Page, lab: labkit.Lab) -> None:
    name = "02_your_own_model.ipynb"
    shutil.copy(NOTEBOOKS[0].parent / name, lab.root / name)
    labkit.open_notebook(page, lab, name)
    labkit.run_all(page)
    assert labkit.cell_errors(page) == []
    widgets = page.locator(".attnwidget")
    expect(widgets).to_have_count(7)
    for index in range(7):
        expect(widgets.nth(index)).to_have_attribute("data-status", "complete", timeout=LONG_MS)
    _, reversing, _, generated, before, after, looped = (widgets.nth(index) for index in range(7))

    for widget in (reversing, looped):  # what a decoder looks at is shown first, also where the encoder ran first
        expect(widget.get_by_label("site", exact=True).locator("option:checked")).to_have_text("decoder → encoder")
    expect(looped.locator(".attnwidget-output .attnwidget-token")).to_have_text(list("828172<"))

    read = generated.locator(".attnwidget-input .attnwidget-token")
    expect(generated.locator(".attnwidget-input .attnwidget-strip-label")).to_have_text("read so far")
    expect(read).to_have_text(list("KTAQZMXBEK" + "TAQZMXB"))
    expect(generated.locator(".attnwidget-candidate").first).to_contain_text("E")
    slider = generated.get_by_role("slider", name="step")
    slider.press("Home")
    expect(generated.locator(".attnwidget-input .attnwidget-token[data-ghost]")).to_have_count(7)
    slider.press("ArrowRight")
    expect(generated.locator(".attnwidget-input .attnwidget-token[data-ghost]")).to_have_count(6)
    expect(generated.locator(".attnwidget-candidate").first).to_contain_text("A")

    for widget, letter in ((before, "T"), (after, "M")):
        expect(widget.locator(".attnwidget-sentence-text")).to_contain_text(f"Step 1, “{letter}”")
