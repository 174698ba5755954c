"""Trials: a notebook in a real JupyterLab in which one fault after another happens, and judges of what a page shows."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import labkit
import numpy as np
from played import (
    CELLS,
    DECODED,
    FIRST,
    IS_TOGGLED,
    N_HEADS,
    N_KEYS,
    N_STEPS,
    NOISY,
    NOTHING,
    OF_HOST,
    PICTURE,
    SAID,
    SAVE_STATE,
    SHOWN,
    SHUT_DOWN,
    Outcome,
    Wire,
)
from playwright.sync_api import Error as PageError
from playwright.sync_api import Page

TOLD_S, KILLED_S, HOST_S, NEVER_S = 2.0, 10.0, 40.0, 15.0


class Trials:
    """A notebook in which one fault after another happens.

    Args:
        page: a page of its own, in which nothing is open.
        lab: the JupyterLab.
        rng: decides on moments.
        saves: whether JupyterLab saves the state of widgets with a notebook.
    """

    def __init__(self, page: Page, lab: labkit.Lab, rng: random.Random, *, saves: bool = False) -> None:
        self.page, self.lab, self.rng, self._saves = page, lab, rng, saves
        self.wire, self.watch = Wire(page, rng), labkit.watch(page)
        self.path = lab.root / "faults.ipynb"
        self.devtools = page.context.new_cdp_session(page)
        self.is_fresh = False
        self._does = ""
        self._was_there = True  # the widget, before something went wrong
        rows = np.random.default_rng(3)
        many = [rows.dirichlet(np.full(N_KEYS, 0.3), (N_HEADS, 1)).astype("float32") for _ in range(N_STEPS)]
        self._sums = np.cumsum(np.concatenate(many, 1), 1)

    def run(self, fault: Fault, stage: str) -> Outcome:
        """Let one fault happen, and judge what the page shows afterwards."""
        happen, judge = fault.happen, fault.judge
        if not self.is_fresh:
            self._open()
        self.watch.errors.clear()
        (self.lab.root / "close").unlink(missing_ok=True)
        self._was_there = stage != "opening"
        self._reach(stage)
        happen(self)
        self._does = self.wire.does
        self.wait(self.rng.uniform(0, fault.longest))
        self.wire.calm()
        self.devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        verdict, seconds = judge(self)
        errors = [error for error in self.watch.errors if not any(text in error for text in OF_HOST)]
        if errors:
            verdict = f"{verdict}; console: {errors[0][:200]}"
        self.is_fresh = judge in (Trials.judged_whole, Trials.judged_closed) and verdict in ("true", "marked", "closed")
        return Outcome(fault.name, stage, verdict, seconds)

    def _open(self) -> None:
        """Open the notebook anew, with a kernel that knows how to decode."""
        if self.page.url.startswith("http"):
            labkit.close_notebooks(self.page)
        self.lab.end_kernels()
        labkit.write_notebook(self.path, *CELLS)
        self.page.goto("about:blank")
        labkit.open_notebook(self.page, self.lab, self.path.name)
        labkit.run_cell(self.page, FIRST)
        if self._saves and not self.page.evaluate(IS_TOGGLED, SAVE_STATE):
            self.page.evaluate("(command) => window.jupyterapp.commands.execute(command)", SAVE_STATE)

    def _reach(self, stage: str) -> None:
        """Go on to a random moment of a stage."""
        rng = self.rng
        if stage == "opening":
            self._start(SHOWN, DECODED)
            self.wait(rng.uniform(0, 0.4))
            return
        labkit.run_cell(self.page, SHOWN)
        self.page.locator(".attnwidget").wait_for()
        labkit.save(self.page)  # so that it is there when the page is loaded again
        self._start(*((DECODED, NOISY) if stage == "beside" else (DECODED,)))
        last = rng.randrange(N_STEPS - 20, N_STEPS) if stage == "ending" else rng.randrange(1, N_STEPS // 2)
        self._until_rows(N_STEPS if stage == "beside" else last)
        if stage == "answering":
            self.page.locator(".attnwidget select[aria-label=head]").select_option(str(rng.randrange(-1, N_HEADS)))
        elif stage == "reloading":
            self.page.evaluate("() => void setTimeout(() => location.reload())")
        self.wait(rng.uniform(0, {"answering": 0.1, "reloading": 3.0, "beside": 0.5}.get(stage, 0.2)))

    def _start(self, *cells: int) -> None:
        for cell in cells:
            labkit.run_cell(self.page, cell, wait=False)

    def _until_rows(self, n_rows: int) -> None:
        self.page.wait_for_function(
            "(n) => Number(document.querySelector('.attnwidget')?.dataset.rows ?? 0) >= n",
            arg=n_rows,
            timeout=1000 * HOST_S,
            polling=10,
        )

    def wait(self, seconds: float) -> None:
        """Let the page go on."""
        self.page.wait_for_timeout(1000 * seconds)

    def evaluate(self, code: str, argument: object = None) -> object:
        """Run code in the page, unless that is just loading."""
        with contextlib.suppress(PageError):
            return self.page.evaluate(code, argument)
        return None

    def picture(self) -> dict[str, Any]:
        """Return what the page shows; nothing while it loads."""
        found = self.evaluate(PICTURE)
        return found if isinstance(found, dict) else NOTHING

    def _until(self, is_so: Callable[[dict[str, Any]], bool], seconds: float) -> tuple[dict[str, Any], float]:
        """Return the first picture of which something is so, or the last, and how long that took."""
        start = time.monotonic()
        while not is_so(picture := self.picture()) and time.monotonic() < start + seconds:
            self.wait(0.05)
        return picture, time.monotonic() - start

    # -- judges

    def judged_whole(self) -> tuple[str, float]:
        """Hold the page against a kernel that goes on."""
        if not self._is_at_rest():
            return f"JupyterLab did not come to rest: {self.picture()['kernel']}", HOST_S
        status, n_steps, digests = self._said()
        if self._was_there:  # JupyterLab draws its outputs when it can
            self._until(lambda picture: picture["shown"] or bool(picture["host"]), HOST_S)
        start = time.monotonic()

        def is_whole(picture: dict[str, Any]) -> bool:
            is_same = picture["status"] == status and picture["rows"] == n_steps
            return is_same and (status == "recording" or picture["verified"] == digests)

        picture, _ = self._until(is_whole, NEVER_S if self.picture()["shown"] else TOLD_S)
        seconds = time.monotonic() - start
        if not picture["shown"] and not self._was_there:
            return "host" if not picture["host"] else f"stuck: {picture['host']}", seconds
        if not picture["shown"] and picture["host"] and "lose" in self._does:
            return "host", seconds  # what JupyterLab itself asked the kernel for was lost, and it does not ask again
        if not is_whole(picture):
            is_told = "not arrived" in picture["flags"]
            return "marked" if is_told else f"lacks: kernel {status} {n_steps}, page {picture}", seconds
        return self._true(picture, "marked" if "stopped after" in picture["flags"] else "true", seconds, TOLD_S)

    def judged_record(self) -> tuple[str, float]:
        """Hold the page against what should be said when the kernel is gone."""
        picture, seconds = self._until(lambda picture: "record" in picture["flags"], KILLED_S)
        if not self._is_at_rest():
            return f"JupyterLab did not come to rest: {self.picture()['kernel']}", HOST_S
        picture = self.picture()
        if not picture["shown"]:
            is_stuck = any("Loading" in text for text in picture["host"])
            return (f"stuck: {picture['host']}" if is_stuck else "host"), seconds
        if "record" not in picture["flags"]:
            is_whole = (picture["status"], picture["rows"]) == ("complete", N_STEPS)
            return self._true(picture, "true", 0.0, TOLD_S) if is_whole else (f"not marked: {picture}", seconds)
        return self._true(picture, "marked", seconds, KILLED_S + 0.1)

    def judged_closed(self) -> tuple[str, float]:
        """See that nothing is left of a widget that was closed, and that the model went on."""
        if not self._is_at_rest():
            return "JupyterLab did not come to rest", HOST_S
        picture, seconds = self._until(lambda picture: not picture["shown"], NEVER_S)
        if picture["shown"] or picture["host"]:
            return f"still there: {picture}", seconds
        status, n_steps, _ = self._said()
        errors = labkit.cell_errors(self.page)
        return ("closed" if (status, n_steps, errors) == ("complete", N_STEPS, []) else f"{status} {errors}"), seconds

    def judged_saved(self) -> tuple[str, float]:
        """Open what was saved, with a kernel that knows nothing of it."""
        came = self.picture()
        self._is_at_rest()
        self.evaluate(SHUT_DOWN)
        labkit.close_notebooks(self.page)
        is_saved = "attnwidget" in json.dumps(json.loads(self.path.read_text("utf-8"))["metadata"])
        labkit.open_notebook(self.page, self.lab, self.path.name)
        picture, seconds = self._until(lambda picture: picture["shown"] or bool(picture["host"]), NEVER_S)
        picture, _ = self._until(lambda picture: picture["status"] in ("complete", "stopped"), 1.0)
        if not picture["shown"]:
            return ("host" if not is_saved else f"not shown: {picture['host']}"), seconds
        is_told = picture["rows"] == 0 or picture["status"] == "complete"
        is_told |= "recording" in picture["panel"] or "stopped" in picture["flags"]
        if not is_told or picture["rows"] > max(came["rows"], N_STEPS):
            return f"not marked: {picture}", seconds
        return self._true(picture, "marked", seconds, HOST_S)

    def _true(self, picture: dict[str, Any], verdict: str, seconds: float, limit: float) -> tuple[str, float]:
        """Hold the step and the numbers that are shown against the rows that the decoder made."""
        n_rows = picture["rows"]
        if n_rows:
            ofs = self._sums.mean(0)[None] if picture["head"] < 0 else self._sums[picture["head"]][None]
            step = int(picture["step"].split()[1])
            if step != n_rows:  # nobody chose one
                return f"stays behind, at step {step}: {picture}", seconds
            expected = ofs[0, step - 1]
            if len(picture["strengths"]) != N_KEYS or np.abs(expected - picture["strengths"]).max() > 0.011:
                return f"wrong numbers at step {step}: {picture}, expected {expected.round(2).tolist()}", seconds
        if seconds > limit:
            return f"late: {seconds:.1f} s", seconds
        return verdict, seconds

    def _is_at_rest(self) -> bool:
        """Wait until JupyterLab is there and its kernel idle."""
        n_idle, start = 0, time.monotonic()
        while n_idle < 3 and time.monotonic() < start + HOST_S:
            picture = self.picture()
            n_idle = n_idle + 1 if picture["kernel"] == "idle" else 0
            if self.page.get_by_role("dialog").count():
                with contextlib.suppress(PageError):
                    self.page.get_by_role("dialog").get_by_role("button").last.click(timeout=500)
            self.wait(0.05)
        return n_idle >= 3

    def _said(self) -> tuple[str, int, str]:
        for _ in range(10):  # just after an error a kernel refuses to run more
            labkit.run_cell(self.page, SAID)
            if outputs := labkit.cell_outputs(self.page, SAID):
                status, n_steps, digests = json.loads(outputs[-1])
                return status, n_steps, digests
        raise RuntimeError("The kernel did not say what it has.")


Judge = Callable[[Trials], tuple[str, float]]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Args:
        name: what people call it.
        happen: lets it happen.
        judge: what the page must show afterwards.
        longest: seconds that it lasts at most.
    """

    name: str
    happen: Callable[[Trials], object]
    judge: Judge
    longest: float
