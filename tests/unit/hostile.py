"""Traces changed so that they lie: what a stream of bytes decides, which may be random or a fuzzer's."""

from __future__ import annotations

import copy
import json
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from oracle import cut

from attnwidget import Site, Tokens, Trace
from attnwidget.architecture import Architecture, Edge, Node
from attnwidget.header import CRC, HEADER
from attnwidget.outline import Beam

T = TypeVar("T")

VERSION_1 = Path(__file__).parent / "files" / "version1.attn"
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 4, 5, 6, 7, 40, 255, 2**31, 2**53, 2**62, 2**63, 10**30, -(2**63)),
    *(0.5, -0.0, 1.0, 1e-300, 1e308, "", "a", "a b", "source", "target", "context", "dense", "qk", "reduced", "cross"),
    *("encoder", "decoder", "complete", "empty", "recording", "../x", "/dev/zero", "\x00", "\ud800", "</script>"),
    *([], [0], [0, 0], [1, 2, 3], ["a"], [[]], [[0, 0, 0]], {}, {"a": 1}, {"weights": 0}, "|O", "<f4", "F32", "U8"),
)


class Choices:
    """Decides by bytes; when they are used up, always for the first.

    Args:
        data: what decides.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return max(0, len(self._data) - self._at)

    def below(self, n: int) -> int:
        """Return a number in [0, n), which takes two bytes."""
        self._at += 2
        return int.from_bytes(self._data[self._at - 2 : self._at], "little") % n if n else 0

    def of(self, several: Sequence[T]) -> T:
        """Return one of several."""
        return several[self.below(len(several))]

    def rest(self) -> bytes:
        """Return what is left."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest

    def text(self, n: int) -> str:
        """Return a text of at most n characters of any kind."""
        kinds = (0x20, 0x00, 0x80, 0x2000, 0xD800, 0xE000, 0x590, 0x1F300, 0x4E00, 0xFFF0, 0x0300)
        widths = (95, 32, 128, 128, 2048, 64, 256, 512, 256, 16, 80)
        found = ""
        for _ in range(min(self.below(n + 1), self.left // 2)):
            kind = self.below(len(kinds) * 64)
            found += chr(kinds[kind // 64] + self.below(widths[kind // 64]))
        return found


def places(tree: object) -> list[tuple[Any, Any]]:
    """Return each place in a tree of JSON: what holds it, and where in there it is."""
    found: list[tuple[Any, Any]] = []
    pairs: Any = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in pairs:
        found.append((tree, name))
        found += places(value)
    return found


def changed(tree: dict[str, Any], choices: Choices) -> dict[str, Any]:
    """Return a tree of JSON with one to four changes."""
    tree = copy.deepcopy(tree)
    for _ in range(1 + choices.below(4)):
        there = places(tree)
        if not there:
            return tree
        (holder, name), what = choices.of(there), choices.below(8)
        value = holder[name]
        if what == 0:
            del holder[name]
        elif what == 1 and isinstance(holder, list):
            holder.insert(name, copy.deepcopy(value))
        elif what == 2:
            other, its = choices.of(there)
            holder[name] = copy.deepcopy(other[its])
        elif what == 3 and type(value) in (int, float):
            holder[name] = value + (1, -1, 2, -2, 1000, 0.5)[choices.below(6)]
        elif what == 4 and isinstance(value, str):
            holder[name] = value + choices.text(3)
        elif what == 5 and isinstance(value, dict):
            value[choices.of(("a", "crc", "weights", "keys", "seconds", "parent", "terms", "width"))] = choices.of(ODD)
        elif what == 6 and isinstance(value, list):
            value.append(copy.deepcopy(choices.of(ODD)))
        else:
            holder[name] = copy.deepcopy(choices.of(ODD))
    return tree


def flipped(data: bytes, choices: Choices) -> bytes:
    """Return bytes of which one bit is another, or that are cut short."""
    if not data:
        return data
    place, what = choices.below(256) * 257 + choices.below(257), choices.below(9)
    place %= len(data)
    if what == 8:
        return data[:place]
    many = bytearray(data)
    many[place] ^= 1 << what
    return bytes(many)


@dataclass(frozen=True)
class Parts:
    """A trace file in parts.

    Args:
        header: what attnwidget says.
        said: what safetensors says of the tensors.
        data: their bytes.
    """

    header: dict[str, Any]
    said: dict[str, Any]
    data: bytes

    @classmethod
    def of(cls, path: Path) -> Parts:
        """Take a file apart."""
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        said = json.loads(data[8:end])
        return cls(json.loads(said.pop("__metadata__")[HEADER]), said, data[end:])

    def together(self) -> bytes:
        """Return the bytes of a file whose checksum of the header is right."""
        text = json.dumps(self.header)
        metadata = {HEADER: text, CRC: str(zlib.crc32(text.encode()))}
        start = json.dumps({"__metadata__": metadata, **self.said}).encode("utf-8", "surrogatepass")
        start += b" " * (-len(start) % 8)
        return len(start).to_bytes(8, "little") + start + self.data


def sealed_manifest(header: dict[str, Any]) -> bytes:
    """Return a manifest whose checksum is right."""
    text = json.dumps(header)
    return json.dumps({HEADER: text, CRC: str(zlib.crc32(text.encode()))}).encode()


def begun() -> Trace:
    """Return a trace with sites of each kind and a picture, before its first step."""
    trace = Trace(source=Tokens.image(np.zeros((4, 6, 3), np.uint8), (2, 2), after=["x"]), title="a cat")
    trace.set_tokens("context", ["<s>", "Once"])
    trace.set_architecture(
        Architecture((Node("0", "module", "net"), Node("1", "strip", strip="source")), (Edge("1", "0"),))
    )
    trace.add_site(Site("dense", "cross", 0, 3, "target", "source"))
    trace.add_site(Site("qk", "decoder", 0, 4, "target", "context"), store="qk")
    trace.add_site(Site("reduced", "cross", 1, 2, "target", "source"), store="reduced")
    return trace


def go_on(trace: Trace, first: int, end: int) -> None:
    """Append some steps to what `begun` returned."""
    rng = np.random.default_rng(4)
    whole = _factors(rng)
    for step in range(first, end):
        rows: dict[str, Any] = {name: rng.dirichlet(np.ones(5), (n, 1)) for name, n in (("dense", 3), ("reduced", 2))}
        if step != 2:
            rows["qk"] = cut(whole, slice(step, step + 1), slice(0, step + 2))
        trace.append(rows, token=f"t{step}", candidates=[("x", 0.5), ("</script>", 0.25)])


def _factors(rng: np.random.Generator) -> Any:  # noqa: ANN401
    from attnwidget.stores import Factors, Visible

    mask = np.tril(np.ones((8, 9), bool), 1)
    mask[3:, 2] = False
    queries, keys = rng.normal(size=(4, 8, 8)).astype(np.float16), rng.normal(size=(2, 9, 8)).astype(np.float16)
    return Factors(queries, keys, Visible.of(mask), 0.3, softcap=4.0, sinks=np.ones(4, np.float32))


def finished() -> Trace:
    """Return a whole trace with sites of each kind."""
    trace = begun()
    go_on(trace, 0, 5)
    trace.set_beams([Beam(0, "a", -1, 0.5, chosen=True), Beam(1, "b", 0, 0.25)])
    trace.finish()
    return trace


def facts(trace: Trace) -> object:
    """Return all that a file keeps."""
    states = [record.store.state() for record in trace.ledger.records.values()]
    kept = [[(name, it.dtype, it.shape, np.asarray(it).tobytes()) for name, it in each[0].items()] for each in states]
    scenes = [(name, scene.pixels.tobytes(), scene.grid) for name, scene in trace.ledger.strips.scenes.items()]
    said = repr((trace.title, trace.tokens, trace.sites, trace.steps, trace.flags, trace.beams, trace.architecture))
    return said, kept, scenes, trace.status


FILES: dict[str, Callable[[Path], object]] = {
    "version 1": lambda path: path.write_bytes(VERSION_1.read_bytes()),
    "file": lambda path: finished().save(path),
    "empty": lambda path: _emptied(path),
}


def _emptied(path: Path) -> None:
    trace = begun()
    trace.finish("stopped")
    trace.save(path)


def _whole(path: Path) -> None:
    trace = begun()
    trace.save(path)
    go_on(trace, 0, 5)
    trace.finish()


def _growing(path: Path) -> None:
    trace = begun()
    go_on(trace, 0, 2)
    trace.save(path)
    go_on(trace, 2, 5)
    trace.save(path)
    for thread in threading.enumerate():
        if thread.name == "attnwidget save":
            thread.join()


def _interrupted(path: Path) -> None:
    _growing(path)
    for file in path.glob("*.bin"):
        with file.open("ab") as more:
            more.write(b"what no manifest counts")
    (path / f".{'0' * 32}.tmp").write_bytes(b"{")


FOLDERS: dict[str, Callable[[Path], object]] = {"whole": _whole, "growing": _growing, "interrupted": _interrupted}
