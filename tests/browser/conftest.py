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
# jupyter_server 2.21: a list of kernels that is asked for while one starts is an error; JupyterLab asks every ten seconds.
JUPYTER_RACE = "500 (Internal Server Error) at /api/kernels"


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """A headless Chromium."""
    with labkit.browser() as running:
        yield running


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labkit.Lab]:
    """A JupyterLab over an empty folder, `root`, with settings of its own."""
    folder: Path = tmp_path_factory.mktemp("jupyter")
    with labkit.server(folder / "notebooks", state=folder / "state") as running:
        yield running


@pytest.fixture
def lab(jupyter: labkit.Lab) -> Iterator[labkit.Lab]:
    """The JupyterLab of all tests; no kernel runs in it, and none is left."""
    yield jupyter
    jupyter.end_kernels()


@pytest.fixture(scope="session")
def handed_on() -> list[tuple[Page, labkit.Watch]]:
    """The page in which JupyterLab is open, where there is one."""
    return []


@pytest.fixture
def page(
    chrome: Browser, handed_on: list[tuple[Page, labkit.Watch]], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page of its own context; the test fails if it asks another machine for something, or logs an error.

    Tests that take `lab`, too, hand their page on, so that JupyterLab is loaded once; what they opened is closed.
    After a test that failed there is a new one, and so for `@pytest.mark.own_page`.
    `@pytest.mark.console_errors("text")` lets errors pass that hold the text, where a fault is what the test makes.
    """
    expected = [BQPLOT_RACE, JUPYTER_RACE, *(text for mark in request.node.iter_markers("console_errors") for text in mark.args)]
    in_lab = "lab" in request.fixturenames
    shared = in_lab and request.node.get_closest_marker("own_page") is None
    if in_lab:
        request.getfixturevalue("lab")  # its kernels end after the page let go of them
    n_failed = request.session.testsfailed
    if shared and handed_on:
        page, seen = handed_on.pop()
    else:
        page = chrome.new_context(viewport={"width": VIEWPORT_PX[0], "height": VIEWPORT_PX[1]}).new_page()
        seen = labkit.watch(page)
    keep = False
    try:
        yield page
        if shared:
            labkit.close_notebooks(page)
            page.mouse.move(0, 0)
        assert [error for error in seen.errors if not any(text in error for text in expected)] == []
        assert seen.external == []
        keep = shared and request.session.testsfailed == n_failed
    finally:
        if keep:
            seen.errors.clear()
            handed_on.append((page, seen))
        else:
            page.context.close()
