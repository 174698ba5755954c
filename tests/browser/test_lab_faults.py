"""A real JupyterLab in which things go wrong: what came stays, and the page says what became of the rest."""

from __future__ import annotations

import labkit
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

SETUP = """
import threading
import numpy as np
import attnwidget as aw

def decode(n_steps, pause, at=lambda index: None):
    rng = np.random.default_rng(3)
    for index in range(n_steps):
        row = rng.random((2, 1, 5)).astype("float32")
        trace.append({"cross": row / row.sum(-1, keepdims=True)}, token=f"t{index}")
        threading.Event().wait(pause)  # the pace of the model
        at(index)
    trace.finish()

def new_trace():
    trace = aw.Trace(source=list("abcde"), title="faults")
    trace.add_site(aw.Site("cross", "cross", 0, 2, "target", "source"))
    return trace

trace = new_trace()
widget = aw.AttentionWidget(trace)
"""
DIGESTS = "print(*(f'0:{head}:{trace.digest(0, head)}' for head in range(2)))"
ENDLESS = "decode(100_000, 0.05)"

RECORDED = """
import threading
import torch
import attnwidget as aw

class Decoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, state, memory):
        return self.attention(state, memory, memory)[0]

def hooks():
    of_modules = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    functions = torch.nn.functional
    return of_modules, functions.scaled_dot_product_attention, functions.multi_head_attention_forward

torch.manual_seed(0)
model, memory = Decoder().eval(), torch.randn(1, 5, 16)
as_it_came = hooks()
widget = aw.AttentionWidget()
"""
RECORD = """
widget.trace = trace = aw.Trace()
state = torch.zeros(1, 1, 16)
with torch.no_grad(), aw.record(model, source=list("abcde"), into=trace):
    for index in range(100_000):
        state = model(state, memory)
        aw.step(f"t{index}")
        threading.Event().wait(0.02)
"""
LEFT = "print(len(trace.steps), trace.status, hooks() == as_it_came)"

WIDGET = ".attnwidget"
STEP = ".attnwidget-step-label"
FLAGS = ".attnwidget-flags"
LONG_MS = 30_000
KILLED_MS = 10_000
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"

# What JupyterLab itself logs when a kernel ends under it.
without_kernel = pytest.mark.console_errors(
    "Could not send widget sync message",
    "Could not restore the debugger state",
    "Canceled future",
    "WebSocket",
    "Kernel",
    "Failed to load resource",
)


def open_widget(page: Page, lab: labkit.Lab, name: str, *cells: str, setup: str = SETUP) -> None:
    labkit.write_notebook(lab.root / name, setup, "widget", *cells)
    labkit.open_notebook(page, lab, name)
    labkit.run_cell(page, 0)
    labkit.run_cell(page, 1)
    page.locator(WIDGET).wait_for()


def wait_for_rows(page: Page, n_rows: int) -> int:
    """Return how many rows there are once there are so many."""
    page.wait_for_function(
        "(n) => Number(document.querySelector('.attnwidget')?.dataset.rows ?? 0) >= n", arg=n_rows, timeout=LONG_MS
    )
    return int(page.locator(WIDGET).first.get_attribute("data-rows") or 0)


def ask_kernel(page: Page, what: str) -> None:
    """Have the kernel interrupted or restarted, as the buttons of JupyterLab do."""
    page.evaluate(f"(what) => {KERNEL}[what]()", what)


def printed(page: Page, cell: int) -> str:
    """Return what a cell prints. Just after an error a kernel refuses to run more."""
    for _ in range(10):
        labkit.run_cell(page, cell)
        if outputs := labkit.cell_outputs(page, cell):
            return outputs[-1]
    return ""


def is_record(page: Page, n_rows: int) -> None:
    """Step through what came."""
    expect(page.locator(FLAGS)).to_contain_text("stopped after step")
    came = int(page.locator(WIDGET).get_attribute("data-rows") or 0)
    assert came >= n_rows
    page.get_by_role("button", name="first step").click()
    expect(page.locator(STEP)).to_have_text(f"step 1 of {came}")
    page.get_by_role("slider", name="step").press("ArrowRight")
    expect(page.locator(STEP)).to_have_text(f"step 2 of {came}")
    expect(page.locator(".attnwidget-sentence-text")).to_contain_text("of the attention is on")


