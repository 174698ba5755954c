"""One JupyterLab and one Chromium for all browser tests; their pages must stay free of errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import labkit
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

VIEWPORT: ViewportSize = {"width": 1400, "height": 1000}
LAB = "lab"
# bqplot 0.13: data that arrive in the few microtasks between an axis' scale and the axis itself are drawn by an axis
# that is not there yet. The figure is complete with the next data; it is rare, and nothing of ours can be seen from it.
BQPLOT_RACE = "Error setting state: Cannot read properties of undefined (reading 'scale')"
# jupyter_server 2.21: a list of kernels that is asked for while one starts is an error; JupyterLab asks now and then.
JUPYTER_RACE = "500 (Internal Server Error) at /api/kernels"
OF_CLOSING = "Canceled future for"  # what JupyterLab still asks of a kernel when its notebook is closed


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


expect.set_options(timeout=30_000)  # a machine may be slow; what is so already costs nothing


@dataclass
class Handed:
    """A page that one test leaves to the next of its kind."""

    kind: str
    page: Page
    seen: labkit.Watch

    def clear(self) -> None:
        """Close what was opened, and undo what a test may have set."""
        if self.kind == LAB:
            labkit.close_notebooks(self.page)
        else:
            self.page.goto("about:blank")
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size(VIEWPORT)
        self.page.emulate_media(color_scheme="null", forced_colors="null")


@pytest.fixture(scope="session")
def handed_on() -> list[Handed]:
    """The pages that wait for the next test of their kind."""
    return []


@pytest.fixture
def page(chrome: Browser, handed_on: list[Handed], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page; the test fails if it asks another machine for something, or logs an error.

    A test hands it on: with JupyterLab in it to the next test that takes `lab`, too, and else, blank, to the next of
    its file. After a test that failed there is a new one. `@pytest.mark.own_page` gives a page that no other test has.
    `@pytest.mark.console_errors("text")` lets errors pass that hold the text, where a fault is what the test makes.
    """
    expected = [
        BQPLOT_RACE,
        JUPYTER_RACE,
        OF_CLOSING,
        *(text for mark in request.node.iter_markers("console_errors") for text in mark.args),
    ]
    kind = LAB if "lab" in request.fixturenames else request.node.path.name
    if kind == LAB:
        request.getfixturevalue("lab")  # its kernels end after the page let go of them
    is_own = request.node.get_closest_marker("own_page") is not None
    n_failed = request.session.testsfailed
    one = None if is_own else next((one for one in handed_on if one.kind == kind), None)
    if one is None:
        page = chrome.new_context(viewport=VIEWPORT).new_page()
        one = Handed(kind, page, labkit.watch(page))
    else:
        handed_on.remove(one)
    keep = False
    try:
        yield one.page
        if not is_own:
            one.clear()
        assert [error for error in one.seen.errors if not any(text in error for text in expected)] == []
        assert one.seen.external == []
        keep = not is_own and request.session.testsfailed == n_failed
    finally:
        if keep:
            one.seen.errors.clear()
            handed_on.append(one)
        else:
            one.page.context.close()
