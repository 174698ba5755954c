"""Lower never imports higher: this file holds the table of rooms and reads every import against it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "attnwidget"
SOURCES = ROOT / "js" / "src"

# From low to high. A room may import any room of a lower line, none of its own line. A folder is one room.
PYTHON_LAYERS = [
    {
        "scene",
        "analysis",
        "base124",
        "built",
        "disk",
        "doors",
        "heads",
        "observers",
        "outline",
        "pace",
        "subshell",
        "terms",
    },
    {"mapped", "seen", "tokens"},
    {"booked", "checks", "architecture"},
    {"stores", "strips"},
    {"records"},
    {"ledger"},
    {"late", "survey"},
    {"beams", "foreign", "reading"},
    {"trace"},
    {"appended", "header", "sweep", "grouping", "tables"},
    {"rebuild"},
    {"folder"},
    {"follower"},
    {"file", "wire"},
    {"answers", "latest", "selection"},
    {"figure", "stream"},
    {"widget"},
    {"dashboard", "export"},
    {"cli"},
]
CAPTURE_MAY_IMPORT = {
    "seen",
    "terms",
    "tokens",
    "analysis",
    "architecture",
    "outline",
    "checks",
    "stores",
    "strips",
    "ledger",
    "trace",
}
PYTHON_EXTRA = {
    "capture": CAPTURE_MAY_IMPORT,
    "cli": {"capture", "models", "tasks"},
    "doors": {"trace"},  # for what its methods are called on, while types are checked
    "models": {"tasks"},
    "tasks": set[str](),
}
# Methods of a Trace that are only shorter names for a function above it; the import stands inside the method.
PYTHON_DEFERRED = {("doors", room) for room in ("export", "figure", "file", "tables")}
TORCH_ROOMS = {"capture", "models"}

JS_LAYERS = [
    {"wire.gen", "crc", "scales", "dom", "draw", "theme", "keys", "text", "packed"},
    {"heads", "blocks", "words"},
    {"wire", "large", "pictured"},
    {"matrix"},
    {"lacking", "outline", "selection", "special"},
    {"held"},
    {"slice"},
    {"store"},
    {"views", "asking", "kernel"},
    {"selector"},
    {"host", "shelf"},
    {"widget", "standalone", "loader"},
]
JS_PACKAGES = {"@preact/signals-core", "@anywidget/types"}

HOME = "Add it to its layer in tests/unit/test_layers.py and to docs/architecture.md."


def allowed(room: str, layers: list[set[str]], extra: dict[str, set[str]]) -> set[str] | None:
    """Return the rooms that a room may import, or None if the table does not know it."""
    for place, layer in enumerate(layers):
        if room in layer:
            return set().union(*layers[:place]) | extra.get(room, set())
    return extra.get(room)


def python_imports(source: str, name: str) -> set[tuple[str, bool]]:
    """Return what a module of this package imports: dotted names, and whether each import stands at module level.

    Args:
        source: the module's text.
        name: the module's dotted name; a package's ends in `.__init__`.
    """
    found: set[tuple[str, bool]] = set()
    tree = ast.parse(source)
    deferred = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, node not in deferred) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = name.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {(f"{base}.{alias.name}", node not in deferred) for alias in node.names}
    return found


def python_faults(name: str, source: str) -> list[str]:
    """Return a sentence for each import that the table forbids in the module of this dotted name."""
    room = name.split(".")[1]
    if room == "__init__":
        return []
    may = allowed(room, PYTHON_LAYERS, PYTHON_EXTRA)
    if may is None:
        return [f"{name}: the table of rooms does not know {room!r}. {HOME}"]
    faults = []
    for imported, at_top in sorted(python_imports(source, name)):
        top, *rest = imported.split(".")
        if top == "torch" and room not in TORCH_ROOMS:
            faults.append(f"{name} imports {imported}: torch is for {' and '.join(sorted(TORCH_ROOMS))} only.")
        if top != "attnwidget" or not rest or rest[0] == room:
            continue
        if rest[0] not in may and (at_top or (room, rest[0]) not in PYTHON_DEFERRED):
            faults.append(f"{name} imports {imported}: {rest[0]!r} is not below {room!r}.")
    return faults


def js_faults(path: str, source: str) -> list[str]:
    """Return a sentence for each import that the table forbids in the file of this path under js/src."""
    room = js_room(path)
    may = allowed(room, JS_LAYERS, {})
    if may is None:
        return [f"js/src/{path}: the table of rooms does not know {room!r}. {HOME}"]
    faults = []
    for target in sorted(set(re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""", source))):
        if target.endswith(".css"):
            continue
        if not target.startswith("."):
            if target not in JS_PACKAGES:
                faults.append(f"js/src/{path} imports {target}: not one of the packages {sorted(JS_PACKAGES)}.")
            continue
        imported = js_room(str((SOURCES / path).parent.joinpath(target).resolve().relative_to(SOURCES)))
        if imported != room and imported not in may:
            faults.append(f"js/src/{path} imports {target}: {imported!r} is not below {room!r}.")
    return faults


