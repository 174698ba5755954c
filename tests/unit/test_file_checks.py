"""Nothing but a whole trace is taken for one: other files, cut ones, flipped bits, headers that lie."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attnwidget import Trace, TraceError, load


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


def facts(trace: Trace) -> object:
    """What a changed file could change."""
    weights = [trace.weights(site).tobytes() for site in trace.sites]
    return trace.title, trace.status, trace.tokens, trace.sites, trace.steps, weights


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.attn")


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(TraceError):
        load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x00" * 8, b"\xff" * 64, b"PK\x03\x04" + b"\x00" * 60, b"[]" * 500])
def test_other_bytes_are_no_trace(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(TraceError, match=r"run\.attn"):
        load(path)


def test_a_foreign_safetensors_file_is_no_trace(path: Path) -> None:
    save_file({"weights.0": np.zeros((3, 4, 5), np.float32)}, path, {"format": "pt"})
    with pytest.raises(TraceError, match="no attnwidget header"):
        load(path)


def test_a_file_cut_anywhere_is_no_trace(complete: Trace, path: Path) -> None:
    complete.save(path)
    data = path.read_bytes()
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        with pytest.raises(TraceError):
            load(path)


def test_a_flipped_bit_is_an_error_or_changes_nothing(complete: Trace, path: Path) -> None:
    complete.save(path)
    data = path.read_bytes()
    random = np.random.default_rng(5)
    unnoticed = []
    for place, bit in zip(random.integers(len(data), size=400), random.integers(8, size=400), strict=True):
        changed = bytearray(data)
        changed[place] ^= 1 << int(bit)
        path.write_bytes(changed)
        try:
            if facts(load(path)) != facts(complete):
                unnoticed.append((int(place), int(bit)))
        except TraceError:
            pass
    assert unnoticed == []


def rewritten(trace: Trace, path: Path, lie: Callable[[dict[str, Any]], object]) -> None:
    """Save a trace with a header that lies, and a checksum that fits the lie."""
    trace.save(path)
    tensors = load_file(path)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["attnwidget"])
    told = lie(header)
    text = told if isinstance(told, str) else json.dumps(header)
    save_file(tensors, path, {"attnwidget": text, "attnwidget.crc": str(zlib.crc32(text.encode()))})


def put(*way: object) -> Callable[[dict[str, Any]], object]:
    """Return a lie: another value at the end of a way through the header."""
    *folders, name, value = way

    def lie(header: dict[str, Any]) -> None:
        for folder in folders:
            header = header[folder]
        header[name] = value

    return lie


def drop(*way: object) -> Callable[[dict[str, Any]], object]:
    *folders, name = way

    def lie(header: dict[str, Any]) -> None:
        for folder in folders:
            header = header[folder]
        del header[name]

    return lie


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "list": lambda _: "[]",
    "null": lambda _: "null",
    "no JSON": lambda _: "{",
    "deep": lambda _: "[" * 100_000,
    "twice": lambda header: json.dumps(header)[:-1] + ', "title": "b"}',
    "NaN": lambda header: json.dumps(header).replace('"layer": 0', '"layer": NaN'),
    "1e999": lambda header: json.dumps(header).replace('"layer": 0', '"layer": 1e999'),
    "newer": put("version", 3),
    "version true": put("version", True),
    "version text": put("version", "1"),
    "title null": put("title", None),
    "status": put("status", "done"),
    "status list": put("status", ["complete"]),
    "strips list": put("strips", []),
    "strip null": put("strips", "source", None),
    "strip text": put("strips", "source", "abcde"),
    "token number": put("strips", "source", 0, 7),
    "token short": drop("strips", "source", -1),
    "token more": lambda header: header["strips"]["source"].append("x"),
    "no source": put("strips", "source", []),
    "unnamed and short": lambda header: [header.update(known=[]), header["strips"]["source"].pop()],
    "known number": put("known", 5),
    "steps null": put("steps", None),
    "step list": put("steps", 0, []),
    "token of a step": put("steps", 0, "token", 7),
    "candidates": put("steps", 0, "candidates", [["a"]]),
    "probability": put("steps", 0, "candidates", [["a", 7]]),
    "probability text": put("steps", 0, "candidates", [["a", "b"]]),
    "step more": lambda header: header["steps"].append({"token": "x", "candidates": []}),
    "sites null": put("sites", None),
    "site null": put("sites", 0, None),
    "site more": lambda header: header["sites"].append(header["sites"][0]),
    "site name": put("sites", 0, "name", 7),
    "site name twice": put("sites", 0, "name", "cross.1"),
    "kind": put("sites", 0, "kind", "self"),
    "kind null": put("sites", 0, "kind", None),
    "layer text": put("sites", 0, "layer", "0"),
    "layer half": put("sites", 0, "layer", 0.5),
    "layer negative": put("sites", 0, "layer", -1),
    "heads": put("sites", 0, "n_heads", 2),
    "heads huge": put("sites", 0, "n_heads", 10**30),
    "heads true": put("sites", 0, "n_heads", True),
    "query": put("sites", 0, "query", "src"),
    "strips swapped": put("sites", 0, "key", "target"),
    "shape": put("sites", 0, "shape", [3, 5, 4]),
    "crc": put("sites", 0, "crc", 0),
    "crc of weights": put("sites", 0, "crc", "weights", 0),
    "crc of nothing": put("sites", 0, "crc", {}),
    "crc of more": put("sites", 0, "crc", "bias", 0),
    "asks": put("sites", 0, "asks", "during"),
    "asks null": put("sites", 0, "asks", None),
    "store": put("sites", 0, "store", "sparse"),
    "store of others": put("sites", 0, "store", "qk"),
    "store null": put("sites", 0, "store", None),
    "numbers null": put("sites", 0, "numbers", None),
    "older": put("version", 1),
    "below 1": put("version", 0),
    "n_read text": put("n_read", "1"),
    "n_read more": put("n_read", 7),
    "strip without a name": put("strips", "a b", ["c"]),
    "architecture list": put("architecture", []),
    "node of nothing": put("architecture", "nodes", [{}]),
    "node inside itself": put("architecture", "nodes", 0, "parent", "0"),
    "edge from nowhere": put("architecture", "edges", 0, "source", "99"),
    "beams null": put("beams", None),
    "edits no list": put("edits", "ablate"),
    "edits of numbers": put("edits", [7]),
    "beam null": put("beams", [None]),
    "beam short": put("beams", [[0, "a"]]),
    "beam without parent": put("beams", [[1, "a", 0, 0.5, False]]),
    "beam of a number": put("beams", [[0, 7, -1, 0.5, False]]),
    "crc null": put("sites", 0, "crc", None),
    "flags null": put("sites", 0, "flags", None),
    "flag number": put("sites", 0, "flags", [7]),
    "flag kind": put("sites", 0, "flags", [["odd", 1, []]]),
    "flag kind list": put("sites", 0, "flags", [[[], 1, []]]),
    "flag count": put("sites", 0, "flags", [["nan", "many", []]]),
    "flag place": put("sites", 0, "flags", [["nan", 1, [[0, 0]]]]),
    "flag place text": put("sites", 0, "flags", [["nan", 1, [["a", 0, 0]]]]),
    "flag places": put("sites", 0, "flags", [["nan", 1, [[0, 0, 0]] * 99]]),
    **{f"without {name}": drop(name) for name in ("version", "title", "status", "strips", "known", "steps", "sites")},
    **{
        f"site without {name}": drop("sites", 0, name)
        for name in ("name", "kind", "layer", "n_heads", "query", "key", "shape", "flags", "crc")
    },
}


def is_not(expected: str, *found: str) -> dict[str, str]:
    """Return what is said of fields of another type than expected; `found` are "lie, field, type"."""
    split = (each.split(", ") for each in found)
    return {lie: f"{field} is {kind} where {expected} was expected" for lie, field, kind in split}


REASONS = {
    "Expecting property name": ("no JSON",),
    "maximum recursion depth": ("deep",),
    "a field of its header stands twice": ("twice",),
    "its header holds NaN, which is no number": ("NaN",),
    "it has version 3, this package reads 1 to 2; update attnwidget": ("newer",),
    "it has version 0, this package reads 1 to 2": ("below 1",),
    "its status is unknown": ("status",),
    "tokens: token 0 is int, a string was expected.": ("token number",),
    "cross.0: weights have 5 keys but strip 'source' has 4 tokens.": ("token short", "unnamed and short"),
    "cross.0: weights have 5 keys but strip 'source' has 6 tokens.": ("token more",),
    "cross.0: weights have 5 keys but strip 'source' has 0 tokens.": ("no source",),
    "cross.0: weights have 5 keys but strip 'target' has 4 tokens.": ("strips swapped",),
    "not enough values to unpack": ("candidates", "flag place"),
    "step 0: 7 came, a probability between 0 and 1 was expected.": ("probability",),
    "step 0: str came, a probability between 0 and 1 was expected.": ("probability text",),
    "5 steps came for a target of 4 tokens.": ("step more",),
    "one of its arrays is not there": ("site more", "crc of more"),
    "site 'cross.1' exists already": ("site name twice",),
    "a site has an unknown kind": ("kind",),
    "site 'cross.0' has layer -1 and 3 heads": ("layer negative",),
    "its weights have another shape or type than it says": ("heads", "heads huge", "shape", "crc of nothing"),
    "site 'cross.0' counts strip 'src'": ("query",),
    "its weights are not the ones that were written": ("crc of weights",),
    "a site keeps 'sparse', which is unknown": ("store",),
    "its queries have another shape or type than it says": ("store of others",),
    "a site asks with an unknown state": ("asks", "asks null"),
    "context: 7 tokens were read, it has 0.": ("n_read more",),
    "strip 'a b' was named": ("strip without a name",),
    "the nodes of the diagram are NoneType": ("architecture list",),
    "a node of the diagram has other fields": ("node of nothing",),
    "node '0' is a part of '0'": ("node inside itself",),
    "an edge goes from '99' to '2'": ("edge from nowhere",),
    "attnwidget.outline.Beam() argument": ("beam null",),
    "Beam.__init__() missing 2": ("beam short",),
    "beam 0: parent 0 came": ("beam without parent",),
    "beam 0: token 0 is int": ("beam of a number",),
    "attnwidget.rebuild._read_flag() argument": ("flag number",),
    "its edits are not told in words": ("edits no list", "edits of numbers"),
    "a flag is not one": ("flag kind", "flag kind list", "flag count", "flag place text", "flag places"),
}
SAID = {  # of each lie, how the sentence that refuses the file goes on
    **is_not("int", "list, version, NoneType", "null, version, NoneType", "without version, version, NoneType"),
    **is_not("int", "version true, version, bool", "version text, version, str", "older, crc, dict"),
    **is_not("int", "1e999, layer, float", "layer half, layer, float", "layer text, layer, str"),
    **is_not("int", "site without layer, layer, NoneType", "n_read text, n_read, str", "heads true, n_heads, bool"),
    **is_not("int", "site without n_heads, n_heads, NoneType"),
    **is_not("str", "title null, title, NoneType", "without title, title, NoneType", "status list, status, list"),
    **is_not("str", "without status, status, NoneType", "step list, token, NoneType", "token of a step, token, int"),
    **is_not("str", "site name, name, int", "site without name, name, NoneType", "kind null, kind, NoneType"),
    **is_not("str", "site without kind, kind, NoneType", "site without query, query, NoneType"),
    **is_not("str", "site without key, key, NoneType", "store null, store, NoneType"),
    **is_not(
        "dict", "strips list, strips, list", "without strips, strips, NoneType", "numbers null, numbers, NoneType"
    ),
    **is_not("dict", "site null, crc, NoneType", "crc, crc, int", "crc null, crc, NoneType"),
    **is_not("dict", "site without crc, crc, NoneType"),
    **is_not("list", "strip null, source, NoneType", "strip text, source, str", "known number, known, int"),
    **is_not("list", "without known, known, NoneType", "steps null, steps, NoneType", "sites null, sites, NoneType"),
    **is_not("list", "without steps, steps, NoneType", "without sites, sites, NoneType", "beams null, beams, NoneType"),
    **is_not("list", "flags null, flags, NoneType", "site without flags, flags, NoneType"),
    **is_not("list", "site without shape, shape, NoneType"),
    **{lie: sentence for sentence, lies in REASONS.items() for lie in lies},
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_for_its_lie(complete: Trace, path: Path, name: str) -> None:
    rewritten(complete, path, LIES[name])
    with pytest.raises(TraceError) as error:
        load(path)
    assert str(error.value).startswith(f"{path} is not a trace of this version: {SAID[name]}")


def test_a_header_that_tells_the_truth_is_a_trace(complete: Trace, path: Path) -> None:
    rewritten(complete, path, lambda _: None)
    assert facts(load(path)) == facts(complete)


def test_a_header_without_a_diagram_is_a_trace(complete: Trace, path: Path) -> None:
    rewritten(complete, path, drop("architecture"))
    assert load(path).architecture == complete.architecture


def test_a_version_that_never_was_asks_for_no_update(complete: Trace, path: Path) -> None:
    rewritten(complete, path, LIES["below 1"])
    with pytest.raises(TraceError, match=r"this package reads 1 to 2$"):
        load(path)


def test_a_newer_version_says_what_to_do(complete: Trace, path: Path) -> None:
    rewritten(complete, path, put("version", 3))
    with pytest.raises(TraceError, match="version 3, this package reads 1 to 2; update attnwidget"):
        load(path)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_weights_of_another_type_are_no_trace(complete: Trace, path: Path, dtype: type) -> None:
    complete.save(path)
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(length))["__metadata__"]
    save_file({name: array.astype(dtype) for name, array in load_file(path).items()}, path, metadata)
    with pytest.raises(TraceError, match="another shape or type"):
        load(path)


def test_a_trace_error_is_a_value_error() -> None:
    assert issubclass(TraceError, ValueError)
