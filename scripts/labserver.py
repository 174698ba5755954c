"""Run a real Jupyter server in a folder of its own; nothing of the user's Jupyter is read or written."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["lab", "notebook"]
Settings = Mapping[str, Mapping[str, object]]

START_S = 90
POLL_S = 0.1

SETTINGS: Settings = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # Cells outside the view would otherwise be taken out of the document, and their widgets with them.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
APPLICATIONS = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}


@dataclass(frozen=True)
class Lab:
    """A running Jupyter server."""

    url: str
    token: str
    root: Path
    kind: Kind

    def address(self, name: str = "") -> str:
        """Return the address of a notebook in root, in a workspace without memory; without a name, of JupyterLab."""
        if self.kind == "lab":
            return f"{self.url}/lab{f'/tree/{name}' if name else ''}?token={self.token}&reset"
        return f"{self.url}/notebooks/{name}?token={self.token}"

    def end_kernels(self) -> None:
        """End every kernel that runs in it, busy or not."""
        for kernel in json.loads(self._ask("GET", "kernels")):
            with contextlib.suppress(urllib.error.HTTPError):  # one that died is no longer known
                self._ask("DELETE", f"kernels/{kernel['id']}")

    def _ask(self, method: str, what: str) -> bytes:
        request = urllib.request.Request(f"{self.url}/api/{what}?token={self.token}", method=method)
        with _opener().open(request) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def server(
    root: Path,
    *,
    state: Path,
    kind: Kind = "lab",
    settings: Settings | None = None,
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Lab]:
    """Run a Jupyter server over the notebooks in root; end it, and only it, on leaving.

    Args:
        root: the folder that it shows; kernels run in it.
        state: a folder of its own for settings, run files and its log.
        kind: JupyterLab, or Notebook 7 where that is installed.
        settings: JupyterLab settings by plugin, over those in SETTINGS.
        env: environment variables for the server and its kernels.
        arguments: further words of its command line.

    Raises:
        RuntimeError: the server did not answer; the message ends with its log.
    """
    root.mkdir(parents=True, exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    _write_settings(state / "settings", {**SETTINGS, **(settings or {})})
    port, token = _free_port(), secrets.token_hex(8)
    app = APPLICATIONS[kind]
    command = [
        *(sys.executable, "-m", "jupyter", kind, "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", f"--{app}.expose_app_in_browser=True"),
        *arguments,
    ]
    url = f"http://127.0.0.1:{port}"
    variables = {**_folders(state), **(env or {})}
    with _running(command, f"{url}/api/status?token={token}", root, variables, state / "server.log"):
        yield Lab(url, token, root, kind)


@contextlib.contextmanager
def marimo(file: Path, *, state: Path) -> Iterator[str]:
    """Run a marimo notebook as an app, and return its address.

    Args:
        file: the notebook, a Python script.
        state: a folder of its own for settings and its log.

    Raises:
        RuntimeError: the server did not answer; the message ends with its log.
    """
    state.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [*(sys.executable, "-m", "marimo", "run", str(file), "--headless", "--no-token")]
    command += ["--host=127.0.0.1", f"--port={port}"]
    folders = {f"XDG_{kind}_HOME": str(state) for kind in ("CONFIG", "STATE", "CACHE", "DATA")}
    url = f"http://127.0.0.1:{port}"
    with _running(command, url, file.parent, folders, state / "server.log"):
        yield url


@contextlib.contextmanager
def _running(command: Sequence[str], url: str, folder: Path, env: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_up(process, url, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _folders(state: Path) -> dict[str, str]:
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return {variable: str(state / folder) for variable, folder in names.items()}


def _write_settings(folder: Path, settings: Settings) -> None:
    for plugin, values in settings.items():
        package, name = plugin.split(":")
        file = folder / package / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    pause = threading.Event()
    while True:
        try:
            with _opener().open(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start:\n{log.read_text()[-3000:]}") from None
            pause.wait(POLL_S)


def _opener() -> urllib.request.OpenerDirector:
    """Return what asks this machine without a proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
