"""Many widgets in one notebook, and a cell that prints much: no row is lost."""

from __future__ import annotations

import labkit
from playwright.sync_api import Page, expect

N_OTHERS, N_STEPS = 5, 500  # benchmarks/streaming.py --crowd 50 does it with 49 and 10,000
SETUP = f"""
import numpy as np
import attnwidget as aw

weights = np.full((1, 4, 5), 0.2, "float32")
trace = aw.Trace(source=list("abcde"), title="crowd")
trace.add_site(aw.Site("cross", "cross", 0, 2, "target", "source"))
widget = aw.AttentionWidget(trace)
others = [
    aw.AttentionWidget(aw.Trace.from_weights(weights, source=list("abcde"), target=list("wxyz")))
    for _ in range({N_OTHERS})
]
"""
NOISY = f"""
rng = np.random.default_rng(3)
for index in range({N_STEPS}):
    row = rng.random((2, 1, 5)).astype("float32")
    trace.append({{"cross": row / row.sum(-1, keepdims=True)}}, token=f"t{{index}}")
    print(f"step {{index}}", 40 * "and so on ", flush=True)
trace.finish()
"""
DIGESTS = "print(*(f'0:{head}:{trace.digest(0, head)}' for head in range(2)))"
NOTE = """() => {
  window.came = [];
  const root = document.querySelector(".attnwidget");
  new MutationObserver(() => window.came.push(Number(root.dataset.rows)))
    .observe(root, { attributes: true, attributeFilter: ["data-rows"] });
}"""
WIDGET = ".attnwidget"
LONG_MS = 90_000


def test_every_row_comes_in_order_among_many_widgets_and_much_noise(page: Page, lab: labkit.Lab) -> None:
    labkit.write_notebook(lab.root / "crowd.ipynb", SETUP, "display(widget, *others)", NOISY, DIGESTS)
    labkit.open_notebook(page, lab, "crowd.ipynb")
    for cell in (0, 1):
        labkit.run_cell(page, cell)
    widgets = page.locator(WIDGET)
    expect(widgets).to_have_count(1 + N_OTHERS)
    page.evaluate(NOTE)
    labkit.run_cell(page, 2)
    labkit.run_cell(page, 3)
    expected = labkit.cell_outputs(page, 3)[-1].strip()
    expect(widgets.first).to_have_attribute("data-verified", expected, timeout=LONG_MS)
    expect(widgets.first).to_have_attribute("data-rows", str(N_STEPS))
    expect(widgets.first).to_have_attribute("data-status", "complete")
    came = page.evaluate("window.came")
    assert came == sorted(came)
    for other in widgets.all()[1:]:
        expect(other).to_have_attribute("data-rows", "4")