def test_an_interrupt_leaves_the_finished_steps_and_the_model_as_it_came(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "interrupt.ipynb", RECORD, LEFT, setup=RECORDED)
    for n_rows in (3, 17):
        labkit.run_cell(page, 2, wait=False)
        page.wait_for_function("() => document.querySelector('.attnwidget').dataset.status === 'recording'")
        wait_for_rows(page, n_rows)
        ask_kernel(page, "interrupt")
        expect(page.locator(WIDGET)).to_have_attribute("data-status", "stopped", timeout=LONG_MS)
        expect(page.locator(".jp-Notebook .jp-Cell").nth(2)).to_contain_text("KeyboardInterrupt")
        labkit.wait_until_idle(page)
        n_steps, *left = printed(page, 3).split()
        assert left == ["stopped", "True"]
        expect(page.locator(FLAGS)).to_contain_text(f"stopped after step {n_steps}")
        expect(page.locator(WIDGET)).to_have_attribute("data-rows", n_steps)
        assert int(n_steps) >= n_rows


@without_kernel
def test_after_a_restart_the_view_is_a_record_and_says_so(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "restart.ipynb", ENDLESS)
    labkit.run_cell(page, 2, wait=False)
    n_rows = wait_for_rows(page, 5)
    ask_kernel(page, "restart")
    expect(page.locator(FLAGS)).to_contain_text("kernel restarted: this view is a record", timeout=KILLED_MS)
    is_record(page, n_rows)
    labkit.wait_until_idle(page)
    labkit.run_cell(page, 0)
    labkit.run_cell(page, 1)  # the kernel that came has a view of its own
    expect(page.locator(FLAGS)).not_to_contain_text("record")


@without_kernel
def test_a_kernel_that_dies_is_told_of_within_ten_seconds(page: Page, lab: labkit.Lab) -> None:
    kill = "import os, signal\ndecode(100_000, 0.05, lambda index: index == 8 and os.kill(os.getpid(), signal.SIGKILL))"
    open_widget(page, lab, "killed.ipynb", kill)
    labkit.run_cell(page, 2, wait=False)
    n_rows = wait_for_rows(page, 4)
    expect(page.locator(FLAGS)).to_contain_text("this view is a record", timeout=KILLED_MS)
    page.get_by_role("dialog").get_by_role("button").first.click()  # JupyterLab's own word of it
    is_record(page, n_rows)


def test_closing_one_of_two_views_leaves_the_other(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "two-views.ipynb", "widget", "decode(40, 0.05)", DIGESTS)
    labkit.run_cell(page, 2)
    expect(page.locator(WIDGET)).to_have_count(2)
    labkit.run_cell(page, 3, wait=False)
    wait_for_rows(page, 5)
    page.locator(WIDGET).first.get_by_role("button", name="first step").click()
    for view in range(2):  # what is chosen is shared
        expect(page.locator(STEP).nth(view)).to_contain_text("step 1 of")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setOutputs([])")
    expect(page.locator(WIDGET)).to_have_count(1)
    wait_for_rows(page, 40)
    labkit.wait_until_idle(page)
    labkit.run_cell(page, 4)
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", labkit.cell_outputs(page, 4)[-1].strip())
    page.get_by_role("button", name="last step").click()
    expect(page.locator(STEP)).to_have_text("step 40 of 40")


