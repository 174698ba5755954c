"""Heads that are too large for a page, in a real JupyterLab: what is looked at comes, coarse at first, then exact."""

from __future__ import annotations

import labkit
import pytest
from playwright.sync_api import Page, expect

SETUP = """
import numpy as np
import attnwidget as aw
from attnwidget.stores.factors import Factors
from attnwidget.stores.visible import Visible

def long(n_tokens, n_heads, n_sites):
    rng = np.random.default_rng(0)
    trace = aw.Trace(source=[f"t{i}" for i in range(n_tokens)], title="long")
    for site in range(n_sites):
        trace.add_site(aw.Site(f"layer{site}", "encoder", site, n_heads, "source", "source"), store="qk")
        queries, keys = (rng.normal(0, 1.4, (n_heads, n_tokens, 32)).astype(np.float16) for _ in range(2))
        trace.append({f"layer{site}": Factors(queries, keys, Visible.causal(n_tokens, n_tokens), 32**-0.5)})
    trace.finish()
    return trace

trace = long(N_TOKENS, 4, 2)
widget = aw.AttentionWidget(trace, head=1)
"""
LONG_MS = 60_000
CAPTION = ".attnwidget-heatmap .attnwidget-note"


def opened(page: Page, lab: labkit.Lab, name: str, n_tokens: int, *cells: str) -> None:
    labkit.write_notebook(lab.root / name, SETUP.replace("N_TOKENS", str(n_tokens)), "widget", *cells)
    labkit.open_notebook(page, lab, name)
    labkit.run_cell(page, 0)
    labkit.run_cell(page, 1)
    page.locator(".attnwidget").wait_for()


def told(page: Page, cell: int) -> str:
    """Run the cell that prints something, and return it."""
    labkit.run_cell(page, cell)
    return labkit.cell_outputs(page, cell)[-1].strip()


@pytest.mark.parametrize("n_tokens", [3000, 40_000])
def test_a_large_head_is_looked_at_through_the_kernel(page: Page, lab: labkit.Lab, n_tokens: int) -> None:
    step = n_tokens - 123
    row = f"weights = trace.weights(0, 2, [{step}])[0]; print(f't{{weights.argmax()}}')"
    opened(page, lab, f"large{n_tokens}.ipynb", n_tokens, f"widget.head = 2; widget.step = {step}", row)
    labkit.run_cell(page, 2)
    expect(page.locator(".attnwidget-step-label")).to_have_text(f"token {step + 1} of {n_tokens}")
    expect(page.locator(".attnwidget-candidate-token").first).to_have_text(told(page, 3), timeout=LONG_MS)
    expect(page.locator(".attnwidget-reading-line").filter(has_text="row sums to")).to_contain_text("1.000")


def test_what_is_coarse_at_first_becomes_exact(page: Page, lab: labkit.Lab) -> None:
    opened(page, lab, "exact.ipynb", 3000)
    expect(page.locator(".attnwidget-strip-label").filter(has_text="strength")).to_have_text(
        "strength of all tokens", timeout=LONG_MS
    )
    for _ in range(8):
        page.get_by_role("button", name="zoom in").click()
    expect(page.locator(CAPTION)).to_have_text("")


def test_what_a_notebook_would_save_of_a_large_head_is_small(page: Page, lab: labkit.Lab) -> None:
    opened(page, lab, "kept.ipynb", 3000, "print(len(widget.frame))")
    expect(page.locator(".attnwidget-strip-label").filter(has_text="strength")).to_have_text(
        "strength of all tokens", timeout=LONG_MS
    )
    assert int(told(page, 2)) < 300_000
