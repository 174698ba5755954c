"""JupyterLab for work on the front end: a saved TypeScript or CSS file shows in open notebooks at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import javascript
from stamps import ROOT


def main() -> None:
    """Build on every change beside a JupyterLab whose widgets reload; end both on Ctrl-C."""
    javascript.bundle(tests=True)
    node = javascript.find_node()
    watcher = subprocess.Popen([node.node, "js/build.mjs", "--watch"], cwd=ROOT, env=node.environment())
    command = [sys.executable, "-m", "jupyter", "lab", "--allow-root", f"--ServerApp.root_dir={ROOT / 'notebooks'}"]
    try:
        with contextlib.suppress(KeyboardInterrupt):
            subprocess.run(command, cwd=ROOT, env={**os.environ, "ANYWIDGET_HMR": "1"}, check=False)
    finally:
        watcher.terminate()
        watcher.wait()


if __name__ == "__main__":
    main()
