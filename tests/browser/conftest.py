"""One JupyterLab and one Chromium for all browser tests; one page for each, which must stay free of errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import labkit
import pytest
from playwright.sync_api import Browser, Page

VIEWPORT_PX = (1400, 1000)
# bqplot 0.13: data that arrive in the few microtasks between an axis' scale and the axis itself are drawn by an axis
# that is not there yet. The figure is complete with the next data; it is rare, and nothing of ours can be seen from it.
BQPLOT_RACE = "Error setting state: Cannot read properties of undefined (reading 'scale')"


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """A headless Chromium."""
    with labkit.browser() as running:
        yield running


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labkit.Lab]:
    """A JupyterLab over an empty folder, `lab.root`, with settings of its own."""
    folder: Path = tmp_path_factory.mktemp("jupyter")
    with labkit.server(folder / "notebooks", state=folder / "state") as running:
        yield running


@pytest.fixture
def page(chrome: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own context; the test fails if it asks another machine for something, or logs an error.

    `@pytest.mark.console_errors("text")` lets errors pass that hold the text, where a fault is what the test makes.
    """
    expected = [BQPLOT_RACE, *(text for mark in request.node.iter_markers("console_errors") for text in mark.args)]
    context = chrome.new_context(viewport={"width": VIEWPORT_PX[0], "height": VIEWPORT_PX[1]})
    try:
        page = context.new_page()
        seen = labkit.watch(page)
        yield page
        assert [error for error in seen.errors if not any(text in error for text in expected)] == []
        assert seen.external == []
    finally:
        context.close()