@pytest.mark.own_page
def test_a_widget_that_is_closed_while_it_is_streamed_sends_no_more(page: Page, lab: labkit.Lab) -> None:
    of_widgets: list[str] = []

    def through(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def heard(message: str | bytes) -> None:
            text = message.decode("latin-1") if isinstance(message, bytes) else message
            of_widgets.extend(kind for kind in ("comm_close", "comm_msg") if f'"msg_type": "{kind}"' in text)
            route.send(message)

        server.on_message(heard)

    page.route_web_socket(lambda url: "/channels?" in url, through)
    close = "decode(200, 0.01, lambda index: index == 100 and widget.close())"
    open_widget(page, lab, "closed.ipynb", close, "print(len(trace.steps), trace.status)")
    labkit.run_cell(page, 2)
    expect(page.locator(WIDGET)).to_have_count(0)
    labkit.run_cell(page, 3)
    assert labkit.cell_outputs(page, 3)[-1].strip() == "200 complete"
    assert labkit.cell_errors(page) == []
    assert "comm_msg" in of_widgets
    assert of_widgets[-1] == "comm_close"


def test_a_hidden_page_draws_nothing_and_the_last_state_when_it_is_shown(page: Page, lab: labkit.Lab) -> None:
    # A browser gives a hidden page no animation frames; a headless one is never hidden.
    open_widget(page, lab, "hidden.ipynb", "decode(40, 0.02)", DIGESTS)
    page.evaluate(
        """() => {
          const frames = window.requestAnimationFrame.bind(window);
          let waiting = null;
          window.requestAnimationFrame = (run) => (waiting ? waiting.push(run) : frames(run));
          window.hide = () =>
            new Promise((done) => {
              waiting = [];
              frames(() => frames(done)); // those that were asked for are over by then
            });
          window.show = () => {
            const runs = waiting;
            waiting = null;
            runs.forEach((run) => frames(run));
            return runs.length;
          };
        }"""
    )
    page.evaluate("() => window.hide()")
    page.evaluate(
        """() => {
          window.changes = [];
          const told = ({ target, type, attributeName }) => `${type} ${attributeName} of ${target.className}`;
          new MutationObserver((all) => window.changes.push(...all.map(told)))
            .observe(document.querySelector('.attnwidget'), { subtree: true, childList: true, attributes: true });
        }"""
    )
    for cell in (2, 3):
        labkit.run_cell(page, cell, timeout_ms=LONG_MS)
    changes = page.evaluate("() => window.changes")
    assert [change for change in changes if "attnwidget-spoken" not in change] == []  # which is spoken, not drawn
    assert page.evaluate("() => window.show()") < 100
    page.wait_for_function("() => document.querySelector('.attnwidget').dataset.rows === '40'")
    expect(page.locator(STEP)).to_have_text("step 40 of 40")
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", labkit.cell_outputs(page, 3)[-1].strip())


FROZEN = """
from pathlib import Path
trace = widget.trace = new_trace()
Path("news.txt").write_text("decoding")
frozen, rng = [], np.random.default_rng(3)
while len(frozen) < 100:
    row = rng.random((2, 1, 5)).astype("float32")
    trace.append({"cross": row / row.sum(-1, keepdims=True)}, token=f"t{len(trace.steps)}")
    if Path("frozen.txt").exists():
        frozen.append(len(trace.steps))
    threading.Event().wait(0.01)
trace.finish()
Path("news.txt").write_text("complete")
print(len(trace.steps))
"""
FREEZE = """([token, deadline]) => {
  const ask = (method, path, body) => {
    const request = new XMLHttpRequest();
    request.open(method, `${path}?${performance.now()}`, false); // the page stands still until the answer is there
    request.setRequestHeader("Authorization", `token ${token}`);
    request.send(body);
    return request.responseText;
  };
  ask("PUT", "/api/contents/frozen.txt", JSON.stringify({ type: "file", format: "text", content: "" }));
  const end = performance.now() + deadline;
  while (performance.now() < end) if (ask("GET", "/files/news.txt") === "complete") return true;
  return false;
}"""


def test_a_page_that_stands_still_does_not_hold_the_model_up_and_ends_with_every_row(
    page: Page, lab: labkit.Lab
) -> None:
    open_widget(page, lab, "frozen.ipynb", FROZEN, DIGESTS)
    labkit.run_cell(page, 2, wait=False)
    wait_for_rows(page, 5)
    assert page.evaluate(FREEZE, [lab.token, LONG_MS])
    labkit.wait_until_idle(page)
    labkit.run_cell(page, 3)
    expected = labkit.cell_outputs(page, 3)[-1].strip()
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", expected, timeout=LONG_MS)
    n_steps = labkit.cell_outputs(page, 2)[-1].strip()
    expect(page.locator(STEP)).to_have_text(f"step {n_steps} of {n_steps}")


def test_a_slow_page_ends_with_every_row(page: Page, lab: labkit.Lab) -> None:
    open_widget(page, lab, "slow.ipynb", "decode(100, 0.01)", DIGESTS)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 20})
    labkit.run_cell(page, 2)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    labkit.run_cell(page, 3)
    expected = labkit.cell_outputs(page, 3)[-1].strip()
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", expected, timeout=LONG_MS)
    expect(page.locator(STEP)).to_have_text("step 100 of 100")
