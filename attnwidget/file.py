"""Save and load a trace: a JSON header and raw tensors in one safetensors file, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from attnwidget.ledger import SOURCE, STRIPS_OF, TARGET
from attnwidget.outline import MAX_PLACES, Flag, FlagKind, Kind, Site
from attnwidget.trace import Trace

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
_HEADER, _CRC = "attnwidget", "attnwidget.crc"  # names in the metadata of the safetensors file

T = TypeVar("T")


class TraceError(ValueError):
    """A file that is not a trace, not a whole one, or one of a version that this package does not read."""


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace to a file.

    The file is a safetensors file: its metadata hold one JSON header under "attnwidget" and its CRC-32, its tensors are
    the weights, little-endian float32 [head, query, key], one for each site. An existing file is replaced only once the
    new one is whole on the disk.

    Args:
        trace: what to write, also while it still grows.
        path: where to, by custom with the ending ".attn".

    Raises:
        OSError: the file could not be written; what was there before is untouched.
    """
    from safetensors.numpy import save as to_bytes

    with trace.lock:
        sites = trace.sites
        tensors = {f"weights.{i}": trace.weights(site) for i, site in enumerate(sites)}
        header = {
            "version": VERSION,
            "title": trace.title,
            "status": trace.status,
            "strips": {name: list(tokens) for name, tokens in trace.tokens.items()},
            "known": sorted(trace.ledger.strips.known),
            "steps": [
                {"token": step.token, "candidates": [[c.token, c.probability] for c in step.candidates]}
                for step in trace.steps
            ],
            "sites": [_site_header(site, tensors[f"weights.{i}"]) for i, site in enumerate(sites)],
        }
    text = json.dumps(header)
    write_whole(path, to_bytes(tensors, {_HEADER: text, _CRC: str(zlib.crc32(text.encode("ascii")))}))


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: the file could not be written; what was there before is untouched.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder, the name of a file was expected.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; make it first.")
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def load(path: str | os.PathLike[str]) -> Trace:
    """Read a trace that `Trace.save` wrote.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: no such file.
        TraceError: not a trace, cut short, changed since it was written, or of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    if Path(path).is_dir():
        raise TraceError(f"{os.fspath(path)} is a folder, a trace file was expected.")
    try:
        with safe_open(os.fspath(path), framework="np") as file:
            header = _read_header(file.metadata() or {})
            tensors = [file.get_tensor(f"weights.{i}") for i in range(len(header["sites"]))]
        return _rebuild(header, tensors)
    except SafetensorError as error:
        raise TraceError(
            f"{os.fspath(path)} is not a whole trace file ({error}). It was cut short, or something else wrote it; "
            "arrays of weights become a trace with Trace.from_weights."
        ) from error
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise TraceError(f"{os.fspath(path)} is not a trace of this version: {error}") from error


def _site_header(site: Site, weights: np.ndarray) -> dict[str, Any]:
    return {
        "name": site.name,
        "kind": site.kind,
        "layer": site.layer,
        "n_heads": site.n_heads,
        "query": site.query,
        "key": site.key,
        "shape": list(weights.shape),
        "flags": [[flag.kind, flag.count, flag.where] for flag in site.flags],
        "crc": zlib.crc32(weights.astype("<f4").tobytes()),
    }


def _read_header(metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get(_HEADER)
    if text is None:
        raise ValueError("it has no attnwidget header")
    if metadata.get(_CRC) != str(zlib.crc32(text.encode("utf-8"))):
        raise ValueError("its header is not the one that was written")
    header = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    version = _field(header, "version", int)
    if version != VERSION:
        raise ValueError(f"it has version {version}, this package reads {VERSION}; update attnwidget")
    if _field(header, "status", str) not in ("empty", "recording", "complete", "stopped"):
        raise ValueError("its status is unknown")
    for name, kind in (("title", str), ("strips", dict), ("known", list), ("steps", list), ("sites", list)):
        _field(header, name, kind)
    return cast("dict[str, Any]", header)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a field of its header stands twice")
    return dict(pairs)


def _refuse(constant: str) -> object:
    raise ValueError(f"its header holds {constant}, which is no number")


def _field(data: object, name: str, kind: type[T]) -> T:
    """Return a field of a JSON object, which must be there and of this type."""
    value = data.get(name) if isinstance(data, dict) else None
    if type(value) is not kind:
        raise ValueError(f"{name} is {type(value).__name__} where {kind.__name__} was expected")
    return value


def _rebuild(header: dict[str, Any], tensors: list[np.ndarray]) -> Trace:
    trace = Trace(title=header["title"])
    trace.ledger.strips.restore(
        {strip: _field(header["strips"], strip, list) for strip in (SOURCE, TARGET)}, header["known"], None
    )
    for said, weights in zip(header["sites"], tensors, strict=True):
        site = Site(
            _field(said, "name", str),
            _kind_of(_field(said, "kind", str)),
            _field(said, "layer", int),
            _field(said, "n_heads", int),
            _field(said, "query", str),
            _field(said, "key", str),
        )
        if weights.dtype.str != "<f4" or list(weights.shape) != said["shape"] or weights.shape[:1] != (site.n_heads,):
            raise ValueError("its weights have another shape or type than it says")
        if zlib.crc32(weights.tobytes()) != said["crc"]:
            raise ValueError("its weights are not the ones that were written")
        trace.ledger.restore(site, weights, [_read_flag(*flag) for flag in _field(said, "flags", list)])
    steps = [(_field(step, "token", str), _field(step, "candidates", list)) for step in header["steps"]]
    trace.ledger.restore_steps(steps)
    if header["status"] != "empty":
        trace.finish("complete" if header["status"] == "complete" else "stopped")
    return trace


def _kind_of(value: str) -> Kind:
    for kind in STRIPS_OF:
        if value == kind:
            return kind
    raise ValueError("a site has an unknown kind")


def _read_flag(kind: FlagKind, count: object, where: list[list[object]]) -> Flag:
    places = [tuple(place) for place in where]
    numbers = [count, *(index for place in places for index in place)]
    if kind not in get_args(FlagKind) or len(places) > MAX_PLACES or any(type(number) is not int for number in numbers):
        raise ValueError("a flag is not one")
    return Flag(kind, cast(int, count), tuple(cast("tuple[int, int, int]", (h, q, k)) for h, q, k in places))