def js_room(path: str) -> str:
    """Return the room of a path under js/src: its folder, or its name without the ending."""
    parts = Path(path).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".ts")


def modules() -> dict[str, str]:
    """Return the text of every module of the package by dotted name."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    return {name: path.read_text() for path, name in names.items()}


def test_python_imports_only_what_is_below() -> None:
    found = modules()
    assert found
    assert [fault for name, source in found.items() for fault in python_faults(name, source)] == []


def test_typescript_imports_only_what_is_below() -> None:
    found = {path.relative_to(SOURCES).as_posix(): path.read_text() for path in SOURCES.rglob("*.ts")}
    assert found
    assert [fault for path, source in found.items() for fault in js_faults(path, source)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("attnwidget.tokens", "from attnwidget.trace import Trace"),
        ("attnwidget.trace", "from attnwidget.file import save"),
        ("attnwidget.stores.dense", "def f():\n    from attnwidget import trace"),
        ("attnwidget.widget", "import torch"),
        ("attnwidget.stream", "from torch import nn"),
        ("attnwidget.capture.record", "from ..widget import AttentionWidget"),
        ("attnwidget.capture.__init__", "from ..wire import Traits"),
        ("attnwidget.dashboard", "from .capture import record"),
        ("attnwidget.tasks.dates", "from ..tokens import Tokens"),
        ("attnwidget.helpers", ""),
    ],
)
def test_a_forbidden_python_import_is_found(name: str, source: str) -> None:
    assert len(python_faults(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("attnwidget.doors", "def save(self):\n    from attnwidget.file import save"),
        ("attnwidget.capture.hub", "import torch\nfrom .record import record\nfrom ..trace import Trace"),
        ("attnwidget.widget", "from attnwidget.wire.codec import frame\nimport numpy"),
        ("attnwidget.models.train", "from attnwidget import tasks"),
    ],
)
def test_a_rightful_python_import_passes(name: str, source: str) -> None:
    assert python_faults(name, source) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("store.ts", 'import { mount } from "./views/index.ts";'),
        ("wire.ts", 'import type { Store } from "./store.ts";'),
        ("views/heatmap.ts", 'import widget from "../widget.ts";'),
        ("scales.ts", 'import { h } from "./dom.ts";'),
        ("dom.ts", 'import { select } from "d3-selection";'),
        ("store.ts", 'const later = await import("./widget.ts");'),
        ("helpers.ts", ""),
    ],
)
def test_a_forbidden_typescript_import_is_found(path: str, source: str) -> None:
    assert len(js_faults(path, source)) == 1


def test_a_rightful_typescript_import_passes() -> None:
    source = 'import { at } from "../matrix.ts";\nimport type { View } from "./view.ts";\nimport "./heatmap.css";'
    assert js_faults("views/heatmap.ts", source) == []
