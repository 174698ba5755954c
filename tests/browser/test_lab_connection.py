"""A connection that loses messages, or is cut while a cell runs: what the page ends with is what the kernel has."""

from __future__ import annotations

from collections.abc import Callable

import labkit
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

SETUP = """
import threading
import numpy as np
import attnwidget as aw

trace = aw.Trace(source=[f"s{i}" for i in range(40)], title="connection")
for site in range(2):
    trace.add_site(aw.Site(f"cross{site}", "cross", site, 3, "target", "source"))
widget = aw.AttentionWidget(trace)
"""
N_STEPS = 400
DECODE = """
rng = np.random.default_rng(3)
for index in range(N_STEPS):
    rows = rng.random((2, 3, 1, 40), dtype="float32")
    rows /= rows.sum(-1, keepdims=True)
    trace.append({"cross0": rows[0], "cross1": rows[1]}, token=f"t{index}")
    threading.Event().wait(0.01)  # the pace of the model
trace.finish()
""".replace("N_STEPS", str(N_STEPS))
DIGESTS = "print(*(f'{site}:{head}:{trace.digest(site, head)}' for site in range(2) for head in range(3)))"

WIDGET = ".attnwidget"
LONG_MS = 60_000


def is_rows(message: str | bytes) -> bool:
    return isinstance(message, bytes) and b'"t": "rows"' in message


class Wire:
    """Stands between the page and the server.

    Args:
        page: whose kernel connections go through it.
        lets: tells of each message from the server whether the page gets it.
    """

    def __init__(self, page: Page, lets: Callable[[str | bytes], bool]) -> None:
        self.n_connected, self.is_cut, self._lets = 0, False, lets
        self.open: list[WebSocketRoute] = []
        page.route_web_socket(lambda url: "/channels?" in url, self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        if self.is_cut:
            route.close(code=1011)
            return
        server = route.connect_to_server()
        self.n_connected += 1
        self.open.append(route)
        server.on_message(lambda message: route.send(message) if self._lets(message) else None)

    def cut(self) -> None:
        """Close all connections; new ones are closed at once until they may be made again."""
        self.is_cut = True
        for route in self.open:
            route.close(code=1011)
        self.open.clear()


def begun(page: Page, lab: labkit.Lab, name: str) -> None:
    labkit.write_notebook(lab.root / name, SETUP, "widget", DECODE, DIGESTS)
    labkit.open_notebook(page, lab, name)
    labkit.run_cell(page, 0)
    labkit.run_cell(page, 1)
    page.locator(WIDGET).wait_for()
    labkit.run_cell(page, 2, wait=False)


def is_whole(page: Page) -> None:
    """Hold what the page has against what the kernel has."""
    expect(page.locator(WIDGET)).to_have_attribute("data-status", "complete", timeout=LONG_MS)
    labkit.wait_until_idle(page)
    labkit.run_cell(page, 3)
    digests = labkit.cell_outputs(page, 3)[-1].strip()
    expect(page.locator(WIDGET)).to_have_attribute("data-verified", digests, timeout=LONG_MS)
    expect(page.locator(WIDGET)).to_have_attribute("data-rows", str(N_STEPS))
    expect(page.locator(".attnwidget-step-label")).to_have_text(f"step {N_STEPS} of {N_STEPS}")


@pytest.mark.own_page
def test_messages_that_are_lost_come_when_they_are_asked_for(page: Page, lab: labkit.Lab) -> None:
    seen = {"n": 0, "lost": 0}

    def lets(message: str | bytes) -> bool:
        if not is_rows(message):
            return True
        seen["n"] += 1
        is_lost = seen["n"] % 3 == 0
        seen["lost"] += is_lost
        return not is_lost

    Wire(page, lets)
    begun(page, lab, "lossy.ipynb")
    is_whole(page)
    assert seen["lost"] > 10


@pytest.mark.own_page
def test_a_connection_that_is_cut_and_comes_back_lacks_nothing(page: Page, lab: labkit.Lab) -> None:
    wire = Wire(page, lambda _: True)
    begun(page, lab, "cut.ipynb")
    page.wait_for_function("() => Number(document.querySelector('.attnwidget')?.dataset.rows ?? 0) >= 100")
    before = wire.n_connected
    wire.cut()
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.connectionStatus === 'connecting'"
    )
    wire.is_cut = False
    is_whole(page)
    assert wire.n_connected > before
