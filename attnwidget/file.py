"""Save and load a trace: a JSON header and raw tensors in one safetensors file, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
import zlib
from pathlib import Path

from attnwidget.header import described, read_header, rebuilt
from attnwidget.trace import Trace

_HEADER, _CRC = "attnwidget", "attnwidget.crc"  # names in the metadata of the safetensors file


class TraceError(ValueError):
    """A file that is not a trace, not a whole one, or one of a version that this package does not read."""


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace to a file.

    The file is a safetensors file: its metadata hold one JSON header under "attnwidget" and its CRC-32, its tensors are
    what the stores of the sites hold, as "name.i" for site i: "weights", little-endian float32 [head, query, key], or
    the queries, keys and ranges that give them, or the largest and their places. An existing file is replaced only once
    the new one is whole on the disk.

    Args:
        trace: what to write, also while it still grows.
        path: where to, by custom with the ending ".attn".

    Raises:
        OSError: the file could not be written; what was there before is untouched.
    """
    from safetensors.numpy import save as to_bytes

    header, tensors = described(trace)
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
            metadata = file.metadata() or {}
            text = metadata.get(_HEADER)
            if text is None:
                raise ValueError("it has no attnwidget header")
            if metadata.get(_CRC) != str(zlib.crc32(text.encode("utf-8"))):
                raise ValueError("its header is not the one that was written")
            header = read_header(text)
            return rebuilt(header, file.get_tensor)
    except SafetensorError as error:
        raise TraceError(
            f"{os.fspath(path)} is not a whole trace file ({error}). It was cut short, or something else wrote it; "
            "arrays of weights become a trace with Trace.from_weights."
        ) from error
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise TraceError(f"{os.fspath(path)} is not a trace of this version: {error}") from error
