"""A server that lets few messages through: what a page lacks it asks for, and a pace within the limit loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import labkit
import pytest
from playwright.sync_api import Browser, Page, expect

SETUP = """
import time
import numpy as np
import attnwidget as aw

trace = aw.Trace(source=[f"s{i}" for i in range(40)], title="limits")
for site in range(2):
    trace.add_site(aw.Site(f"cross{site}", "cross", site, 3, "target", "source"))
widget = aw.AttentionWidget(trace)
"""
DECODE = """
rng = np.random.default_rng(3)
for index in range(400):
    rows = rng.random((2, 3, 1, 40), dtype="float32")
    rows /= rows.sum(-1, keepdims=True)
    trace.append({"cross0": rows[0], "cross1": rows[1]}, token=f"t{index}")
    time.sleep(0.01)  # the pace of the model
trace.finish()
"""
DIGESTS = "print(*(f'{site}:{head}:{trace.digest(site, head)}' for site in range(2) for head in range(3)))"
LIMIT = "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit={}"
LONG_MS = 60_000


def limited(tmp_path: Path, per_second: int) -> Iterator[labkit.Lab]:
    with labkit.server(
        tmp_path / "notebooks", state=tmp_path / "state", arguments=[LIMIT.format(per_second)]
    ) as running:
        yield running


def decoded(page: Page, lab: labkit.Lab) -> str:
    """Decode in a notebook, and return the digests of all heads and what the cell printed."""
    labkit.write_notebook(lab.root / "limits.ipynb", SETUP, "widget", DECODE, DIGESTS)
    labkit.open_notebook(page, lab, "limits.ipynb")
    for cell in range(3):
        labkit.run_cell(page, cell)
    labkit.run_cell(page, 3)
    return labkit.cell_outputs(page, 3)[-1].strip()


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[labkit.Lab]:
    """A server that lets fewer messages through than a widget sends."""
    yield from limited(tmp_path, 4)


@pytest.fixture
def enough(tmp_path: Path) -> Iterator[labkit.Lab]:
    """A server that lets as many messages through as a widget may send, and a few more."""
    yield from limited(tmp_path, 15)


@pytest.fixture
def quiet_page(chrome: Browser) -> Iterator[Page]:
    """A page that may log what the server says of its limit."""
    context = chrome.new_context(viewport={"width": 1400, "height": 1000})
    try:
        yield context.new_page()
    finally:
        context.close()


def test_what_the_server_dropped_comes_when_it_is_asked_for(quiet_page: Page, narrow: labkit.Lab) -> None:
    expected = decoded(quiet_page, narrow)
    assert "rate" in " ".join(labkit.cell_outputs(quiet_page, 2))  # the server says that it dropped messages
    expect(quiet_page.locator(".attnwidget")).to_have_attribute("data-verified", expected, timeout=LONG_MS)


@pytest.mark.own_page
def test_a_widget_stays_within_what_the_server_lets_through(page: Page, enough: labkit.Lab) -> None:
    expected = decoded(page, enough)
    assert labkit.cell_outputs(page, 2) == []
    expect(page.locator(".attnwidget")).to_have_attribute("data-verified", expected, timeout=LONG_MS)
