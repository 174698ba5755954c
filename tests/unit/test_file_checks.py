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
    "token short": lambda header: header["strips"]["source"].pop(),
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


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_header_that_lies_is_no_trace(complete: Trace, path: Path, lie: Callable[[dict[str, Any]], object]) -> None:
    rewritten(complete, path, lie)
    with pytest.raises(TraceError):
        load(path)


def test_a_header_that_tells_the_truth_is_a_trace(complete: Trace, path: Path) -> None:
    rewritten(complete, path, lambda _: None)
    assert facts(load(path)) == facts(complete)


def test_a_header_without_a_diagram_is_a_trace(complete: Trace, path: Path) -> None:
    rewritten(complete, path, drop("architecture"))
    assert load(path).architecture == complete.architecture


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
