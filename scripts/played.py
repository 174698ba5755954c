"""What is played while things go wrong: a notebook whose every row is known, a wire that loses messages, outcomes."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Error as PageError
from playwright.sync_api import Page, WebSocketRoute

N_STEPS, N_HEADS, N_KEYS, PACE = 80, 3, 12, 0.01
SETUP = f"""
import json, os, threading
from pathlib import Path
import numpy as np
import attnwidget as aw

Path("pid").write_text(str(os.getpid()))

def decode():
    rng = np.random.default_rng(3)
    try:
        for index in range({N_STEPS}):
            row = rng.dirichlet(np.full({N_KEYS}, 0.3), ({N_HEADS}, 1)).astype("float32")
            trace.append({{"cross": row}}, token=f"t{{index}}", candidates=[(f"t{{index}}", 0.9)])
            threading.Event().wait({PACE})  # the pace of the model
    except BaseException:
        trace.finish("stopped")
        raise
    trace.finish()

def told():
    digests = [f"0:{{head}}:{{trace.digest(0, head)}}" for head in range({N_HEADS})] if trace.steps else []
    print(json.dumps([trace.status, len(trace.steps), " ".join(digests)]))

def close_when_told():
    while not threading.Event().wait(0.005):
        if Path("close").exists():
            Path("close").unlink()
            widget.close()

trace = aw.Trace()
threading.Thread(target=close_when_told, daemon=True).start()
"""
SHOW = f"""
trace = aw.Trace(source=[f"s{{i}}" for i in range({N_KEYS})], title="faults")
trace.add_site(aw.Site("cross", "cross", 0, {N_HEADS}, "target", "source"))
widget = aw.AttentionWidget(trace, head=0)
widget
"""
NOISE = "for index in range(300):\n    print(index, 'and so on')\n    threading.Event().wait(0.002)"
CELLS = (SETUP, SHOW, "decode()", "told()", NOISE)
FIRST, SHOWN, DECODED, SAID, NOISY = range(5)

KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
ASK = f"(what) => {{ {KERNEL}[what]().catch(() => undefined); }}"
SAVE_STATE = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
IS_TOGGLED = "(command) => window.jupyterapp.commands.isToggled(command)"
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown().catch(() => undefined)"
CLEAR = "() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setOutputs([])"
STAND_STILL = "(ms) => { for (const end = performance.now() + ms; performance.now() < end; ); }"
PICTURE = """() => {
  const text = (node) => node?.textContent ?? "";
  const widget = document.querySelector(".jp-Notebook .attnwidget");
  const all = (what) => [...(widget?.querySelectorAll(what) ?? [])].map(text);
  const session = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session;
  return {
    shown: widget !== null,
    status: widget?.dataset.status ?? "",
    rows: Number(widget?.dataset.rows ?? 0),
    verified: widget?.dataset.verified ?? "",
    flags: all(".attnwidget-flags:not([hidden])").join(),
    panel: all(".attnwidget-panel").join(),
    step: all(".attnwidget-step-label").join(),
    head: Number(widget?.querySelector("select[aria-label=head]")?.value ?? 0),
    strengths: all(".attnwidget-strength-value").map(parseFloat),
    host: [...document.querySelectorAll(".jp-OutputArea-output")]
      .map(text)
      .filter((output) => /Loading widget|Error displaying widget|model not found/i.test(output)),
    kernel: session?.kernel?.connectionStatus === "connected" ? session.kernel.status : "none",
  };
}"""
NOTHING: dict[str, Any] = {"shown": False, "host": [], "kernel": "none", "flags": "", "status": "", "rows": 0}
# What JupyterLab, Chromium and ipywidgets themselves log of a fault.
OF_HOST = (
    *("Could not send widget sync message", "Could not restore the debugger state", "Canceled future", "WebSocket"),
    *("Kernel", "Failed to load resource", "ERR_", "Connection lost", "Failed to fetch", "NetworkError"),
)


class Wire:
    """Stands between a page and its kernels, and does to messages about widgets what it is told to do.

    Args:
        page: whose connections go through it.
        rng: decides what happens to which message.
    """

    def __init__(self, page: Page, rng: random.Random) -> None:
        self.rng, self.is_cut, self.does = rng, False, ""
        self._open: list[WebSocketRoute] = []
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket(lambda url: "/channels?" in url, self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        if self.is_cut:
            route.close(code=1011)
            return
        server = route.connect_to_server()
        self._open.append(route)
        server.on_message(lambda message: self._pass(route, message))

    def _pass(self, route: WebSocketRoute, message: str | bytes) -> None:
        text = message if isinstance(message, bytes) else message.encode()
        n_copies = 1
        kind = text.partition(b'"msg_type": "')[2]  # of its header, which comes first
        if self.does and kind.startswith(b"comm_msg"):  # which is what a server drops that is told too much
            n_copies = {"lose": self.rng.choice((0, 1)), "duplicate": self.rng.choice((1, 2, 3))}.get(self.does, 0)
            if self.does == "reorder":
                self._held.append((route, message))
                if len(self._held) > self.rng.randrange(6):
                    self._release()
        for _ in range(n_copies):
            route.send(message)

    def _release(self) -> None:
        held, self._held = self._held, []
        self.rng.shuffle(held)
        for route, message in held:
            with contextlib.suppress(PageError):
                route.send(message)

    def calm(self) -> None:
        """Let everything through again."""
        self.does, self.is_cut = "", False
        self._release()

    def cut(self) -> None:
        """Close all connections; new ones are closed at once until `calm`."""
        self.is_cut = True
        for route in self._open:
            with contextlib.suppress(PageError):
                route.close(code=1011)
        self._open.clear()


@dataclass
class Outcome:
    """What became of one fault.

    Args:
        fault: which.
        stage: during what.
        verdict: "true"; "marked"; "closed"; "host", where JupyterLab itself has nothing to show; or what is wrong.
        seconds: from when the kernel was at rest, or gone, to that.
    """

    fault: str
    stage: str
    verdict: str
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the page told the truth."""
        return self.verdict in ("true", "marked", "closed", "host")
