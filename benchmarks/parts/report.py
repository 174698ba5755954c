"""docs/performance.md: each benchmark writes its own part of it, and the machine on which that was measured."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "build" / "bench"
PAGE = ROOT / "docs" / "performance.md"
PARTS = ("peers", "sizes", "streaming", "classroom")  # in this order
PACKAGES = ("numpy", "anywidget", "ipywidgets", "jupyterlab", "jupyter_server", "playwright")

HEAD = """# Performance

Written by `make bench`, one part for each script in `benchmarks/`. Times are medians; compare them within a table only.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def tell(part: str, title: str, *paragraphs: str) -> None:
    """Print a part of the page, and write it in its place."""
    text = "\n\n".join([f"## {title}", machine(), *paragraphs]) + "\n"
    print(text, flush=True)
    page = PAGE.read_text("utf-8") if PAGE.exists() else HEAD
    known = {name: _between(page, name) for name in PARTS} | {part: text}
    body = "".join(f"\n<!-- {name} -->\n{known[name]}<!-- end of {name} -->\n" for name in PARTS if known[name])
    PAGE.write_text(HEAD + body, "utf-8")


def machine() -> str:
    """Return the date, the machine and versions in one sentence."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"{datetime.datetime.now(tz=datetime.timezone.utc):%d %b %Y}; {os.cpu_count()} cores ({platform.machine()}), "
        f"{memory:.0f} GiB, load {load:.1f} at the end; Python {platform.python_version()}, {packages}."
    )


def _between(page: str, part: str) -> str:
    _, found, rest = page.partition(f"<!-- {part} -->\n")
    return rest.partition(f"<!-- end of {part} -->")[0] if found else ""
