"""Save and load a trace: a JSON header and raw tensors in one safetensors file, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.ledger import SOURCE, STRIPS_OF, TARGET
from attnwidget.outline import Flag, Site
from attnwidget.trace import Trace

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
_HEADER = "attnwidget"


class TraceError(ValueError):
    """A file that is not a trace, not a whole one, or one of a version that this package does not read."""


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace to a file.

    The file is a safetensors file: its metadata hold one JSON header under "attnwidget", its tensors are the weights,
    little-endian float32 [head, query, key], one for each site. An existing file is replaced only once the new one is
    whole on the disk.

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
            "steps": [
                {"token": step.token, "candidates": [[c.token, c.probability] for c in step.candidates]}
                for step in trace.steps
            ],
            "sites": [_site_header(site, tensors[f"weights.{i}"]) for i, site in enumerate(sites)],
        }
    data = to_bytes(tensors, {_HEADER: json.dumps(header)})
    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent or ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
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

    try:
        with safe_open(os.fspath(path), framework="np") as file:
            header = _read_header((file.metadata() or {}).get(_HEADER))
            sites = header["sites"]
            tensors = [file.get_tensor(f"weights.{i}") for i in range(len(sites))]
        return _rebuild(header, tensors)
    except SafetensorError as error:
        raise TraceError(f"{os.fspath(path)} is not a whole trace file ({error}). Was it cut short?") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TraceError(f"{os.fspath(path)} is not a trace of this version: {error}") from error


def _site_header(site: Site, weights: np.ndarray) -> dict[str, Any]:
    return {
        "name": site.name,
        "kind": site.kind,
        "layer": site.layer,
        "n_heads": site.n_heads,
        "query": site.query,
        "key": site.key,
        "flags": [[flag.kind, flag.count, flag.where] for flag in site.flags],
        "crc": zlib.crc32(weights.astype("<f4").tobytes()),
    }


def _read_header(text: str | None) -> dict[str, Any]:
    if text is None:
        raise ValueError("it has no attnwidget header")
    header = json.loads(text)
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise ValueError("its header has no version")
    if header["version"] != VERSION:
        raise ValueError(f"it has version {header['version']}, this package reads {VERSION}; update attnwidget")
    if header["status"] not in ("empty", "recording", "complete", "stopped"):
        raise ValueError("its status is unknown")
    return header


def _rebuild(header: dict[str, Any], tensors: list[np.ndarray]) -> Trace:
    trace = Trace(title=str(header["title"]))
    for strip in (SOURCE, TARGET):
        if header["strips"][strip]:
            trace.set_tokens(strip, header["strips"][strip])
    for said, weights in zip(header["sites"], tensors, strict=True):
        if zlib.crc32(weights.astype("<f4").tobytes()) != said["crc"]:
            raise ValueError("its weights are not the ones that were written")
        if said["kind"] not in STRIPS_OF:
            raise ValueError("a site has an unknown kind")
        site = Site(said["name"], said["kind"], int(said["layer"]), int(said["n_heads"]), said["query"], said["key"])
        flags = [Flag(kind, int(count), tuple((h, q, k) for h, q, k in where)) for kind, count, where in said["flags"]]
        trace.ledger.restore(site, weights, flags)
    trace.ledger.restore_steps([(step["token"], step["candidates"]) for step in header["steps"]])
    trace.finish("complete" if header["status"] == "complete" else "stopped")
    return trace
