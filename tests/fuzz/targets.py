"""What is fuzzed: functions that take bytes and raise where a promise is broken."""

from __future__ import annotations

import contextlib
import copy
import html.parser
import json
import math
import os
import shutil
import sys
import tempfile
import time
import unicodedata
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import numpy as np
from heard import Heard
from hostile import FILES, FOLDERS, ODD, Choices, Parts, changed, facts, finished, flipped, sealed_manifest
from texts import bytes_in

from attnwidget import Trace, TraceError, load
from attnwidget.base124 import ALPHABET, as_text
from attnwidget.export import embedded
from attnwidget.figure.text import cut, shown, width
from attnwidget.folder import MANIFEST
from attnwidget.header import CRC, HEADER
from attnwidget.rebuild import checked_text, read_header, rebuilt
from attnwidget.selection import CHOICES, check
from attnwidget.stream import Publisher

REFUSED = (LookupError, TypeError, ValueError, RecursionError, OverflowError, AttributeError)  # as `load` takes them


@cache
def room() -> Path:
    """Return a folder for what a target writes, in memory where that can be."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="attnwidget-fuzz-", dir=shared if shared.is_dir() else None))


def leave() -> None:
    """Remove what was written."""
    shutil.rmtree(room(), ignore_errors=True)


def file(data: bytes) -> None:
    """A changed file is refused by TraceError, or is a trace that can be read, and saved and loaded again."""
    choices = Choices(data)
    name, parts, whole, before = choices.of(_files())
    what = choices.below(8)
    if what == 0:
        changed_data = flipped(whole, choices)
    elif what == 1:
        changed_data = Parts(parts.header, changed(parts.said, choices), parts.data).together()
    elif what == 2:
        changed_data = Parts(changed(parts.header, choices), changed(parts.said, choices), parts.data).together()
    elif what == 3:
        header = {**parts.header, **copy.deepcopy(choices.of(_files())[1].header)}
        changed_data = Parts(changed(header, choices), parts.said, parts.data).together()
    else:
        changed_data = Parts(changed(parts.header, choices), parts.said, parts.data).together()
    path = room() / "file.attn"
    path.write_bytes(changed_data)
    with contextlib.suppress(TraceError):
        trace = load(path, verify=bool(choices.below(2)))
        if what == 0 and facts(trace) != before:
            raise AssertionError(f"a changed bit of {name!r} was not noticed")
        _use(trace)


@cache
def _files() -> list[tuple[str, Parts, bytes, object]]:
    found = []
    for name, write in FILES.items():
        path = room() / "base.attn"
        write(path)
        found.append((name, Parts.of(path), path.read_bytes(), facts(load(path))))
    return found


def _use(trace: Trace) -> None:
    """Read all of a trace, and save and load it."""
    for site in trace.sites:
        trace.weights(site.name)
        trace.strength(site.name)
        trace.overview(site.name)
    again = room() / "again.attn"
    trace.save(again)
    if again.is_dir():
        shutil.rmtree(again)
    elif facts(load(again, verify=True)) != facts(trace):
        raise AssertionError("a trace that was loaded and saved is another one")


def folder(data: bytes) -> None:
    """A changed folder is refused by TraceError, or is a trace; nothing is written."""
    choices = Choices(data)
    name, files, before = choices.of(_folders())
    path = room() / f"folder {name}"
    what, other = choices.below(8), choices.of(sorted(files))
    touched = other if what in (0, 5, 6, 7) else MANIFEST
    place = path / touched
    if what == 0:
        place.write_bytes(flipped(files[other], choices))
    elif what == 5:
        place.write_bytes(files[choices.of(sorted(files))])
    elif what in (6, 7):
        place.unlink()
        _put_odd(place, choices.below(6))
    else:
        outer = json.loads(files[MANIFEST])
        place.write_bytes(sealed_manifest(changed(json.loads(outer[HEADER]), choices)))
    try:
        with contextlib.suppress(TraceError):
            trace = load(path, verify=bool(choices.below(2)))
            if what == 0 and facts(trace) != before:
                raise AssertionError(f"a changed bit of {name!r} was not noticed")
            _use(trace)
        if {it.name for it in path.iterdir()} - set(files):
            raise AssertionError("loading has written something")
    finally:
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)
        place.write_bytes(files[touched])


@cache
def _folders() -> list[tuple[str, dict[str, bytes], object]]:
    time.sleep = lambda _: None  # nobody else writes what is read here
    found = []
    for name, write in FOLDERS.items():
        path = room() / f"folder {name}"
        write(path)
        found.append((name, {it.name: it.read_bytes() for it in path.iterdir()}, facts(load(path))))
    return found


def _put_odd(place: Path, what: int) -> None:
    """Put something where a file was expected."""
    if what == 0:
        place.symlink_to("/dev/zero")
    elif what == 1:
        os.mkfifo(place)
    elif what == 2:
        place.mkdir()
    elif what == 3:
        place.symlink_to(place.name)
    elif what == 4:
        place.symlink_to("../file.attn")


class _Arrays:
    """Tensors that are in memory."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays

    def tensor(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def check(self, name: str, crc: object) -> None:
        if zlib.crc32(np.ascontiguousarray(self._arrays[name]).data) != crc:
            raise ValueError("another checksum")


def header(data: bytes) -> None:
    """A changed header is refused by one of the errors that `load` expects, or makes a trace."""
    choices = Choices(data)
    parts, arrays = choices.of(_arrays())
    text = json.dumps(changed(parts.header, choices))
    if choices.below(16) == 1:
        text = flipped(text.encode(), choices).decode("utf-8", "replace")
    with contextlib.suppress(*REFUSED):
        said = read_header(checked_text({HEADER: text, CRC: str(zlib.crc32(text.encode()))}))
        trace = rebuilt(said, _Arrays(arrays))
        trace.cursor  # noqa: B018


@cache
def _arrays() -> list[tuple[Parts, dict[str, np.ndarray]]]:
    from safetensors.numpy import load as arrays_in

    return [(parts, arrays_in(whole)) for _, parts, whole, _ in _files()]


def messages(data: bytes) -> None:
    """Whatever a page says, nothing is raised, and the widget shows what its trace has."""
    choices, widget = Choices(data), _widget()
    for _ in range(1 + choices.below(4)):
        if choices.below(2):
            widget.set_state(_said(choices, _STATE) if choices.below(8) else _value(choices, 2))
        else:
            content = _said(choices, _ASKED) if choices.below(8) else _value(choices, 2)
            if isinstance(content, dict) and choices.below(8):
                content["run"] = widget.trace.run
            widget._on_message(None, content, [])
        for _ in range(4):
            widget._publisher._answer()
    for name in CHOICES:
        value = getattr(widget, name)
        check(widget.trace, name, value, widget.site)
        if isinstance(value, float) and not math.isfinite(value):
            raise AssertionError(f"{name} is no number")
    json.dumps(widget.selection, allow_nan=False)
    widget.sent.clear()
    widget.told.clear()


_ASKED = ("t", "site", "head", "at", "strip", "query", "queries", "keys", "step", "seqs", "run")
_KINDS = ("need", "ready", "fetch", "heads", "texts", "why", "view", "rows", "end")
_STATE = (*CHOICES, "frame", "protocol", "_esm", "last_step", "comm", "trace", "__class__")


@cache
def _widget() -> Heard:
    Publisher._wake = lambda self: None  # type: ignore[method-assign] - answers are made here, in this thread
    return Heard(finished())


def _said(choices: Choices, names: tuple[str, ...]) -> dict[str, Any]:
    """Return an object with some fields of a message, mostly of the right kind."""
    said: dict[str, Any] = {"t": choices.of(_KINDS)} if "t" in names else {}
    for _ in range(choices.below(7)):
        name = choices.of(names)
        if name in ("queries", "keys") and choices.below(4):
            said[name] = [choices.below(9) for _ in range(3)]
        elif name == "strip" and choices.below(4):
            said[name] = choices.of(("source", "target", "context"))
        elif name == "t" and choices.below(4):
            said[name] = choices.of(_KINDS)
        elif choices.below(4):
            said[name] = choices.below(8) - 1
        else:
            said[name] = _value(choices, 2)
    if said.get("t") == "view":
        said = {"site": 1, "head": 0, "queries": [0, 4, 1], "keys": [0, 4, 1], "step": 0, **said}
    return said


def _value(choices: Choices, depth: int) -> Any:  # noqa: ANN401
    kind = choices.below(6 if depth else 3)
    if kind == 0:
        return copy.deepcopy(choices.of(ODD))
    if kind == 1:
        return choices.of((float("nan"), float("inf"), -1e400, b"bytes", "log", "query", "sum", "own", "zh", "key"))
    if kind == 2:
        return choices.text(8)
    if kind == 5:
        return {choices.text(3): _value(choices, depth - 1) for _ in range(choices.below(4))}
    return [_value(choices, depth - 1) for _ in range(choices.below(5))]


def base124(data: bytes) -> None:
    """Bytes come back, and of ASCII four characters are not used."""
    text = as_text(data)
    if bytes_in(text) != data or not set(text) <= set(ALPHABET.decode()) or set(text) & set("\0\r\x1a<"):
        raise AssertionError("bytes did not come back")


def text(data: bytes) -> None:
    """A token of any characters is drawn with those that can be seen, and is neither cut wrongly nor lost."""
    token = Choices(data).text(24) if data[:1] < b"\x80" else data.decode("utf-8", "replace")
    drawn = shown(token)
    for i, c in enumerate(drawn):
        if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn", "Zs") and c not in " \u2068\u2069":
            around = drawn[i - 1 : i], drawn[i + 1 : i + 2]
            if c != "\u200d" or not all(around):
                raise AssertionError(f"U+{ord(c):X} is drawn of {token!a}")
    if not drawn or drawn.startswith(" ") or drawn.endswith(" "):
        raise AssertionError(f"nothing can be seen of {token!a}")
    drawn.encode("utf-8")
    kept = cut(drawn[:30], 50, 10)
    if width(kept, 10) > 50 or not (kept == drawn[:30] or not kept or kept.endswith("…")):
        raise AssertionError(f"{token!a} does not fit")


class _Elements(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(data: bytes) -> None:
    """Whatever tokens, names and a title are, a page has its own elements only, and a figure is well-formed."""
    choices = Choices(data)
    names = [choices.text(6) for _ in range(4)]
    trace = Trace.from_weights(
        np.full((1, 1, 2, 2), 0.5, np.float32), source=names[:2], target=names[2:], title=choices.text(12)
    )
    trace.sites  # noqa: B018
    selection = {"step": choices.below(2), "head": 0, "locked": [choices.below(2)]}
    elements = _Elements()
    elements.feed(embedded(trace, **selection)[0])
    elements.close()
    ((tag, attributes),) = elements.found
    if tag != "script" or set(attributes) != {"type", "data-selection"}:
        raise AssertionError(f"a page has {elements.found}")
    if json.loads(attributes["data-selection"] or "")["step"] != selection["step"]:
        raise AssertionError("a selection did not come back")
    if choices.below(4) == 0:
        path = room() / "figure.svg"
        trace.to_svg(path, **selection)
        parsed: list[str] = []
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda name, _: parsed.append(name)
        parser.Parse(path.read_bytes(), True)
        if "script" in parsed or "foreignObject" in parsed:
            raise AssertionError("a figure holds a script")


class Target(NamedTuple):
    """What is fuzzed.

    Args:
        run: takes bytes.
        size: bytes of an input, at most.
    """

    run: Callable[[bytes], None]
    size: int


TARGETS = {
    "file": Target(file, 128),
    "folder": Target(folder, 128),
    "header": Target(header, 128),
    "messages": Target(messages, 192),
    "base124": Target(base124, 64),
    "text": Target(text, 64),
    "page": Target(page, 128),
}
